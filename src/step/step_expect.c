/*
 * step_expect.c
 *	  expect: named checks, each with what happens to a record that fails it.
 *
 * The first check that fails gives the verdict, its number in the plan's
 * rules.  Checks that only warn set a bit instead, and are asked for records
 * that load.
 */
#include "dynpipe.h"

#include "step/step.h"

static void render(const DpPlan *plan, DpStepSql *sql);

const DpStepOps dp_step_expect_ops = {.name = "expect",.render = render};

static void
render(const DpPlan *plan, DpStepSql *sql)
{
	for (int i = 0; i < plan->nrules; i++)
	{
		const DpRule *rule = &plan->rules[i];

		if (rule->action == DP_ACTION_WARN)
			dp_sql_append(&sql->warned, "%sCASE WHEN %E THEN 0::int8 ELSE %ld::int8 END",
						  sql->warned.len > 0 ? " | " : "", rule->check, INT64CONST(1) << i);
		else
			dp_sql_append(&sql->verdict, "\n\tWHEN %s%E IS NOT TRUE THEN %d",
						  plan->upsert ? "NOT _delete AND " : "", rule->check, i + 1);
	}
}
