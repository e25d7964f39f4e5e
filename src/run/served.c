/*
 * served.c
 *	  A shard's life in a worker.
 *
 *	  closed --due--> open --step--> IDLE, WORKED, CONNECTING, BUSY
 *		 ^                     |
 *		 +---- ERROR ----------+--GONE--> given back
 *
 * Errors stop here.  The ErrorData is copied into the caller's context, the
 * transaction aborted, the shard closed and its context deleted; what follows
 * (when to retry, what to tell whom) is decided by schedule.c from the
 * SQLSTATE alone.  The shard's own allocations live in DpServed.cxt; DpServed
 * itself holds plain data.
 */
#include "dynpipe.h"

#include <math.h>

#include "access/xact.h"
#include "common/pg_prng.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "run/failure.h"
#include "run/served.h"
#include "utils/backend_status.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define PUBLISH_MS		200		/* statistics in shared memory are at most this old */
#define PUBLISH_IDLE_MS	1000	/* likewise, of a shard that has nothing to do */
#define RATE_MS			500		/* shortest span that a rate is computed over */
#define RATE_TAU_MS		5000.0	/* memory of the moving averages */
#define BUSY_RETRY_MS	50		/* somebody holds the pipeline for a moment */
#define CATALOG_RETRY_MS 10000	/* a failed shard is not retried more often because of DDL */

static DpShardStep step(DpServed *served, Size memory_limit, int wake_fd);
static void open_shard(DpServed *served, Size memory_limit, int wake_fd);
static bool is_healthy(const DpServed *served, DpShardStep result);
static void note_success(DpServed *served);
static void note_failure(DpServed *served, ErrorData *edata);
static void set_retry(DpServed *served, DpFailureClass class);
static void publish_failure(const DpServed *served, const ErrorData *edata);
static void log_failure(const DpServed *served, const ErrorData *edata);
static void update_rates(DpShardSlot *slot, DpServed *served, const DpShardStats *stats,
						 TimestampTz now);
static void clip(char *to, Size size, const char *from);
static DpShardSlot *own_slot(const DpServed *served);
static void report_activity(const DpServed *served, const char *what);

void
dp_served_adopt(DpServed *served, int slot_no, int worker)
{
	DpShardSlot *slot = &dp_shared->shards[slot_no];

	slot->holder = worker;
	dp_shmem_move_shard(slot, DP_SHARD_RUNNING);
	memset(served, 0, sizeof(*served));
	served->slot = slot_no;
	served->generation = slot->generation;
	served->pipeline_id = slot->pipeline_id;
	served->index = slot->index;
	served->count = slot->count;
	served->name = slot->name;
	served->phase = DP_STEP_CONNECTING;
	served->ready = true;
	served->failures = slot->failures;
	/* Left by a former worker, or by the time before a restart of the server. */
	served->announced = true;
	if (slot->next_try > GetCurrentTimestamp())
	{
		served->due = slot->next_try;
		dp_shmem_move_shard(slot, DP_SHARD_BACKOFF);
	}
}

DpShardStep
dp_served_step(DpServed *served, Size memory_limit, int wake_fd)
{
	MemoryContext old = CurrentMemoryContext;
	volatile DpShardStep result = DP_STEP_CONNECTING;
	ErrorData  *volatile edata = NULL;

	PG_TRY();
	{
		result = step(served, memory_limit, wake_fd);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		edata = CopyErrorData();
		dp_failure_clean_up();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);

	if (edata != NULL)
	{
		dp_served_close(served);
		note_failure(served, edata);
		FreeErrorData(edata);
		return DP_STEP_IDLE;
	}
	if ((served->announced || served->failures > 0) && is_healthy(served, result))
		note_success(served);
	return result;
}

void
dp_served_close(DpServed *served)
{
	DpShard    *shard = served->shard;
	MemoryContext cxt = served->cxt;
	MemoryContext old = CurrentMemoryContext;

	served->shard = NULL;
	served->cxt = NULL;
	PG_TRY();
	{
		if (shard != NULL)
			dp_shard_close(shard);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		EmitErrorReport();
		dp_failure_clean_up();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	if (cxt != NULL)
		MemoryContextDelete(cxt);
}

void
dp_served_release(DpServed *served, bool gone)
{
	DpShardSlot *slot;

	dp_served_publish(served, true);
	dp_served_close(served);
	dp_shmem_lock(LW_EXCLUSIVE);
	slot = own_slot(served);
	if (slot != NULL)
	{
		Oid			dbid = slot->dbid;
		bool		stopping = slot->state == DP_SHARD_STOPPING;

		/* The supervisor is not told of a pipeline gone: the commit that did it has told him. */
		if (gone && slot->state != DP_SHARD_MOVING && !stopping)
			dp_shmem_move_shard(slot, DP_SHARD_FREE);
		else
		{
			dp_shmem_release_shard(slot);
			dp_shmem_wake_supervisor(dbid);
		}
	}
	dp_shmem_unlock();
}

void
dp_served_changed(DpServed *served, bool by_user)
{
	TimestampTz soon;

	served->ready = true;
	if (served->shard != NULL)
	{
		if (by_user)
			dp_shard_invalidate(served->shard);
		return;
	}
	if (by_user)
		served->due = 0;
	else if (served->failure == DP_FAILURE_REPAIR)
	{
		soon = TimestampTzPlusMilliseconds(served->last_failure, CATALOG_RETRY_MS);
		served->due = Min(served->due, soon);
	}
}

void
dp_served_publish(DpServed *served, bool force)
{
	TimestampTz now = GetCurrentTimestamp();
	const DpShardStats *stats;
	DpShardSlot *slot;

	if (served->shard == NULL ||
		(!force && !TimestampDifferenceExceeds(served->published, now,
											   served->phase == DP_STEP_WORKED ?
											   PUBLISH_MS : PUBLISH_IDLE_MS)))
		return;
	stats = dp_shard_stats(served->shard);
	served->published = now;

	dp_shmem_lock(LW_EXCLUSIVE);
	slot = own_slot(served);
	if (slot != NULL)
	{
		slot->phase = served->phase;
		slot->stepped = true;
		slot->stats = *stats;
		slot->failures = served->failures;
		update_rates(slot, served, stats, now);
	}
	dp_shmem_unlock();
}

static DpShardStep
step(DpServed *served, Size memory_limit, int wake_fd)
{
	DpShardStep result;
	DpShardStep before = served->phase;

	if (served->shard == NULL)
		open_shard(served, memory_limit, wake_fd);
	report_activity(served, "running");
	SetCurrentStatementStartTimestamp();
	result = dp_shard_step(served->shard);

	served->phase = result;
	served->ready = (result == DP_STEP_WORKED);
	served->due = 0;
	if (result == DP_STEP_BUSY)
		served->due = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), BUSY_RETRY_MS);
	dp_served_publish(served, before == DP_STEP_CONNECTING && before != result);
	if (result == DP_STEP_WORKED)
	{
		dp_failure_release_locks();
		pgstat_report_stat(false);
	}
	return result;
}

static void
open_shard(DpServed *served, Size memory_limit, int wake_fd)
{
	DpShardSlot *slot;

	dp_shmem_lock(LW_EXCLUSIVE);
	slot = own_slot(served);
	if (slot != NULL && (slot->state == DP_SHARD_BACKOFF || slot->state == DP_SHARD_FAILED))
		dp_shmem_move_shard(slot, DP_SHARD_RUNNING);
	if (slot != NULL)
	{
		slot->stepped = false;
		slot->next_try = 0;
		slot->published = 0;
		slot->load = 0;
	}
	dp_shmem_unlock();

	memset(&served->last, 0, sizeof(served->last));
	served->opened = GetCurrentTimestamp();
	served->phase = DP_STEP_CONNECTING;
	served->cxt = AllocSetContextCreate(TopMemoryContext, "dynpipe shard",
										ALLOCSET_DEFAULT_SIZES);
	served->shard = dp_shard_open(served->pipeline_id, served->index, served->count,
								  memory_limit, wake_fd, served->cxt);
}

/* Connected is not enough, records may still be refused: a batch, or the end of the log. */
static bool
is_healthy(const DpServed *served, DpShardStep result)
{
	const DpShardStats *stats;

	if (result != DP_STEP_WORKED && result != DP_STEP_IDLE)
		return false;
	stats = dp_shard_stats(served->shard);
	return stats->batches > 0 || (result == DP_STEP_IDLE && stats->lag == 0);
}

static void
note_success(DpServed *served)
{
	TimestampTz now;

	served->conflicts = 0;
	if (served->announced)
	{
		dp_failure_clear(served);
		if (served->failures > 0)
			ereport(LOG, (errmsg("pipeline \"%s\" works again", NameStr(served->name))));
		served->announced = false;
	}
	if (served->failures == 0)
		return;
	now = GetCurrentTimestamp();
	if (served->healthy_since == 0)
		served->healthy_since = now;
	else if (TimestampDifferenceExceeds(served->healthy_since, now, DP_HEALTHY_MS))
		served->failures = 0;
}

static void
note_failure(DpServed *served, ErrorData *edata)
{
	DpFailureClass class = dp_schedule_classify(edata->sqlerrcode);
	TimestampTz now = GetCurrentTimestamp();
	bool		loud;

	if (served->healthy_since != 0 &&
		TimestampDifferenceExceeds(served->healthy_since, now, DP_HEALTHY_MS))
		served->failures = 0;
	served->healthy_since = 0;
	if (served->failures == 0 || served->first_failure == 0)
		served->first_failure = now;
	served->last_failure = now;
	set_retry(served, class);
	publish_failure(served, edata);

	/* A conflict that is retried at once is no news. */
	if (class == DP_FAILURE_CONFLICT && served->conflicts <= DP_CONFLICT_RETRIES)
		return;
	loud = dp_schedule_worth_logging(served->failures);
	if (loud)
		log_failure(served, edata);
	dp_failure_record(served, edata, loud);
	served->announced = true;
}

/* Count the failure and set when to try again. */
static void
set_retry(DpServed *served, DpFailureClass class)
{
	int64		delay;

	served->failure = class;
	if (class == DP_FAILURE_CONFLICT)
		served->conflicts++;
	if (class != DP_FAILURE_CONFLICT || served->conflicts > DP_CONFLICT_RETRIES)
		served->failures++;
	delay = dp_schedule_delay(class,
							  class == DP_FAILURE_CONFLICT ? served->conflicts : served->failures,
							  dp_retry_initial, dp_retry_max,
							  pg_prng_double(&pg_global_prng_state));
	served->due = TimestampTzPlusMilliseconds(served->last_failure, delay);
	served->ready = true;
}

static void
publish_failure(const DpServed *served, const ErrorData *edata)
{
	DpShardState to = served->failure == DP_FAILURE_REPAIR ? DP_SHARD_FAILED : DP_SHARD_BACKOFF;
	DpShardSlot *slot;

	dp_shmem_lock(LW_EXCLUSIVE);
	slot = own_slot(served);
	if (slot != NULL)
	{
		if (slot->state == DP_SHARD_RUNNING && served->due > served->last_failure)
			dp_shmem_move_shard(slot, to);
		slot->failures = served->failures;
		slot->next_try = served->due;
		slot->load = 0;
		slot->records_per_second = slot->bytes_per_second = 0;
		slot->error.sqlerrcode = edata->sqlerrcode;
		slot->error.at = served->last_failure;
		clip(slot->error.message, sizeof(slot->error.message), edata->message);
		clip(slot->error.detail, sizeof(slot->error.detail), edata->detail);
		clip(slot->error.hint, sizeof(slot->error.hint), edata->hint);
		clip(slot->error.context, sizeof(slot->error.context), edata->context);
	}
	dp_shmem_unlock();
}

static void
log_failure(const DpServed *served, const ErrorData *edata)
{
	long		wait = TimestampDifferenceMilliseconds(served->last_failure, served->due);

	ereport(LOG,
			(errcode(edata->sqlerrcode),
			 errmsg("pipeline \"%s\" failed: %s", NameStr(served->name), edata->message),
			 errdetail("Shard %d of %d, failure %d in a row, next try in %.1f s.%s%s",
					   served->index, served->count, served->failures, wait / 1000.0,
					   edata->detail != NULL ? " " : "",
					   edata->detail != NULL ? edata->detail : ""),
			 edata->hint != NULL ? errhint("%s", edata->hint) : 0,
			 edata->context != NULL ? errcontext("%s", edata->context) : 0));
}

/* Moving averages: the weight of the new span grows with its length. */
static void
update_rates(DpShardSlot *slot, DpServed *served, const DpShardStats *stats, TimestampTz now)
{
	double		span = TimestampDifferenceMilliseconds(slot->published, now);
	double		weight;
	double		rate_weight;

	if (slot->published == 0)
		slot->published = now;
	if (slot->published == now || span < RATE_MS)
		return;
	weight = 1 - exp(-span / RATE_TAU_MS);
	/* Shortly after opening, the plain average of all there is. */
	rate_weight = Max(weight, span / TimestampDifferenceMilliseconds(served->opened, now));
	slot->records_per_second += rate_weight *
		((stats->records - served->last.records) * 1000.0 / span - slot->records_per_second);
	slot->bytes_per_second += rate_weight *
		((stats->bytes - served->last.bytes) * 1000.0 / span - slot->bytes_per_second);
	slot->load += weight *
		(Min((stats->busy_ms - served->last.busy_ms) / span, 1.0) - slot->load);
	slot->published = now;
	served->last = *stats;
}

static void
clip(char *to, Size size, const char *from)
{
	int			len = from != NULL ? strlen(from) : 0;

	if (len > size - 1)
		len = pg_mbcliplen(from, len, size - 1);
	if (len > 0)
		memcpy(to, from, len);
	to[len] = '\0';
}

/* Our slot, or NULL should it serve another purpose by now.  Lock held. */
static DpShardSlot *
own_slot(const DpServed *served)
{
	DpShardSlot *slot = &dp_shared->shards[served->slot];

	return slot->generation == served->generation ? slot : NULL;
}

/* What pg_stat_activity shows; written only when it changes. */
static void
report_activity(const DpServed *served, const char *what)
{
	static int	shown_slot = -1;
	static uint32 shown_generation;
	char		text[NAMEDATALEN + 64];

	if (shown_slot == served->slot && shown_generation == served->generation &&
		MyBEEntry != NULL && MyBEEntry->st_state == STATE_RUNNING)
		return;
	shown_slot = served->slot;
	shown_generation = served->generation;
	snprintf(text, sizeof(text), "dynpipe: %s p%d/%d: %s", NameStr(served->name),
			 served->index, served->count, what);
	pgstat_report_activity(STATE_RUNNING, text);
}
