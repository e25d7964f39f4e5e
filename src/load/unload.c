/*
 * unload.c
 *	  The effect of a file out of every layer, in the caller's transaction.
 *
 *	  silver append   its rows are deleted, gold takes them back as it takes
 *	                  back the old rows of an upsert; bronze, quarantine and
 *	                  ledger forget it
 *	  silver by key   rows of other files that it had replaced must come back:
 *	                  silver is made anew from bronze without it (rebuild.c)
 */
#include "dynpipe.h"

#include "access/table.h"
#include "access/xact.h"
#include "batch/tables.h"
#include "load/load.h"
#include "load/rebuild.h"
#include "output/output.h"
#include "util/as_owner.h"
#include "util/sqlbuf.h"
#include "utils/snapmgr.h"

typedef struct Removal
{
	DpLoader   *loader;
	int32		id;
} Removal;

static void delete_rows(void *arg);
static void delete_silver(DpLoader *loader, int32 id);
static void delete_bronze(const DpPlan *plan, int32 id);

void
dp_unload(DpLoader *loader, const DpFileRow *file, DpFileState state, bool current)
{
	const DpPlan *plan = loader->plan;
	Removal		removal = {loader, file->id};

	dp_table_check_at_once();
	if (file->state == DP_FILE_LOADED)
	{
		dp_batch_guard(delete_rows, &removal);
		dp_file_forget(plan->pipeline_id, file->id);
		dp_output_remove(plan, file->id);
	}
	dp_file_set_state(file->id, state, current);
	CommandCounterIncrement();
	loader->rebuild_due |= file->state == DP_FILE_LOADED && plan->upsert;
}

void
dp_unload_done(DpLoader *loader)
{
	if (loader->rebuild_due)
		dp_rebuild(loader);
	loader->rebuild_due = false;
}

/* As the owner, whose triggers may run. */
static void
delete_rows(void *arg)
{
	const Removal *removal = arg;
	const DpPlan *plan = removal->loader->plan;
	DpRole		role;

	dp_role_become_owner(&role, plan->owner);
	PushActiveSnapshot(GetTransactionSnapshot());
	if (plan->spec->silver && !plan->upsert)
		delete_silver(removal->loader, removal->id);
	if (plan->spec->bronze)
		delete_bronze(plan, removal->id);
	PopActiveSnapshot();
	dp_role_restore(&role);
}

void
dp_unload_older(DpLoader *loader, const DpFileRow *file)
{
	ListCell   *lc;

	foreach(lc, dp_file_find(loader->plan->pipeline_id, file->url, 0))
	{
		DpFileRow  *older = lfirst(lc);

		if (older->id != file->id && older->state == DP_FILE_LOADED)
			dp_unload(loader, older, DP_FILE_REPLACED, false);
	}
	dp_unload_done(loader);
}

/* Gold sees the rows as dynpipe_old, and no new ones. */
static void
delete_silver(DpLoader *loader, int32 id)
{
	const DpPlan *plan = loader->plan;
	Relation	silver = dp_table_open(&plan->spec->silver_table, RowExclusiveLock);
	MemoryContext old = CurrentMemoryContext;
	uint64		n;

	dp_exec_begin(loader->exec, silver);
	n = dp_exec_run_once_into(loader->exec, dp_sql("DELETE FROM %T WHERE _partition = %d RETURNING *",
												   &plan->spec->silver_table, id), DP_OLD);
	if (n > 0 && plan->ngold > 0)
		dp_batch_gold(&(DpBatch) {.plan = plan, .exec = loader->exec});
	/* SPI's, in which its statements leave us, goes with its end */
	MemoryContextSwitchTo(old);
	dp_exec_end(loader->exec);
	table_close(silver, NoLock);
}

static void
delete_bronze(const DpPlan *plan, int32 id)
{
	SPI_connect();
	if (SPI_execute(dp_sql("DELETE FROM %T WHERE _partition = %d", &plan->spec->bronze_table, id),
					false, 0) < 0)
		elog(ERROR, "cannot delete from bronze");
	SPI_finish();
}
