/*
 * monitor.c
 *	  What shared memory knows, as rows; the views of 30_views.sql join it with
 *	  the catalog.  Reads, never writes.
 *
 * A slot is copied under the lock and formed into a row outside it.  Rows of
 * other databases are left out, and those of pipelines that the caller may not
 * see: everybody may call these functions, since a view runs them as its user.
 */
#include "dynpipe.h"

#include "catalog/home.h"
#include "catalog/pg_authid.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "run/shmem.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#include <math.h>

#define STATE_COLUMNS	28
#define END_COLUMNS		3
#define RATE_TAU_MS		5000.0

PG_FUNCTION_INFO_V1(dynpipe_home);
PG_FUNCTION_INFO_V1(dynpipe_preloaded);
PG_FUNCTION_INFO_V1(dynpipe_shard_state);
PG_FUNCTION_INFO_V1(dynpipe_partition_end);

/* A row being filled from left to right. */
typedef struct Row
{
	Datum		values[STATE_COLUMNS];
	bool		nulls[STATE_COLUMNS];
	int			n;
} Row;

static bool copy_slot(int i, DpShardSlot *copy);
static void put_identity(Row *row, const DpShardSlot *slot);
static void put_error(Row *row, const DpShardSlot *slot);
static void put_stats(Row *row, const DpShardSlot *slot);
static const char *state_name(const DpShardSlot *slot);
static int	worker_pid(const DpShardSlot *slot);
static void put(Row *row, Datum value, bool present);
static void put_text(Row *row, const char *text);
static void put_time(Row *row, TimestampTz at);
static void put_float(Row *row, double value, bool present);
static TimestampTz from_unix_ms(int64 ms);

/* The identity that dynpipe.pipeline.home is compared with. */
Datum
dynpipe_home(PG_FUNCTION_ARGS)
{
	PG_RETURN_TEXT_P(cstring_to_text(dp_catalog_home()));
}

/* Can streams run, that is: was the library preloaded? */
Datum
dynpipe_preloaded(PG_FUNCTION_ARGS)
{
	PG_RETURN_BOOL(dp_shared != NULL);
}

/* One row per shard of this database. */
Datum
dynpipe_shard_state(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	DpShardSlot *slot = palloc(sizeof(*slot));

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; dp_shared != NULL && i < dp_shared->max_shards; i++)
	{
		Row			row = {.n = 0};

		if (!copy_slot(i, slot))
			continue;
		put_identity(&row, slot);
		put_error(&row, slot);
		put_stats(&row, slot);
		Assert(row.n == STATE_COLUMNS);
		tuplestore_putvalues(result->setResult, result->setDesc, row.values, row.nulls);
	}
	return (Datum) 0;
}

/* One row per partition whose end is known. */
Datum
dynpipe_partition_end(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *result = (ReturnSetInfo *) fcinfo->resultinfo;
	DpShardSlot *slot = palloc(sizeof(*slot));

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; dp_shared != NULL && i < dp_shared->max_shards; i++)
	{
		if (!copy_slot(i, slot))
			continue;
		for (int k = 0; k < Min(slot->stats.nends, DP_MAX_ENDS); k++)
		{
			Datum		values[END_COLUMNS] = {Int64GetDatum(slot->pipeline_id),
				Int32GetDatum(slot->stats.ends[k].partition),
			Int64GetDatum(slot->stats.ends[k].high)};
			bool		nulls[END_COLUMNS] = {false};

			tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
		}
	}
	return (Datum) 0;
}

/* False: nothing there that the caller may see. */
static bool
copy_slot(int i, DpShardSlot *copy)
{
	DpShardSlot *slot = &dp_shared->shards[i];
	bool		here;

	CHECK_FOR_INTERRUPTS();
	dp_shmem_lock(LW_SHARED);
	here = slot->state != DP_SHARD_FREE && slot->dbid == MyDatabaseId;
	if (here)
		*copy = *slot;
	dp_shmem_unlock();
	return here && (has_privs_of_role(GetUserId(), copy->owner) ||
					has_privs_of_role(GetUserId(), ROLE_PG_MONITOR));
}

static void
put_identity(Row *row, const DpShardSlot *slot)
{
	int			pid = worker_pid(slot);

	put(row, Int64GetDatum(slot->pipeline_id), true);
	put(row, Int32GetDatum(slot->index), true);
	put(row, Int32GetDatum(slot->count), true);
	put_text(row, state_name(slot));
	put(row, Int32GetDatum(pid), pid != 0);
	put(row, Int32GetDatum(slot->failures), true);
	put_time(row, slot->next_try);
}

static void
put_error(Row *row, const DpShardSlot *slot)
{
	bool		any = slot->error.sqlerrcode != 0;

	put_time(row, slot->error.at);
	put_text(row, any ? unpack_sql_state(slot->error.sqlerrcode) : "");
	put_text(row, slot->error.message);
	put_text(row, slot->error.detail);
	put_text(row, slot->error.hint);
	put_text(row, slot->error.context);
}

/* Rates fade while nothing is published, as they would have in the worker. */
static void
put_stats(Row *row, const DpShardSlot *slot)
{
	const DpShardStats *stats = &slot->stats;
	double		age = TimestampDifferenceMilliseconds(slot->published, GetCurrentTimestamp());
	double		fade = age > 2000 ? exp(-age / RATE_TAU_MS) : 1;
	bool		any = slot->published != 0;

	put(row, Int64GetDatum(stats->lag), any && stats->lag >= 0);
	put(row, Int32GetDatum(stats->partitions), any);
	put(row, Int32GetDatum(stats->version), any && stats->version > 0);
	put(row, Int64GetDatum((int64) stats->batches), any);
	put(row, Int64GetDatum((int64) stats->records), any);
	put(row, Int64GetDatum((int64) stats->bytes), any);
	put(row, Int32GetDatum(stats->last_batch_rows), any && stats->batches > 0);
	put_float(row, stats->last_batch_ms, any && stats->batches > 0);
	put_float(row, slot->records_per_second * fade, any);
	put_float(row, slot->bytes_per_second * fade, any);
	put_float(row, slot->load * fade, any);
	put_float(row, stats->latency_p50_ms, any && stats->batches > 0 && stats->latency_p50_ms >= 0);
	put_float(row, stats->latency_p99_ms, any && stats->batches > 0 && stats->latency_p99_ms >= 0);
	put_time(row, stats->last_commit_at);
	put_time(row, any && stats->batches > 0 ? from_unix_ms(stats->last_record_ms) : 0);
}

static const char *
state_name(const DpShardSlot *slot)
{
	switch (slot->state)
	{
		case DP_SHARD_WAITING:
			return "waiting for a worker slot";
		case DP_SHARD_BACKOFF:
			return "retrying";
		case DP_SHARD_FAILED:
			return "failed";
		case DP_SHARD_STOPPING:
			return "stopping";
		case DP_SHARD_RUNNING:
			if (!slot->stepped || slot->phase == DP_STEP_CONNECTING)
				return slot->failures > 0 ? "retrying" : "connecting";
			if (slot->phase == DP_STEP_IDLE && slot->stats.lag == 0)
				return "caught up";
			return "running";
		default:
			return "connecting";
	}
}

static int
worker_pid(const DpShardSlot *slot)
{
	int			pid = 0;

	dp_shmem_lock(LW_SHARED);
	if (slot->holder >= 0)
		pid = dp_shared->workers[slot->holder].pid;
	dp_shmem_unlock();
	return pid;
}

static void
put(Row *row, Datum value, bool present)
{
	row->values[row->n] = value;
	row->nulls[row->n++] = !present;
}

static void
put_text(Row *row, const char *text)
{
	bool		present = text[0] != '\0';

	put(row, present ? CStringGetTextDatum(text) : (Datum) 0, present);
}

static void
put_time(Row *row, TimestampTz at)
{
	put(row, TimestampTzGetDatum(at), at != 0);
}

static void
put_float(Row *row, double value, bool present)
{
	put(row, Float8GetDatum(value), present);
}

/* 0 for an unknown time. */
static TimestampTz
from_unix_ms(int64 ms)
{
	if (ms < 0)
		return 0;
	return (ms - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * (int64) SECS_PER_DAY * 1000) * 1000;
}
