/*
 * batch_silver.h
 *	  Private to the silver stage: batch_silver.c and batch_upsert.c.
 */
#ifndef DP_BATCH_SILVER_H
#define DP_BATCH_SILVER_H

#include "batch/batch.h"

/* dynpipe_rows from the decoded values of a range, without transform. */
extern void dp_batch_fill_rows(DpBatch *batch, int lo, int hi);

/* dynpipe_rows into the silver table by key; fills dynpipe_new and dynpipe_old. */
extern void dp_batch_upsert(DpBatch *batch, int lo, int hi);

#endif							/* DP_BATCH_SILVER_H */
