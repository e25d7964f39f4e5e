/*
 * check_source.c
 *	  Where a pipeline reads from and how its bytes are to be understood:
 *	  source, format, start, destination.
 *
 * URLs are taken apart here and looked at no further than their scheme's
 * registry entry; whether server and hub exist is asked by plan.c.  Messages
 * never repeat a URL, since it may carry a secret.
 */
#include "dynpipe.h"

#include "config/check.h"
#include "utils/formatting.h"

static bool all_named(List *columns);
static void read_source(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_source(StringInfo buf, const DpKey *key, const void *field);
static bool split_url(const char *url, DpPipelineSpec *spec);
static void check_url(DpCheck *chk, const char *what, const char *url, DpPipelineSpec *spec);
static void read_destination(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_destination(StringInfo buf, const DpKey *key, const void *field);
static void read_format(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void read_format_type(DpCheck *chk, const json_t *value, DpPipelineSpec *spec);
static void read_format_options(DpCheck *chk, const json_t *object, DpPipelineSpec *spec);
static void write_format(StringInfo buf, const DpKey *key, const void *field);
static int	compare_settings(const ListCell *a, const ListCell *b);

const DpKind dp_kind_source = {
	DP_JSON_TEXT, "a URL like eventhubs://server/hub", read_source, write_source
};
const DpKind dp_kind_destination = {
	DP_JSON_TEXT, "a URL or the name of a table", read_destination, write_destination
};
const DpKind dp_kind_format = {
	DP_JSON_TEXT | DP_JSON_OBJECT, "the name of a format, or an object with its \"type\"",
	read_format, write_format
};

/* The format that goes without saying, and what the format thinks of its options. */
void
dp_check_source(DpCheck *chk, const json_t *pipeline, DpPipelineSpec *spec)
{
	if (spec->scheme != NULL && json_object_get(pipeline, "format") == NULL)
	{
		const char *format = dp_registry_format_by_suffix(spec->path);

		if (dp_registry_scheme_streams(spec->scheme))
			format = "json";
		if (format != NULL)
			spec->format = pstrdup(format);
		else if (dp_registry_scheme_exists(spec->scheme))
			dp_check_problem(chk, dp_registry_format_hint(""),
							 "key \"format\" is missing, and the source's suffix names no format");
	}
	if (spec->format != NULL && all_named(spec->columns))
		dp_registry_format_check(spec, chk->doc);
}

/* Formats look for columns by their names: do they all have one? */
static bool
all_named(List *columns)
{
	ListCell   *lc;

	foreach(lc, columns)
		if (((DpColumnSpec *) lfirst(lc))->name == NULL)
			return false;
	return true;
}

static void
read_source(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	DpPipelineSpec *spec = field;

	spec->source = dp_check_text(value);
	check_url(chk, "source", spec->source, spec);
}

static void
write_source(StringInfo buf, const DpKey *key, const void *field)
{
	dp_write_text(buf, ((const DpPipelineSpec *) field)->source);
}

/* scheme://authority/path -> SPEC; the scheme in lower case, the rest as written. */
static bool
split_url(const char *url, DpPipelineSpec *spec)
{
	int			len = strspn(url, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
							 "0123456789+.-");
	const char *rest = url + len + 3;
	int			authority;

	if (len == 0 || strncmp(url + len, "://", 3) != 0)
		return false;
	authority = strcspn(rest, "/");
	spec->scheme = asc_tolower(url, len);
	spec->authority = pnstrdup(rest, authority);
	spec->path = pstrdup(rest[authority] == '/' ? rest + authority + 1 : "");
	return true;
}

/* WHAT names the key in messages. */
static void
check_url(DpCheck *chk, const char *what, const char *url, DpPipelineSpec *spec)
{
	const char *at;

	if (!split_url(url, spec))
		dp_check_problem(chk, "Write scheme://authority/path, as in eventhubs://server/hub.",
						 "%s is not a URL", what);
	else if (dp_name_has_control(url))
		dp_check_problem(chk, NULL, "%s has control characters", what);
	else if (!dp_registry_scheme_exists(spec->scheme))
		dp_check_problem(chk, dp_registry_scheme_hint(spec->scheme), "unknown scheme \"%s\" in %s",
						 dp_tree_clip(spec->scheme, DP_MAX_QUOTED), what);
	else if ((at = strrchr(spec->authority, '@')) != NULL &&
			 memchr(spec->authority, ':', at - spec->authority) != NULL)
		dp_check_problem(chk, "Put credentials in a user mapping of the connection's server.",
						 "%s must not carry a password", what);
	else if (spec->authority[0] == '\0' && dp_registry_scheme_streams(spec->scheme))
		dp_check_problem(chk, psprintf("Write %s://server/name, with a server made by "
									   "CREATE SERVER.", spec->scheme), "%s names no server", what);
	else if (spec->path[0] == '\0')
		dp_check_problem(chk, psprintf("Write %s://authority/path.", spec->scheme),
						 "%s has no path", what);
}

static void
read_destination(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	char	   *text = dp_check_text(value);
	DpPipelineSpec parts = {0};
	DpTableName table;

	*(char **) field = text;
	if (strstr(text, "://") != NULL)
		check_url(chk, "destination", text, &parts);
	else
		dp_read_table(chk, text, &table);
}

static void
write_destination(StringInfo buf, const DpKey *key, const void *field)
{
	dp_write_text(buf, *(char *const *) field);
}

static void
read_format(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	DpPipelineSpec *spec = field;
	const json_t *type = value;
	int			mark;

	if (json_is_string(value))
	{
		read_format_type(chk, value, spec);
		return;
	}
	type = json_object_get(value, "type");
	if (type == NULL)
	{
		dp_check_problem(chk, dp_registry_format_hint(""), "key \"type\" is missing from format");
		return;
	}
	mark = dp_check_enter(chk, "type");
	read_format_type(chk, type, spec);
	dp_check_leave(chk, mark);
	if (spec->format != NULL)
		read_format_options(chk, value, spec);
}

static void
read_format_type(DpCheck *chk, const json_t *value, DpPipelineSpec *spec)
{
	char	   *name;

	if (!json_is_string(value))
	{
		dp_check_problem(chk, dp_registry_format_hint(""), "type must be text, not %s",
						 dp_check_type_name(value));
		return;
	}
	name = dp_check_text(value);
	if (dp_registry_format_exists(name))
		spec->format = name;
	else
		dp_check_problem(chk, dp_registry_format_hint(name), "unknown format \"%s\"",
						 dp_tree_clip(name, DP_MAX_QUOTED));
}

/* Options are kept as text, by name, so that their order says nothing. */
static void
read_format_options(DpCheck *chk, const json_t *object, DpPipelineSpec *spec)
{
	const char *const *options = dp_registry_format_options(spec->format);
	const char *name;
	json_t	   *value;

	json_object_foreach((json_t *) object, name, value)
	{
		DpSetting  *setting = palloc0(sizeof(DpSetting));
		int			mark;
		int			i = 0;

		if (strcmp(name, "type") == 0)
			continue;
		setting->name = dp_tree_text(name, strlen(name));
		mark = dp_check_enter(chk, setting->name);
		while (options[i] != NULL && strcmp(options[i], setting->name) != 0)
			i++;
		if (options[i] == NULL)
			dp_check_problem(chk, dp_check_hint(setting->name, options, "Its options"),
							 "unknown option \"%s\" of format %s",
							 dp_tree_clip(setting->name, DP_MAX_QUOTED), spec->format);
		else if (json_is_object(value) || json_is_array(value) || json_is_null(value))
			dp_check_problem(chk, NULL, "%s must be %s, not %s", setting->name,
							 dp_kind_scalar.expected, dp_check_type_name(value));
		else if ((setting->value = dp_scalar_text(chk, value)) != NULL)
			spec->format_options = lappend(spec->format_options, setting);
		dp_check_leave(chk, mark);
		if (dp_check_full(chk))
			break;
	}
	list_sort(spec->format_options, compare_settings);
}

static void
write_format(StringInfo buf, const DpKey *key, const void *field)
{
	const DpPipelineSpec *spec = field;
	ListCell   *lc;

	if (spec->format_options == NIL)
	{
		dp_write_text(buf, spec->format);
		return;
	}
	appendStringInfoString(buf, "{\"type\": ");
	dp_write_text(buf, spec->format);
	foreach(lc, spec->format_options)
	{
		const DpSetting *setting = lfirst(lc);

		appendStringInfoString(buf, ", ");
		dp_write_text(buf, setting->name);
		appendStringInfoString(buf, ": ");
		dp_write_text(buf, setting->value);
	}
	appendStringInfoChar(buf, '}');
}

static int
compare_settings(const ListCell *a, const ListCell *b)
{
	return strcmp(((const DpSetting *) lfirst(a))->name, ((const DpSetting *) lfirst(b))->name);
}
