/*
 * feed.h
 *	  A pipeline being read: plan, source, positions and the batch at hand.
 *	  Shared by the shards of workers (shard.c) and by dynpipe.run() in a
 *	  session; who owns the transaction is their business.
 *
 *	  dp_feed_load            [in a transaction] adopt the pipeline's current
 *	                          version; a changed source is closed
 *	  dp_feed_connect         [in a transaction] open the source if there is none
 *	  dp_feed_discover        [outside or inside] true once partitions are known
 *	  dp_feed_take_positions  [in a transaction] stored positions, gaps, assign
 *	  dp_feed_was_moved       [in a transaction] were stored positions changed by
 *	                          somebody else?
 *	  dp_feed_poll            fetch what is there into the batch at hand
 *	  dp_feed_write           [in a transaction] write the batch at hand
 *	  dp_feed_committed       after commit: positions move, records are given back
 *
 * After any ERROR the feed can only be destroyed.
 */
#ifndef DP_FEED_H
#define DP_FEED_H

#include "batch/batch.h"

typedef struct DpFeed
{
	MemoryContext cxt;
	MemoryContext batch_cxt;
	MemoryContext source_cxt;	/* below it the source makes its own */
	int64		pipeline_id;
	int			index;
	int			count;
	Size		memory_limit;
	int			wake_fd;

	DpPlan	   *plan;
	DpExec	   *exec;
	DpFormat   *format;
	DpSource   *source;
	DpPartition *found;			/* what discover gave */
	int			nfound;
	bool		assigned;

	/* indexed by partition; -1: not ours */
	int64	   *position;
	int32	   *adopted;		/* version last recorded in dynpipe.adoption */
	int			npositions;

	DpBatch		batch;
	bool		pending;		/* the batch holds records that are not written */
} DpFeed;

extern DpFeed *dp_feed_create(int64 pipeline_id, int index, int count,
							  Size memory_limit, int wake_fd, MemoryContext parent);
extern void dp_feed_load(DpFeed *feed, const DpPipelineRow *row);
extern void dp_feed_connect(DpFeed *feed);
extern bool dp_feed_discover(DpFeed *feed);
extern void dp_feed_take_positions(DpFeed *feed);
extern bool dp_feed_was_moved(const DpFeed *feed);
extern DpPollResult dp_feed_poll(DpFeed *feed);
extern void dp_feed_write(DpFeed *feed);
extern void dp_feed_committed(DpFeed *feed);
/* [in a transaction] Close a source whose connection was changed. */
extern void dp_feed_check_connection(DpFeed *feed);
extern void dp_feed_close_source(DpFeed *feed);
extern void dp_feed_destroy(DpFeed *feed);

/* Records behind over all partitions read here, -1 when not known. */
extern int64 dp_feed_lag(const DpFeed *feed);

#endif							/* DP_FEED_H */
