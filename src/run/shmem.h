/*
 * shmem.h
 *	  What the processes know of each other: three fixed arrays in shared
 *	  memory, for databases, workers and shards.
 *
 * Lock rules.  One LWLock guards everything here.  Nothing that can block,
 * raise or look at a catalog is done while it is held: no registration of
 * workers, no palloc of unknown size, no ereport.  A PGPROC pointer in a slot
 * is valid as long as the lock is held, since its owner clears it under the
 * lock before it exits.  Fields are written by:
 *
 *	  database   launcher (start), supervisor (its life), any backend (epoch,
 *	             blocks)
 *	  worker     supervisor (start), the worker (its life)
 *	  shard      supervisor (which exist, who serves them), the worker that
 *	             holds it (everything below "written by the holder")
 *
 * Generations: a process is told slot and generation when it is registered; a
 * process that comes late, when its slot serves another purpose already, sees
 * another generation and exits.
 *
 * dp_shared is NULL without shared_preload_libraries.
 */
#ifndef DP_SHMEM_H
#define DP_SHMEM_H

#include "dynpipe.h"

#include "datatype/timestamp.h"
#include "run/shard.h"
#include "storage/lwlock.h"
#include "storage/proc.h"

#define DP_MAX_DATABASES	128		/* that stream at the same time */
#define DP_MESSAGE_LEN		320
#define DP_DETAIL_LEN		512

/* Legal successors: see database_moves in shmem.c. */
typedef enum DpDatabaseState
{
	DP_DB_FREE,					/* -> WANTED */
	DP_DB_WANTED,				/* -> STARTING, FREE */
	DP_DB_STARTING,				/* -> RUNNING, WANTED (start failed) */
	DP_DB_RUNNING				/* -> WANTED (died, blocked), FREE (nothing to do there) */
} DpDatabaseState;

typedef struct DpDatabaseSlot
{
	DpDatabaseState state;
	Oid			dbid;
	uint32		generation;
	uint32		epoch;			/* counts commits that changed what should run */
	int			blocks;			/* statements that need the database without our processes */
	bool		settled;		/* RUNNING: there is something to do, the supervisor stays */
	bool		starved;		/* has shards but not one worker */
	int			failures;		/* of the supervisor, in a row */
	TimestampTz since;			/* of STARTING, RUNNING */
	TimestampTz next_try;		/* WANTED: not before */
	PGPROC	   *proc;			/* the supervisor */
	int			pid;
} DpDatabaseSlot;

typedef enum DpWorkerState
{
	DP_WORKER_FREE,				/* -> STARTING */
	DP_WORKER_STARTING,			/* -> RUNNING, FREE (start failed) */
	DP_WORKER_RUNNING			/* -> FREE */
} DpWorkerState;

typedef struct DpWorkerSlot
{
	DpWorkerState state;
	Oid			dbid;
	uint32		generation;
	uint32		orders;			/* counts changes of the shards assigned to it */
	TimestampTz since;
	PGPROC	   *proc;
	int			pid;
} DpWorkerSlot;

/*
 *	  WAITING -> ASSIGNED -> RUNNING <-> BACKOFF, FAILED
 *	     ^          ^           |
 *	     |          +- MOVING <-+        the new worker waits for the old one
 *	     +---------- worker died         any held state -> STOPPING -> FREE
 */
typedef enum DpShardState
{
	DP_SHARD_FREE,
	DP_SHARD_WAITING,			/* for a worker slot */
	DP_SHARD_ASSIGNED,			/* the worker has not opened it yet */
	DP_SHARD_RUNNING,			/* held: open or about to be */
	DP_SHARD_BACKOFF,			/* held: closed after an error that may pass by itself */
	DP_SHARD_FAILED,			/* held: closed after an error that somebody must repair */
	DP_SHARD_MOVING,			/* held by one worker, meant for another */
	DP_SHARD_STOPPING			/* held, not wanted any more */
} DpShardState;

#define DP_SHARD_STATES (DP_SHARD_STOPPING + 1)

typedef struct DpErrorCopy
{
	int			sqlerrcode;		/* 0: never failed */
	TimestampTz at;
	char		message[DP_MESSAGE_LEN];
	char		detail[DP_DETAIL_LEN];
	char		hint[DP_MESSAGE_LEN];
	char		context[DP_DETAIL_LEN];
} DpErrorCopy;

typedef struct DpShardSlot
{
	DpShardState state;
	uint32		generation;
	Oid			dbid;
	int64		pipeline_id;
	int			index;
	int			count;
	Oid			owner;			/* whose pipeline: who may see the rest */
	int			worker;			/* slot of the worker that shall serve it; -1 none */
	int			holder;			/* slot of the worker that has it; -1 none */
	NameData	name;			/* of the pipeline, cut */

	/* written by the holder */
	DpShardStep phase;			/* result of its last step */
	bool		stepped;		/* is phase set? */
	int			failures;		/* in a row */
	TimestampTz next_try;
	TimestampTz published;		/* when stats and rates were last written */
	DpShardStats stats;
	double		records_per_second; /* moving averages over about 5 s */
	double		bytes_per_second;
	double		load;			/* part of the time spent in batches, 0..1 */
	DpErrorCopy error;			/* the last one; kept after recovery */
} DpShardSlot;

typedef struct DpShared
{
	LWLock	   *lock;
	PGPROC	   *launcher;
	bool		rescan;			/* look at every database again */
	DpDatabaseSlot databases[DP_MAX_DATABASES];
	int			max_workers;
	int			max_shards;
	DpWorkerSlot *workers;
	DpShardSlot *shards;
} DpShared;

extern DpShared *dp_shared;

/* _PG_init: ask for the memory; hooks do the rest. */
extern void dp_shmem_init(void);

/* Raises unless dynpipe was preloaded; for functions that start streams. */
extern void dp_shmem_require(void);

static inline void
dp_shmem_lock(LWLockMode mode)
{
	LWLockAcquire(dp_shared->lock, mode);
}

static inline void
dp_shmem_unlock(void)
{
	LWLockRelease(dp_shared->lock);
}

/* All below: the caller holds the lock exclusively, unless noted. */

/* Every change of a shard's state goes through here; an illegal one raises. */
extern void dp_shmem_move_shard(DpShardSlot *slot, DpShardState to);
extern void dp_shmem_move_database(DpDatabaseSlot *slot, DpDatabaseState to);

/* A free slot made WAITING for a new shard, or NULL: full. */
extern DpShardSlot *dp_shmem_add_shard(Oid dbid, int64 pipeline_id, int index, int count,
									   Oid owner, const char *name);
/* The holder let go, orderly or by dying: what comes next depends on the state. */
extern void dp_shmem_release_shard(DpShardSlot *slot);
/* SLOT shall be served by worker slot WORKER; moves it if another one holds it. */
extern void dp_shmem_assign_shard(DpShardSlot *slot, int worker);
/* SLOT is not wanted any more. */
extern void dp_shmem_retire_shard(DpShardSlot *slot);

/* The database's slot (shared lock suffices), or NULL. */
extern DpDatabaseSlot *dp_shmem_find_database(Oid dbid);
/* The same, made if absent; NULL when all are in use. */
extern DpDatabaseSlot *dp_shmem_want_database(Oid dbid);

extern void dp_shmem_wake(PGPROC *proc);
extern void dp_shmem_wake_worker(int worker);
extern void dp_shmem_wake_supervisor(Oid dbid);

#endif							/* DP_SHMEM_H */
