/*
 * registry.c
 *	  What the checker asks the registries of sources, stores and formats: the
 *	  only place in src/config that knows that they exist.
 */
#include "dynpipe.h"

#include "config/check.h"
#include "format/format.h"
#include "source/source.h"
#include "store/store.h"
#include "utils/formatting.h"

/* Suffixes of files that are not the name of their format. */
static const struct
{
	const char *suffix;
	const char *format;
}			suffixes[] = {
	{"tsv", "csv"},				/* its delimiter is detected, as any other */
	{"jsonl", "json"},
	{"ndjson", "json"},
	{"txt", "text"},
	{"log", "text"},
};

/* Suffixes of compressed files: that of the format stands before them. */
static const char *const packed[] = {"gz", "gzip", "zst", "zstd"};

static const char *format_of_suffix(const char *suffix);
static const char *nearest_hint(const char *name, const char *names, const char *intro);

bool
dp_registry_scheme_exists(const char *scheme)
{
	return dp_source_find(scheme) != NULL || dp_store_find(scheme) != NULL;
}

/* Is SCHEME one that is read without end? */
bool
dp_registry_scheme_streams(const char *scheme)
{
	const DpSourceOps *ops = dp_source_find(scheme);

	return ops != NULL && ops->stream;
}

const char *
dp_registry_scheme_hint(const char *scheme)
{
	return nearest_hint(scheme, psprintf("%s, %s", dp_source_names(), dp_store_names()),
						"Sources of this build");
}

/* Where a destination may be. */
const char *
dp_registry_store_hint(void)
{
	char	   *rest = pstrdup(dp_store_names());
	char	   *word;
	StringInfoData buf;

	initStringInfo(&buf);
	while ((word = strsep(&rest, ",")) != NULL)
	{
		word += strspn(word, " ");
		if (dp_store_find(word)->writes)
			appendStringInfo(&buf, "%s%s", buf.len > 0 ? ", " : "", word);
	}
	return psprintf("Stores of this build that can be written: %s.", buf.data);
}

bool
dp_registry_format_exists(const char *format)
{
	return dp_format_find(format) != NULL;
}

const char *
dp_registry_format_hint(const char *format)
{
	return nearest_hint(format, dp_format_names(), "Formats of this build");
}

/* The option names of FORMAT, NULL-terminated. */
const char *const *
dp_registry_format_options(const char *format)
{
	static const char *const none[] = {NULL};
	const DpFormatOps *ops = dp_format_find(format);

	return ops != NULL && ops->options != NULL ? ops->options : none;
}

/* Let the format check the values of its options. */
void
dp_registry_format_check(const DpPipelineSpec *spec, DpDocument *doc)
{
	const DpFormatOps *ops = dp_format_find(spec->format);

	if (ops != NULL && ops->check != NULL)
		ops->check(spec, doc);
}

/*
 * The format that PATH's suffix stands for, or NULL.  PATH may have placeholders
 * and globs; where SCHEME has none, what follows "?" is a query.
 */
const char *
dp_registry_format_by_suffix(const char *scheme, const char *path)
{
	const DpStoreOps *store = dp_store_find(scheme);
	char	   *text = pstrdup(path);
	char	   *dot;

	if (store != NULL && !store->lists)
		text[strcspn(text, "?#")] = '\0';
	dot = strrchr(text, '.');
	for (int i = 0; dot != NULL && i < lengthof(packed); i++)
		if (pg_strcasecmp(dot + 1, packed[i]) == 0)
		{
			*dot = '\0';
			dot = strrchr(text, '.');
			break;
		}
	return dot != NULL && strchr(dot, '/') == NULL ? format_of_suffix(dot + 1) : NULL;
}

static const char *
format_of_suffix(const char *suffix)
{
	for (int i = 0; i < lengthof(suffixes); i++)
		if (pg_strcasecmp(suffix, suffixes[i].suffix) == 0)
			return suffixes[i].format;
	for (const char *p = suffix; *p != '\0'; p++)
		if ((*p < 'a' || *p > 'z') && (*p < 'A' || *p > 'Z') && (*p < '0' || *p > '9'))
			return NULL;
	suffix = asc_tolower(suffix, strlen(suffix));
	return dp_format_find(suffix) != NULL ? suffix : NULL;
}

/* NAMES is "a, b, c", as the registries give it. */
static const char *
nearest_hint(const char *name, const char *names, const char *intro)
{
	char	   *rest = pstrdup(names);
	const char *list[64];
	int			n = 0;
	char	   *word;

	while (n < lengthof(list) - 1 && (word = strsep(&rest, ",")) != NULL)
		list[n++] = word + strspn(word, " ");
	list[n] = NULL;
	return dp_check_hint(name, list, intro);
}
