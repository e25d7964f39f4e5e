/*
 * shmem.c
 *	  Layout of the shared memory and the moves that its slots can make; the
 *	  lock rules are in shmem.h.
 *
 * The memory is laid out as DpShared, then the workers, then the shards; it is
 * sized from dynpipe.max_workers and dynpipe.max_shards when the server starts
 * and never grows.  After a crash the postmaster builds it anew, empty.
 */
#include "run/shmem.h"

#include "miscadmin.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "storage/shmem.h"
#include "utils/builtins.h"

#define TRANCHE "dynpipe"
#define BIT(state) (1 << (state))

DpShared   *dp_shared = NULL;

static shmem_request_hook_type prev_request_hook = NULL;
static shmem_startup_hook_type prev_startup_hook = NULL;

static void request_memory(void);
static void startup_memory(void);
static Size memory_size(void);
static void clear_shard(DpShardSlot *slot);

/* Legal successors of each state. */
static const int shard_moves[DP_SHARD_STATES] = {
	[DP_SHARD_FREE] = BIT(DP_SHARD_WAITING),
	[DP_SHARD_WAITING] = BIT(DP_SHARD_ASSIGNED) | BIT(DP_SHARD_FREE),
	[DP_SHARD_ASSIGNED] = BIT(DP_SHARD_RUNNING) | BIT(DP_SHARD_WAITING) | BIT(DP_SHARD_FREE),
	[DP_SHARD_RUNNING] = BIT(DP_SHARD_BACKOFF) | BIT(DP_SHARD_FAILED) | BIT(DP_SHARD_MOVING) |
	BIT(DP_SHARD_STOPPING) | BIT(DP_SHARD_WAITING) | BIT(DP_SHARD_FREE),
	[DP_SHARD_BACKOFF] = BIT(DP_SHARD_RUNNING) | BIT(DP_SHARD_MOVING) | BIT(DP_SHARD_STOPPING) |
	BIT(DP_SHARD_WAITING) | BIT(DP_SHARD_FREE),
	[DP_SHARD_FAILED] = BIT(DP_SHARD_RUNNING) | BIT(DP_SHARD_MOVING) | BIT(DP_SHARD_STOPPING) |
	BIT(DP_SHARD_WAITING) | BIT(DP_SHARD_FREE),
	[DP_SHARD_MOVING] = BIT(DP_SHARD_ASSIGNED) | BIT(DP_SHARD_WAITING) | BIT(DP_SHARD_STOPPING),
	[DP_SHARD_STOPPING] = BIT(DP_SHARD_FREE),
};

static const int database_moves[] = {
	[DP_DB_FREE] = BIT(DP_DB_WANTED),
	[DP_DB_WANTED] = BIT(DP_DB_STARTING) | BIT(DP_DB_FREE),
	[DP_DB_STARTING] = BIT(DP_DB_RUNNING) | BIT(DP_DB_WANTED),
	[DP_DB_RUNNING] = BIT(DP_DB_WANTED) | BIT(DP_DB_FREE),
};

void
dp_shmem_init(void)
{
	prev_request_hook = shmem_request_hook;
	shmem_request_hook = request_memory;
	prev_startup_hook = shmem_startup_hook;
	shmem_startup_hook = startup_memory;
}

void
dp_shmem_require(void)
{
	if (dp_shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("dynpipe must be loaded by shared_preload_libraries to run streams"),
				 errhint("Add dynpipe to shared_preload_libraries in postgresql.conf and restart the server.")));
}

void
dp_shmem_move_shard(DpShardSlot *slot, DpShardState to)
{
	if ((shard_moves[slot->state] & BIT(to)) == 0)
		elog(ERROR, "dynpipe shard cannot go from state %d to %d", slot->state, to);
	slot->state = to;
	if (to == DP_SHARD_FREE)
		clear_shard(slot);
}

void
dp_shmem_move_database(DpDatabaseSlot *slot, DpDatabaseState to)
{
	if ((database_moves[slot->state] & BIT(to)) == 0)
		elog(ERROR, "dynpipe database cannot go from state %d to %d", slot->state, to);
	slot->state = to;
	slot->proc = NULL;
	slot->pid = 0;
	slot->settled = false;
	if (to == DP_DB_STARTING)
		slot->generation++;
	if (to == DP_DB_FREE)
	{
		slot->dbid = InvalidOid;
		slot->failures = 0;
		slot->next_try = 0;
		slot->starved = false;
	}
}

DpShardSlot *
dp_shmem_add_shard(Oid dbid, int64 pipeline_id, int index, int count,
				   Oid owner, const char *name)
{
	for (int i = 0; i < dp_shared->max_shards; i++)
	{
		DpShardSlot *slot = &dp_shared->shards[i];

		if (slot->state != DP_SHARD_FREE)
			continue;
		slot->dbid = dbid;
		slot->pipeline_id = pipeline_id;
		slot->index = index;
		slot->count = count;
		slot->owner = owner;
		namestrcpy(&slot->name, name);
		dp_shmem_move_shard(slot, DP_SHARD_WAITING);
		return slot;
	}
	return NULL;
}

void
dp_shmem_release_shard(DpShardSlot *slot)
{
	slot->holder = -1;
	slot->load = 0;
	slot->stepped = false;
	switch (slot->state)
	{
		case DP_SHARD_STOPPING:
			dp_shmem_move_shard(slot, DP_SHARD_FREE);
			break;
		case DP_SHARD_MOVING:
			/* The worker it was meant for may have died meanwhile. */
			dp_shmem_move_shard(slot, slot->worker < 0 ? DP_SHARD_WAITING : DP_SHARD_ASSIGNED);
			if (slot->worker >= 0)
				dp_shmem_wake_worker(slot->worker);
			break;
		default:
			slot->worker = -1;
			dp_shmem_move_shard(slot, DP_SHARD_WAITING);
	}
}

void
dp_shmem_assign_shard(DpShardSlot *slot, int worker)
{
	if (slot->holder >= 0 && slot->holder != worker)
	{
		if (slot->state != DP_SHARD_MOVING)
			dp_shmem_move_shard(slot, DP_SHARD_MOVING);
		dp_shmem_wake_worker(slot->holder);
	}
	else if (slot->state == DP_SHARD_WAITING)
		dp_shmem_move_shard(slot, DP_SHARD_ASSIGNED);
	slot->worker = worker;
	dp_shmem_wake_worker(worker);
}

void
dp_shmem_retire_shard(DpShardSlot *slot)
{
	if (slot->holder < 0)
		dp_shmem_move_shard(slot, DP_SHARD_FREE);
	else if (slot->state != DP_SHARD_STOPPING)
	{
		dp_shmem_move_shard(slot, DP_SHARD_STOPPING);
		dp_shmem_wake_worker(slot->holder);
	}
}

DpDatabaseSlot *
dp_shmem_find_database(Oid dbid)
{
	for (int i = 0; i < DP_MAX_DATABASES; i++)
	{
		DpDatabaseSlot *slot = &dp_shared->databases[i];

		if (slot->state != DP_DB_FREE && slot->dbid == dbid)
			return slot;
	}
	return NULL;
}

DpDatabaseSlot *
dp_shmem_want_database(Oid dbid)
{
	DpDatabaseSlot *slot = dp_shmem_find_database(dbid);

	for (int i = 0; slot == NULL && i < DP_MAX_DATABASES; i++)
	{
		if (dp_shared->databases[i].state != DP_DB_FREE)
			continue;
		slot = &dp_shared->databases[i];
		slot->dbid = dbid;
		dp_shmem_move_database(slot, DP_DB_WANTED);
	}
	return slot;
}

void
dp_shmem_wake(PGPROC *proc)
{
	if (proc != NULL)
		SetLatch(&proc->procLatch);
}

/* The worker compares orders with what it saw last, so that it need not look at all slots. */
void
dp_shmem_wake_worker(int worker)
{
	dp_shared->workers[worker].orders++;
	dp_shmem_wake(dp_shared->workers[worker].proc);
}

void
dp_shmem_wake_supervisor(Oid dbid)
{
	DpDatabaseSlot *slot = dp_shmem_find_database(dbid);

	if (slot != NULL)
		dp_shmem_wake(slot->proc);
}

static void
request_memory(void)
{
	if (prev_request_hook != NULL)
		prev_request_hook();
	RequestAddinShmemSpace(memory_size());
	RequestNamedLWLockTranche(TRANCHE, 1);
}

static void
startup_memory(void)
{
	bool		found;

	if (prev_startup_hook != NULL)
		prev_startup_hook();

	LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
	dp_shared = ShmemInitStruct("dynpipe", memory_size(), &found);
	if (!found)
	{
		char	   *start = (char *) dp_shared;

		memset(dp_shared, 0, memory_size());
		dp_shared->lock = &GetNamedLWLockTranche(TRANCHE)->lock;
		dp_shared->max_workers = dp_max_workers;
		dp_shared->max_shards = dp_max_shards;
		dp_shared->workers = (DpWorkerSlot *) (start + MAXALIGN(sizeof(DpShared)));
		dp_shared->shards = (DpShardSlot *) ((char *) dp_shared->workers +
											 MAXALIGN(dp_max_workers * sizeof(DpWorkerSlot)));
		for (int i = 0; i < dp_max_shards; i++)
			clear_shard(&dp_shared->shards[i]);
	}
	LWLockRelease(AddinShmemInitLock);
}

static Size
memory_size(void)
{
	Size		size = MAXALIGN(sizeof(DpShared));

	size = add_size(size, MAXALIGN(mul_size(dp_max_workers, sizeof(DpWorkerSlot))));
	return add_size(size, MAXALIGN(mul_size(dp_max_shards, sizeof(DpShardSlot))));
}

/* Empty a slot for its next use; the generation goes on. */
static void
clear_shard(DpShardSlot *slot)
{
	uint32		generation = slot->generation + 1;

	memset(slot, 0, sizeof(*slot));
	slot->generation = generation;
	slot->worker = -1;
	slot->holder = -1;
}
