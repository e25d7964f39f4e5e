/*
 * supervisor.h
 *	  One process per database that streams: decides which shards exist there
 *	  and which worker serves them.
 */
#ifndef DP_SUPERVISOR_H
#define DP_SUPERVISOR_H

#include "dynpipe.h"

extern PGDLLEXPORT void dynpipe_supervisor_main(Datum arg);

#endif							/* DP_SUPERVISOR_H */
