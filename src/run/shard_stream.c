/*
 * shard_stream.c
 *	  A feed served by a worker: transactions, the pipeline's lock, figures.
 *
 *	  load ─> connect ─> discover ─> take positions ─> poll ─> write ─┐
 *	    ^       (wait)     (wait)                        ^            │
 *	    └── version changed, partitions changed ─────────┴────────────┘
 *
 * Each step is one short transaction or none.  Batches hold the pipeline's
 * lock in share mode; when somebody is changing the pipeline the lock is not
 * to be had, the polled records are kept and the step says so (BUSY).
 */
#include "dynpipe.h"

#include "access/xact.h"
#include "catalog/home.h"
#include "miscadmin.h"
#include "portability/instr_time.h"
#include "run/feed.h"
#include "batch/gold_refresh.h"
#include "run/shard_private.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#define LATENCIES 1024

typedef struct StreamShard
{
	DpShardReader base;
	DpFeed	   *feed;
	bool		loaded;
	bool		check_positions;	/* somebody may have moved them */
	bool		has_refresh;	/* a gold table has a refresh interval */
	TimestampTz next_refresh;
	DpShardStats stats;
	double		latency[LATENCIES]; /* ms, newest overwrites oldest */
	uint64		nlatency;
} StreamShard;

static DpShardStep step(DpShardReader *reader);
static const DpShardStats *stats(DpShardReader *reader);
static void invalidate(DpShardReader *reader);
static void close_feed(DpShardReader *reader);
static bool enter(StreamShard *shard, DpShardStep *step);
static DpShardStep load(StreamShard *shard);
static DpShardStep begin_reading(StreamShard *shard);
static DpShardStep write_batch(StreamShard *shard);
static DpShardStep idle(StreamShard *shard);
static DpShardStep check_positions(StreamShard *shard);
static void count_batch(StreamShard *shard, instr_time start);
static void note_latency(StreamShard *shard);
static void note_ends(StreamShard *shard);
static int	compare_double(const void *a, const void *b);

static const DpShardReaderOps ops = {step, stats, invalidate, close_feed};

DpShardReader *
dp_shard_stream_open(const DpShardSpec *spec)
{
	DpFeed	   *feed = dp_feed_create(spec->pipeline_id, spec->index, spec->count,
									  spec->memory_limit, spec->wake_fd, spec->parent);
	StreamShard *shard = MemoryContextAllocZero(feed->cxt, sizeof(StreamShard));

	shard->base.ops = &ops;
	shard->feed = feed;
	shard->stats = dp_shard_no_stats;
	return &shard->base;
}

static DpShardStep
step(DpShardReader *reader)
{
	StreamShard *shard = (StreamShard *) reader;
	DpFeed	   *feed = shard->feed;

	if (!shard->loaded)
		return load(shard);
	if (feed->source == NULL || !feed->assigned)
		return begin_reading(shard);
	if (!feed->pending)
	{
		DpPollResult result = dp_feed_poll(feed);

		if (result == DP_POLL_EMPTY)
			return idle(shard);
		if (result != DP_POLL_RECORDS)
			return DP_STEP_WORKED;
	}
	return write_batch(shard);
}

/* Percentiles are worked out here, when somebody looks. */
static const DpShardStats *
stats(DpShardReader *reader)
{
	StreamShard *s = (StreamShard *) reader;
	int			n = (int) Min(s->nlatency, (uint64) LATENCIES);
	double	   *sorted;

	s->stats.lag = dp_feed_lag(s->feed);
	note_ends(s);
	if (n > 0)
	{
		sorted = palloc(sizeof(double) * n);
		memcpy(sorted, s->latency, sizeof(double) * n);
		qsort(sorted, n, sizeof(double), compare_double);
		s->stats.latency_p50_ms = sorted[n / 2];
		s->stats.latency_p99_ms = sorted[Min(n - 1, n * 99 / 100)];
		pfree(sorted);
	}
	return &s->stats;
}

static void
invalidate(DpShardReader *reader)
{
	StreamShard *shard = (StreamShard *) reader;

	shard->loaded = false;
	shard->check_positions = true;
}

static void
close_feed(DpShardReader *reader)
{
	dp_feed_destroy(((StreamShard *) reader)->feed);
}

/* A transaction in which the feed has the version in force; see dp_shard_enter. */
static bool
enter(StreamShard *shard, DpShardStep *step)
{
	DpPipelineRow *row;

	if (!dp_shard_enter(shard->feed->pipeline_id, true, &row, step))
		return false;
	dp_feed_load(shard->feed, row);
	return true;
}

/* Adopt the current version. */
static DpShardStep
load(StreamShard *shard)
{
	DpShardStep step = DP_STEP_WORKED;

	if (enter(shard, &step))
	{
		const DpPlan *plan = shard->feed->plan;

		dp_feed_check_connection(shard->feed);
		dp_shard_leave();
		shard->loaded = true;
		shard->stats.version = plan->version;
		shard->has_refresh = false;
		for (int g = 0; g < plan->ngold; g++)
			shard->has_refresh |= plan->gold[g].spec->refresh_ms > 0 && shard->feed->index == 0;
	}
	return step;
}

/* Connect, and once the partitions are known start reading them. */
static DpShardStep
begin_reading(StreamShard *shard)
{
	DpFeed	   *feed = shard->feed;
	DpShardStep step = DP_STEP_WORKED;

	if (feed->source == NULL)
	{
		if (!enter(shard, &step))
			return step;
		dp_feed_connect(feed);
		dp_shard_leave();
	}
	if (!dp_feed_discover(feed))
		return DP_STEP_CONNECTING;
	if (!enter(shard, &step))
		return step;
	if (feed->source != NULL)
		dp_feed_take_positions(feed);
	dp_shard_leave();
	shard->stats.partitions = 0;
	for (int p = 0; p < feed->npositions; p++)
		shard->stats.partitions += feed->position[p] >= 0;
	return DP_STEP_WORKED;
}

/* The transaction of one batch. */
static DpShardStep
write_batch(StreamShard *shard)
{
	DpFeed	   *feed = shard->feed;
	DpShardStep step = DP_STEP_WORKED;
	instr_time	start;

	INSTR_TIME_SET_CURRENT(start);
	if (!enter(shard, &step))
		return step;
	if (!feed->pending)
	{
		/* a new version reads elsewhere: its positions come first */
		dp_shard_leave();
		return DP_STEP_WORKED;
	}
	dp_feed_write(feed);
	dp_shard_leave();
	note_latency(shard);
	count_batch(shard, start);
	dp_feed_committed(feed);
	shard->stats.version = feed->plan->version;
	return DP_STEP_WORKED;
}

/*
 * Nothing to read: were we sent elsewhere (dynpipe.seek)?  Else time for
 * refreshes that are due, looked at once a second.
 */
static DpShardStep
idle(StreamShard *shard)
{
	TimestampTz now;
	DpShardStep step = DP_STEP_IDLE;

	if (shard->check_positions)
		return check_positions(shard);
	if (!shard->has_refresh)
		return step;
	now = GetCurrentTimestamp();
	if (now < shard->next_refresh)
		return step;
	shard->next_refresh = now + USECS_PER_SEC;
	if (!enter(shard, &step))
		return step;
	dp_gold_refresh_due(shard->feed->plan);
	dp_shard_leave();
	return DP_STEP_IDLE;
}

/*
 * With records to write the compare-and-swap finds out that a position was
 * moved; without any we would wait at the old one for ever.
 */
static DpShardStep
check_positions(StreamShard *shard)
{
	DpShardStep step = DP_STEP_WORKED;

	if (!enter(shard, &step))
		return step;
	shard->check_positions = false;
	if (shard->feed->source != NULL && dp_feed_was_moved(shard->feed))
		shard->feed->assigned = false;
	dp_shard_leave();
	return DP_STEP_WORKED;
}

static void
count_batch(StreamShard *shard, instr_time start)
{
	const DpBatch *batch = &shard->feed->batch;
	DpShardStats *figures = &shard->stats;
	instr_time	end;

	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	figures->batches++;
	figures->records += batch->records.n;
	figures->bytes += batch->records.bytes;
	figures->last_batch_rows = batch->records.n;
	figures->last_batch_ms = INSTR_TIME_GET_MILLISEC(end);
	figures->busy_ms += figures->last_batch_ms;
	figures->last_commit_at = GetCurrentTimestamp();
	for (int i = 0; i < batch->nledger; i++)
	{
		figures->loaded += batch->ledger[i].loaded;
		figures->quarantined += batch->ledger[i].quarantined;
		figures->last_record_ms = Max(figures->last_record_ms, batch->ledger[i].last_ms);
	}
}

/* From the batch's oldest timestamp to its commit: what its unluckiest record waited. */
static void
note_latency(StreamShard *shard)
{
	const DpRecords *records = &shard->feed->batch.records;
	int64		oldest = -1;
	int64		now_ms = (GetCurrentTimestamp() - SetEpochTimestamp()) / 1000;

	for (int i = 0; i < records->n; i++)
		if (records->rec[i].timestamp_ms >= 0 &&
			(oldest < 0 || records->rec[i].timestamp_ms < oldest))
			oldest = records->rec[i].timestamp_ms;
	if (oldest >= 0)
		shard->latency[shard->nlatency++ % LATENCIES] = Max(now_ms - oldest, 0);
}

/* The known ends of our partitions, as many as there is room for. */
static void
note_ends(StreamShard *shard)
{
	const DpFeed *feed = shard->feed;
	DpShardStats *figures = &shard->stats;

	figures->nends = 0;
	for (int p = 0; feed->assigned && p < feed->npositions && figures->nends < DP_MAX_ENDS; p++)
	{
		DpPartitionEnd *end = &figures->ends[figures->nends];

		end->partition = p;
		if (feed->position[p] >= 0 && feed->source->ops->lag(feed->source, p, &end->high))
			figures->nends++;
	}
}

static int
compare_double(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}
