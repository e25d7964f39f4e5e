/*
 * process.h
 *	  What launcher, supervisor and worker have in common: being registered,
 *	  signals, settings, naps.
 */
#ifndef DP_PROCESS_H
#define DP_PROCESS_H

#include "dynpipe.h"

#include "postmaster/bgworker.h"

/* What a process is told when it is registered, in bgw_extra. */
typedef struct DpProcessOrder
{
	Oid			dbid;
	int			slot;			/* in the array of its kind */
	uint32		generation;		/* of the slot */
} DpProcessOrder;

/*
 * Register FUNCTION as a dynamic process that is never restarted by the
 * postmaster; our latch is set when it starts and when it ends.  NULL when no
 * slot is free in max_worker_processes.
 */
extern BackgroundWorkerHandle *dp_process_register(const char *function, const char *type,
												   const DpProcessOrder *order);

/* In the new process: what it was told. */
extern DpProcessOrder dp_process_order(void);

/* Has the process behind HANDLE ended, or could it never be started? */
extern bool dp_process_ended(BackgroundWorkerHandle *handle);

/* First thing in a process: signal handlers, then signals. */
extern void dp_process_start(void);

/* Connect to DBID as the bootstrap superuser and pin the settings that our statements rely on. */
extern void dp_process_connect(Oid dbid, const char *application_name);

/* Signals and settings that arrived; once per loop.  May end the process. */
extern void dp_process_interrupts(void);

/* Sleep until the latch is set or MS have passed. */
extern void dp_process_nap(long ms, uint32 wait_event);

#endif							/* DP_PROCESS_H */
