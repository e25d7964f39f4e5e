/*
 * step.c
 *	  Puts the steps' fragments together: see step.h for the levels.
 */
#include "dynpipe.h"

#include "step/step.h"

static const DpStepOps *const steps[] = {
#define DP_STEP(name) &dp_step_##name##_ops,
#include "step/step_list.h"
#undef DP_STEP
};

static char *silver_columns(const DpPlan *plan);
static char *from_level(const char *columns, const char *more, const char *from);

#define META "_partition, _offset, _timestamp, _key, _n, _tombstone"

char *
dp_step_render(const DpPlan *plan)
{
	DpStepSql	sql = {0};
	char	   *columns = silver_columns(plan);
	const char *from = DP_REL_BATCH;
	const char *is_delete = "false AS _delete";
	char	   *verdict;

	initStringInfo(&sql.derive);
	initStringInfo(&sql.is_delete);
	initStringInfo(&sql.verdict);
	initStringInfo(&sql.warned);
	for (int i = 0; i < lengthof(steps); i++)
		steps[i]->render(plan, &sql);
	if (!plan->upsert && !sql.derives && sql.verdict.len == 0 && sql.warned.len == 0)
		return NULL;
	if (sql.derives)
		from = from_level(sql.derive.data, META, from);
	if (plan->upsert)
	{
		from = from_level(columns, dp_sql("%s, %s AS _delete", META, sql.is_delete.data), from);
		is_delete = "_delete";
	}
	verdict = sql.verdict.len > 0 ? dp_sql("CASE%s ELSE 0 END", sql.verdict.data) : "0";
	if (sql.warned.len == 0)
		return dp_sql("SELECT %s, _partition, _offset, _n, %s, %s AS _verdict, "
					  "0::int8 AS _warned\nFROM %s", columns, is_delete, verdict, from);
	from = from_level(columns, dp_sql("%s, %s, %s AS _verdict", META, is_delete, verdict), from);
	return dp_sql("SELECT %s, _partition, _offset, _n, _delete, _verdict,\n"
				  "\tCASE WHEN _verdict <> 0 OR _delete THEN 0::int8 ELSE %s END AS _warned\n"
				  "FROM %s", columns, sql.warned.data, from);
}

static char *
silver_columns(const DpPlan *plan)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < plan->nsilver; i++)
		dp_sql_append(&buf, "%s%I", i ? ", " : "", plan->silver[i].name);
	return buf.data;
}

/* FROM with COLUMNS and MORE as an item of a FROM clause that is not merged upwards. */
static char *
from_level(const char *columns, const char *more, const char *from)
{
	return dp_sql("(SELECT %s, %s\n\tFROM %s OFFSET 0) AS dynpipe_batch", columns, more, from);
}
