/*
 * errctx.c
 *	  Where in the stream an error happened: see errctx.h.
 *
 * The context names the first and the last record of the batch; what is
 * rejected record by record carries its own position in the quarantine.
 */
#include "dynpipe.h"

#include "util/errctx.h"

static void
describe(void *arg)
{
	DpErrCtx   *ctx = arg;
	const DpRecord *first;
	const DpRecord *last;

	if (ctx->records->n == 0)
	{
		errcontext("pipeline \"%s\"", ctx->pipeline);
		return;
	}
	first = &ctx->records->rec[0];
	last = &ctx->records->rec[ctx->records->n - 1];
	errcontext("pipeline \"%s\", batch of %d records, partition %d offset " INT64_FORMAT
			   " to partition %d offset " INT64_FORMAT,
			   ctx->pipeline, ctx->records->n, first->partition, first->offset,
			   last->partition, last->offset);
}

void
dp_errctx_push_batch(DpErrCtx *ctx, const char *pipeline, const DpRecords *records)
{
	ctx->pipeline = pipeline;
	ctx->records = records;
	ctx->callback.callback = describe;
	ctx->callback.arg = ctx;
	ctx->callback.previous = error_context_stack;
	error_context_stack = &ctx->callback;
}

void
dp_errctx_pop(DpErrCtx *ctx)
{
	error_context_stack = ctx->callback.previous;
}
