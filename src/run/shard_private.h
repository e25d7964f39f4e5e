/*
 * shard_private.h
 *	  Private to the shard files: the two ways of reading a pipeline, and the
 *	  transaction that both of them work in.
 */
#ifndef DP_SHARD_PRIVATE_H
#define DP_SHARD_PRIVATE_H

#include "catalog/catalog.h"
#include "run/shard.h"

typedef struct DpShardSpec
{
	int64		pipeline_id;
	int			index;
	int			count;
	Size		memory_limit;
	int			wake_fd;
	MemoryContext parent;
} DpShardSpec;

typedef struct DpShardReader DpShardReader;

/* As the functions of shard.h. */
typedef struct DpShardReaderOps
{
	DpShardStep (*step) (DpShardReader *reader);
	const DpShardStats *(*stats) (DpShardReader *reader);
	void		(*invalidate) (DpShardReader *reader);
	void		(*close) (DpShardReader *reader);
} DpShardReaderOps;

struct DpShardReader
{
	const DpShardReaderOps *ops;
};

extern DpShardReader *dp_shard_stream_open(const DpShardSpec *spec);
extern DpShardReader *dp_shard_files_open(const DpShardSpec *spec);

/*
 * Start a transaction and take the pipeline's lock, then see whether it is
 * still ours to read.  False with *step set when not (DP_STEP_OTHER: it is now
 * read in the other way); no transaction is open then.
 */
extern bool dp_shard_enter(int64 pipeline_id, bool streaming, DpPipelineRow **row,
						   DpShardStep *step);
/* End that transaction. */
extern void dp_shard_leave(void);
/* The time that dynpipe.batch_timeout allows begins anew. */
extern void dp_shard_restart_timeout(void);

#endif							/* DP_SHARD_PRIVATE_H */
