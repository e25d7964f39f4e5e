/*
 * name.c
 *	  The names of a destination's objects: pure functions of the document and
 *	  the file's name.
 *
 *	  source       s3://data/in/${day}/a-*.csv.gz    file in/2024-05-01/a-7.csv.gz
 *	  fixed part             in/                    rest    2024-05-01/a-7
 *	  destination  s3://processed/sales             format  csv, gzip
 *	  object       s3://processed/sales/2024-05-01/a-7.csv.gz
 *
 * A file's name is chosen by whoever can put files where the source looks, so
 * what has a meaning in paths, patterns or URLs does not get into an object's.
 */
#include "dynpipe.h"

#include "output/encode.h"
#include "output/output.h"
#include "store/store.h"

/* How the name of a file says what is in it; cut off, outermost first. */
static const char *const packings[] = {".gz", ".gzip", ".zst", ".zstd", NULL};
static const char *const formats[] = {
	".csv", ".tsv", ".txt", ".text", ".json", ".ndjson", ".jsonl", NULL
};

static char *any_params(const char *path);
static const char *relative_name(const DpPipelineSpec *spec, const char *source_key);
static Size without(const char *const *suffixes, const char *name, Size len);
static void append_clean(StringInfo buf, const char *name, Size len);

char *
dp_output_key(const DpPipelineSpec *spec, const char *folder, const char *source_key,
			  const char *number)
{
	const char *name = relative_name(spec, source_key);
	Size		len = strlen(name);
	Size		path = strlen(folder);
	StringInfoData key;

	len = without(packings, name, len);
	len = without(formats, name, len);
	while (path > 0 && folder[path - 1] == '/')
		path--;
	initStringInfo(&key);
	appendBinaryStringInfo(&key, folder, path);
	if (path > 0)
		appendStringInfoChar(&key, '/');
	append_clean(&key, name, len);
	appendStringInfo(&key, "%s%s%s", number ? number : "", dp_encoder_of(spec)->suffix,
					 spec->target.compression && strcmp(spec->target.compression, "gzip") == 0 ?
					 ".gz" : "");
	return key.data;
}

char *
dp_output_url(const DpPipelineSpec *spec, const char *key)
{
	return psprintf("%s://%s/%s", spec->target.scheme, spec->target.authority, key);
}

/* An object made of a file that the source finds, found in turn, would be loaded for ever. */
bool
dp_output_feeds_itself(const DpPipelineSpec *spec)
{
	static const char *const names[] = {"x", "x/x"};
	const char *folder = spec->target.path;
	char	   *pattern = any_params(spec->path);

	if (!dp_glob_is_pattern(pattern))
		return strcmp(dp_output_key(spec, folder, pattern, NULL), pattern) == 0;
	for (int i = 0; i < lengthof(names); i++)
	{
		Size		fixed = relative_name(spec, spec->path) - spec->path;
		char	   *source = psprintf("%.*s%s", (int) fixed, spec->path, names[i]);

		if (dp_glob_match(pattern, dp_output_key(spec, folder, source, NULL)))
			return true;
	}
	return false;
}

/* PATH with "*" for every ${name}. */
static char *
any_params(const char *path)
{
	StringInfoData buf;
	const char *end;

	initStringInfo(&buf);
	while (*path != '\0')
	{
		if (strncmp(path, "${", 2) == 0 && (end = strchr(path, '}')) != NULL)
		{
			appendStringInfoChar(&buf, '*');
			path = end + 1;
		}
		else
			appendStringInfoChar(&buf, *path++);
	}
	return buf.data;
}

/* What follows the folder that all of the source's files are in. */
static const char *
relative_name(const DpPipelineSpec *spec, const char *source_key)
{
	Size		fixed = strcspn(spec->path, "*?[{$\\");
	const char *slash;

	while (fixed > 0 && spec->path[fixed - 1] != '/')
		fixed--;
	if (strncmp(spec->path, source_key, fixed) == 0)
		return source_key + fixed;
	slash = strrchr(source_key, '/');
	return slash ? slash + 1 : source_key;
}

/* The length of NAME without the suffix of the list that it ends in. */
static Size
without(const char *const *suffixes, const char *name, Size len)
{
	for (; *suffixes != NULL; suffixes++)
	{
		Size		n = strlen(*suffixes);

		if (len > n && pg_strncasecmp(name + len - n, *suffixes, n) == 0)
			return len - n;
	}
	return len;
}

/* "." and ".." become "_" and "__", as do empty parts and characters with a meaning. */
static void
append_clean(StringInfo buf, const char *name, Size len)
{
	Size		part = 0;

	while (part <= len)
	{
		const char *slash = memchr(name + part, '/', len - part);
		Size		n = slash ? slash - (name + part) : len - part;
		bool		dots = n > 0 && n <= 2 && strspn(name + part, ".") >= n;

		if (part > 0)
			appendStringInfoChar(buf, '/');
		if (n == 0)
			appendStringInfoChar(buf, '_');
		for (Size i = 0; i < n; i++)
		{
			unsigned char c = name[part + i];

			appendStringInfoChar(buf, dots || c < ' ' || c == 0x7f ||
								 strchr("\\*?[]{}$#%", c) ? '_' : c);
		}
		part += n + 1;
	}
}
