/*
 * supervisor.c
 *	  Reconcile loop of one database.
 *
 *	  dynpipe.pipeline --read_wanted--> wanted shards
 *										   | reconcile (shared memory)
 *	  shards that are no longer wanted: STOPPING; new ones: WAITING
 *										   | dp_pool_balance (pool.c)
 *	  workers started, shards ASSIGNED or MOVING
 *
 * The catalog is read when a commit says that it changed, and every
 * dynpipe.check_interval for safety.  The supervisor never touches a user's
 * table.  If it dies the workers go on; the launcher starts another one, which
 * finds everything in shared memory.
 */
#include "run/supervisor.h"

#include "access/xact.h"
#include "catalog/home.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "run/pool.h"
#include "run/process.h"
#include "run/schedule.h"
#include "run/shmem.h"
#include "storage/ipc.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define TICK_MS			5000	/* between looks at the load */
#define IDLE_LEAVE_MS	30000	/* nothing to run for this long: leave */
#define HEALTHY_MS		60000
#define WARN_EVERY_MS	60000

/* One shard that the catalog asks for. */
typedef struct Wanted
{
	int64		pipeline_id;
	int			index;
	int			count;
	Oid			owner;
	char		name[NAMEDATALEN];
	bool		exists;			/* in shared memory */
} Wanted;

static DpProcessOrder order;
static MemoryContext wanted_cxt;
static Wanted *wanted;
static int	nwanted;
static bool has_extension;

static bool attach(void);
static void detach(int code, Datum arg);
static bool blocked(void);
static void read_wanted(void);
static void read_pipelines(void);
static void add_wanted(HeapTuple tuple, TupleDesc desc, int *capacity);
static int	compare_wanted(const void *a, const void *b);
static bool reconcile(TimestampTz now);
static Wanted *find_wanted(const DpShardSlot *slot);
static void warn_no_shard_slot(TimestampTz now, int missing);
static void forget_failures(void);
static void settle(void);
static bool try_leave(uint32 seen_epoch);
static uint32 current_epoch(void);

void
dynpipe_supervisor_main(Datum arg)
{
	MemoryContext tick_cxt;
	TimestampTz read_at = 0;
	TimestampTz last_wanted = 0;
	uint32		seen_epoch = 0;
	uint32		wait_event;

	order = dp_process_order();
	dp_process_start();
	before_shmem_exit(detach, (Datum) 0);
	if (!attach())
		proc_exit(0);
	dp_process_connect(order.dbid, "dynpipe supervisor");

	wait_event = dp_wait_event("DynpipeSupervisorMain");
	wanted_cxt = AllocSetContextCreate(TopMemoryContext, "dynpipe wanted", ALLOCSET_DEFAULT_SIZES);
	tick_cxt = AllocSetContextCreate(TopMemoryContext, "dynpipe tick", ALLOCSET_DEFAULT_SIZES);

	for (;;)
	{
		TimestampTz now = GetCurrentTimestamp();
		uint32		epoch = current_epoch();

		MemoryContextReset(tick_cxt);
		MemoryContextSwitchTo(tick_cxt);
		dp_process_interrupts();
		if (blocked())
			proc_exit(0);

		if (read_at == 0 || epoch != seen_epoch ||
			TimestampDifferenceExceeds(read_at, now, dp_check_interval))
		{
			read_wanted();
			seen_epoch = epoch;
			read_at = now;
		}
		if (reconcile(now))
		{
			if (last_wanted == 0)
				settle();
			last_wanted = now;
		}
		(void) dp_pool_balance(order.dbid, now);

		if (TimestampDifferenceExceeds(last_wanted, now, has_extension ? IDLE_LEAVE_MS : 0) &&
			try_leave(seen_epoch))
			proc_exit(0);
		dp_process_nap(Min(TICK_MS, dp_check_interval), wait_event);
	}
}

/* Take the slot we were registered for, unless it has changed its purpose. */
static bool
attach(void)
{
	DpDatabaseSlot *slot = &dp_shared->databases[order.slot];
	bool		taken;

	dp_shmem_lock(LW_EXCLUSIVE);
	taken = slot->state == DP_DB_STARTING && slot->generation == order.generation &&
		slot->dbid == order.dbid;
	if (taken)
	{
		dp_shmem_move_database(slot, slot->blocks > 0 ? DP_DB_WANTED : DP_DB_RUNNING);
		taken = slot->state == DP_DB_RUNNING;
	}
	if (taken)
	{
		slot->proc = MyProc;
		slot->pid = MyProcPid;
		slot->since = GetCurrentTimestamp();
	}
	dp_shmem_unlock();
	return taken;
}

/* On any exit: the database becomes WANTED again, after a wait if this was a failure. */
static void
detach(int code, Datum arg)
{
	DpDatabaseSlot *slot = &dp_shared->databases[order.slot];
	TimestampTz now = GetCurrentTimestamp();

	dp_shmem_lock(LW_EXCLUSIVE);
	if (slot->state == DP_DB_RUNNING && slot->proc == MyProc)
	{
		if (slot->blocks == 0 && code != 0)
		{
			int64		delay;

			if (TimestampDifferenceExceeds(slot->since, now, HEALTHY_MS))
				slot->failures = 0;
			slot->failures++;
			delay = dp_schedule_delay(DP_FAILURE_INTERNAL, slot->failures,
									  dp_retry_initial, dp_retry_max, 0.5);
			slot->next_try = TimestampTzPlusMilliseconds(now, delay);
		}
		dp_shmem_move_database(slot, DP_DB_WANTED);
	}
	dp_shmem_wake(dp_shared->launcher);
	dp_shmem_unlock();
}

static bool
blocked(void)
{
	bool		result;

	dp_shmem_lock(LW_SHARED);
	result = dp_shared->databases[order.slot].blocks > 0;
	dp_shmem_unlock();
	return result;
}

static uint32
current_epoch(void)
{
	uint32		epoch;

	dp_shmem_lock(LW_SHARED);
	epoch = dp_shared->databases[order.slot].epoch;
	dp_shmem_unlock();
	return epoch;
}

/* Replace the list of wanted shards by what the catalog says now. */
static void
read_wanted(void)
{
	MemoryContextReset(wanted_cxt);
	wanted = NULL;
	nwanted = 0;

	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	pgstat_report_activity(STATE_RUNNING, "dynpipe: reading which pipelines should run");
	has_extension = OidIsValid(get_extension_oid("dynpipe", true));
	if (has_extension)
		read_pipelines();
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
	pgstat_report_stat(true);
	pgstat_report_activity(STATE_IDLE, psprintf("dynpipe: %d shards should run", nwanted));
}

static void
read_pipelines(void)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(dp_catalog_home())};
	int			capacity = 0;

	if (SPI_execute_with_args("SELECT id, name, owner::pg_catalog.oid, workers"
							  " FROM dynpipe.pipeline"
							  " WHERE enabled AND served"
							  " AND home OPERATOR(pg_catalog.=) $1",
							  1, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not read dynpipe.pipeline");
	for (uint64 i = 0; i < SPI_processed; i++)
		add_wanted(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, &capacity);
	if (nwanted > 0)
		qsort(wanted, nwanted, sizeof(Wanted), compare_wanted);
}

/* One pipeline gives as many shards as it has workers. */
static void
add_wanted(HeapTuple tuple, TupleDesc desc, int *capacity)
{
	bool		isnull;
	int64		id = DatumGetInt64(SPI_getbinval(tuple, desc, 1, &isnull));
	char	   *name = SPI_getvalue(tuple, desc, 2);
	Oid			owner = DatumGetObjectId(SPI_getbinval(tuple, desc, 3, &isnull));
	int			workers = DatumGetInt32(SPI_getbinval(tuple, desc, 4, &isnull));

	for (int i = 0; i < workers; i++)
	{
		if (nwanted == *capacity)
		{
			*capacity = Max(64, *capacity * 2);
			wanted = wanted == NULL
				? MemoryContextAlloc(wanted_cxt, *capacity * sizeof(Wanted))
				: repalloc(wanted, *capacity * sizeof(Wanted));
		}
		wanted[nwanted] = (Wanted) {.pipeline_id = id,.index = i,.count = workers,.owner = owner};
		strlcpy(wanted[nwanted].name, name, pg_mbcliplen(name, strlen(name), NAMEDATALEN - 1) + 1);
		nwanted++;
	}
}

static int
compare_wanted(const void *a, const void *b)
{
	const Wanted *x = a;
	const Wanted *y = b;

	if (x->pipeline_id != y->pipeline_id)
		return x->pipeline_id < y->pipeline_id ? -1 : 1;
	if (x->count != y->count)
		return x->count - y->count;
	return x->index - y->index;
}

/* Make the shard slots agree with the wanted ones; true while anything runs or should. */
static bool
reconcile(TimestampTz now)
{
	int			missing = 0;
	bool		retired = false;
	bool		any = nwanted > 0;

	for (int i = 0; i < nwanted; i++)
		wanted[i].exists = false;

	dp_shmem_lock(LW_EXCLUSIVE);
	for (int i = 0; i < dp_shared->max_shards; i++)
	{
		DpShardSlot *slot = &dp_shared->shards[i];
		Wanted	   *match;

		if (slot->state == DP_SHARD_FREE || slot->dbid != order.dbid)
			continue;
		any = true;
		match = find_wanted(slot);
		if (match != NULL && slot->state != DP_SHARD_STOPPING)
		{
			match->exists = true;
			slot->owner = match->owner;
		}
		else if (slot->state != DP_SHARD_STOPPING)
		{
			dp_shmem_retire_shard(slot);
			retired = true;
		}
	}
	for (int i = 0; i < nwanted; i++)
	{
		if (!wanted[i].exists &&
			dp_shmem_add_shard(order.dbid, wanted[i].pipeline_id, wanted[i].index,
							   wanted[i].count, wanted[i].owner, wanted[i].name) == NULL)
			missing++;
	}
	dp_shmem_unlock();

	if (missing > 0)
		warn_no_shard_slot(now, missing);
	if (retired && has_extension)
		forget_failures();
	return any;
}

static Wanted *
find_wanted(const DpShardSlot *slot)
{
	Wanted		key = {.pipeline_id = slot->pipeline_id,.index = slot->index,.count = slot->count};

	if (nwanted == 0)
		return NULL;
	return bsearch(&key, wanted, nwanted, sizeof(Wanted), compare_wanted);
}

static void
warn_no_shard_slot(TimestampTz now, int missing)
{
	static TimestampTz last_warning = 0;

	if (last_warning != 0 && !TimestampDifferenceExceeds(last_warning, now, WARN_EVERY_MS))
		return;
	last_warning = now;
	ereport(WARNING,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("%d shards of dynpipe pipelines have no slot in shared memory", missing),
			 errhint("Increase dynpipe.max_shards and restart the server.")));
}

/* Failures of shards that no longer exist are history: dynpipe.event has them. */
static void
forget_failures(void)
{
	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_execute("DELETE FROM dynpipe.failure AS f"
				" WHERE NOT EXISTS (SELECT FROM dynpipe.pipeline AS p"
				" WHERE p.id OPERATOR(pg_catalog.=) f.pipeline_id AND p.enabled"
				" AND f.shard OPERATOR(pg_catalog.<) p.workers)", false, 0);
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
}

/* We stay: the launcher may visit the next database. */
static void
settle(void)
{
	dp_shmem_lock(LW_EXCLUSIVE);
	dp_shared->databases[order.slot].settled = true;
	dp_shmem_wake(dp_shared->launcher);
	dp_shmem_unlock();
}

/* Free the database's slot unless something was committed, or is left, since we looked. */
static bool
try_leave(uint32 seen_epoch)
{
	DpDatabaseSlot *slot = &dp_shared->databases[order.slot];
	bool		may = true;

	dp_shmem_lock(LW_EXCLUSIVE);
	for (int i = 0; i < dp_shared->max_shards; i++)
		if (dp_shared->shards[i].state != DP_SHARD_FREE && dp_shared->shards[i].dbid == order.dbid)
			may = false;
	if (slot->epoch != seen_epoch || slot->blocks > 0)
		may = false;
	if (may)
		dp_shmem_move_database(slot, DP_DB_FREE);
	dp_shmem_unlock();
	return may;
}
