/*
 * dynpipe.h
 *	  What every file of the extension may rely on: the server's base header,
 *	  the version differences, and the settings.
 *
 * Nothing here knows a source, a format, a step or a sink.  A file includes
 * this header first, then the headers of the modules it calls; the order in
 * which modules may depend on each other is drawn in src/README.md.
 */
#ifndef DYNPIPE_H
#define DYNPIPE_H

#include "postgres.h"

#include "util/compat.h"

#define DP_VERSION "0.1.0"

/* Settings, defined in dynpipe.c; units as in docs/sql-reference.md. */
extern int	dp_max_workers;			/* processes, cluster-wide */
extern int	dp_max_shards;			/* slots in shared memory */
extern int	dp_worker_memory;		/* kB, per worker */
extern int	dp_retry_initial;		/* ms, first wait after a failure */
extern int	dp_retry_max;			/* ms, longest wait after failures */
extern int	dp_batch_timeout;		/* ms, longest transaction of a worker; 0: no limit */
extern int	dp_check_interval;		/* ms, how often a supervisor looks without being told */
extern char *dp_file_root;			/* files of file:// lie below it; "": anywhere */
extern char *dp_allowed_hosts;	/* see store/http_guard.h */
extern char *dp_ssl_ca_file;	/* authorities that https trusts; "": the system's */
extern bool dp_preloaded;			/* loaded by shared_preload_libraries? */

#endif							/* DYNPIPE_H */
