/*
 * wake.c
 *	  Transaction ends that concern the processes; see wake.h.
 *
 * One transaction callback, registered when the library is loaded, serves the
 * whole backend.  What it shall do is kept in three statics that live until
 * the transaction ends; a rolled back subtransaction leaves its wish behind,
 * which costs a wake-up for nothing.
 */
#include "run/wake.h"

#include <signal.h>

#include "access/xact.h"
#include "miscadmin.h"
#include "run/shmem.h"
#include "storage/latch.h"
#include "utils/timestamp.h"

/* How long a statement waits for the processes, and when it becomes insistent. */
#define CLEAR_TIMEOUT_MS	10000
#define CLEAR_INSIST_MS		100
#define CLEAR_NAP_MS		10

static bool wake_at_commit = false;
static bool rescan_at_commit = false;
static Oid	cleared[4];			/* databases that this transaction keeps clear */
static int	ncleared = 0;

static void at_transaction_end(XactEvent event, void *arg);
static void release_cleared(void);
static void rescan_now(void);
static bool block_database(Oid dbid);
static int	processes_of(Oid dbid, int *pids, int max);
static void wake_all_of(Oid dbid);

void
dp_wake_init(void)
{
	RegisterXactCallback(at_transaction_end, NULL);
}

void
dp_run_wake_at_commit(void)
{
	wake_at_commit = (dp_shared != NULL);
}

void
dp_run_rescan_at_commit(void)
{
	rescan_at_commit = (dp_shared != NULL);
}

void
dp_run_wake_now(Oid dbid)
{
	DpDatabaseSlot *slot;

	if (dp_shared == NULL)
		return;
	dp_shmem_lock(LW_EXCLUSIVE);
	slot = dp_shmem_want_database(dbid);
	if (slot != NULL)
	{
		slot->epoch++;
		slot->next_try = 0;
		wake_all_of(dbid);
	}
	else
		dp_shared->rescan = true;
	dp_shmem_wake(dp_shared->launcher);
	dp_shmem_unlock();
}

bool
dp_run_clear_database(Oid dbid)
{
	TimestampTz start = GetCurrentTimestamp();
	int			pids[64];
	int			n;

	if (dp_shared == NULL || !block_database(dbid))
		return true;

	while ((n = processes_of(dbid, pids, lengthof(pids))) > 0)
	{
		TimestampTz now = GetCurrentTimestamp();

		if (TimestampDifferenceExceeds(start, now, CLEAR_TIMEOUT_MS))
			return false;
		/* Idle ones leave by themselves; others are in a batch or wait for a lock of ours. */
		if (TimestampDifferenceExceeds(start, now, CLEAR_INSIST_MS))
			for (int i = 0; i < n; i++)
				(void) kill(pids[i], SIGTERM);
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH,
						 CLEAR_NAP_MS, dp_wait_event("DynpipeClearDatabase"));
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	return true;
}

static void
at_transaction_end(XactEvent event, void *arg)
{
	bool		committed = (event == XACT_EVENT_COMMIT);

	if (!committed && event != XACT_EVENT_ABORT && event != XACT_EVENT_PREPARE)
		return;
	if (committed && wake_at_commit)
		dp_run_wake_now(MyDatabaseId);
	if (committed && rescan_at_commit)
		rescan_now();
	wake_at_commit = false;
	rescan_at_commit = false;
	release_cleared();
}

/* The databases kept clear may be served again: the launcher finds out if they still exist. */
static void
release_cleared(void)
{
	while (ncleared > 0)
	{
		DpDatabaseSlot *slot;

		ncleared--;
		dp_shmem_lock(LW_EXCLUSIVE);
		slot = dp_shmem_find_database(cleared[ncleared]);
		if (slot != NULL && slot->blocks > 0)
		{
			slot->blocks--;
			slot->next_try = 0;
		}
		dp_shmem_wake(dp_shared->launcher);
		dp_shmem_unlock();
	}
}

static void
rescan_now(void)
{
	dp_shmem_lock(LW_EXCLUSIVE);
	dp_shared->rescan = true;
	dp_shmem_wake(dp_shared->launcher);
	dp_shmem_unlock();
}

/* Count one more block; false when nothing of ours can be there anyway. */
static bool
block_database(Oid dbid)
{
	DpDatabaseSlot *slot;

	for (int i = 0; i < ncleared; i++)
		if (cleared[i] == dbid)
			return true;
	if (ncleared == lengthof(cleared))
		return false;

	dp_shmem_lock(LW_EXCLUSIVE);
	slot = dp_shmem_want_database(dbid);
	if (slot != NULL)
	{
		slot->blocks++;
		cleared[ncleared++] = dbid;
		wake_all_of(dbid);
	}
	dp_shmem_unlock();
	return slot != NULL;
}

/* Those of our processes that are connected, or about to be, to DBID. */
static int
processes_of(Oid dbid, int *pids, int max)
{
	DpDatabaseSlot *slot;
	int			n = 0;

	dp_shmem_lock(LW_SHARED);
	slot = dp_shmem_find_database(dbid);
	if (slot != NULL && slot->pid != 0)
		pids[n++] = slot->pid;
	for (int i = 0; i < dp_shared->max_workers && n < max; i++)
	{
		DpWorkerSlot *worker = &dp_shared->workers[i];

		if (worker->dbid == dbid && worker->pid != 0)
			pids[n++] = worker->pid;
	}
	dp_shmem_unlock();
	return n;
}

/* Lock held. */
static void
wake_all_of(Oid dbid)
{
	dp_shmem_wake_supervisor(dbid);
	for (int i = 0; i < dp_shared->max_workers; i++)
		if (dp_shared->workers[i].dbid == dbid)
			dp_shmem_wake(dp_shared->workers[i].proc);
}
