/*
 * worker.c
 *	  The loop of a worker over the shards it serves.
 *
 *	  orders from the supervisor (shared memory) --> adopt, release
 *	  invalidations, epoch of the database       --> retry, read again
 *	  each shard that is ready: one step         --> served.c
 *	  nothing ready: wait for the latch, the wake pipe, the next retry
 *
 * One pipe is shared by all sources of the worker: whoever has data writes a
 * byte, and then every shard is stepped once, which costs an idle one next to
 * nothing.  Each gets one batch per round, so a busy shard delays the others by
 * a batch at most.
 *
 * A client library may have threads of its own that still run when we exit;
 * exit handlers of other libraries would pull the ground from under them and
 * turn an orderly end into a crash of the whole server.  So the process leaves
 * by _exit when all of the server's own callbacks have run.
 */
#include "run/worker.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/interrupt.h"
#include "run/process.h"
#include "run/served.h"
#include "run/shmem.h"
#include "storage/ipc.h"
#include "storage/latch.h"
#include "utils/backend_status.h"
#include "utils/inval.h"
#include "utils/memutils.h"
#include "utils/syscache.h"
#include "utils/timestamp.h"

#define ROUND_MS		1000	/* every shard is stepped at least this often */
#define IDLE_LEAVE_MS	30000	/* without shards for this long: exit */
#define MAX_FILES		65536
#define MIN_SHARE		8		/* memory is divided by at least this */

static DpProcessOrder order;
static DpWorkerSlot *self;
static DpServed *served;		/* room for all shards there can be */
static int	nserved;
static int	wake_pipe[2];		/* sources write to [1] */
static WaitEventSet *wait_set;	/* latch, postmaster, pipe; for life, so waiting needs no new fd */
static uint32 seen_orders;
static uint32 seen_epoch;
static bool config_changed;		/* server or user mapping */
static bool catalog_changed;	/* a table, a role */
static TimestampTz last_full_round;

static bool attach(void);
static void detach(int code, Datum arg);
static void leave_at_once(int code, Datum arg);
static void raise_file_limit(void);
static void open_pipe(void);
static void make_wait_set(void);
static bool drain_pipe(void);
static void watch_catalogs(void);
static void on_config_change(Datum arg, int cache, uint32 hash);
static void on_role_change(Datum arg, int cache, uint32 hash);
static void on_relation_change(Datum arg, Oid relid);
static void look_around(void);
static void obey_orders(void);
static void release_unwanted(void);
static void adopt_assigned(void);
static void note_changes(uint32 epoch);
static bool step_ready(TimestampTz now);
static void wait_for_news(TimestampTz now, uint32 wait_event);
static void all_ready(TimestampTz now);
static Size memory_share(void);
static void remove_served(int i);
static bool try_leave(void);
static void report_idle(void);

void
dynpipe_worker_main(Datum arg)
{
	MemoryContext round_cxt;
	TimestampTz idle_since = 0;
	uint32		wait_event;

	on_proc_exit(leave_at_once, (Datum) 0);
	order = dp_process_order();
	self = &dp_shared->workers[order.slot];
	dp_process_start();
	/* Before the connection: so the slot is freed when locks and transaction are. */
	before_shmem_exit(detach, (Datum) 0);
	if (!attach())
		proc_exit(0);
	dp_process_connect(order.dbid, "dynpipe worker");

	wait_event = dp_wait_event("DynpipeWorkerMain");
	raise_file_limit();
	open_pipe();
	make_wait_set();
	watch_catalogs();
	served = MemoryContextAllocHuge(TopMemoryContext, dp_shared->max_shards * sizeof(DpServed));
	round_cxt = AllocSetContextCreate(TopMemoryContext, "dynpipe round", ALLOCSET_DEFAULT_SIZES);

	for (;;)
	{
		TimestampTz now = GetCurrentTimestamp();

		MemoryContextReset(round_cxt);
		MemoryContextSwitchTo(round_cxt);
		dp_process_interrupts();
		look_around();

		if (nserved > 0)
			idle_since = 0;
		else if (idle_since == 0)
			idle_since = now;
		else if (TimestampDifferenceExceeds(idle_since, now, IDLE_LEAVE_MS) && try_leave())
			proc_exit(0);

		if (!step_ready(now))
			wait_for_news(GetCurrentTimestamp(), wait_event);
		else if (drain_pipe() || TimestampDifferenceExceeds(last_full_round, now, ROUND_MS))
			all_ready(now);
	}
}

static bool
attach(void)
{
	DpDatabaseSlot *database;
	bool		meant;
	bool		taken;

	dp_shmem_lock(LW_EXCLUSIVE);
	database = dp_shmem_find_database(order.dbid);
	meant = self->state == DP_WORKER_STARTING && self->generation == order.generation;
	taken = meant && database != NULL && database->blocks == 0;
	/* Nobody may be left who remembers that we were to come. */
	if (meant && !taken)
		self->state = DP_WORKER_FREE;
	if (taken)
	{
		self->state = DP_WORKER_RUNNING;
		self->proc = MyProc;
		self->pid = MyProcPid;
		seen_epoch = database->epoch;
		seen_orders = self->orders - 1;
		dp_shmem_wake(database->proc);
	}
	dp_shmem_unlock();
	return taken;
}

/* On any exit: whatever we held waits for another worker, and who lacks one hears of the slot. */
static void
detach(int code, Datum arg)
{
	dp_shmem_lock(LW_EXCLUSIVE);
	if (self->proc == MyProc)
	{
		self->state = DP_WORKER_FREE;
		self->proc = NULL;
		self->pid = 0;
		self->dbid = InvalidOid;
		for (int i = 0; i < dp_shared->max_shards; i++)
		{
			DpShardSlot *slot = &dp_shared->shards[i];

			if (slot->state == DP_SHARD_FREE)
				continue;
			if (slot->holder == order.slot)
				dp_shmem_release_shard(slot);
			else if (slot->worker == order.slot)
			{
				slot->worker = -1;
				if (slot->state == DP_SHARD_ASSIGNED)
					dp_shmem_move_shard(slot, DP_SHARD_WAITING);
			}
		}
		dp_shmem_wake_supervisor(order.dbid);
		for (int i = 0; i < DP_MAX_DATABASES; i++)
			if (dp_shared->databases[i].starved)
				dp_shmem_wake(dp_shared->databases[i].proc);
	}
	dp_shmem_unlock();
}

/* Registered first, so called last. */
static void
leave_at_once(int code, Datum arg)
{
	_exit(code);
}

/* A client library opens about ten files per shard; the usual limit allows for few shards. */
static void
raise_file_limit(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur < limit.rlim_max)
	{
		limit.rlim_cur = Min(limit.rlim_max, MAX_FILES);
		(void) setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void
make_wait_set(void)
{
	wait_set = dp_create_wait_set(3);
	AddWaitEventToSet(wait_set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(wait_set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	AddWaitEventToSet(wait_set, WL_SOCKET_READABLE, wake_pipe[0], NULL, NULL);
}

static void
open_pipe(void)
{
	if (pipe(wake_pipe) < 0 ||
		fcntl(wake_pipe[0], F_SETFL, O_NONBLOCK) < 0 ||
		fcntl(wake_pipe[1], F_SETFL, O_NONBLOCK) < 0 ||
		fcntl(wake_pipe[0], F_SETFD, FD_CLOEXEC) < 0 ||
		fcntl(wake_pipe[1], F_SETFD, FD_CLOEXEC) < 0)
		ereport(FATAL,
				(errcode_for_socket_access(),
				 errmsg("could not create the wake pipe of a dynpipe worker: %m")));
}

/* Was there anything?  Emptied before the sources are asked, so that no news is lost. */
static bool
drain_pipe(void)
{
	char		buf[512];
	bool		any = false;

	while (read(wake_pipe[0], buf, sizeof(buf)) > 0)
		any = true;
	return any;
}

static void
watch_catalogs(void)
{
	CacheRegisterSyscacheCallback(USERMAPPINGOID, on_config_change, (Datum) 0);
	CacheRegisterSyscacheCallback(FOREIGNSERVEROID, on_config_change, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHOID, on_role_change, (Datum) 0);
	CacheRegisterSyscacheCallback(AUTHMEMROLEMEM, on_role_change, (Datum) 0);
	CacheRegisterSyscacheCallback(NAMESPACEOID, on_role_change, (Datum) 0);
	CacheRegisterRelcacheCallback(on_relation_change, (Datum) 0);
}

static void
on_config_change(Datum arg, int cache, uint32 hash)
{
	config_changed = true;
}

static void
on_role_change(Datum arg, int cache, uint32 hash)
{
	catalog_changed = true;
}

static void
on_relation_change(Datum arg, Oid relid)
{
	catalog_changed = true;
}

/* Orders, changes, and whether we may be here at all. */
static void
look_around(void)
{
	DpDatabaseSlot *database;
	uint32		epoch = seen_epoch;
	bool		blocked = false;
	bool		surplus = false;
	bool		orders;

	dp_shmem_lock(LW_SHARED);
	database = dp_shmem_find_database(order.dbid);
	if (database != NULL)
	{
		epoch = database->epoch;
		blocked = database->blocks > 0;
	}
	orders = self->orders != seen_orders;
	seen_orders = self->orders;
	for (int i = 0; i < DP_MAX_DATABASES && nserved == 0; i++)
		surplus |= dp_shared->databases[i].starved &&
			dp_shared->databases[i].dbid != order.dbid;
	dp_shmem_unlock();

	if (blocked)
		proc_exit(0);
	if (orders)
		obey_orders();
	if (nserved == 0 && surplus && try_leave())
		proc_exit(0);
	AcceptInvalidationMessages();
	note_changes(epoch);
}

static void
obey_orders(void)
{
	release_unwanted();
	adopt_assigned();
}

static void
release_unwanted(void)
{
	for (int i = nserved - 1; i >= 0; i--)
	{
		DpShardSlot *slot = &dp_shared->shards[served[i].slot];
		bool		unwanted;

		dp_shmem_lock(LW_SHARED);
		unwanted = slot->generation != served[i].generation ||
			slot->state == DP_SHARD_STOPPING || slot->state == DP_SHARD_MOVING;
		dp_shmem_unlock();
		if (!unwanted)
			continue;
		dp_served_release(&served[i], false);
		remove_served(i);
	}
}

static void
adopt_assigned(void)
{
	dp_shmem_lock(LW_EXCLUSIVE);
	for (int i = 0; i < dp_shared->max_shards; i++)
	{
		DpShardSlot *slot = &dp_shared->shards[i];

		if (slot->state == DP_SHARD_ASSIGNED && slot->worker == order.slot)
			dp_served_adopt(&served[nserved++], i, order.slot);
	}
	dp_shmem_unlock();
}

static void
note_changes(uint32 epoch)
{
	bool		by_user = config_changed || epoch != seen_epoch;

	if (by_user || catalog_changed)
		for (int i = 0; i < nserved; i++)
			dp_served_changed(&served[i], by_user);
	seen_epoch = epoch;
	config_changed = false;
	catalog_changed = false;
}

/* One step for each shard that is ready; true when some of them will want another one. */
static bool
step_ready(TimestampTz now)
{
	bool		worked = false;

	for (int i = 0; i < nserved; i++)
	{
		DpShardStep result;

		if (!served[i].ready || served[i].due > now)
			continue;
		result = dp_served_step(&served[i], memory_share(), wake_pipe[1]);
		worked |= (result == DP_STEP_WORKED);
		if (result == DP_STEP_GONE)
		{
			dp_served_release(&served[i], true);
			remove_served(i--);
		}
		dp_process_interrupts();
	}
	/* A failed try touches the catalogs as well: that is no reason for the next one. */
	return worked;
}

static void
wait_for_news(TimestampTz now, uint32 wait_event)
{
	WaitEvent	events[2];
	long		ms = ROUND_MS;

	for (int i = 0; i < nserved; i++)
	{
		if (served[i].due > now)
			ms = Min(ms, TimestampDifferenceMilliseconds(now, served[i].due));
		else if (served[i].ready)
			ms = 0;
	}
	report_idle();
	(void) WaitEventSetWait(wait_set, ms, events, lengthof(events), wait_event);
	ResetLatch(MyLatch);
	(void) drain_pipe();
	all_ready(now);
}

static void
all_ready(TimestampTz now)
{
	for (int i = 0; i < nserved; i++)
		served[i].ready = true;
	last_full_round = now;
}

/*
 * Half of the worker's memory may be records read ahead.  The share is fixed
 * when a shard is opened, so it is cut in steps of two: with more shards later
 * ones get less, and all of them together stay within a small multiple.
 */
static Size
memory_share(void)
{
	int			parts = MIN_SHARE;

	while (parts < nserved)
		parts *= 2;
	return (Size) dp_worker_memory * 1024 / 2 / parts;
}

static void
remove_served(int i)
{
	memmove(&served[i], &served[i + 1], (nserved - i - 1) * sizeof(DpServed));
	nserved--;
}

/* Give up the slot unless something was assigned to us meanwhile. */
static bool
try_leave(void)
{
	bool		may = true;

	dp_shmem_lock(LW_SHARED);
	for (int i = 0; i < dp_shared->max_shards; i++)
		if (dp_shared->shards[i].state != DP_SHARD_FREE &&
			dp_shared->shards[i].worker == order.slot)
			may = false;
	dp_shmem_unlock();
	return may;
}

static void
report_idle(void)
{
	static int	shown = -1;
	char		text[64];

	pgstat_report_stat(true);
	if (shown == nserved && MyBEEntry != NULL && MyBEEntry->st_state == STATE_IDLE)
		return;
	shown = nserved;
	snprintf(text, sizeof(text), "dynpipe: waiting, %d shards", nserved);
	pgstat_report_activity(STATE_IDLE, text);
}
