/*
 * place.h
 *	  Which worker shall serve which shard: pure functions over arrays.
 *
 * Rules, in this order:
 *	  1. a shard without a worker goes to the one that serves no other shard of
 *	     its pipeline, has no busy shard, the least load, the fewest shards;
 *	  2. a pipeline with several shards has them on distinct workers;
 *	  3. a busy shard is alone, while a worker without busy shards is there to
 *	     take the others;
 *	  4. a saturated worker gives lightly loaded shards to one that has time;
 *	  5. a worker too many is emptied.
 *
 * Busy is who spends more than DP_BUSY of the time in batches, or a good part
 * of a worker that has no time left: two that could use all of it have half
 * each.
 */
#ifndef DP_PLACE_H
#define DP_PLACE_H

#include "postgres.h"

#define DP_BUSY			0.5
#define DP_SATURATED	0.8		/* of a worker's time */
#define DP_GOOD_PART	0.2
#define DP_MANY_SHARDS	250		/* per worker: clients have threads and files of their own */

typedef struct DpPlaceShard
{
	int64		pipeline;
	int			slot;			/* the caller's */
	int			worker;			/* index into the workers; -1: none */
	int			target;			/* result: likewise; = worker: stays */
	double		load;			/* 0..1 */
	bool		movable;		/* may leave the worker it has */
	bool		busy;			/* computed by dp_place_count */
} DpPlaceShard;

typedef struct DpPlaceWorker
{
	int			slot;			/* the caller's */
	int			nshards;		/* computed, following the targets */
	int			nbusy;
	double		load;
} DpPlaceWorker;

/* Add up what each of the M workers has, and find the busy shards; comes first. */
extern void dp_place_count(DpPlaceShard *shards, int n, DpPlaceWorker *workers, int m);

/* How many workers SHARDS should have, if there were enough. */
extern int	dp_place_needed(const DpPlaceShard *shards, int n);

/* Set target in SHARDS; SHRINK: empty one worker.  Sorts nothing, keeps what may stay. */
extern void dp_place(DpPlaceShard *shards, int n, DpPlaceWorker *workers, int m, bool shrink);

#endif							/* DP_PLACE_H */
