/*
 * launcher.h
 *	  The one static process: keeps a supervisor in each database that streams.
 */
#ifndef DP_LAUNCHER_H
#define DP_LAUNCHER_H

#include "dynpipe.h"

/* _PG_init, only when preloaded. */
extern void dp_launcher_register(void);

extern PGDLLEXPORT void dynpipe_launcher_main(Datum arg);

#endif							/* DP_LAUNCHER_H */
