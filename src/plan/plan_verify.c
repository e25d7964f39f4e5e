/*
 * plan_verify.c
 *	  The invariants of a pipeline as pairs of statements, see plan.h.
 *
 * The counters start with the pipeline, so counts are expected to agree for
 * tables that were made for it and that nobody else writes.
 */
#include "dynpipe.h"

#include "plan/build.h"

static void add(List **items, const char *name, const char *catalog_sql, const char *owner_sql);
static char *ledger(const DpPlan *plan, const char *sum);

List *
dp_plan_verify(const DpPlan *plan)
{
	const DpPipelineSpec *spec = plan->spec;
	List	   *items = NIL;

	add(&items, "every record consumed has one fate", ledger(plan, "consumed"),
		ledger(plan, "loaded + deduplicated + dropped + quarantined + late"));
	((DpVerifyItem *) llast(items))->system = true;
	add(&items, "quarantine holds what was quarantined", ledger(plan, "quarantined"),
		dp_sql("SELECT count(*)::text FROM dynpipe.quarantine_record WHERE pipeline_id = %ld",
			   plan->pipeline_id));
	((DpVerifyItem *) llast(items))->system = true;
	if (spec->bronze)
	{
		add(&items, "bronze holds every record counted", ledger(plan, "bronze"),
			dp_sql("SELECT count(*)::text FROM %T", &spec->bronze_table));
		add(&items, "bronze holds no record twice", "SELECT '0'",
			dp_sql("SELECT count(*)::text FROM (SELECT FROM %T GROUP BY _partition, _offset "
				   "HAVING count(*) > 1) AS twice", &spec->bronze_table));
	}
	if (spec->silver)
		add(&items, plan->upsert ? "silver holds what was inserted and not deleted" :
			"silver holds what was loaded",
			ledger(plan, plan->upsert ? "inserted - deleted" : "loaded"),
			dp_sql("SELECT count(*)::text FROM %T", &spec->silver_table));
	for (int i = 0; i < plan->ngold; i++)
		if (plan->gold[i].apply_sql)
			add(&items, dp_sql("gold %T equals its query", &plan->gold[i].table),
				"SELECT '0 rows extra, 0 missing'",
				dp_sql("SELECT format('%%s rows extra, %%s missing', extra, missing) "
					   "FROM (%s) AS v", plan->gold[i].verify_sql));
	return items;
}

static void
add(List **items, const char *name, const char *catalog_sql, const char *owner_sql)
{
	DpVerifyItem *item = palloc0(sizeof(DpVerifyItem));

	item->name = name;
	item->catalog_sql = catalog_sql;
	item->owner_sql = owner_sql;
	*items = lappend(*items, item);
}

static char *
ledger(const DpPlan *plan, const char *sum)
{
	return dp_sql("SELECT coalesce(sum(%s), 0)::text FROM dynpipe.checkpoint "
				  "WHERE pipeline_id = %ld", sum, plan->pipeline_id);
}
