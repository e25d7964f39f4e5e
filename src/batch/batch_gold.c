/*
 * batch_gold.c
 *	  Bring the gold tables up to date with what the batch did to silver, and
 *	  recompute one in full.
 *
 * The statements were worked out by gold.c when the plan was made; they read
 * dynpipe_new and dynpipe_old.  Statements that read silver itself need the
 * workers of a pipeline to take turns: the lock is taken before the
 * statement's snapshot, so the second worker sees what the first committed.
 */
#include "dynpipe.h"

#include "batch/batch.h"
#include "batch/gold_refresh.h"
#include "batch/tables.h"
#include "util/as_owner.h"
#include "util/sqlbuf.h"

void
dp_batch_gold(DpBatch *batch)
{
	const DpPlan *plan = batch->plan;

	for (int g = 0; g < plan->ngold; g++)
	{
		const DpGoldPlan *gold = &plan->gold[g];
		ListCell   *lc;

		if (gold->serialize)
			dp_catalog_lock_turn(plan->pipeline_id, g);
		foreach(lc, gold->apply_sql)
			dp_exec_run(batch->exec, lfirst(lc), NULL);
	}
}

void
dp_gold_refresh(const DpPlan *plan, int g)
{
	const DpGoldPlan *gold = &plan->gold[g];
	DpRole		role;

	dp_catalog_lock_turn(plan->pipeline_id, g);
	dp_table_check_at_once();
	dp_role_become_owner(&role, plan->owner);
	SPI_connect();
	if (SPI_execute(gold->clear_sql, false, 0) < 0 || SPI_execute(gold->fill_sql, false, 0) < 0)
		elog(ERROR, "cannot refresh gold table %s", gold->table.table);
	SPI_finish();
	dp_role_restore(&role);
	dp_catalog_set_refreshed(plan->pipeline_id, dp_sql("%T", &gold->table));
}

bool
dp_gold_refresh_due(const DpPlan *plan)
{
	bool		due = false;

	for (int g = 0; g < plan->ngold; g++)
	{
		int64		interval = plan->gold[g].spec->refresh_ms;

		if (interval > 0 &&
			TimestampDifferenceExceeds(dp_catalog_refreshed(plan->pipeline_id,
															dp_sql("%T", &plan->gold[g].table)),
									   GetCurrentTimestamp(), Min(interval, INT_MAX)))
		{
			dp_gold_refresh(plan, g);
			due = true;
		}
	}
	return due;
}
