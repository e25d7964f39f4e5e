/*
 * shard.c
 *	  A shard is read as a stream or file by file: which of the two is found
 *	  out at its first step, and again when the pipeline says otherwise.
 */
#include "dynpipe.h"

#include "access/xact.h"
#include "catalog/home.h"
#include "miscadmin.h"
#include "run/shard_private.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"

struct DpShard
{
	DpShardSpec spec;
	DpShardReader *reader;		/* NULL: not known yet which */
};

const DpShardStats dp_shard_no_stats = {
	.last_record_ms = -1,
	.latency_p50_ms = -1,
	.latency_p99_ms = -1,
	.lag = -1
};

static DpShardStep open_reader(DpShard *shard);

DpShard *
dp_shard_open(int64 pipeline_id, int index, int count, Size memory_limit, int wake_fd,
			  MemoryContext parent)
{
	DpShard    *shard = MemoryContextAllocZero(parent, sizeof(DpShard));

	shard->spec = (DpShardSpec) {
		pipeline_id, index, count, memory_limit, wake_fd, parent
	};
	return shard;
}

DpShardStep
dp_shard_step(DpShard *shard)
{
	DpShardStep step;

	if (shard->reader == NULL)
		return open_reader(shard);
	step = shard->reader->ops->step(shard->reader);
	if (step != DP_STEP_OTHER)
		return step;
	shard->reader->ops->close(shard->reader);
	shard->reader = NULL;
	return DP_STEP_WORKED;
}

const DpShardStats *
dp_shard_stats(const DpShard *shard)
{
	return shard->reader ? shard->reader->ops->stats(shard->reader) : &dp_shard_no_stats;
}

void
dp_shard_invalidate(DpShard *shard)
{
	if (shard->reader != NULL)
		shard->reader->ops->invalidate(shard->reader);
}

void
dp_shard_close(DpShard *shard)
{
	if (shard->reader != NULL)
		shard->reader->ops->close(shard->reader);
	shard->reader = NULL;
}

static DpShardStep
open_reader(DpShard *shard)
{
	DpPipelineRow *row;
	DpShardStep step = DP_STEP_OTHER;
	bool		streaming = dp_shard_enter(shard->spec.pipeline_id, true, &row, &step);

	if (streaming)
		dp_shard_leave();
	else if (step != DP_STEP_OTHER)
		return step;
	shard->reader = streaming ? dp_shard_stream_open(&shard->spec) :
		dp_shard_files_open(&shard->spec);
	return DP_STEP_WORKED;
}

bool
dp_shard_enter(int64 pipeline_id, bool streaming, DpPipelineRow **row, DpShardStep *step)
{
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	dp_shard_restart_timeout();
	if (!dp_catalog_lock(pipeline_id, ShareLock, true))
		*step = DP_STEP_BUSY;
	else
	{
		*row = dp_catalog_get(pipeline_id);
		if (*row == NULL || !(*row)->enabled || !(*row)->served ||
			strcmp((*row)->home, dp_catalog_home()) != 0)
			*step = DP_STEP_GONE;
		else if ((*row)->streaming == streaming)
			return true;
		else
			*step = DP_STEP_OTHER;
	}
	dp_shard_leave();
	return false;
}

void
dp_shard_leave(void)
{
	disable_timeout(STATEMENT_TIMEOUT, false);
	PopActiveSnapshot();
	CommitTransactionCommand();
}

void
dp_shard_restart_timeout(void)
{
	if (dp_batch_timeout > 0)
		enable_timeout_after(STATEMENT_TIMEOUT, dp_batch_timeout);
}
