/*
 * step_delete.c
 *	  delete_when: records that delete their key instead of storing a row.
 *	  Tombstones always do.
 */
#include "dynpipe.h"

#include "step/step.h"

static void render(const DpPlan *plan, DpStepSql *sql);

const DpStepOps dp_step_delete_ops = {.name = "delete",.render = render};

static void
render(const DpPlan *plan, DpStepSql *sql)
{
	if (!plan->upsert)
		return;
	dp_sql_append(&sql->is_delete, "_tombstone");
	if (plan->spec->delete_when)
		dp_sql_append(&sql->is_delete, " OR %E IS TRUE", plan->spec->delete_when);
}
