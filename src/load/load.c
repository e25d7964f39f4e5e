/*
 * load.c
 *	  One file into a pipeline's tables, whole, in the caller's transaction.
 *
 *	  store ─get─> object ─unpack─> ─recode─> reader ─> batch ─> ... ─> ledger
 *	                 └ counted: progress
 *
 * Memory: the stack of streams and the reader's window are in file_cxt, reset
 * for each file; a batch is in batch_cxt, reset by dp_batch_begin.  The window
 * becomes an eighth of dynpipe.worker_memory at most.
 */
#include "dynpipe.h"

#include "access/xact.h"
#include "catalog/file.h"
#include "config/params.h"
#include "load/helpers.h"
#include "load/infer.h"
#include "load/load.h"
#include "load/progress.h"
#include "load/reader.h"
#include "load/widen.h"
#include "miscadmin.h"
#include "output/output.h"
#include "util/cron.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

/* A record may be as large as the window; what is made of it takes several times as much. */
#define WINDOW_SHARE 8

/* Batches that a file is read alone before helpers are started. */
#define HELPERS_AFTER 4

/* The object's bytes, counted on their way. */
typedef struct CountedBytes
{
	DpBytes		base;
	int64		count;
} CountedBytes;

/* What an error while loading is about. */
typedef struct LoadContext
{
	ErrorContextCallback callback;
	const DpFileRow *file;
} LoadContext;

static void build_plan(DpLoader *loader, const DpPipelineRow *row);
static void open_store(DpLoader *loader, const DpPipelineSpec *spec, Oid owner);
static DpBytes *open_bytes(DpLoader *loader, const DpFileRow *file, CountedBytes **counted);
static Size read_counted(DpBytes *bytes, char *buf, Size len);
static void close_below(DpBytes *bytes);
static void load_records(DpLoader *loader, const DpFileRow *file, DpReader *reader,
						 CountedBytes *counted, DpLoadResult *result);
static bool next_batch(DpLoader *loader, const DpFileRow *file, DpReader *reader);
static int64 position_of(int32 partition, void *arg);
static void stamp(DpRecords *records, int64 modified_ms);
static void add_ledger(DpLedger *sum, const DpLedger *batch);
static void check_misfit(DpLoader *loader, const char *layout);
static const char *wider_type(DpLoader *loader, const char *layout, const DpRecord *record,
							  const DpReject *why);
static void check_bad(const DpPipelineSpec *spec, const DpBatch *batch, const DpLedger *sum,
					  bool at_end, char **first_bad);
static char *describe_bad(const DpBatch *batch);
static void describe(void *arg);

DpLoader *
dp_loader_open(const DpPipelineRow *row, List *params, TimestampTz due, MemoryContext parent)
{
	MemoryContext cxt = AllocSetContextCreate(parent, "dynpipe loader", ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	DpLoader   *loader = palloc0(sizeof(DpLoader));
	const DpPipelineSpec *spec;

	loader->cxt = cxt;
	loader->file_cxt = AllocSetContextCreate(cxt, "dynpipe file", ALLOCSET_DEFAULT_SIZES);
	loader->batch_cxt = AllocSetContextCreate(cxt, "dynpipe batch", ALLOCSET_DEFAULT_SIZES);
	build_plan(loader, row);
	spec = loader->plan->spec;
	loader->helpers = spec->workers - 1;
	loader->authority = pstrdup(spec->authority);
	loader->pattern = dp_load_put_params(spec, spec->path, params, due);
	if (spec->target.url != NULL)
		loader->folder = dp_load_put_params(spec, spec->target.path, params, due);
	open_store(loader, spec, row->owner);
	MemoryContextSwitchTo(old);
	return loader;
}

/* The plan of ROW's version, instead of a former one. */
static void
build_plan(DpLoader *loader, const DpPipelineRow *row)
{
	MemoryContext spec_cxt = AllocSetContextCreate(loader->cxt, "dynpipe spec",
												   ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(spec_cxt);
	DpPipelineSpec *spec = dp_spec_from_json(row->definition);
	DpPlan	   *plan;

	if (loader->plan != NULL)
		MemoryContextDelete(loader->plan->cxt);
	plan = dp_plan_build(spec, row->id, row->version, row->owner, true, NULL, loader->cxt);
	MemoryContextSetParent(spec_cxt, plan->cxt);
	MemoryContextSwitchTo(plan->cxt);
	loader->plan = plan;
	loader->exec = dp_exec_create(plan, plan->cxt);
	loader->format = plan->nfields > 0 ?
		dp_format_find(spec->format)->open(spec, plan->fields, plan->nfields, spec->path) : NULL;
	MemoryContextSwitchTo(old);
}

void
dp_loader_adopt(DpLoader *loader)
{
	DpPipelineRow *row = dp_catalog_get(loader->plan->pipeline_id);

	build_plan(loader, row);
}

char *
dp_load_put_params(const DpPipelineSpec *spec, const char *text, List *params, TimestampTz due)
{
	const char *problem = NULL;
	const char *hint = NULL;
	pg_tz	   *zone = dp_cron_zone(spec->timezone ? spec->timezone : "UTC", &hint);
	char	   *result = dp_params_put(text, list_concat_copy(spec->params, params), due,
									   zone ? zone : pg_tzset("UTC"), &problem, &hint);

	if (result == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("source of pipeline \"%s\": %s", spec->name, problem),
				 hint ? errhint("%s", hint) : 0));
	return result;
}

void
dp_loader_close(DpLoader *loader)
{
	loader->store->ops->close(loader->store);
	MemoryContextDelete(loader->cxt);
}

void
dp_load_file(DpLoader *loader, DpFileRow *file, DpLoadResult *result)
{
	MemoryContext old;
	LoadContext context = {.file = file};
	CountedBytes *counted;
	DpReader   *reader;
	DpBytes    *bytes;
	const char *layout;

	context.callback.callback = describe;
	context.callback.arg = &context;
	context.callback.previous = error_context_stack;
	error_context_stack = &context.callback;
	MemoryContextReset(loader->file_cxt);
	old = MemoryContextSwitchTo(loader->file_cxt);

	memset(result, 0, sizeof(*result));
	loader->rebuild_due = false;
	if (loader->plan->spec->on_change == DP_ON_CHANGE_REPLACE)
		dp_unload_older(loader, file);
	dp_catalog_add_partition(loader->plan->pipeline_id, file->id, 0);
	bytes = open_bytes(loader, file, &counted);
	reader = dp_reader_open(loader->plan->spec, bytes,
							(Size) dp_worker_memory * 1024 / WINDOW_SHARE);
	layout = dp_reader_splitter(reader)->layout;
	if (loader->format != NULL)
		loader->format->ops->adopt(loader->format, layout);
	load_records(loader, file, reader, counted, result);
	dp_bytes_close(bytes);
	result->bytes = counted->count;
	dp_file_set_loaded(file->id, layout, result->batch);
	dp_output_write(loader->plan, file->id, dp_file_key(file->url), loader->folder);

	MemoryContextSwitchTo(old);
	error_context_stack = context.callback.previous;
}

/* The connection is looked up anew each time: rights may have changed. */
static void
open_store(DpLoader *loader, const DpPipelineSpec *spec, Oid owner)
{
	DpStoreSpec where = {
		.pipeline = spec->name,
		.scheme = spec->scheme,
		.authority = spec->authority,
		.serverid = dp_store_server(spec->scheme, spec->authority, spec->connection, owner),
		.user = owner
	};

	loader->store = dp_store_open(&where);
}

static DpBytes *
open_bytes(DpLoader *loader, const DpFileRow *file, CountedBytes **counted)
{
	const DpPipelineSpec *spec = loader->plan->spec;
	DpObject	object = {
		.key = dp_file_key(file->url),
		.size = file->size,
		.version = file->version,
		.modified_ms = file->modified_ms
	};
	CountedBytes *count = palloc0(sizeof(CountedBytes));
	DpBytes    *bytes;

	count->base.read = read_counted;
	count->base.close = close_below;
	count->base.below = loader->store->ops->get(loader->store, &object, 0);
	*counted = count;
	bytes = dp_bytes_unpack(&count->base, dp_reader_compression(spec), NULL);
	return dp_bytes_recode(bytes, dp_reader_encoding(spec));
}

static Size
read_counted(DpBytes *bytes, char *buf, Size len)
{
	Size		n = dp_bytes_read(bytes->below, buf, len);

	((CountedBytes *) bytes)->count += n;
	return n;
}

static void
close_below(DpBytes *bytes)
{
	dp_bytes_close(bytes->below);
}

/* Batch after batch to the file's end. */
static void
load_records(DpLoader *loader, const DpFileRow *file, DpReader *reader, CountedBytes *counted,
			 DpLoadResult *result)
{
	const DpPipelineSpec *spec = loader->plan->spec;
	DpBatch    *batch = &loader->batch;
	DpHelpers  *helpers = NULL;
	char	   *first_bad = NULL;
	int			nbatches = 0;

	batch->id = 0;
	for (;;)
	{
		/* A file that is not finished by now is worth some milliseconds. */
		if (nbatches++ == HELPERS_AFTER)
			helpers = dp_helpers_start(loader, file, dp_reader_splitter(reader)->layout,
									   loader->helpers);
		if (helpers ? !dp_helpers_next(helpers, reader, batch) : !next_batch(loader, file, reader))
			break;
		dp_batch_run(batch, position_of, &result->ledger);
		result->batch = batch->id;
		if (result->ledger.consumed == 0)
			dp_catalog_adopt(loader->plan->pipeline_id, file->id, loader->plan->version,
							 batch->id);
		add_ledger(&result->ledger, &batch->ledger[0]);
		if (spec->on_misfit == DP_ON_MISFIT_WIDEN)
			check_misfit(loader, dp_reader_splitter(reader)->layout);
		check_bad(spec, batch, &result->ledger, false, &first_bad);
		CommandCounterIncrement();
		dp_progress_rows(&result->ledger, counted->count);
		dp_load_alive(loader);
		CHECK_FOR_INTERRUPTS();
	}
	if (helpers != NULL)
		dp_helpers_stop(helpers);
	check_bad(spec, batch, &result->ledger, true, &first_bad);
}

void
dp_load_alive(DpLoader *loader)
{
	if (loader->after_batch != NULL)
		loader->after_batch(loader->after_batch_arg);
}

static bool
next_batch(DpLoader *loader, const DpFileRow *file, DpReader *reader)
{
	const DpPipelineSpec *spec = loader->plan->spec;
	DpBatch    *batch = &loader->batch;
	MemoryContext old;
	bool		found;

	dp_batch_begin(batch, loader->plan, loader->exec, loader->format, loader->batch_cxt);
	old = MemoryContextSwitchTo(loader->batch_cxt);
	found = dp_reader_next(reader, file->id, &batch->records, spec->batch_max_rows,
						   spec->batch_max_bytes);
	MemoryContextSwitchTo(old);
	stamp(&batch->records, file->modified_ms);
	return found;
}

static int64
position_of(int32 partition, void *arg)
{
	return ((const DpLedger *) arg)->next_offset;
}

/* What is known of the time of a file's records is when it was written. */
static void
stamp(DpRecords *records, int64 modified_ms)
{
	for (int i = 0; i < records->n; i++)
		records->rec[i].timestamp_ms = modified_ms;
}

static void
add_ledger(DpLedger *sum, const DpLedger *batch)
{
	sum->next_offset = batch->next_offset;
	sum->consumed += batch->consumed;
	sum->loaded += batch->loaded;
	sum->deduplicated += batch->deduplicated;
	sum->dropped += batch->dropped;
	sum->quarantined += batch->quarantined;
	sum->bytes += batch->bytes;
}

/*
 * Is a record refused for a type that was inferred too narrow?  The file's
 * load ends here; dp_load_attempt widens the column and loads it again.
 */
static void
check_misfit(DpLoader *loader, const char *layout)
{
	const DpBatch *batch = &loader->batch;

	for (int i = 0; batch->ledger[0].quarantined > 0 && i < batch->records.n; i++)
	{
		const DpReject *why;
		const char *wider;

		if (batch->fate[i] != DP_FATE_QUARANTINED)
			continue;
		why = &batch->rejected[i]->reason;
		wider = wider_type(loader, layout, &batch->records.rec[i], why);
		if (wider == NULL)
			continue;
		loader->widen_column = MemoryContextStrdup(loader->cxt, why->column);
		loader->widen_type = MemoryContextStrdup(loader->cxt, wider);
		ereport(ERROR,
				(errcode(ERRCODE_DATATYPE_MISMATCH),
				 errmsg("column \"%s\" must become %s: %s", why->column, wider, why->message)));
	}
}

/* The type that WHY's column must become for RECORD; NULL when that would not help. */
static const char *
wider_type(DpLoader *loader, const char *layout, const DpRecord *record, const DpReject *why)
{
	MemoryContext cxt;
	MemoryContext old;
	const char *wider;

	if (strcmp(why->stage, "cast") != 0 || why->column == NULL ||
		dp_infer_known(loader->plan->spec, why->column) == NULL)
		return NULL;
	cxt = AllocSetContextCreate(CurrentMemoryContext, "dynpipe misfit", ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(cxt);
	wider = dp_load_misfit(loader->plan, layout, record, why->column);
	MemoryContextSwitchTo(old);
	wider = wider != NULL ? pstrdup(wider) : NULL;
	MemoryContextDelete(cxt);
	return wider;
}

/* Is the file too dirty for its document?  A count is known early, a share at the end. */
static void
check_bad(const DpPipelineSpec *spec, const DpBatch *batch, const DpLedger *sum, bool at_end,
		  char **first_bad)
{
	bool		too_many = spec->max_bad_records >= 0 && sum->quarantined > spec->max_bad_records;
	bool		too_large = at_end && spec->max_bad_share >= 0 &&
		sum->quarantined > spec->max_bad_share * sum->consumed;

	if (!at_end && *first_bad == NULL && batch->ledger[0].quarantined > 0)
		*first_bad = describe_bad(batch);
	if (!too_many && !too_large)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
			 errmsg("too many bad records: " INT64_FORMAT " of " INT64_FORMAT "%s",
					sum->quarantined, sum->consumed, at_end ? "" : " so far"),
			 *first_bad ? errdetail("The first one: %s", *first_bad) : 0,
			 errhint("Nothing of the file was loaded. Repair it, or allow more with "
					 "\"max_bad_records\".")));
}

/* Place and reason of the batch's first quarantined record; outlives the batch. */
static char *
describe_bad(const DpBatch *batch)
{
	for (int i = 0; i < batch->records.n; i++)
	{
		const DpReject *why;

		if (batch->fate[i] != DP_FATE_QUARANTINED)
			continue;
		why = &batch->rejected[i]->reason;
		return psprintf("line " INT64_FORMAT "%s%s%s: %s", batch->records.rec[i].line,
						why->column ? ", column \"" : "", why->column ? why->column : "",
						why->column ? "\"" : "", why->message);
	}
	return NULL;
}

static void
describe(void *arg)
{
	errcontext("file \"%s\"", ((LoadContext *) arg)->file->url);
}
