/*
 * step_upsert.c
 *	  key and sequence_by: a record that is to be stored under a key must have
 *	  one, and a place in the order.  A tombstone has no payload to order it by:
 *	  it deletes what came before it.
 */
#include "dynpipe.h"

#include "step/step.h"

static void render(const DpPlan *plan, DpStepSql *sql);
static void append_null_test(StringInfo buf, const List *names);

const DpStepOps dp_step_upsert_ops = {.name = "upsert",.render = render};

static void
render(const DpPlan *plan, DpStepSql *sql)
{
	if (!plan->upsert)
		return;
	dp_sql_append(&sql->verdict, "\n\tWHEN ");
	append_null_test(&sql->verdict, plan->spec->key);
	dp_sql_append(&sql->verdict, " THEN %d", DP_VERDICT_NULL_KEY);
	if (!plan->spec->sequence_by)
		return;
	dp_sql_append(&sql->verdict, "\n\tWHEN NOT _tombstone AND (");
	append_null_test(&sql->verdict, plan->spec->sequence_by);
	dp_sql_append(&sql->verdict, ") THEN %d", DP_VERDICT_NULL_SEQUENCE);
}

static void
append_null_test(StringInfo buf, const List *names)
{
	ListCell   *lc;

	foreach(lc, names)
		dp_sql_append(buf, "%s%I IS NULL", foreach_current_index(lc) ? " OR " : "", lfirst(lc));
}
