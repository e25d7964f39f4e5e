/*
 * wake.h
 *	  From a committed change to the processes that must act on it.
 *
 *	  backend: apply, start, stop, CREATE EXTENSION      (dp_run_wake_at_commit)
 *	     | COMMIT
 *	     v
 *	  epoch of the database + 1, latches of its supervisor and its workers;
 *	  no supervisor there: the database becomes WANTED, latch of the launcher
 *
 * A rolled back change wakes nobody.
 */
#ifndef DP_WAKE_H
#define DP_WAKE_H

#include "dynpipe.h"

/* _PG_init: once per process tree. */
extern void dp_wake_init(void);

/* Something that decides what runs in this database changes when this transaction commits. */
extern void dp_run_wake_at_commit(void);

/* The same at once, for a database whose change is already visible. */
extern void dp_run_wake_now(Oid dbid);

/* The set of databases changes at commit: the launcher shall look again. */
extern void dp_run_rescan_at_commit(void);

/*
 * From now until this transaction ends no process of ours may be connected to
 * DBID: tells those that are to leave, waits for it (up to some seconds, can
 * be interrupted).  At the end of the transaction, whichever it is, the
 * database is looked at again.  Returns false if some process is still there.
 */
extern bool dp_run_clear_database(Oid dbid);

#endif							/* DP_WAKE_H */
