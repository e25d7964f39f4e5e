/*
 * infer_api.c
 *	  dynpipe.infer: a ready document for files that nobody has described yet.
 *
 *	  url, format, options ─> the least document ─parse─> spec ─infer─> the
 *	  same document with its schema
 *
 * Nothing is stored.  It reads with the caller's rights.
 */
#include "dynpipe.h"

#include "api/api.h"
#include "lib/stringinfo.h"
#include "load/infer.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/jsonb.h"

#define ANY_NAME	"files"		/* of a pipeline whose files' names give none */

PG_FUNCTION_INFO_V1(dynpipe_infer);

static DpDocument *read_document(const char *url, const char *connection, const char *format,
								 Jsonb *options);
static void put_member(StringInfo buf, const char *name, const char *text);
static void put_format(StringInfo buf, const char *format, Jsonb *options);
static char *name_of(const char *url);
static bool is_plain(const char *name);
static char *write_document(const DpPipelineSpec *spec);
static void put_column(StringInfo buf, const DpColumnSpec *column);

/* infer(url, connection, format, options) */
Datum
dynpipe_infer(PG_FUNCTION_ARGS)
{
	char	   *url = dp_api_text_arg(fcinfo, 0);
	DpDocument *doc;
	DpPipelineSpec *spec;
	List	   *found = NIL;

	if (url == NULL || PG_ARGISNULL(3))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("url and options must not be null")));
	dp_api_check_outside();
	doc = read_document(url, dp_api_text_arg(fcinfo, 1), dp_api_text_arg(fcinfo, 2),
						PG_GETARG_JSONB_P(3));
	spec = linitial(doc->pipelines);
	if (dp_store_find(spec->scheme) == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("columns can be inferred from files only, not from a stream"),
				 errhint("Schemes of files are: %s.", dp_store_names())));
	(void) dp_infer_columns(spec, NULL, GetUserId(), &found, doc);
	dp_config_raise(doc);
	spec->format_options = list_concat(spec->format_options, found);
	return DirectFunctionCall1(jsonb_in, CStringGetDatum(write_document(spec)));
}

/* The document that the arguments make; raises when it is none. */
static DpDocument *
read_document(const char *url, const char *connection, const char *format, Jsonb *options)
{
	StringInfoData buf;
	DpDocument *doc;

	if (!JB_ROOT_IS_OBJECT(options))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options must be a JSON object"),
				 errhint("For example {\"delimiter\": \";\"}.")));
	initStringInfo(&buf);
	appendStringInfoString(&buf, "{\"pipelines\": [{\"name\": ");
	escape_json(&buf, name_of(url));
	put_member(&buf, "source", url);
	if (connection != NULL)
		put_member(&buf, "connection", connection);
	if (format != NULL && JB_ROOT_COUNT(options) == 0)
		put_member(&buf, "format", format);
	else if (JB_ROOT_COUNT(options) > 0)
		put_format(&buf, format, options);
	appendStringInfoString(&buf, "}]}");
	doc = dp_config_parse(buf.data);
	dp_config_raise(doc);
	return doc;
}

static void
put_member(StringInfo buf, const char *name, const char *text)
{
	appendStringInfo(buf, ", \"%s\": ", name);
	escape_json(buf, text);
}

/* {"type": FORMAT, and what is in OPTIONS} */
static void
put_format(StringInfo buf, const char *format, Jsonb *options)
{
	char	   *text = JsonbToCString(NULL, &options->root, VARSIZE(options));

	if (format == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("options are those of a format, which is not given"),
				 errhint("Give the format too, for example format => 'csv'.")));
	appendStringInfoString(buf, ", \"format\": {\"type\": ");
	escape_json(buf, format);
	appendStringInfo(buf, ", %s", text + 1);
}

/* "sales" of s3://data/in/sales.csv.gz, "in" of s3://data/in/%.csv with a glob. */
static char *
name_of(const char *url)
{
	const char *rest = strstr(url, "://");
	char	   *path = pstrdup(rest ? rest + 3 : url);

	for (;;)
	{
		char	   *slash = strrchr(path, '/');
		char	   *name = slash ? slash + 1 : path;
		char	   *dot = strchr(name, '.');

		if (dot != NULL && dot != name)
			*dot = '\0';
		if (is_plain(name))
			return pnstrdup(name, pg_mbcharcliplen(name, strlen(name), NAMEDATALEN - 1));
		if (slash == NULL)
			return pstrdup(ANY_NAME);
		*slash = '\0';
	}
}

/* Has it a letter or a digit, and nothing that stands for something else? */
static bool
is_plain(const char *name)
{
	bool		any = false;

	if (strpbrk(name, "*?[]{}$") != NULL || name[0] == ' ')
		return false;
	for (; *name != '\0'; name++)
	{
		if ((unsigned char) *name < ' ' || *name == 0x7f || (*name == ' ' && name[1] == '\0'))
			return false;
		any |= (*name >= '0' && *name <= '9') || ((*name | 0x20) >= 'a' && (*name | 0x20) <= 'z');
	}
	return any;
}

static char *
write_document(const DpPipelineSpec *spec)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "{\"pipelines\": [{\"name\": ");
	escape_json(&buf, spec->name);
	put_member(&buf, "source", spec->source);
	if (spec->connection != NULL)
		put_member(&buf, "connection", spec->connection);
	appendStringInfo(&buf, ", \"format\": %s, \"schema\": [",
					 dp_spec_member_to_json(spec, "format"));
	foreach(lc, spec->columns)
	{
		if (foreach_current_index(lc) > 0)
			appendStringInfoString(&buf, ", ");
		put_column(&buf, lfirst(lc));
	}
	appendStringInfoString(&buf, "]}]}");
	return buf.data;
}

static void
put_column(StringInfo buf, const DpColumnSpec *column)
{
	appendStringInfoString(buf, "{\"name\": ");
	escape_json(buf, column->name);
	put_member(buf, "type", column->type);
	if (column->from != NULL)
		put_member(buf, "from", column->from);
	if (column->clean != NIL)
		appendStringInfoString(buf, ", \"clean\": [\"empty_as_null\"]");
	appendStringInfoString(buf, ", \"inferred\": true}");
}
