/*
 * gold_ddl.c
 *	  Making and remaking gold tables.
 *
 * A gold table can be computed from silver at any time, so it is never altered:
 * when its columns change it is dropped and made, when only its query changes
 * it is emptied and filled, which keeps grants and views.  Both happen in the
 * transaction that changes the pipeline, so no reader sees it half done.
 */
#include "dynpipe.h"

#include "plan/build.h"
#include "plan/plan_ddl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static const DpGoldPlan *old_gold(const DpDdl *ddl, const DpTableName *name);
static void create(DpDdl *ddl, const DpGoldPlan *gold, bool drop);
static void refill(DpDdl *ddl, const DpGoldPlan *gold, const char *why);
static bool fits(DpDdl *ddl, const DpGoldPlan *gold, int index, Oid relid);
static const char *misfit(const DpGoldPlan *gold, Oid relid);

/* What gold table number INDEX needs. */
void
dp_ddl_gold(DpDdl *ddl, int index)
{
	const DpGoldPlan *gold = &ddl->plan->gold[index];
	const DpGoldPlan *old = old_gold(ddl, &gold->table);
	Oid			relid = dp_ddl_relid(&gold->table);

	if (!OidIsValid(relid))
		create(ddl, gold, false);
	else if (old && strcmp(old->create_sql, gold->create_sql) != 0)
		create(ddl, gold, true);
	else if (!fits(ddl, gold, index, relid))
		return;
	else
	{
		if (!old)
			refill(ddl, gold, "taken over and filled");
		else if (!OidIsValid(ddl->plan->silver_relid))
			refill(ddl, gold, "silver table is new");
		else if (strcmp(old->fill_sql, gold->fill_sql) != 0)
			refill(ddl, gold, "query changed");
		dp_ddl_describe(ddl, &gold->table, relid, "", gold->spec->description, NULL);
	}
}

static const DpGoldPlan *
old_gold(const DpDdl *ddl, const DpTableName *name)
{
	for (int i = 0; ddl->old && i < ddl->old->ngold; i++)
	{
		const DpTableName *old = &ddl->old->gold[i].table;

		if (strcmp(old->schema, name->schema) == 0 && strcmp(old->table, name->table) == 0)
			return &ddl->old->gold[i];
	}
	return NULL;
}

static void
create(DpDdl *ddl, const DpGoldPlan *gold, bool drop)
{
	StringInfoData sql;

	initStringInfo(&sql);
	if (drop)
		dp_sql_append(&sql, "DROP TABLE %T;\n", &gold->table);
	dp_sql_append(&sql, "%s", gold->create_sql);
	dp_ddl_describe(ddl, &gold->table, InvalidOid, "gold", gold->spec->description, &sql);
	dp_sql_append(&sql, ";\n%s", gold->fill_sql);
	dp_ddl_add(ddl, drop ? "alter" : "create", "gold", dp_sql("%T", &gold->table),
			   drop ? "columns changed: made anew and filled" : gold->reason, sql.data);
}

static void
refill(DpDdl *ddl, const DpGoldPlan *gold, const char *why)
{
	dp_ddl_add(ddl, "alter", "gold", dp_sql("%T", &gold->table), why,
			   dp_sql("%s;\n%s", gold->clear_sql, gold->fill_sql));
}

/* Can the existing table hold the plan's gold? */
static bool
fits(DpDdl *ddl, const DpGoldPlan *gold, int index, Oid relid)
{
	const char *message = misfit(gold, relid);

	if (!message)
		return true;
	dp_config_add_problem(ddl->doc,
						  psprintf("%s/gold/%d/table", ddl->plan->spec->pointer, index),
						  "Drop it, it is made again with the columns it needs; or name another "
						  "table.",
						  "table \"%s\" cannot be the gold table: %s",
						  dp_sql("%T", &gold->table), message);
	return false;
}

static const char *
misfit(const DpGoldPlan *gold, Oid relid)
{
	ListCell   *lc;

	for (int i = 0; i < gold->desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(gold->desc, i);
		AttrNumber	attno = get_attnum(relid, NameStr(att->attname));

		if (attno == InvalidAttrNumber || get_atttype(relid, attno) != att->atttypid)
			return psprintf("it has no column \"%s\" of type %s", NameStr(att->attname),
							format_type_be(att->atttypid));
	}
	foreach(lc, gold->hidden)
		if (get_attnum(relid, lfirst(lc)) == InvalidAttrNumber)
			return psprintf("it lacks the bookkeeping column \"%s\"", (char *) lfirst(lc));
	if (gold->key && !dp_ddl_has_unique_index(relid, gold->key, true))
		return "it has no unique index with NULLS NOT DISTINCT on its group columns";
	return NULL;
}
