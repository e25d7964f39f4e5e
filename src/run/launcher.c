/*
 * launcher.c
 *	  Reconcile loop over the databases of the cluster.
 *
 *	  pg_database  --new ones-->  WANTED --register--> STARTING --> RUNNING
 *	                                ^                     |            |
 *	                                +---- did not start --+            |
 *	                                +---- died, was blocked -----------+
 *	                              FREE <-- nothing to do there --------+
 *
 * Each database is visited once: a supervisor starts there, and leaves at once
 * where nothing streams.  Afterwards a database becomes WANTED only when a
 * commit in it says so (wake.c).  Few visits run at the same time, so that a
 * cluster of many databases does not use up max_worker_processes.
 *
 * The launcher is connected to the shared catalogs only, and never exits with
 * status 0, which the postmaster would take as "for ever".
 */
#include "run/launcher.h"

#include "access/heapam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "run/process.h"
#include "run/schedule.h"
#include "run/shmem.h"
#include "storage/ipc.h"
#include "utils/hsearch.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define MAX_VISITS			3		/* supervisors that have not found anything to do yet */
#define RESCAN_MS			60000
#define START_TIMEOUT_MS	30000
#define WARN_EVERY_MS		60000
#define RETRY_SLOT_MS		5000	/* longest wait between two tries to get a process */

typedef struct Visited
{
	Oid			dbid;			/* hash key */
	bool		present;		/* in the last scan */
} Visited;

static HTAB *visited;
static BackgroundWorkerHandle *handles[DP_MAX_DATABASES];
static TimestampTz last_scan;
static TimestampTz last_warning;
static TimestampTz slots_full_until;

static void leave(int code, Datum arg);
static bool scan_needed(TimestampTz now);
static void scan_databases(void);
static void note_database(Form_pg_database database);
static void forget_absent(void);
static void reap_starting(TimestampTz now);
static void start_wanted(TimestampTz now);
static int	next_to_start(TimestampTz now, DpProcessOrder *order);
static void start_failed(int i, TimestampTz now);
static void warn_no_slot(TimestampTz now);
static long nap_ms(TimestampTz now);

void
dp_launcher_register(void)
{
	BackgroundWorker worker;

	memset(&worker, 0, sizeof(worker));
	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
	worker.bgw_restart_time = 5;
	strlcpy(worker.bgw_library_name, "dynpipe", BGW_MAXLEN);
	strlcpy(worker.bgw_function_name, "dynpipe_launcher_main", BGW_MAXLEN);
	strlcpy(worker.bgw_name, "dynpipe launcher", BGW_MAXLEN);
	strlcpy(worker.bgw_type, "dynpipe launcher", BGW_MAXLEN);
	RegisterBackgroundWorker(&worker);
}

void
dynpipe_launcher_main(Datum arg)
{
	HASHCTL		ctl = {.keysize = sizeof(Oid),.entrysize = sizeof(Visited)};
	uint32		wait_event;

	dp_process_start();
	before_shmem_exit(leave, (Datum) 0);
	BackgroundWorkerInitializeConnection(NULL, NULL, 0);
	pgstat_report_appname("dynpipe launcher");

	visited = hash_create("dynpipe databases", 64, &ctl, HASH_ELEM | HASH_BLOBS);
	wait_event = dp_wait_event("DynpipeLauncherMain");
	dp_shmem_lock(LW_EXCLUSIVE);
	dp_shared->launcher = MyProc;
	dp_shmem_unlock();

	for (;;)
	{
		TimestampTz now = GetCurrentTimestamp();

		dp_process_interrupts();
		if (scan_needed(now))
			scan_databases();
		reap_starting(now);
		start_wanted(now);
		dp_process_nap(nap_ms(now), wait_event);
	}
}

static void
leave(int code, Datum arg)
{
	dp_shmem_lock(LW_EXCLUSIVE);
	dp_shared->launcher = NULL;
	dp_shmem_unlock();
}

/* Also when a database is wanted that was never seen: it may be new, gone or a template. */
static bool
scan_needed(TimestampTz now)
{
	bool		needed = last_scan == 0 || TimestampDifferenceExceeds(last_scan, now, RESCAN_MS);

	dp_shmem_lock(LW_EXCLUSIVE);
	needed |= dp_shared->rescan;
	dp_shared->rescan = false;
	for (int i = 0; !needed && i < DP_MAX_DATABASES; i++)
	{
		DpDatabaseSlot *slot = &dp_shared->databases[i];

		if (slot->state == DP_DB_WANTED &&
			hash_search(visited, &slot->dbid, HASH_FIND, NULL) == NULL)
			needed = true;
	}
	dp_shmem_unlock();
	return needed;
}

static void
scan_databases(void)
{
	HASH_SEQ_STATUS seq;
	Visited    *entry;
	Relation	rel;
	TableScanDesc scan;
	HeapTuple	tuple;

	hash_seq_init(&seq, visited);
	while ((entry = hash_seq_search(&seq)) != NULL)
		entry->present = false;

	StartTransactionCommand();
	(void) GetTransactionSnapshot();
	rel = table_open(DatabaseRelationId, AccessShareLock);
	scan = table_beginscan_catalog(rel, 0, NULL);
	while ((tuple = heap_getnext(scan, ForwardScanDirection)) != NULL)
		note_database((Form_pg_database) GETSTRUCT(tuple));
	table_endscan(scan);
	table_close(rel, AccessShareLock);
	CommitTransactionCommand();

	forget_absent();
	last_scan = GetCurrentTimestamp();
}

/* A database that was not there before is visited.  datconnlimit -2: half dropped. */
static void
note_database(Form_pg_database database)
{
	Oid			dbid = database->oid;
	bool		found;
	Visited    *entry;

	if (!database->datallowconn || database->datistemplate || database->datconnlimit == -2)
		return;
	entry = hash_search(visited, &dbid, HASH_ENTER, &found);
	entry->present = true;
	if (found)
		return;
	dp_shmem_lock(LW_EXCLUSIVE);
	if (dp_shmem_want_database(dbid) == NULL)
	{
		/* All slots in use: look again when some visits are over. */
		hash_search(visited, &dbid, HASH_REMOVE, NULL);
		dp_shared->rescan = true;
	}
	dp_shmem_unlock();
}

static void
forget_absent(void)
{
	HASH_SEQ_STATUS seq;
	Visited    *entry;

	hash_seq_init(&seq, visited);
	while ((entry = hash_seq_search(&seq)) != NULL)
		if (!entry->present)
			hash_search(visited, &entry->dbid, HASH_REMOVE, NULL);

	dp_shmem_lock(LW_EXCLUSIVE);
	for (int i = 0; i < DP_MAX_DATABASES; i++)
	{
		DpDatabaseSlot *slot = &dp_shared->databases[i];

		/* A blocked one may be on its way out or in: its statement still needs the slot. */
		if (slot->state == DP_DB_WANTED && slot->blocks == 0 &&
			hash_search(visited, &slot->dbid, HASH_FIND, NULL) == NULL)
			dp_shmem_move_database(slot, DP_DB_FREE);
	}
	dp_shmem_unlock();
}

/* Supervisors that were registered but never came. */
static void
reap_starting(TimestampTz now)
{
	for (int i = 0; i < DP_MAX_DATABASES; i++)
	{
		DpDatabaseSlot *slot = &dp_shared->databases[i];
		bool		ended = handles[i] != NULL && dp_process_ended(handles[i]);

		dp_shmem_lock(LW_EXCLUSIVE);
		if (slot->state == DP_DB_STARTING &&
			(ended || TimestampDifferenceExceeds(slot->since, now, START_TIMEOUT_MS)))
			start_failed(i, now);
		dp_shmem_unlock();
		if (ended)
		{
			pfree(handles[i]);
			handles[i] = NULL;
		}
	}
}

static void
start_wanted(TimestampTz now)
{
	static int	refusals = 0;
	DpProcessOrder order;
	int64		delay;
	int			i;

	if (now < slots_full_until)
		return;
	while ((i = next_to_start(now, &order)) >= 0)
	{
		BackgroundWorkerHandle *handle;
		MemoryContext old = MemoryContextSwitchTo(TopMemoryContext);

		handle = dp_process_register("dynpipe_supervisor_main", "dynpipe supervisor", &order);
		MemoryContextSwitchTo(old);
		if (handles[i] != NULL)
			pfree(handles[i]);
		handles[i] = handle;
		if (handle != NULL)
		{
			refusals = 0;
			continue;
		}

		dp_shmem_lock(LW_EXCLUSIVE);
		dp_shmem_move_database(&dp_shared->databases[i], DP_DB_WANTED);
		dp_shmem_unlock();
		delay = dp_schedule_delay(DP_FAILURE_TRANSIENT, ++refusals, 100, RETRY_SLOT_MS, 0.5);
		slots_full_until = TimestampTzPlusMilliseconds(now, delay);
		if (delay == RETRY_SLOT_MS)
			warn_no_slot(now);
		return;
	}
}

/* Make one WANTED database STARTING and say what its supervisor must know; -1: none now. */
static int
next_to_start(TimestampTz now, DpProcessOrder *order)
{
	static int	last = 0;
	int			visits = 0;
	int			chosen = -1;

	dp_shmem_lock(LW_EXCLUSIVE);
	for (int i = 0; i < DP_MAX_DATABASES; i++)
		visits += dp_shared->databases[i].state == DP_DB_STARTING ||
			(dp_shared->databases[i].state == DP_DB_RUNNING && !dp_shared->databases[i].settled);
	for (int n = 1; n <= DP_MAX_DATABASES && visits < MAX_VISITS && chosen < 0; n++)
	{
		int			i = (last + n) % DP_MAX_DATABASES;
		DpDatabaseSlot *slot = &dp_shared->databases[i];

		if (slot->state != DP_DB_WANTED || slot->blocks > 0 || slot->next_try > now)
			continue;
		dp_shmem_move_database(slot, DP_DB_STARTING);
		slot->since = now;
		*order = (DpProcessOrder) {.dbid = slot->dbid,.slot = i,.generation = slot->generation};
		chosen = last = i;
	}
	dp_shmem_unlock();
	return chosen;
}

/* Lock held. */
static void
start_failed(int i, TimestampTz now)
{
	DpDatabaseSlot *slot = &dp_shared->databases[i];
	int64		delay;

	slot->failures++;
	delay = dp_schedule_delay(DP_FAILURE_INTERNAL, slot->failures,
							  dp_retry_initial, dp_retry_max, 0.5);
	slot->next_try = TimestampTzPlusMilliseconds(now, delay);
	dp_shmem_move_database(slot, DP_DB_WANTED);
}

static void
warn_no_slot(TimestampTz now)
{
	if (last_warning != 0 && !TimestampDifferenceExceeds(last_warning, now, WARN_EVERY_MS))
		return;
	last_warning = now;
	ereport(WARNING,
			(errcode(ERRCODE_CONFIGURATION_LIMIT_EXCEEDED),
			 errmsg("no background worker slot is free for a dynpipe supervisor"),
			 errdetail("The pipelines of its database do not run."),
			 errhint("Increase max_worker_processes and restart the server.")));
}

/* Until the next try that is due. */
static long
nap_ms(TimestampTz now)
{
	long		ms = RESCAN_MS;

	dp_shmem_lock(LW_SHARED);
	for (int i = 0; i < DP_MAX_DATABASES; i++)
	{
		DpDatabaseSlot *slot = &dp_shared->databases[i];
		TimestampTz due = Max(slot->next_try, slots_full_until);

		if (slot->state == DP_DB_STARTING)
			ms = Min(ms, 1000);
		else if (slot->state == DP_DB_WANTED && slot->blocks == 0)
			ms = Min(ms, Max(10, TimestampDifferenceMilliseconds(now, due)));
	}
	dp_shmem_unlock();
	return ms;
}
