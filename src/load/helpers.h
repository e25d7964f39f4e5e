/*
 * helpers.h
 *	  The records of one file decoded by several processes.
 *
 * The leader splits the text into batches and hands them to helpers, which
 * send back values; the leader writes them, in order, in its transaction, so
 * nothing about a load changes but its speed.  Helpers run no code of a
 * user's and touch no table.  Wherever they cannot be had, or one ends, the
 * leader decodes itself.
 */
#ifndef DP_HELPERS_H
#define DP_HELPERS_H

#include "load/load.h"
#include "load/reader.h"

typedef struct DpHelpers DpHelpers;

/*
 * Up to N helpers for FILE; in the current memory context, whose reset ends
 * them.  NULL when there can be none: types with code of users', no free slot
 * in max_worker_processes.
 */
extern DpHelpers *dp_helpers_start(DpLoader *loader, const DpFileRow *file, const char *layout,
								   int n);

/*
 * The next batch of READER, in order, decoded as far as there were helpers:
 * BATCH is begun and has its records.  False at the end of the file.
 */
extern bool dp_helpers_next(DpHelpers *helpers, DpReader *reader, DpBatch *batch);

extern void dp_helpers_stop(DpHelpers *helpers);

#endif							/* DP_HELPERS_H */
