/*
 * shard.h
 *	  A shard is some partitions of one pipeline, the unit a worker serves:
 *	  the partitions p with p % count == index.  The worker owns the loop, the
 *	  errors and the waiting; the shard owns source, plan and batches.
 *
 * Life: dp_shard_open (allocates only) -> dp_shard_step again and again
 * -> dp_shard_close.  step runs outside any transaction, opens and commits its
 * own, and may raise any ERROR; the worker then aborts the transaction, closes
 * the shard, and opens a new one after the backoff.  No call blocks on the
 * network for longer than 100 ms.
 */
#ifndef DP_SHARD_H
#define DP_SHARD_H

#include "postgres.h"

typedef struct DpShard DpShard;

typedef enum DpShardStep
{
	DP_STEP_IDLE,				/* nothing to do until the wake fd or the latch says so */
	DP_STEP_WORKED,				/* a batch was committed; step again at once */
	DP_STEP_CONNECTING,			/* waiting for the broker; wake fd will tell */
	DP_STEP_BUSY,				/* somebody else holds the pipeline (stop, apply): try again soon */
	DP_STEP_GONE,				/* pipeline dropped, disabled or restored: close, do not reopen */
	DP_STEP_OTHER				/* private to shard.c: a stream became files, or the reverse */
} DpShardStep;

/* Known end of a partition, for dynpipe.partitions; the first DP_MAX_ENDS of a shard are shown. */
#define DP_MAX_ENDS 32

typedef struct DpPartitionEnd
{
	int32		partition;
	int64		high;			/* offset that the next record will get */
} DpPartitionEnd;

/* What the last steps did, for shared memory; cumulative over the shard's life. */
typedef struct DpShardStats
{
	uint64		batches;
	uint64		records;
	uint64		bytes;
	uint64		loaded;
	uint64		quarantined;
	int32		last_batch_rows;
	double		last_batch_ms;
	double		busy_ms;		/* time spent in batches */
	int64		last_commit_at; /* TimestampTz */
	int64		last_record_ms; /* newest record timestamp, Unix ms; -1 none */
	double		latency_p50_ms; /* record timestamp -> commit, last 1024 batches; -1 unknown */
	double		latency_p99_ms;
	int64		lag;			/* records behind, all partitions; -1 unknown */
	int32		partitions;
	int32		version;		/* configuration in force */
	int32		nends;			/* entries of ends that are filled; 0: none known */
	DpPartitionEnd ends[DP_MAX_ENDS];
} DpShardStats;

/* Nothing was done and nothing is known. */
extern const DpShardStats dp_shard_no_stats;

extern DpShard *dp_shard_open(int64 pipeline_id, int index, int count,
							  Size memory_limit, int wake_fd, MemoryContext parent);
extern DpShardStep dp_shard_step(DpShard *shard);
extern const DpShardStats *dp_shard_stats(const DpShard *shard);
/* Tell the shard that a configuration may have changed (called when the latch says so). */
extern void dp_shard_invalidate(DpShard *shard);
extern void dp_shard_close(DpShard *shard);

#endif							/* DP_SHARD_H */
