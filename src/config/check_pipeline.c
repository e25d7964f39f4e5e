/*
 * check_pipeline.c
 *	  The table of a pipeline, its defaults, and the order in which the rules
 *	  across its parts are held.
 */
#include "dynpipe.h"

#include "config/check.h"

static void pipeline_init(void *target);
static void pipeline_finish(DpCheck *chk, const json_t *object, void *target);
static void destination_table(DpPipelineSpec *spec);
static void default_table(DpTableName *table, char *schema, char *slug);

static const char *const on_gap_names[] = {"stop", "skip", NULL};
static const char *const on_change_names[] = {"replace", "append", "ignore", NULL};
static const char *const on_remove_names[] = {"keep", "unload", NULL};
static const char *const on_misfit_names[] = {"quarantine", "widen", NULL};
static const char *const compression_names[] = {"detect", "none", "gzip", "zstd", NULL};
static const DpWords compressions = {compression_names, "detect"};
static const DpTextRule name_rule = {dp_name_pipeline_problem};
static const DpTextRule connection_rule = {dp_name_rule_problem};
static const DpRange rows_range = {1, 1000000};
static const DpRange bytes_range = {64 * 1024, 256 * 1024 * 1024};
static const DpRange watch_range = {1000, INT64CONST(366) * 86400000};
static const DpRange workers_range = {1, 64};
static const DpListOf columns = {&dp_shape_column, 1500};
static const DpListOf golds = {&dp_shape_gold, 64};

static const DpKey bronze_keys[] = {
	{"table", &dp_kind_table, offsetof(DpPipelineSpec, bronze_table)},
	{NULL}
};
static const DpShape bronze_shape = {
	"bronze", sizeof(DpPipelineSpec), bronze_keys, .init = pipeline_init
};

static const DpKey batch_keys[] = {
	{"max_rows", &dp_kind_count, offsetof(DpPipelineSpec, batch_max_rows), &rows_range},
	{"max_bytes", &dp_kind_bytes, offsetof(DpPipelineSpec, batch_max_bytes), &bytes_range},
	{NULL}
};
static const DpShape batch_shape = {
	"batch", sizeof(DpPipelineSpec), batch_keys, .init = pipeline_init
};

static const DpLayer bronze_layer = {&bronze_shape, offsetof(DpPipelineSpec, bronze)};
static const DpLayer silver_layer = {&dp_shape_silver, offsetof(DpPipelineSpec, silver)};

static const DpKey pipeline_keys[] = {
	{"name", &dp_kind_text, offsetof(DpPipelineSpec, name), &name_rule, true},
	{"description", &dp_kind_text, offsetof(DpPipelineSpec, description)},
	{"enabled", &dp_kind_boolean, offsetof(DpPipelineSpec, enabled)},
	{"source", &dp_kind_source, 0, NULL, true},
	{"connection", &dp_kind_text, offsetof(DpPipelineSpec, connection), &connection_rule},
	{"format", &dp_kind_format, 0},
	{"compression", &dp_kind_word, offsetof(DpPipelineSpec, compression), &compressions,
	.only = DP_ONLY_FILES},
	{"params", &dp_kind_params, offsetof(DpPipelineSpec, params), .only = DP_ONLY_FILES},
	{"start", &dp_kind_start, 0, .only = DP_ONLY_STREAMS},
	{"on_gap", &dp_kind_choice, offsetof(DpPipelineSpec, on_gap), on_gap_names,
	.only = DP_ONLY_STREAMS},
	{"schedule", &dp_kind_text, offsetof(DpPipelineSpec, schedule), &dp_rule_schedule,
	.only = DP_ONLY_FILES},
	{"timezone", &dp_kind_text, offsetof(DpPipelineSpec, timezone), &dp_rule_timezone,
	.only = DP_ONLY_FILES},
	{"watch", &dp_kind_duration, offsetof(DpPipelineSpec, watch_ms), &watch_range,
	.only = DP_ONLY_FILES},
	{"on_change", &dp_kind_choice, offsetof(DpPipelineSpec, on_change), on_change_names,
	.only = DP_ONLY_FILES},
	{"on_remove", &dp_kind_choice, offsetof(DpPipelineSpec, on_remove), on_remove_names,
	.only = DP_ONLY_FILES},
	{"on_misfit", &dp_kind_choice, offsetof(DpPipelineSpec, on_misfit), on_misfit_names,
	.only = DP_ONLY_FILES},
	{"max_bad_records", &dp_kind_bad_records, 0, .only = DP_ONLY_FILES},
	{"schema", &dp_kind_list, offsetof(DpPipelineSpec, columns), &columns},
	{"bronze", &dp_kind_layer, 0, &bronze_layer},
	{"silver", &dp_kind_layer, 0, &silver_layer},
	{"gold", &dp_kind_list, offsetof(DpPipelineSpec, gold), &golds},
	{"destination", &dp_kind_destination, 0},
	{"batch", &dp_kind_group, 0, &batch_shape},
	{"workers", &dp_kind_count, offsetof(DpPipelineSpec, workers), &workers_range},
	{NULL}
};

const DpShape dp_shape_pipeline = {
	"a pipeline", sizeof(DpPipelineSpec), pipeline_keys,
	.init = pipeline_init, .finish = pipeline_finish
};

const DpShape dp_shape_silver = {
	"silver", sizeof(DpPipelineSpec), dp_silver_keys, .init = pipeline_init
};

static void
pipeline_init(void *target)
{
	DpPipelineSpec *spec = target;

	spec->enabled = true;
	spec->bronze = true;
	spec->silver = true;
	spec->batch_max_rows = 10000;	/* measured: 50000 is slower, it leaves the CPU's caches */
	spec->batch_max_bytes = 16 * 1024 * 1024;
	spec->workers = 1;
	spec->max_bad_records = -1;
	spec->max_bad_share = -1;
	dp_destination_init(&spec->target);
}

/* Can names and types of columns be found in a sample?  A text has none. */
bool
dp_check_may_infer(const DpPipelineSpec *spec)
{
	return spec->scheme != NULL && dp_registry_scheme_exists(spec->scheme) &&
		!dp_registry_scheme_streams(spec->scheme) &&
		(spec->format == NULL || strcmp(spec->format, "text") != 0);
}

/* Names first, since the tables are called after the pipeline. */
static void
pipeline_finish(DpCheck *chk, const json_t *object, void *target)
{
	DpPipelineSpec *spec = target;

	spec->pointer = pstrdup(chk->pointer.data);
	if (spec->name != NULL)
		spec->slug = dp_name_slug(spec->name);
	dp_check_source(chk, object, spec);
	if (spec->columns == NIL && json_object_get(object, "silver") == NULL &&
		json_array_size(json_object_get(object, "schema")) == 0 && !dp_check_may_infer(spec))
		spec->silver = false;
	destination_table(spec);
	if (spec->bronze)
		default_table(&spec->bronze_table, "bronze", spec->slug);
	if (spec->silver)
		default_table(&spec->silver_table, "silver", spec->slug);

	dp_check_columns(chk, spec);
	dp_check_silver(chk, object, spec);
	dp_check_gold(chk, spec);
	dp_check_load(chk, object, spec);
	dp_check_destination(chk, object, spec);
	if (!spec->bronze && !spec->silver)
		dp_check_problem(chk, "Keep bronze, or give a schema and keep silver.",
						 "pipeline keeps nothing: neither bronze nor silver");
}

/* A table as destination is where the processed rows go: silver, unless that is named. */
static void
destination_table(DpPipelineSpec *spec)
{
	DpTableName table;
	const char *hint;

	if (spec->silver && spec->silver_table.table == NULL && spec->destination != NULL &&
		strstr(spec->destination, "://") == NULL &&
		dp_name_table_parse(spec->destination, &table, &hint) == NULL)
		spec->silver_table = table;
}

static void
default_table(DpTableName *table, char *schema, char *slug)
{
	if (table->table != NULL || slug == NULL)
		return;
	table->schema = pstrdup(schema);
	table->table = slug;
}
