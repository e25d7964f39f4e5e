/*
 * pool.c
 *	  Starting workers and giving them shards, for one database; place.c has
 *	  the rules for who serves what.
 *
 * Workers belong to the whole cluster (dynpipe.max_workers): a database with
 * shards but without a single worker is "starved", and databases that have
 * more than one then give one up.
 */
#include "run/pool.h"

#include "miscadmin.h"
#include "run/place.h"
#include "run/process.h"
#include "run/schedule.h"
#include "run/shmem.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define START_TIMEOUT_MS	30000
#define SETTLE_MS			2000	/* wait for workers on their way before placing shards */
#define SURPLUS_MS			60000	/* more workers than needed for this long: empty one */
#define RETRY_SLOT_MS		5000	/* longest wait between two tries to get a process */
#define WARN_AFTER_MS		3000	/* another database may give up a worker meanwhile */
#define WARN_EVERY_MS		60000

/* What the shared arrays say about one database, copied to be thought about. */
typedef struct Picture
{
	DpPlaceShard *shards;
	uint32	   *generations;	/* of the shards' slots */
	int			nshards;
	DpPlaceWorker *workers;		/* those that run */
	int			nworkers;
	int			nstarting;
	bool		settling;		/* a worker will be there in a moment */
	bool		others_starve;
} Picture;

static BackgroundWorkerHandle **handles;
static TimestampTz retry_at;
static int	retries;
static TimestampTz surplus_since;

static void reap_starting(Oid dbid, TimestampTz now);
static void take_picture(Picture *picture, Oid dbid, TimestampTz now);
static void add_worker(Picture *picture, int i, Oid dbid, TimestampTz now);
static void add_shard(Picture *picture, int i, Oid dbid);
static bool wider_one_is_stopping(const DpShardSlot *slot);
static void start_workers(Picture *picture, int needed, Oid dbid, TimestampTz now);
static bool start_worker(Oid dbid, TimestampTz now, bool *own_limit);
static void note_starved(Oid dbid, bool starved);
static void warn_no_worker(TimestampTz now, int waiting, const char *setting);
static bool should_shrink(const Picture *picture, int needed, TimestampTz now);
static void carry_out(const Picture *picture);

int
dp_pool_balance(Oid dbid, TimestampTz now)
{
	Picture		picture = {0};
	int			needed;

	if (handles == NULL)
		handles = MemoryContextAllocZero(TopMemoryContext,
										 dp_shared->max_workers * sizeof(*handles));
	reap_starting(dbid, now);
	take_picture(&picture, dbid, now);
	dp_place_count(picture.shards, picture.nshards, picture.workers, picture.nworkers);
	needed = dp_place_needed(picture.shards, picture.nshards);
	start_workers(&picture, needed, dbid, now);
	if (!picture.settling)
	{
		dp_place(picture.shards, picture.nshards, picture.workers, picture.nworkers,
				 should_shrink(&picture, needed, now));
		carry_out(&picture);
	}
	return picture.nworkers + picture.nstarting;
}

/* Workers that were registered but never came. */
static void
reap_starting(Oid dbid, TimestampTz now)
{
	for (int i = 0; i < dp_shared->max_workers; i++)
	{
		DpWorkerSlot *slot = &dp_shared->workers[i];
		bool		ended = handles[i] != NULL && dp_process_ended(handles[i]);

		dp_shmem_lock(LW_EXCLUSIVE);
		if (slot->state == DP_WORKER_STARTING && slot->dbid == dbid &&
			(ended || TimestampDifferenceExceeds(slot->since, now, START_TIMEOUT_MS)))
			slot->state = DP_WORKER_FREE;
		dp_shmem_unlock();
		if (ended)
		{
			pfree(handles[i]);
			handles[i] = NULL;
		}
	}
}

static void
take_picture(Picture *picture, Oid dbid, TimestampTz now)
{
	/* Allocated before the lock is taken. */
	picture->shards = palloc(dp_shared->max_shards * sizeof(DpPlaceShard));
	picture->generations = palloc(dp_shared->max_shards * sizeof(uint32));
	picture->workers = palloc(dp_shared->max_workers * sizeof(DpPlaceWorker));

	dp_shmem_lock(LW_SHARED);
	for (int i = 0; i < dp_shared->max_workers; i++)
		add_worker(picture, i, dbid, now);
	for (int i = 0; i < dp_shared->max_shards; i++)
		add_shard(picture, i, dbid);
	for (int i = 0; i < DP_MAX_DATABASES; i++)
		if (dp_shared->databases[i].state == DP_DB_RUNNING &&
			dp_shared->databases[i].dbid != dbid && dp_shared->databases[i].starved)
			picture->others_starve = true;
	dp_shmem_unlock();
}

static void
add_worker(Picture *picture, int i, Oid dbid, TimestampTz now)
{
	DpWorkerSlot *slot = &dp_shared->workers[i];

	if (slot->state == DP_WORKER_FREE || slot->dbid != dbid)
		return;
	if (slot->state == DP_WORKER_RUNNING)
		picture->workers[picture->nworkers++].slot = i;
	else
	{
		picture->nstarting++;
		if (!TimestampDifferenceExceeds(slot->since, now, SETTLE_MS))
			picture->settling = true;
	}
}

/* Shards that are leaving are nobody's business; those that move have their place already. */
static void
add_shard(Picture *picture, int i, Oid dbid)
{
	DpShardSlot *slot = &dp_shared->shards[i];
	DpPlaceShard *shard = &picture->shards[picture->nshards];

	if (slot->state == DP_SHARD_FREE || slot->state == DP_SHARD_STOPPING || slot->dbid != dbid)
		return;
	if (slot->state == DP_SHARD_WAITING && wider_one_is_stopping(slot))
		return;

	*shard = (DpPlaceShard) {.pipeline = slot->pipeline_id,.slot = i,.worker = -1,
	.target = -1,.load = slot->load};
	for (int w = 0; w < picture->nworkers; w++)
		if (picture->workers[w].slot == slot->worker)
			shard->worker = w;
	shard->movable = slot->holder >= 0 && slot->holder == slot->worker;
	picture->generations[picture->nshards++] = slot->generation;
}

/* With another number of workers the partitions are divided anew: the old readers end first. */
static bool
wider_one_is_stopping(const DpShardSlot *slot)
{
	for (int i = 0; i < dp_shared->max_shards; i++)
	{
		const DpShardSlot *other = &dp_shared->shards[i];

		if (other->state == DP_SHARD_STOPPING && other->dbid == slot->dbid &&
			other->pipeline_id == slot->pipeline_id)
			return true;
	}
	return false;
}

static void
start_workers(Picture *picture, int needed, Oid dbid, TimestampTz now)
{
	static bool own_limit = false;
	static TimestampTz starved_since = 0;
	int64		delay;
	bool		starved;

	if (picture->nworkers + picture->nstarting >= needed)
		retries = 0;
	/* A second worker is a luxury as long as another database has none. */
	if (picture->others_starve)
		needed = Min(needed, 1);
	while (picture->nworkers + picture->nstarting < needed && now >= retry_at)
	{
		if (start_worker(dbid, now, &own_limit))
		{
			picture->nstarting++;
			picture->settling = true;
			retries = 0;
			continue;
		}
		/* Whoever gives up one of our own wakes us; of other extensions' slots we hear nothing. */
		if (own_limit)
			break;
		delay = dp_schedule_delay(DP_FAILURE_TRANSIENT, ++retries,
								  dp_retry_initial, Min(dp_retry_max, RETRY_SLOT_MS), 0.5);
		retry_at = TimestampTzPlusMilliseconds(now, delay);
	}
	starved = needed > 0 && picture->nworkers + picture->nstarting == 0;
	note_starved(dbid, starved);
	if (!starved)
		starved_since = 0;
	else if (starved_since == 0)
		starved_since = now;
	else if (TimestampDifferenceExceeds(starved_since, now, WARN_AFTER_MS))
		warn_no_worker(now, picture->nshards,
					   own_limit ? "dynpipe.max_workers" : "max_worker_processes");
}

/* Take a worker slot and register its process; if not, *own_limit tells whose limit it was. */
static bool
start_worker(Oid dbid, TimestampTz now, bool *own_limit)
{
	DpProcessOrder order = {.dbid = dbid,.slot = -1};
	MemoryContext old;

	dp_shmem_lock(LW_EXCLUSIVE);
	for (int i = 0; i < dp_shared->max_workers && order.slot < 0; i++)
	{
		DpWorkerSlot *slot = &dp_shared->workers[i];

		if (slot->state != DP_WORKER_FREE)
			continue;
		slot->state = DP_WORKER_STARTING;
		slot->dbid = dbid;
		slot->since = now;
		order.generation = ++slot->generation;
		order.slot = i;
	}
	dp_shmem_unlock();
	*own_limit = order.slot < 0;
	if (order.slot < 0)
		return false;

	if (handles[order.slot] != NULL)
		pfree(handles[order.slot]);
	old = MemoryContextSwitchTo(TopMemoryContext);
	handles[order.slot] = dp_process_register("dynpipe_worker_main", "dynpipe worker", &order);
	MemoryContextSwitchTo(old);
	if (handles[order.slot] != NULL)
		return true;

	dp_shmem_lock(LW_EXCLUSIVE);
	dp_shared->workers[order.slot].state = DP_WORKER_FREE;
	dp_shmem_unlock();
	return false;
}

static void
note_starved(Oid dbid, bool starved)
{
	DpDatabaseSlot *slot;

	dp_shmem_lock(LW_EXCLUSIVE);
	slot = dp_shmem_find_database(dbid);
	if (slot != NULL && slot->starved != starved)
	{
		slot->starved = starved;
		/* Those who have too many shall know now. */
		for (int i = 0; starved && i < DP_MAX_DATABASES; i++)
			dp_shmem_wake(dp_shared->databases[i].proc);
	}
	dp_shmem_unlock();
}

static void
warn_no_worker(TimestampTz now, int waiting, const char *setting)
{
	static TimestampTz last_warning = 0;

	if (last_warning != 0 && !TimestampDifferenceExceeds(last_warning, now, WARN_EVERY_MS))
		return;
	last_warning = now;
	ereport(WARNING,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("no process is free for the dynpipe pipelines of this database"),
			 errdetail("%d shards wait for a worker slot.", waiting),
			 errhint("Increase %s and restart the server.", setting)));
}

static bool
should_shrink(const Picture *picture, int needed, TimestampTz now)
{
	if (picture->nworkers > 1 && picture->others_starve)
		return true;
	if (picture->nworkers <= Max(needed, 1))
		surplus_since = 0;
	else if (surplus_since == 0)
		surplus_since = now;
	return surplus_since != 0 && TimestampDifferenceExceeds(surplus_since, now, SURPLUS_MS);
}

/* Write the targets into the slots, as far as these are still what they were. */
static void
carry_out(const Picture *picture)
{
	dp_shmem_lock(LW_EXCLUSIVE);
	for (int i = 0; i < picture->nshards; i++)
	{
		const DpPlaceShard *shard = &picture->shards[i];
		DpShardSlot *slot = &dp_shared->shards[shard->slot];
		int			worker;

		if (shard->target < 0 || shard->target == shard->worker)
			continue;
		worker = picture->workers[shard->target].slot;
		if (slot->generation == picture->generations[i] && slot->state != DP_SHARD_STOPPING &&
			slot->state != DP_SHARD_MOVING &&
			dp_shared->workers[worker].state == DP_WORKER_RUNNING)
			dp_shmem_assign_shard(slot, worker);
	}
	dp_shmem_unlock();
}
