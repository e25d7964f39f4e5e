/*
 * plan_explain.c
 *	  What a plan will do, as rows for people: where records come from, what is
 *	  made of each field, how silver is written, how each gold table is kept,
 *	  with the statements that run.
 */
#include "dynpipe.h"

#include "access/relation.h"
#include "plan/build.h"
#include "sink/append.h"
#include "util/as_owner.h"
#include "utils/builtins.h"

static void explain_source(const DpPlan *plan, List **rows);
static void explain_files(const DpPipelineSpec *spec, List **rows);
static void explain_decode(const DpPlan *plan, List **rows);
static char *describe_field(const DpPlan *plan, int index);
static void explain_silver(const DpPlan *plan, List **rows);
static char *write_path(const DpPlan *plan);
static char *append_refusal(const DpPlan *plan);
static void explain_gold(const DpGoldPlan *gold, List **rows);
static void add(List **rows, const char *section, const char *item, const char *value);

List *
dp_plan_explain(const DpPlan *plan)
{
	List	   *rows = NIL;
	DpRole		role;

	dp_role_become_owner(&role, plan->owner);
	explain_source(plan, &rows);
	explain_decode(plan, &rows);
	if (plan->spec->silver)
		explain_silver(plan, &rows);
	for (int i = 0; i < plan->ngold; i++)
		explain_gold(&plan->gold[i], &rows);
	dp_role_restore(&role);
	return rows;
}

static void
explain_source(const DpPlan *plan, List **rows)
{
	const DpPipelineSpec *spec = plan->spec;

	add(rows, "source", "url", spec->source);
	add(rows, "source", "format", spec->format);
	if (plan->retracts)
		explain_files(spec, rows);
	else
		add(rows, "source", "start", spec->start == DP_START_TIMESTAMP ? spec->start_timestamp :
			spec->start == DP_START_LATEST ? "latest" : "earliest");
	add(rows, "source", "batch", psprintf("up to %d rows, " INT64_FORMAT " bytes",
										  spec->batch_max_rows, spec->batch_max_bytes));
	add(rows, "source", "workers", psprintf("%d", spec->workers));
	if (spec->bronze)
		add(rows, "bronze", "table", dp_sql("%T", &spec->bronze_table));
}

/* When files are looked for, and what becomes of those that change, vanish or are dirty. */
static void
explain_files(const DpPipelineSpec *spec, List **rows)
{
	static const char *const changes[] = {
		[DP_ON_CHANGE_REPLACE] = "its new rows replace its old ones, through gold",
		[DP_ON_CHANGE_APPEND] = "its new rows are added",
	[DP_ON_CHANGE_IGNORE] = "only its first version is loaded"};

	add(rows, "source", "when", spec->watch_ms > 0 ?
		psprintf("workers look every " INT64_FORMAT " ms", spec->watch_ms) :
		spec->schedule ? psprintf("workers look at %s, %s", spec->schedule,
								  spec->timezone ? spec->timezone : "UTC") :
		"dynpipe.run is called");
	add(rows, "source", "changed file", changes[spec->on_change]);
	add(rows, "source", "vanished file", spec->on_remove == DP_ON_REMOVE_UNLOAD ?
		"its rows are removed" : "its rows stay");
	if (spec->max_bad_records >= 0 || spec->max_bad_share >= 0)
		add(rows, "source", "a file fails with", spec->max_bad_records >= 0 ?
			psprintf("more than " INT64_FORMAT " bad records", spec->max_bad_records) :
			psprintf("more than %g %% bad records", spec->max_bad_share * 100));
	add(rows, "source", "destination", spec->target.url);
}

static void
explain_decode(const DpPlan *plan, List **rows)
{
	for (int i = 0; i < plan->nfields; i++)
		add(rows, "decode", plan->fields[i].name, describe_field(plan, i));
}

/* "bigint from /meta/ts, trim, default 0, required, parsed in C" */
static char *
describe_field(const DpPlan *plan, int index)
{
	static const char *const cleans[] = {[DP_CLEAN_TRIM] = "trim",[DP_CLEAN_LOWER] = "lower",
		[DP_CLEAN_UPPER] = "upper",[DP_CLEAN_EMPTY_AS_NULL] = "empty_as_null",
	[DP_CLEAN_COLLAPSE] = "collapse"};
	static const char *const misfits[] = {
		[DP_ON_MISFIT_QUARANTINE] = "what does not fit is quarantined",
	[DP_ON_MISFIT_WIDEN] = "widened for what does not fit"};
	const DpField *field = &plan->fields[index];
	const DpColumnSpec *spec = list_nth(plan->spec->columns, index);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, format_type_with_typemod(field->type, field->typmod));
	if (spec->from)
		appendStringInfo(&buf, " from %s", spec->from);
	for (int i = 0; i < field->nclean; i++)
		appendStringInfo(&buf, ", %s", cleans[field->clean[i]]);
	if (spec->default_value)
		appendStringInfo(&buf, ", default %s", spec->default_value);
	if (field->required)
		appendStringInfoString(&buf, ", required");
	if (spec->inferred)
		appendStringInfo(&buf, ", inferred, %s", misfits[plan->spec->on_misfit]);
	if (field->cast.may_throw)
		appendStringInfoString(&buf, ", guarded by a subtransaction");
	return buf.data;
}

static void
explain_silver(const DpPlan *plan, List **rows)
{
	add(rows, "silver", "table", dp_sql("%T", &plan->spec->silver_table));
	add(rows, "silver", "write path", write_path(plan));
	add(rows, "silver", "transform", plan->transform_sql);
	if (!plan->upsert)
	{
		if (append_refusal(plan))
			add(rows, "silver", "insert", plan->append_sql);
		return;
	}
	add(rows, "silver", "1 find and lock", plan->found_sql);
	add(rows, "silver", "2 newest per key", plan->winners_sql);
	add(rows, "silver", "3 replaced rows", plan->old_sql);
	add(rows, "silver", "4 upsert", plan->upsert_sql);
	add(rows, "silver", "5 delete", plan->delete_sql);
	add(rows, "silver", "6 remember deletes", plan->tombstone_sql);
}

static char *
write_path(const DpPlan *plan)
{
	char	   *refusal;

	if (plan->upsert)
		return psprintf("upsert by %s: %s", dp_plan_list(plan->spec->key, "", ""),
						plan->spec->sequence_by ?
						psprintf("newest by %s wins, ties by partition and offset, older records "
								 "are deduplicated",
								 dp_plan_list(plan->spec->sequence_by, "", "")) :
						"the last record wins");
	refusal = append_refusal(plan);
	if (refusal)
		return psprintf("append by INSERT, since %s", refusal);
	return plan->transform_sql ? "append by multi-insert of the transformed rows" :
		"append by multi-insert straight from memory, no expression is in the way";
}

/* Why the table cannot be written by multi-insert, or NULL. */
static char *
append_refusal(const DpPlan *plan)
{
	int			n = plan->nsilver + 2;
	const char **names = palloc(sizeof(char *) * n);
	Oid		   *types = palloc(sizeof(Oid) * n);
	int32	   *typmods = palloc(sizeof(int32) * n);
	Relation	rel;
	char	   *refusal;

	rel = OidIsValid(plan->silver_relid) ?
		try_relation_open(plan->silver_relid, AccessShareLock) : NULL;
	if (!rel)
		return NULL;
	for (int i = 0; i < n; i++)
	{
		Form_pg_attribute att = TupleDescAttr(plan->rows_desc, i);

		names[i] = NameStr(att->attname);
		types[i] = att->atttypid;
		typmods[i] = att->atttypmod;
	}
	refusal = dp_append_refusal(rel, names, types, typmods, n);
	relation_close(rel, AccessShareLock);
	return refusal;
}

static void
explain_gold(const DpGoldPlan *gold, List **rows)
{
	static const char *const strategies[] = {[DP_GOLD_DELTA] = "delta",
	[DP_GOLD_GROUPS] = "groups",[DP_GOLD_FULL] = "full"};
	char	   *section = dp_sql("gold %T", &gold->table);
	ListCell   *lc;

	add(rows, section, "strategy", strategies[gold->strategy]);
	add(rows, section, "reason", gold->reason);
	add(rows, section, "workers", gold->serialize ? "take turns" : "in parallel");
	if (gold->spec->refresh_ms > 0)
		add(rows, section, "refresh", psprintf("in full every " INT64_FORMAT " ms",
											   gold->spec->refresh_ms));
	foreach(lc, gold->apply_sql)
		add(rows, section, psprintf("statement %d", foreach_current_index(lc) + 1), lfirst(lc));
	add(rows, section, "fill", gold->fill_sql);
}

/* Rows without a value are left out. */
static void
add(List **rows, const char *section, const char *item, const char *value)
{
	DpExplainRow *row;

	if (!value)
		return;
	row = palloc(sizeof(DpExplainRow));
	row->section = section;
	row->item = item;
	row->value = value;
	*rows = lappend(*rows, row);
}
