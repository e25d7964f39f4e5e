/*
 * step_derive.c
 *	  derive: columns computed from the fields of the record.
 *
 * All expressions see the fields as decoded, none sees another's result.  A
 * tombstone has no payload, so only what identifies or orders it is computed
 * for it; the expressions of other columns need not cope with its nulls.
 */
#include "dynpipe.h"

#include "step/step.h"

static void render(const DpPlan *plan, DpStepSql *sql);
static bool needed_by_tombstone(const DpPlan *plan, const DpSilverColumn *column);

const DpStepOps dp_step_derive_ops = {.name = "derive",.render = render};

static void
render(const DpPlan *plan, DpStepSql *sql)
{
	for (int i = 0; i < plan->nsilver; i++)
	{
		const DpSilverColumn *column = &plan->silver[i];

		if (i > 0)
			dp_sql_append(&sql->derive, ", ");
		if (!column->expr)
		{
			dp_sql_append(&sql->derive, "%I", column->name);
			continue;
		}
		sql->derives = true;
		if (plan->upsert && !needed_by_tombstone(plan, column))
			dp_sql_append(&sql->derive, "CASE WHEN NOT _tombstone THEN %E END AS %I",
						  column->expr, column->name);
		else
			dp_sql_append(&sql->derive, "%E AS %I", column->expr, column->name);
	}
}

static bool
needed_by_tombstone(const DpPlan *plan, const DpSilverColumn *column)
{
	ListCell   *lc;

	foreach(lc, plan->spec->sequence_by)
		if (strcmp(lfirst(lc), column->name) == 0)
			return true;
	return column->is_key;
}
