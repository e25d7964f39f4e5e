/*
 * check_source.c
 *	  Where a pipeline reads from and how its bytes are to be understood:
 *	  source and format.
 */
#include "dynpipe.h"

#include "config/check.h"

#define MAX_VALUES	64			/* of one option */

static bool all_named(List *columns);
static void read_source(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_source(StringInfo buf, const DpKey *key, const void *field);
static void read_format(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void read_format_type(DpCheck *chk, const json_t *value, DpPipelineSpec *spec);
static void read_format_options(DpCheck *chk, const json_t *object, DpPipelineSpec *spec);
static void read_format_option(DpCheck *chk, const json_t *value, char *option,
							   DpPipelineSpec *spec);
static void read_setting(DpCheck *chk, const json_t *value, char *option, const char *what,
						 DpPipelineSpec *spec);
static void write_format(StringInfo buf, const DpKey *key, const void *field);

/* Options of formats that may have more than one value. */
static const char *const list_options[] = {"null", NULL};

const DpKind dp_kind_source = {
	DP_JSON_TEXT, "a URL like eventhubs://server/hub", read_source, write_source
};
const DpKind dp_kind_format = {
	DP_JSON_TEXT | DP_JSON_OBJECT, "the name of a format, or an object with its \"type\"",
	read_format, write_format
};

/* The format that goes without saying, and what the format thinks of its options. */
void
dp_check_source(DpCheck *chk, const json_t *pipeline, DpPipelineSpec *spec)
{
	spec->streams = spec->scheme != NULL && dp_registry_scheme_streams(spec->scheme);
	if (spec->scheme != NULL && json_object_get(pipeline, "format") == NULL)
	{
		const char *format = dp_registry_format_by_suffix(spec->scheme, spec->path);

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

	DpUrl		url = {0};

	spec->source = dp_check_text(value);
	dp_check_url(chk, "source", spec->source, &url);
	spec->scheme = url.scheme;
	spec->authority = url.authority;
	spec->path = url.path;
}

static void
write_source(StringInfo buf, const DpKey *key, const void *field)
{
	dp_write_text(buf, ((const DpPipelineSpec *) field)->source);
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
		char	   *option = dp_tree_text(name, strlen(name));
		int			mark;
		int			i = 0;

		if (strcmp(option, "type") == 0)
			continue;
		mark = dp_check_enter(chk, option);
		while (options[i] != NULL && strcmp(options[i], option) != 0)
			i++;
		if (options[i] == NULL)
			dp_check_problem(chk, dp_check_hint(option, options, "Its options"),
							 "unknown option \"%s\" of format %s",
							 dp_tree_clip(option, DP_MAX_QUOTED), spec->format);
		else
			read_format_option(chk, value, option, spec);
		dp_check_leave(chk, mark);
		if (dp_check_full(chk))
			break;
	}
}

/* A list, where one is allowed, gives a setting for each of its values. */
static void
read_format_option(DpCheck *chk, const json_t *value, char *option, DpPipelineSpec *spec)
{
	size_t		i;
	json_t	   *item;
	int			known = 0;

	while (list_options[known] != NULL && strcmp(list_options[known], option) != 0)
		known++;
	if (!json_is_array(value) || list_options[known] == NULL)
	{
		read_setting(chk, value, option, option, spec);
		return;
	}
	if (json_array_size(value) < 1 || json_array_size(value) > MAX_VALUES)
		dp_check_problem(chk, NULL, "%s must have 1 to %d entries, not %zu", option, MAX_VALUES,
						 json_array_size(value));
	else
		json_array_foreach((json_t *) value, i, item)
		{
			int			mark = dp_check_enter_item(chk, i);

			read_setting(chk, item, option, psprintf("each of %s", option), spec);
			dp_check_leave(chk, mark);
		}
}

/* WHAT is the value in messages. */
static void
read_setting(DpCheck *chk, const json_t *value, char *option, const char *what,
			 DpPipelineSpec *spec)
{
	char	   *text;

	if (!(dp_check_type(value) & dp_kind_scalar.accepts))
		dp_check_problem(chk, NULL, "%s must be %s, not %s", what, dp_kind_scalar.expected,
						 dp_check_type_name(value));
	else if ((text = dp_scalar_text(chk, value)) != NULL)
		spec->format_options = dp_setting_add(spec->format_options, option, text);
}

static void
write_format(StringInfo buf, const DpKey *key, const void *field)
{
	const DpPipelineSpec *spec = field;

	if (spec->format_options == NIL)
	{
		dp_write_text(buf, spec->format);
		return;
	}
	appendStringInfoString(buf, "{\"type\": ");
	dp_write_text(buf, spec->format);
	dp_write_settings(buf, spec->format_options, ", ");
	appendStringInfoChar(buf, '}');
}
