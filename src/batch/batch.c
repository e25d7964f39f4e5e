/*
 * batch.c
 *	  One batch from records to the new position: order of the stages, and
 *	  isolation of the records that break them.
 *
 *	  decode ─> bronze ─> silver + gold ─> quarantine ─> ledger, checkpoint
 *	            └── one subtransaction ──┘
 *	     when it fails on data: bronze alone, then silver alone, each halved
 *	     until the offender stands alone and is quarantined
 *
 * Memory: all of a batch lives in batch->cxt, reset by dp_batch_begin.
 */
#include "dynpipe.h"

#include "access/xact.h"
#include "miscadmin.h"
#include "batch/batch.h"
#include "batch/tables.h"
#include "util/errctx.h"
#include "util/guard.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* A stage over a range, to be tried. */
typedef struct StageRun
{
	DpBatch    *batch;
	DpStage		stage;
	int			lo;
	int			hi;
} StageRun;

static bool running = false;

static void run_stages(void *arg);
static void write_tables(DpBatch *batch, int lo, int hi);
static void isolate(DpBatch *batch, DpStage stage, const char *name, int lo, int hi);
static ErrorData *attempt(DpBatch *batch, DpStage stage, int lo, int hi);
static void run_stage(void *arg);
static void allocate(DpBatch *batch);

void
dp_batch_begin(DpBatch *batch, const DpPlan *plan, DpExec *exec, DpFormat *format,
			   MemoryContext cxt)
{
	MemoryContextReset(cxt);
	memset(batch, 0, sizeof(*batch));
	batch->cxt = cxt;
	batch->plan = plan;
	batch->exec = exec;
	batch->format = format;
}

void
dp_batch_run(DpBatch *batch, int64 (*position) (int32, void *), void *arg)
{
	MemoryContext old = MemoryContextSwitchTo(batch->cxt);
	DpErrCtx	ctx;

	dp_errctx_push_batch(&ctx, batch->plan->spec->name, &batch->records);
	allocate(batch);
	dp_table_check_at_once();
	batch->id = dp_catalog_next_batch();
	dp_batch_guard(run_stages, batch);
	dp_batch_quarantine(batch);
	dp_batch_ledger(batch, position, arg);
	dp_catalog_advance(batch->plan->pipeline_id, batch->plan->version, batch->id,
					   batch->ledger, batch->nledger);
	dp_errctx_pop(&ctx);
	MemoryContextSwitchTo(old);
}

bool
dp_batch_is_running(void)
{
	return running;
}

void
dp_batch_reject(DpBatch *batch, int i, const DpReject *reason, const char *rule)
{
	MemoryContext old = MemoryContextSwitchTo(batch->cxt);
	DpRejected *rejected = palloc0(sizeof(DpRejected));

	rejected->reason = *reason;
	rejected->reason.message = pstrdup(reason->message ? reason->message : "");
	rejected->reason.column = reason->column ? pstrdup(reason->column) : NULL;
	rejected->rule = rule;
	batch->rejected[i] = rejected;
	batch->fate[i] = DP_FATE_QUARANTINED;
	MemoryContextSwitchTo(old);
}

/*
 * Classes that describe a value, a constraint or the user's own code.  All
 * others (locks, resources, privileges, missing objects, shutdown) concern the
 * whole batch and are the worker's business.
 */
bool
dp_batch_is_data_error(int sqlerrcode)
{
	static const char *const classes[] = {
		"20", "21", "22", "23", "27", "2F", "38", "39", "44", "54", "P0"
	};
	const char *state = unpack_sql_state(sqlerrcode);

	for (int i = 0; i < lengthof(classes); i++)
		if (strncmp(state, classes[i], 2) == 0)
			return true;
	return sqlerrcode == ERRCODE_FEATURE_NOT_SUPPORTED;
}

void
dp_batch_guard(void (*fn) (void *arg), void *arg)
{
	bool		was_running = running;

	running = true;
	PG_TRY();
	{
		fn(arg);
	}
	PG_FINALLY();
	{
		running = was_running;
	}
	PG_END_TRY();
}

/* All that executes users' code. */
static void
run_stages(void *arg)
{
	DpBatch    *batch = arg;
	int			n = batch->records.n;
	ErrorData  *error;

	dp_batch_decode(batch);
	error = attempt(batch, write_tables, 0, n);
	if (error != NULL)
	{
		isolate(batch, dp_batch_bronze, "bronze", 0, n);
		isolate(batch, dp_batch_silver, "silver", 0, n);
	}
}

/* The stages that write users' tables. */
static void
write_tables(DpBatch *batch, int lo, int hi)
{
	dp_batch_bronze(batch, lo, hi);
	dp_batch_silver(batch, lo, hi);
}

/*
 * Run STAGE over a range; on an error about data, over its halves, in order,
 * down to the record at fault, which is quarantined.
 */
static void
isolate(DpBatch *batch, DpStage stage, const char *name, int lo, int hi)
{
	ErrorData  *error;
	int			mid = lo + (hi - lo) / 2;

	CHECK_FOR_INTERRUPTS();
	error = attempt(batch, stage, lo, hi);
	if (error == NULL)
		return;
	if (hi - lo > 1)
	{
		FreeErrorData(error);
		isolate(batch, stage, name, lo, mid);
		isolate(batch, stage, name, mid, hi);
		return;
	}
	if (stage == dp_batch_bronze)
		batch->no_bronze[lo] = true;
	dp_batch_reject(batch, lo,
					&(DpReject) {
						.stage = name,
						.column = error->column_name,
						.sqlerrcode = error->sqlerrcode,
						.message = error->detail ?
						psprintf("%s (%s)", error->message, error->detail) : error->message
					}, error->constraint_name ? pstrdup(error->constraint_name) : NULL);
	FreeErrorData(error);
}

/*
 * Run STAGE in a subtransaction.  NULL when it succeeded; the error when it
 * failed on data, after rolling back; any other error leaves.
 */
static ErrorData *
attempt(DpBatch *batch, DpStage stage, int lo, int hi)
{
	StageRun	run = {batch, stage, lo, hi};
	int64		inserted = batch->inserted;
	int64		updated = batch->updated;
	int64		deleted = batch->deleted;
	ErrorData  *error = dp_guard_run(run_stage, &run, true);

	if (error == NULL)
		return NULL;
	if (!dp_batch_is_data_error(error->sqlerrcode))
		ReThrowError(error);
	batch->inserted = inserted;
	batch->updated = updated;
	batch->deleted = deleted;
	return error;
}

static void
run_stage(void *arg)
{
	StageRun   *run = arg;

	run->stage(run->batch, run->lo, run->hi);
}

static void
allocate(DpBatch *batch)
{
	int			n = Max(batch->records.n, 1);
	int			width = Max(batch->plan->nfields, 1);

	if (batch->take == NULL)
	{
		batch->values = MemoryContextAllocHuge(batch->cxt, sizeof(Datum) * n * width);
		batch->isnull = MemoryContextAllocHuge(batch->cxt, sizeof(bool) * n * width);
	}
	batch->fate = palloc0(n);
	batch->warned = palloc0(sizeof(bool) * n);
	batch->no_bronze = palloc0(sizeof(bool) * n);
	batch->rejected = palloc0(sizeof(DpRejected *) * n);
}
