/*
 * errctx.h
 *	  The CONTEXT line of every error that happens inside a batch: pipeline,
 *	  partitions and offsets.  Pushed and popped around the work; an ERROR
 *	  unwinds it by itself.
 */
#ifndef DP_ERRCTX_H
#define DP_ERRCTX_H

#include "source/record.h"

typedef struct DpErrCtx
{
	ErrorContextCallback callback;
	const char *pipeline;
	const DpRecords *records;
} DpErrCtx;

extern void dp_errctx_push_batch(DpErrCtx *ctx, const char *pipeline, const DpRecords *records);
extern void dp_errctx_pop(DpErrCtx *ctx);

#endif							/* DP_ERRCTX_H */
