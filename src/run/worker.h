/*
 * worker.h
 *	  A process that runs the shards it is given.
 */
#ifndef DP_WORKER_H
#define DP_WORKER_H

#include "dynpipe.h"

extern PGDLLEXPORT void dynpipe_worker_main(Datum arg);

#endif							/* DP_WORKER_H */
