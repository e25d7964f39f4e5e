/*
 * batch_upsert.c
 *	  Newest record per key wins: dynpipe_rows into a silver table with a key.
 *
 *	  rows ─found_sql─> found (stored rows of these keys, locked in key order)
 *	       ─winners_sql─> winners (newest per key, if newer than stored)
 *	       ─old_sql─> old ─upsert_sql─> new   ─delete_sql─> gone
 *	       ─tombstone_sql─> deleted keys remembered with their sequence
 *
 * Workers of one pipeline take turns from here to their commit: a key may
 * arrive in two partitions, and whether an insert or a delete of it is newer
 * can only be told when the other one is visible.  Somebody else who writes
 * the table may still bring a key in between; the INSERT then updates a row
 * that found_sql did not see, the counts give that away and the batch is run
 * again (40001).
 */
#include "dynpipe.h"

#include "executor/executor.h"
#include "batch/batch_silver.h"

static uint64 mark_winners(DpBatch *batch, int lo, int hi);
static void check_counts(const DpBatch *batch, uint64 touched, uint64 found);
static void raise_suppressed(const DpBatch *batch);

void
dp_batch_upsert(DpBatch *batch, int lo, int hi)
{
	const DpPlan *plan = batch->plan;
	DpExec	   *exec = batch->exec;
	uint64		replaced;
	uint64		written;
	uint64		inserted;
	uint64		deleted = 0;
	uint64		winners;
	uint64		kept;

	if (plan->spec->workers > 1)
		dp_catalog_lock_turn(plan->pipeline_id, DP_TURN_UPSERT);
	dp_exec_run_into(exec, plan->found_sql, DP_FOUND, NULL);
	winners = dp_exec_run_into(exec, plan->winners_sql, DP_WINNERS, NULL);
	kept = mark_winners(batch, lo, hi);
	if (winners == 0)
		return;
	replaced = dp_exec_run_into(exec, plan->old_sql, DP_OLD, NULL);
	written = dp_exec_run_into(exec, plan->upsert_sql, DP_NEW, &inserted);
	if (plan->delete_sql)
		deleted = dp_exec_run(exec, plan->delete_sql, NULL);
	if (plan->tombstone_sql)
		dp_exec_run(exec, plan->tombstone_sql, NULL);

	check_counts(batch, written - inserted + deleted, replaced);
	if (written < kept)
		raise_suppressed(batch);
	batch->inserted += inserted;
	batch->updated += written - inserted;
	batch->deleted += deleted;
}

/*
 * Every record that reached dynpipe_rows and did not win is deduplicated.
 * Returns the winners that are no deletes: so many rows must be written.
 */
static uint64
mark_winners(DpBatch *batch, int lo, int hi)
{
	int			n_column = batch->plan->nsilver + 3;	/* 1-based: after _partition, _offset */
	Tuplestorestate *winners = dp_exec_relation(batch->exec, DP_WINNERS);
	TupleTableSlot *slot = MakeSingleTupleTableSlot(batch->plan->rows_desc,
													&TTSOpsMinimalTuple);
	uint64		kept = 0;
	bool		isnull;

	for (int i = lo; i < hi; i++)
		if (batch->fate[i] == DP_FATE_LOADED)
			batch->fate[i] = DP_FATE_DEDUPLICATED;
	tuplestore_rescan(winners);
	while (tuplestore_gettupleslot(winners, true, false, slot))
	{
		batch->fate[DatumGetInt32(slot_getattr(slot, n_column, &isnull))] = DP_FATE_LOADED;
		kept += !DatumGetBool(slot_getattr(slot, n_column + 1, &isnull));
	}
	ExecDropSingleTupleTableSlot(slot);
	return kept;
}

/*
 * Rows updated or deleted must be the rows found before.  More: somebody else
 * inserted one of the keys in between.  Fewer: a trigger kept one from being
 * written; the class of this error has the record isolated and quarantined.
 */
static void
check_counts(const DpBatch *batch, uint64 touched, uint64 found)
{
	const DpTableName *table = &batch->plan->spec->silver_table;

	if (touched > found)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("another transaction wrote the same keys of table \"%s.%s\"",
						table->schema, table->table),
				 errhint("The batch is discarded and tried again.")));
	if (touched < found)
		raise_suppressed(batch);
}

static void
raise_suppressed(const DpBatch *batch)
{
	const DpTableName *table = &batch->plan->spec->silver_table;

	ereport(ERROR,
			(errcode(ERRCODE_TRIGGERED_DATA_CHANGE_VIOLATION),
			 errmsg("a trigger of table \"%s.%s\" suppressed the row",
					table->schema, table->table)));
}
