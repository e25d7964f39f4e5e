/*
 * check_destination.c
 *	  Where the processed rows go as well: a table, or a folder in a store.
 *
 * A text is either; what is written there can be chosen with an object.
 */
#include "dynpipe.h"

#include "config/check.h"

static void read_destination(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_destination(StringInfo buf, const DpKey *key, const void *field);
static void read_url(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_url(StringInfo buf, const DpKey *key, const void *field);
static void take_url(DpCheck *chk, const char *text, DpDestinationSpec *target);
static void init(void *target);

static const char *const format_words[] = {"csv", "json", NULL};
static const char *const compression_words[] = {"none", "gzip", NULL};
static const DpWords formats = {format_words, NULL};
static const DpWords compressions = {compression_words, "none"};
static const DpTextRule connection_rule = {dp_name_rule_problem};
static const DpKind url_kind = {DP_JSON_TEXT, "a URL like s3://bucket/folder", read_url, write_url};

static const DpKey destination_keys[] = {
	{"url", &url_kind, 0, NULL, true},
	{"format", &dp_kind_word, offsetof(DpDestinationSpec, format), &formats},
	{"compression", &dp_kind_word, offsetof(DpDestinationSpec, compression), &compressions},
	{"header", &dp_kind_boolean, offsetof(DpDestinationSpec, header)},
	{"connection", &dp_kind_text, offsetof(DpDestinationSpec, connection), &connection_rule},
	{NULL}
};
static const DpShape destination_shape = {
	"a destination", sizeof(DpDestinationSpec), destination_keys, .init = init
};

const DpKind dp_kind_destination = {
	DP_JSON_TEXT | DP_JSON_OBJECT, "a URL, the name of a table, or an object with a \"url\"",
	read_destination, write_destination
};

/* Rules over the destination and the rest of the pipeline. */
void
dp_check_destination(DpCheck *chk, const json_t *pipeline, DpPipelineSpec *spec)
{
	const json_t *object = json_object_get(pipeline, "destination");
	const DpDestinationSpec *target = &spec->target;
	const char *format = target->format != NULL ? target->format : spec->format;

	if (target->url == NULL || target->scheme == NULL || spec->scheme == NULL)
		return;
	if (dp_registry_scheme_streams(spec->scheme))
		dp_check_problem_in(chk, "destination",
							"Name a table, or leave it out: a URL gets one object for each file "
							"loaded.",
							"a stream has no URL as destination");
	else if (!spec->silver)
		dp_check_problem_in(chk, "destination", "Keep silver, or leave destination out.",
							"what is written to a destination is silver's rows");
	if (format != NULL && strcmp(format, "csv") != 0 && json_object_get(object, "header") != NULL)
		dp_check_problem_in(chk, "destination/header", "Leave it out, or write format csv.",
							"only csv has a header");
	dp_check_placeholders(chk, "destination", target->path, spec->params);
}

void
dp_destination_init(DpDestinationSpec *target)
{
	target->header = true;
}

static void
init(void *target)
{
	dp_destination_init(target);
}

static void
read_destination(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	DpPipelineSpec *spec = field;
	DpTableName table;

	if (json_is_object(value))
	{
		dp_check_object(chk, value, &destination_shape, &spec->target);
		spec->destination = spec->target.url;
		return;
	}
	spec->destination = dp_check_text(value);
	if (strstr(spec->destination, "://") != NULL)
		take_url(chk, spec->destination, &spec->target);
	else
		dp_read_table(chk, spec->destination, &table);
}

/* The URL alone when nothing else is said. */
static void
write_destination(StringInfo buf, const DpKey *key, const void *field)
{
	const DpPipelineSpec *spec = field;
	const DpDestinationSpec *target = &spec->target;

	if (target->url != NULL && (target->format != NULL || target->compression != NULL ||
								target->connection != NULL || !target->header))
		dp_write_members(buf, &destination_shape, target);
	else
		dp_write_text(buf, spec->destination);
}

static void
read_url(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	take_url(chk, dp_check_text(value), field);
}

static void
write_url(StringInfo buf, const DpKey *key, const void *field)
{
	dp_write_text(buf, ((const DpDestinationSpec *) field)->url);
}

static void
take_url(DpCheck *chk, const char *text, DpDestinationSpec *target)
{
	DpUrl		url = {0};

	dp_check_url(chk, "destination", text, &url);
	target->url = pstrdup(text);
	target->scheme = url.scheme;
	target->authority = url.authority;
	target->path = url.path;
	if (url.scheme != NULL && dp_registry_scheme_streams(url.scheme))
		dp_check_problem(chk, dp_registry_store_hint(), "cannot write to \"%s\"", url.scheme);
}
