/*
 * served.h
 *	  One shard in the hands of a worker: open it, step it, survive its
 *	  errors, tell the others how it does.
 */
#ifndef DP_SERVED_H
#define DP_SERVED_H

#include "run/schedule.h"
#include "run/shmem.h"

typedef struct DpServed
{
	int			slot;			/* in shared memory; ours as long as we are its holder */
	uint32		generation;
	int64		pipeline_id;
	int			index;
	int			count;
	NameData	name;

	MemoryContext cxt;			/* owns the open shard; NULL: closed */
	DpShard    *shard;
	bool		ready;			/* may have something to do */
	TimestampTz due;			/* not to be touched before */
	DpShardStep phase;			/* result of the last step */

	DpFailureClass failure;		/* of the last failure */
	int			failures;		/* until healthy for DP_HEALTHY_MS */
	int			conflicts;		/* in a row */
	bool		announced;		/* dynpipe.failure may have a row that recovery must remove */
	TimestampTz first_failure;
	TimestampTz last_failure;
	TimestampTz healthy_since;

	TimestampTz opened;
	TimestampTz published;
	DpShardStats last;			/* as published: to compute rates */
} DpServed;

/* Fill SERVED from SLOT, whose holder we become.  Lock held exclusively; allocates nothing. */
extern void dp_served_adopt(DpServed *served, int slot, int worker);

/*
 * Do what is due, opening the shard if need be.  Never raises: an error closes
 * the shard and sets when to try again.  DP_STEP_GONE: give it back.
 */
extern DpShardStep dp_served_step(DpServed *served, Size memory_limit, int wake_fd);

/* Close if open.  Never raises. */
extern void dp_served_close(DpServed *served);

/* Close and let go of the slot; GONE: the pipeline does not exist any more. */
extern void dp_served_release(DpServed *served, bool gone);

/* Something that the shard depends on has changed; BY_USER: retry now whatever failed. */
extern void dp_served_changed(DpServed *served, bool by_user);

/* Write statistics to shared memory, some times a second at most unless FORCE. */
extern void dp_served_publish(DpServed *served, bool force);

#endif							/* DP_SERVED_H */
