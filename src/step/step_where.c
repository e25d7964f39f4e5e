/*
 * step_where.c
 *	  where: records that are not wanted are dropped and counted.  A condition
 *	  that is null is not true, so it drops.
 */
#include "dynpipe.h"

#include "step/step.h"

static void render(const DpPlan *plan, DpStepSql *sql);

const DpStepOps dp_step_where_ops = {.name = "where",.render = render};

static void
render(const DpPlan *plan, DpStepSql *sql)
{
	if (plan->spec->where)
		dp_sql_append(&sql->verdict, "\n\tWHEN %s%E IS NOT TRUE THEN %d",
					  plan->upsert ? "NOT _delete AND " : "", plan->spec->where,
					  DP_VERDICT_DROPPED);
}
