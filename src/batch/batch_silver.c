/*
 * batch_silver.c
 *	  A range of decoded records into the silver table, and on into gold.
 *
 *	  values ──────────────(nothing to transform)──────────────┐
 *	    └─> dynpipe_batch ─transform─> verdicts, dynpipe_rows ─┤
 *	                                                           ├─> append: multi-insert or INSERT
 *	                                                           └─> upsert: batch_upsert.c
 *	  rows as stored ─> dynpipe_new, dynpipe_old ─> batch_gold.c
 *
 * Everything here runs as the pipeline's owner.  A range may run again after
 * a failure (see batch.c), so fates are written for the whole range each time
 * and nothing but the owner's tables is touched.
 */
#include "dynpipe.h"

#include "access/table.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "batch/batch_silver.h"
#include "batch/tables.h"
#include "sink/append.h"
#include "util/as_owner.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

/* Receives what transform_sql gives: a verdict and a row per record. */
typedef struct VerdictReceiver
{
	DestReceiver pub;
	DpBatch    *batch;
	Tuplestorestate *rows;
	uint64		kept;
} VerdictReceiver;

static bool has_work(const DpBatch *batch, int lo, int hi);
static bool skipped(const DpBatch *batch, int i);
static void write_rows(DpBatch *batch, Relation silver, int lo, int hi);
static void transform(DpBatch *batch, int lo, int hi);
static void fill_batch_relation(DpBatch *batch, int lo, int hi);
static bool receive_verdict(TupleTableSlot *slot, DestReceiver *self);
static void apply_verdict(DpBatch *batch, int i, int verdict);
static void reject_by_rule(DpBatch *batch, int i, const DpRule *rule);
static void append_rows(DpBatch *batch, Relation silver, int lo, int hi);
static void append_by_statement(DpBatch *batch, int lo, int hi);
static bool may_append(const DpBatch *batch, Relation silver, const char **names);
static void append_values(DpBatch *batch, DpAppend *append, int lo, int hi);
static void append_relation(DpBatch *batch, DpAppend *append);
static void startup(DestReceiver *self, int operation, TupleDesc desc);
static void nothing(DestReceiver *self);

void
dp_batch_silver(DpBatch *batch, int lo, int hi)
{
	const DpPlan *plan = batch->plan;
	DpRole		role;
	Relation	silver;

	if (!plan->spec->silver || !has_work(batch, lo, hi))
		return;
	dp_role_become_owner(&role, plan->owner);
	PushActiveSnapshot(GetTransactionSnapshot());
	silver = dp_table_open(&plan->spec->silver_table, RowExclusiveLock);
	dp_exec_begin(batch->exec, silver);
	for (int i = lo; i < hi; i++)
		if (!skipped(batch, i))
			batch->fate[i] = DP_FATE_LOADED;
	write_rows(batch, silver, lo, hi);
	dp_exec_end(batch->exec);
	table_close(silver, NoLock);
	PopActiveSnapshot();
	dp_role_restore(&role);
	CommandCounterIncrement();
}

/*
 * The rows of a range when nothing had to be transformed: the silver columns,
 * then _partition, _offset, _n, _delete.
 */
void
dp_batch_fill_rows(DpBatch *batch, int lo, int hi)
{
	const DpPlan *plan = batch->plan;
	Tuplestorestate *rows = dp_exec_relation(batch->exec, DP_ROWS);
	int			n = plan->nsilver;
	Datum	   *values = palloc(sizeof(Datum) * (n + DP_ROWS_META));
	bool	   *isnull = palloc0(sizeof(bool) * (n + DP_ROWS_META));

	for (int i = lo; i < hi; i++)
	{
		const DpRecord *rec = &batch->records.rec[i];
		size_t		base = (size_t) i * plan->nfields;

		if (skipped(batch, i))
			continue;
		memcpy(values, &batch->values[base], sizeof(Datum) * n);
		memcpy(isnull, &batch->isnull[base], sizeof(bool) * n);
		values[n] = Int32GetDatum(rec->partition);
		values[n + 1] = Int64GetDatum(rec->offset);
		values[n + 2] = Int32GetDatum(i);
		values[n + 3] = BoolGetDatum(rec->value_len < 0);
		tuplestore_putvalues(rows, plan->rows_desc, values, isnull);
	}
	dp_exec_set_rows(batch->exec, DP_ROWS, hi - lo);
}

static bool
has_work(const DpBatch *batch, int lo, int hi)
{
	for (int i = lo; i < hi; i++)
		if (!skipped(batch, i))
			return true;
	return false;
}

/* Rejected before silver, or by a rule in an earlier run of this range. */
static bool
skipped(const DpBatch *batch, int i)
{
	return batch->fate[i] == DP_FATE_QUARANTINED;
}

static void
write_rows(DpBatch *batch, Relation silver, int lo, int hi)
{
	const DpPlan *plan = batch->plan;

	if (plan->transform_sql)
		transform(batch, lo, hi);
	else if (plan->upsert)
		dp_batch_fill_rows(batch, lo, hi);

	if (plan->upsert)
		dp_batch_upsert(batch, lo, hi);
	else
		append_rows(batch, silver, lo, hi);
	if (plan->ngold > 0 && !batch->replay)
		dp_batch_gold(batch);
}

/* Run the owner's expressions over the range; dynpipe_rows gets what is kept. */
static void
transform(DpBatch *batch, int lo, int hi)
{
	VerdictReceiver receiver = {
		.pub = {
			.receiveSlot = receive_verdict,
			.rStartup = startup,
			.rShutdown = nothing,
			.rDestroy = nothing,
			.mydest = DestTuplestore
		},
		.batch = batch,
		.rows = dp_exec_relation(batch->exec, DP_ROWS)
	};

	fill_batch_relation(batch, lo, hi);
	dp_exec_run(batch->exec, batch->plan->transform_sql, &receiver.pub);
	dp_exec_set_rows(batch->exec, DP_ROWS, receiver.kept);
}

/* dynpipe_batch: the fields, then _partition _offset _timestamp _key _n _tombstone. */
static void
fill_batch_relation(DpBatch *batch, int lo, int hi)
{
	const DpPlan *plan = batch->plan;
	Tuplestorestate *store = dp_exec_relation(batch->exec, DP_BATCH);
	int			n = plan->nfields;
	Datum	   *values = palloc(sizeof(Datum) * (n + DP_BATCH_META));
	bool	   *isnull = palloc0(sizeof(bool) * (n + DP_BATCH_META));

	for (int i = lo; i < hi; i++)
	{
		const DpRecord *rec = &batch->records.rec[i];
		size_t		base = (size_t) i * n;

		if (skipped(batch, i))
			continue;
		memcpy(values, &batch->values[base], sizeof(Datum) * n);
		memcpy(isnull, &batch->isnull[base], sizeof(bool) * n);
		values[n] = Int32GetDatum(rec->partition);
		values[n + 1] = Int64GetDatum(rec->offset);
		values[n + 2] = dp_table_timestamp(rec->timestamp_ms, &isnull[n + 2]);
		values[n + 3] = dp_table_bytea(rec->key, rec->key_len, &isnull[n + 3]);
		values[n + 4] = Int32GetDatum(i);
		values[n + 5] = BoolGetDatum(rec->value_len < 0);
		tuplestore_putvalues(store, plan->batch_desc, values, isnull);
	}
	dp_exec_set_rows(batch->exec, DP_BATCH, hi - lo);
}

/* One record's result: silver columns, _partition, _offset, _n, _delete, _verdict, _warned. */
static bool
receive_verdict(TupleTableSlot *slot, DestReceiver *self)
{
	VerdictReceiver *receiver = (VerdictReceiver *) self;
	DpBatch    *batch = receiver->batch;
	int			n = batch->plan->nsilver;
	int			i;
	int			verdict;

	slot_getallattrs(slot);
	i = DatumGetInt32(slot->tts_values[n + 2]);
	verdict = DatumGetInt32(slot->tts_values[n + 4]);
	batch->warned[i] = !slot->tts_isnull[n + 5] && DatumGetInt64(slot->tts_values[n + 5]) != 0;
	if (verdict != 0)
		apply_verdict(batch, i, verdict);
	else
	{
		tuplestore_putvalues(receiver->rows, batch->plan->rows_desc,
							 slot->tts_values, slot->tts_isnull);
		receiver->kept++;
	}
	return true;
}

static void
apply_verdict(DpBatch *batch, int i, int verdict)
{
	if (verdict == DP_VERDICT_DROPPED)
		batch->fate[i] = DP_FATE_DROPPED;
	else if (verdict == DP_VERDICT_NULL_KEY)
		dp_batch_reject(batch, i, &(DpReject) {
			.stage = "key", .sqlerrcode = ERRCODE_NOT_NULL_VIOLATION,
			.message = "a key column is null"
		}, NULL);
	else if (verdict == DP_VERDICT_NULL_SEQUENCE)
		dp_batch_reject(batch, i, &(DpReject) {
			.stage = "key", .sqlerrcode = ERRCODE_NOT_NULL_VIOLATION,
			.message = "a sequence_by column is null"
		}, NULL);
	else
		reject_by_rule(batch, i, &batch->plan->rules[verdict - 1]);
}

/* Drop, quarantine, or fail the whole batch, as the rule says. */
static void
reject_by_rule(DpBatch *batch, int i, const DpRule *rule)
{
	const DpRecord *rec = &batch->records.rec[i];

	if (rule->action == DP_ACTION_DROP)
		batch->fate[i] = DP_FATE_DROPPED;
	else if (rule->action == DP_ACTION_QUARANTINE)
		dp_batch_reject(batch, i, &(DpReject) {
			.stage = "expect", .sqlerrcode = ERRCODE_CHECK_VIOLATION,
			.message = psprintf("expectation \"%s\" is not met: %s", rule->name, rule->check)
		}, rule->name);
	else
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("expectation \"%s\" of pipeline \"%s\" failed for partition %d offset "
						INT64_FORMAT, rule->name, batch->plan->spec->name,
						rec->partition, rec->offset),
				 errdetail("The rule is: %s", rule->check),
				 errhint("Nothing of the batch was written. Change the rule or its "
						 "\"otherwise\" with dynpipe.apply; the pipeline goes on by itself.")));
}

/* Append-only silver: straight from memory when the table allows it. */
static void
append_rows(DpBatch *batch, Relation silver, int lo, int hi)
{
	const DpPlan *plan = batch->plan;
	const char **names = palloc(sizeof(char *) * (plan->nsilver + 2));
	DpAppend   *append;

	if (!may_append(batch, silver, names))
	{
		if (plan->transform_sql == NULL)
			dp_batch_fill_rows(batch, lo, hi);
		append_by_statement(batch, lo, hi);
		return;
	}
	append = dp_append_begin(silver, names, plan->nsilver + 2);
	if (plan->ngold > 0)
		dp_append_copy_to(append, dp_exec_relation(batch->exec, DP_NEW));
	if (plan->transform_sql)
		append_relation(batch, append);
	else
		append_values(batch, append, lo, hi);
	batch->inserted += dp_append_end(append);
	dp_exec_set_rows(batch->exec, DP_NEW, hi - lo);
	CommandCounterIncrement();
}

/* INSERT ... SELECT, which obeys triggers, policies, partitions and all else. */
static void
append_by_statement(DpBatch *batch, int lo, int hi)
{
	uint64		written = dp_exec_run_into(batch->exec, batch->plan->append_sql, DP_NEW, NULL);
	uint64		expected = 0;

	for (int i = lo; i < hi; i++)
		expected += batch->fate[i] == DP_FATE_LOADED;
	if (written != expected)
		ereport(ERROR,
				(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
				 errmsg("a trigger of table \"%s.%s\" suppressed the row",
						batch->plan->spec->silver_table.schema,
						batch->plan->spec->silver_table.table)));
	batch->inserted += written;
}

/* Fills NAMES with the columns written: the plan's, then _partition, _offset. */
static bool
may_append(const DpBatch *batch, Relation silver, const char **names)
{
	const DpPlan *plan = batch->plan;
	Oid		   *types = palloc(sizeof(Oid) * (plan->nsilver + 2));
	int32	   *typmods = palloc(sizeof(int32) * (plan->nsilver + 2));
	int			n = plan->nsilver;

	for (int i = 0; i < n; i++)
	{
		names[i] = plan->silver[i].name;
		types[i] = plan->silver[i].type;
		typmods[i] = plan->silver[i].typmod;
	}
	names[n] = "_partition";
	types[n] = INT4OID;
	typmods[n] = -1;
	names[n + 1] = "_offset";
	types[n + 1] = INT8OID;
	typmods[n + 1] = -1;
	return dp_append_refusal(silver, names, types, typmods, n + 2) == NULL;
}

static void
append_values(DpBatch *batch, DpAppend *append, int lo, int hi)
{
	int			n = batch->plan->nsilver;
	Datum	   *values = palloc(sizeof(Datum) * (n + 2));
	bool	   *isnull = palloc0(sizeof(bool) * (n + 2));

	for (int i = lo; i < hi; i++)
	{
		size_t		base = (size_t) i * batch->plan->nfields;

		if (skipped(batch, i))
			continue;
		memcpy(values, &batch->values[base], sizeof(Datum) * n);
		memcpy(isnull, &batch->isnull[base], sizeof(bool) * n);
		values[n] = Int32GetDatum(batch->records.rec[i].partition);
		values[n + 1] = Int64GetDatum(batch->records.rec[i].offset);
		dp_append_row(append, values, isnull);
	}
}

/* From dynpipe_rows, whose first columns are just those that are written. */
static void
append_relation(DpBatch *batch, DpAppend *append)
{
	Tuplestorestate *rows = dp_exec_relation(batch->exec, DP_ROWS);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(batch->plan->rows_desc,
													&TTSOpsMinimalTuple);

	tuplestore_rescan(rows);
	while (tuplestore_gettupleslot(rows, true, true, slot))
	{
		slot_getallattrs(slot);
		dp_append_row(append, slot->tts_values, slot->tts_isnull);
		/* the appender keeps references: leave the copied tuple to the batch's memory */
		slot->tts_flags &= ~TTS_FLAG_SHOULDFREE;
		ExecClearTuple(slot);
	}
	ExecDropSingleTupleTableSlot(slot);
}

static void
startup(DestReceiver *self, int operation, TupleDesc desc)
{
	dp_exec_check_result(((VerdictReceiver *) self)->batch->plan->rows_desc, desc);
}

static void
nothing(DestReceiver *self)
{
}
