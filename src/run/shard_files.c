/*
 * shard_files.c
 *	  Files served by a worker: looked for when it is time, loaded one by one,
 *	  each in a transaction of its own.
 *
 *	  load ─> look (watch, schedule) ─> next file ─> ... ─> publish ─> idle
 *	    ^      │ first shard only         └ whoever locks its row first
 *	    │      └ others ask the ledger for what it has found
 *	    └── version changed
 *
 * A file that fails is marked with the reason in the transaction that tried
 * it, and the next one's turn comes.  A reason that lies in the pipeline's own
 * tables is raised instead; so is one that is not in the data, when several
 * files in a row fail for it: the pipeline then backs off instead of failing
 * its way through all of them.
 */
#include "dynpipe.h"

#include "access/xact.h"
#include "batch/gold_refresh.h"
#include "catalog/file.h"
#include "catalog/output.h"
#include "load/load.h"
#include "load/progress.h"
#include "miscadmin.h"
#include "output/publish.h"
#include "portability/instr_time.h"
#include "run/process.h"
#include "run/schedule.h"
#include "run/shard_private.h"
#include "util/cron.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define COUNT_EVERY_MS 1000		/* that takes longer the more files wait */
#define SAME_FAILURES 5			/* in a row make it the pipeline's own */
#define ASK_MS 1000				/* what others have found, or failed to load */

typedef struct FileShard
{
	DpShardReader base;
	DpShardSpec spec;
	MemoryContext cxt;
	DpLoader   *loader;			/* NULL: to be opened in the version in force */
	DpCron		cron;
	pg_tz	   *zone;
	bool		loads;			/* has a watch or a schedule; else it only publishes */
	TimestampTz next_look;		/* DT_NOEND: another shard looks */
	TimestampTz next_ask;		/* what it found; DT_NOEND: we look */
	TimestampTz counted;		/* when what waits was last counted */
	bool		waiting;		/* there may be files to load */
	TimestampTz next_try;		/* of a failed file; DT_NOEND: none */
	TimestampTz next_output;	/* to be published; DT_NOEND: none */
	TimestampTz next_refresh;
	bool		has_refresh;
	int			same_failures;
	int			last_failure;	/* its SQLSTATE */
	DpShardStats stats;
} FileShard;

static DpShardStep step(DpShardReader *reader);
static const DpShardStats *stats(DpShardReader *reader);
static void invalidate(DpShardReader *reader);
static void close_loader(DpShardReader *reader);
static DpShardStep load(FileShard *shard);
static void plan_looks(FileShard *shard, const DpPipelineRow *row);
static DpShardStep look(FileShard *shard, TimestampTz now);
static DpShardStep load_next(FileShard *shard);
static void leave_to_others(FileShard *shard);
static DpShardStep ask(FileShard *shard, TimestampTz now);
static bool enter(FileShard *shard, DpPipelineRow **row, DpShardStep *step);
static void note_waiting(FileShard *shard);
static void note_failure(FileShard *shard, const DpFileRow *file, ErrorData *error);
static bool is_in_file(int sqlerrcode);
static bool is_in_tables(int sqlerrcode);
static void count_file(FileShard *shard, const DpLoadResult *result, instr_time start);
static void between_batches(void *arg);
static DpShardStep publish(FileShard *shard, TimestampTz now);
static DpShardStep refresh(FileShard *shard, TimestampTz now);

static const DpShardReaderOps ops = {step, stats, invalidate, close_loader};

DpShardReader *
dp_shard_files_open(const DpShardSpec *spec)
{
	MemoryContext cxt = AllocSetContextCreate(spec->parent, "dynpipe file shard",
											  ALLOCSET_DEFAULT_SIZES);
	FileShard  *shard = MemoryContextAllocZero(cxt, sizeof(FileShard));

	shard->base.ops = &ops;
	shard->spec = *spec;
	shard->cxt = cxt;
	shard->stats = dp_shard_no_stats;
	return &shard->base;
}

static DpShardStep
step(DpShardReader *reader)
{
	FileShard  *shard = (FileShard *) reader;
	TimestampTz now = GetCurrentTimestamp();
	DpShardStep looked;

	if (shard->loader == NULL)
		return load(shard);
	/* To have looked is no work: status would never say that all is done. */
	if (now >= shard->next_look && (looked = look(shard, now)) != DP_STEP_IDLE)
		return looked;
	if (now >= shard->next_ask && (looked = ask(shard, now)) != DP_STEP_IDLE)
		return looked;
	if (shard->loads && (shard->waiting || now >= shard->next_try))
		return load_next(shard);
	if (now >= shard->next_output)
		return publish(shard, now);
	if (shard->has_refresh && now >= shard->next_refresh)
		return refresh(shard, now);
	return DP_STEP_IDLE;
}

static const DpShardStats *
stats(DpShardReader *reader)
{
	return &((FileShard *) reader)->stats;
}

static void
invalidate(DpShardReader *reader)
{
	FileShard  *shard = (FileShard *) reader;

	if (shard->loader != NULL)
		dp_loader_close(shard->loader);
	shard->loader = NULL;
}

static void
close_loader(DpShardReader *reader)
{
	invalidate(reader);
	MemoryContextDelete(((FileShard *) reader)->cxt);
}

/* Adopt the current version. */
static DpShardStep
load(FileShard *shard)
{
	DpShardStep result = DP_STEP_WORKED;
	DpPipelineRow *row;

	if (!dp_shard_enter(shard->spec.pipeline_id, false, &row, &result))
		return result;
	shard->loader = dp_loader_open(row, NIL, GetCurrentTimestamp(), shard->cxt);
	shard->loader->after_batch = between_batches;
	shard->loader->after_batch_arg = shard;
	shard->stats.version = row->version;
	shard->has_refresh = false;
	for (int g = 0; g < shard->loader->plan->ngold; g++)
		shard->has_refresh |= shard->loader->plan->gold[g].spec->refresh_ms > 0 &&
			shard->spec.index == 0;
	plan_looks(shard, row);
	note_waiting(shard);
	dp_shard_leave();
	return DP_STEP_WORKED;
}

/* When to look next: a schedule goes on from the last time it was kept. */
static void
plan_looks(FileShard *shard, const DpPipelineRow *row)
{
	const DpPipelineSpec *spec = shard->loader->plan->spec;
	const char *hint;

	shard->loads = spec->watch_ms > 0 || spec->schedule != NULL;
	shard->next_look = shard->next_ask = DT_NOEND;
	if (!shard->loads)
		return;
	if (shard->spec.index != 0)
	{
		shard->next_ask = GetCurrentTimestamp();
		return;
	}
	shard->next_look = GetCurrentTimestamp();
	if (spec->schedule == NULL)
		return;
	shard->zone = dp_cron_zone(spec->timezone ? spec->timezone : "UTC", &hint);
	if (dp_cron_parse(spec->schedule, &shard->cron, &hint) != NULL || shard->zone == NULL)
		elog(ERROR, "schedule of pipeline \"%s\" is not valid any more", spec->name);
	shard->next_look = dp_cron_next(&shard->cron, dp_catalog_ticked(row->id), shard->zone);
}

/* See what is there; of several times that were missed one is kept. */
static DpShardStep
look(FileShard *shard, TimestampTz now)
{
	DpShardStep result = DP_STEP_WORKED;
	const DpPipelineSpec *spec;
	DpPipelineRow *row;
	DpLoader   *fresh;

	if (!enter(shard, &row, &result))
		return result;
	spec = shard->loader->plan->spec;
	if (spec->schedule != NULL)
	{
		/* ${date} and the like are those of the time that is kept */
		fresh = dp_loader_open(row, NIL, shard->next_look, shard->cxt);
		fresh->after_batch = shard->loader->after_batch;
		fresh->after_batch_arg = shard;
		dp_loader_close(shard->loader);
		shard->loader = fresh;
		spec = fresh->plan->spec;
		dp_catalog_set_ticked(row->id, now);
	}
	dp_discover(shard->loader);
	note_waiting(shard);
	dp_shard_leave();
	shard->next_look = spec->schedule != NULL ? dp_cron_next(&shard->cron, now, shard->zone) :
		TimestampTzPlusMilliseconds(now, spec->watch_ms);
	return DP_STEP_IDLE;
}

/* The transaction of one file. */
static DpShardStep
load_next(FileShard *shard)
{
	DpShardStep result = DP_STEP_WORKED;
	DpPipelineRow *row;
	DpFileRow  *file;
	DpLoadResult loaded;
	ErrorData  *error;
	instr_time	start;

	INSTR_TIME_SET_CURRENT(start);
	if (!enter(shard, &row, &result))
		return result;
	file = dp_file_next(row->id);
	if (file != NULL)
	{
		/* with a file for each worker there is nobody left to help */
		shard->loader->helpers = shard->stats.lag < shard->spec.count ? shard->spec.count - 1 : 0;
		dp_progress_begin(shard->loader->plan, shard->stats.lag, file->size, false);
		error = dp_load_attempt(shard->loader, file, &loaded);
		if (error != NULL)
			note_failure(shard, file, error);
		else
			shard->same_failures = 0;
	}
	if (file == NULL || TimestampDifferenceExceeds(shard->counted, GetCurrentTimestamp(),
												   COUNT_EVERY_MS))
		note_waiting(shard);
	else
		shard->stats.lag = Max(shard->stats.lag - 1, 0);
	if (file == NULL)
		leave_to_others(shard);
	dp_shard_leave();
	if (file != NULL && error == NULL)
		count_file(shard, &loaded, start);
	return DP_STEP_WORKED;
}

/* What waits is being loaded by others: look again soon, one of them may fail. */
static void
leave_to_others(FileShard *shard)
{
	TimestampTz soon = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), ASK_MS);

	if (shard->waiting)
		shard->next_try = soon;
	shard->next_try = Max(shard->next_try, soon);
	shard->waiting = false;
}

/* Has the shard that looks found anything? */
static DpShardStep
ask(FileShard *shard, TimestampTz now)
{
	DpShardStep result = DP_STEP_WORKED;
	DpPipelineRow *row;

	shard->next_ask = TimestampTzPlusMilliseconds(now, ASK_MS);
	if (!enter(shard, &row, &result))
		return result;
	note_waiting(shard);
	dp_shard_leave();
	return DP_STEP_IDLE;
}

/*
 * The transaction of a step, in the version that the loader has; another one
 * is adopted first, with its source and its times.
 */
static bool
enter(FileShard *shard, DpPipelineRow **row, DpShardStep *step)
{
	if (!dp_shard_enter(shard->spec.pipeline_id, false, row, step))
		return false;
	if ((*row)->version == shard->loader->plan->version)
		return true;
	dp_shard_leave();
	invalidate(&shard->base);
	*step = DP_STEP_WORKED;
	return false;
}

/* What is left to do, for ourselves and for those who watch: the lag is in files. */
static void
note_waiting(FileShard *shard)
{
	int64		id = shard->spec.pipeline_id;
	int64		files;
	int64		bytes;
	TimestampTz due;
	TimestampTz output = shard->loader->plan->spec->target.url ? dp_catalog_output_next(id) : 0;

	dp_file_waiting(id, &files, &bytes, &due);
	shard->counted = GetCurrentTimestamp();
	shard->waiting = files > 0;
	shard->next_try = due == 0 ? DT_NOEND : due;
	shard->next_output = output == 0 ? DT_NOEND : output;
	shard->stats.lag = files;
}

static void
note_failure(FileShard *shard, const DpFileRow *file, ErrorData *error)
{
	bool		in_file = is_in_file(error->sqlerrcode);

	shard->same_failures = in_file ? 0 :
		error->sqlerrcode == shard->last_failure ? shard->same_failures + 1 : 1;
	shard->last_failure = error->sqlerrcode;
	if (is_in_tables(error->sqlerrcode) || shard->same_failures >= SAME_FAILURES)
	{
		shard->same_failures = 0;
		ReThrowError(error);
	}
	dp_file_set_failed(file->id, error, dp_load_retry_ms(file->failures + 1));
	if (!dp_schedule_worth_logging(file->failures + 1))
		return;
	ereport(LOG,
			(errcode(error->sqlerrcode),
			 errmsg("file \"%s\" of pipeline \"%s\" could not be loaded: %s",
					file->url, shard->loader->plan->spec->name, error->message),
			 error->detail ? errdetail_internal("%s", error->detail) : 0,
			 error->hint ? errhint("%s", error->hint) : 0));
}

/* What another file need not have: its data, an expectation, that it is there and stays so. */
static bool
is_in_file(int sqlerrcode)
{
	return dp_batch_is_data_error(sqlerrcode) ||
		sqlerrcode == ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE ||
		sqlerrcode == ERRCODE_OBJECT_IN_USE || sqlerrcode == ERRCODE_UNDEFINED_FILE;
}

/* What every file would have: a table or column that is gone; not what the role may not read. */
static bool
is_in_tables(int sqlerrcode)
{
	return ERRCODE_TO_CATEGORY(sqlerrcode) == ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION &&
		sqlerrcode != ERRCODE_INSUFFICIENT_PRIVILEGE;
}

static void
count_file(FileShard *shard, const DpLoadResult *result, instr_time start)
{
	instr_time	end;

	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	shard->stats.batches++;
	shard->stats.records += result->ledger.consumed;
	shard->stats.bytes += result->bytes;
	shard->stats.loaded += result->ledger.loaded;
	shard->stats.quarantined += result->ledger.quarantined;
	shard->stats.last_batch_rows = Min(result->ledger.consumed, INT_MAX);
	shard->stats.last_batch_ms = INSTR_TIME_GET_MILLISEC(end);
	shard->stats.busy_ms += shard->stats.last_batch_ms;
	shard->stats.last_commit_at = GetCurrentTimestamp();
	shard->stats.partitions = 1;
}

/* A large file takes many batches: the limit is meant for each. */
static void
between_batches(void *arg)
{
	dp_shard_restart_timeout();
	dp_process_interrupts();
}

/* Write what a destination wants; each object in a transaction of its own. */
static DpShardStep
publish(FileShard *shard, TimestampTz now)
{
	DpShardStep result = DP_STEP_WORKED;
	DpPipelineRow *row;

	if (!dp_shard_enter(shard->spec.pipeline_id, false, &row, &result))
		return result;
	if (!dp_publish_next(row, dp_shard_restart_timeout))
		result = DP_STEP_IDLE;
	note_waiting(shard);
	if (result == DP_STEP_IDLE)
		shard->next_output = Max(shard->next_output, now + USECS_PER_SEC);
	dp_shard_leave();
	return result;
}

static DpShardStep
refresh(FileShard *shard, TimestampTz now)
{
	DpShardStep result = DP_STEP_IDLE;
	DpPipelineRow *row;

	shard->next_refresh = now + USECS_PER_SEC;
	if (!enter(shard, &row, &result))
		return result;
	dp_gold_refresh_due(shard->loader->plan);
	dp_shard_leave();
	return DP_STEP_IDLE;
}
