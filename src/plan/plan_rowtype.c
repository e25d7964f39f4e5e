/*
 * plan_rowtype.c
 *	  Row types: of the batch's relations, and of the silver table as it is or
 *	  as it will be.
 *
 * A silver table that exists decides collations and the order of columns; its
 * types must be those that the pipeline writes, or narrower ones that were
 * inferred: those are widened.
 */
#include "dynpipe.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_type.h"
#include "plan/build.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"

static void adopt_silver_column(DpBuild *build, Form_pg_attribute att);
static TupleDesc make_silver_desc(const DpPlan *plan, TupleDesc existing);
static void copy_column(TupleDesc desc, TupleDesc existing, int attno, const DpPlan *plan);
static bool has_column(TupleDesc desc, const char *name);
static void set_column(TupleDesc desc, int attno, const char *name, Oid type, int32 typmod,
					   Oid collation);

/* dynpipe_batch. */
TupleDesc
dp_rowtype_batch(const DpPlan *plan)
{
	TupleDesc	desc = CreateTemplateTupleDesc(plan->nfields + DP_BATCH_META);
	int			n = plan->nfields;

	for (int i = 0; i < n; i++)
		set_column(desc, i + 1, plan->fields[i].name, plan->fields[i].type,
				   plan->fields[i].typmod, get_typcollation(plan->fields[i].type));
	set_column(desc, n + 1, "_partition", INT4OID, -1, InvalidOid);
	set_column(desc, n + 2, "_offset", INT8OID, -1, InvalidOid);
	set_column(desc, n + 3, "_timestamp", TIMESTAMPTZOID, -1, InvalidOid);
	set_column(desc, n + 4, "_key", BYTEAOID, -1, InvalidOid);
	set_column(desc, n + 5, "_n", INT4OID, -1, InvalidOid);
	set_column(desc, n + 6, "_tombstone", BOOLOID, -1, InvalidOid);
	return desc;
}

/*
 * Look at the silver table if there is one: its collations are used, and its
 * types must be those that the pipeline writes.
 */
void
dp_rowtype_silver(DpBuild *build)
{
	DpPlan	   *plan = build->plan;
	const DpTableName *name = &plan->spec->silver_table;
	Oid			schema = name->schema ? get_namespace_oid(name->schema, true) : InvalidOid;
	Oid			relid = OidIsValid(schema) ? get_relname_relid(name->table, schema) : InvalidOid;
	Relation	rel = OidIsValid(relid) ? try_relation_open(relid, AccessShareLock) : NULL;

	if (!rel)
	{
		if (build->tables_exist)
			dp_build_problem(build, "/silver/table",
							 psprintf("SELECT dynpipe.apply(dynpipe.export(%s)::text) makes it again.",
									  quote_literal_cstr(plan->spec->name)),
							 "silver table \"%s\" does not exist", dp_sql("%T", name));
		plan->silver_desc = make_silver_desc(plan, NULL);
		return;
	}
	if (rel->rd_rel->relkind != RELKIND_RELATION &&
		rel->rd_rel->relkind != RELKIND_PARTITIONED_TABLE)
		dp_build_problem(build, "/silver/table", "Give the name of a table.",
						 "\"%s\" is not a table", dp_sql("%T", name));
	plan->silver_relid = relid;
	for (int i = 0; i < RelationGetNumberOfAttributes(rel); i++)
		if (!TupleDescAttr(RelationGetDescr(rel), i)->attisdropped)
			adopt_silver_column(build, TupleDescAttr(RelationGetDescr(rel), i));
	plan->silver_desc = make_silver_desc(plan, RelationGetDescr(rel));
	relation_close(rel, AccessShareLock);
	for (int i = 0; build->tables_exist && i < plan->nsilver; i++)
		if (!plan->silver[i].exists)
			dp_build_problem(build, "/silver/table",
							 psprintf("SELECT dynpipe.apply(dynpipe.export(%s)::text) adds it again.",
									  quote_literal_cstr(plan->spec->name)),
							 "column \"%s\" of silver table \"%s\" does not exist",
							 plan->silver[i].name, dp_sql("%T", name));
}

static void
adopt_silver_column(DpBuild *build, Form_pg_attribute att)
{
	DpSilverColumn *column = dp_plan_column(build->plan, NameStr(att->attname));

	if (!column)
		return;
	column->exists = true;
	if (!build->tables_exist && column->inferred && !att->attgenerated && att->atttypmod == -1 &&
		dp_cast_widens(att->atttypid, column->type))
	{
		column->widened = true;
		return;
	}
	column->collation = att->attcollation;
	if (att->attgenerated)
		dp_build_problem(build, "/silver/table",
						 "Leave the column out of the schema; the table computes it.",
						 "column \"%s\" of the silver table is generated", column->name);
	else if (att->atttypid != column->type ||
			 (att->atttypmod != -1 && att->atttypmod != column->typmod))
		dp_build_problem(build, "/silver/table",
						 psprintf("Give the column the type %s in the document, change the type "
								  "of the table's column, or name another table.",
								  format_type_with_typemod(att->atttypid, att->atttypmod)),
						 "column \"%s\" of the silver table has type %s, the document gives %s",
						 column->name, format_type_with_typemod(att->atttypid, att->atttypmod),
						 format_type_with_typemod(column->type, column->typmod));
}

/* dynpipe_rows. */
TupleDesc
dp_rowtype_rows(const DpPlan *plan)
{
	TupleDesc	desc = CreateTemplateTupleDesc(plan->nsilver + DP_ROWS_META);
	int			n = plan->nsilver;

	for (int i = 0; i < n; i++)
		set_column(desc, i + 1, plan->silver[i].name, plan->silver[i].type,
				   plan->silver[i].typmod, plan->silver[i].collation);
	set_column(desc, n + 1, "_partition", INT4OID, -1, InvalidOid);
	set_column(desc, n + 2, "_offset", INT8OID, -1, InvalidOid);
	set_column(desc, n + 3, "_n", INT4OID, -1, InvalidOid);
	set_column(desc, n + 4, "_delete", BOOLOID, -1, InvalidOid);
	return desc;
}

/* What where, expect and delete_when see: silver columns and the meta columns of the batch. */
TupleDesc
dp_rowtype_checked(const DpPlan *plan)
{
	TupleDesc	desc = CreateTemplateTupleDesc(plan->nsilver + DP_BATCH_META);

	for (int i = 0; i < plan->nsilver; i++)
		set_column(desc, i + 1, plan->silver[i].name, plan->silver[i].type,
				   plan->silver[i].typmod, plan->silver[i].collation);
	for (int i = 0; i < DP_BATCH_META; i++)
		TupleDescCopyEntry(desc, plan->nsilver + i + 1, plan->batch_desc, plan->nfields + i + 1);
	return desc;
}

/* Row type of the silver table as it is, or as it will be: missing columns come last. */
static TupleDesc
make_silver_desc(const DpPlan *plan, TupleDesc existing)
{
	bool		partition = has_column(existing, "_partition");
	bool		offset = has_column(existing, "_offset");
	int			n = existing ? existing->natts : 0;
	int			missing = !partition + !offset;
	TupleDesc	desc;

	for (int i = 0; i < plan->nsilver; i++)
		missing += !plan->silver[i].exists;
	desc = CreateTemplateTupleDesc(n + missing);
	for (int i = 0; i < n; i++)
		copy_column(desc, existing, i + 1, plan);
	for (int i = 0; i < plan->nsilver; i++)
		if (!plan->silver[i].exists)
			set_column(desc, ++n, plan->silver[i].name, plan->silver[i].type,
					   plan->silver[i].typmod, plan->silver[i].collation);
	if (!partition)
		set_column(desc, ++n, "_partition", INT4OID, -1, InvalidOid);
	if (!offset)
		set_column(desc, ++n, "_offset", INT8OID, -1, InvalidOid);
	return desc;
}

/* A column of the table as it is, or with the type that it will be given. */
static void
copy_column(TupleDesc desc, TupleDesc existing, int attno, const DpPlan *plan)
{
	Form_pg_attribute att = TupleDescAttr(existing, attno - 1);
	DpSilverColumn *column = att->attisdropped ? NULL :
		dp_plan_column(plan, NameStr(att->attname));

	if (column != NULL && column->widened)
		set_column(desc, attno, column->name, column->type, column->typmod, column->collation);
	else
		TupleDescCopyEntry(desc, attno, existing, attno);
}

static bool
has_column(TupleDesc desc, const char *name)
{
	for (int i = 0; desc && i < desc->natts; i++)
		if (strcmp(NameStr(TupleDescAttr(desc, i)->attname), name) == 0)
			return true;
	return false;
}

static void
set_column(TupleDesc desc, int attno, const char *name, Oid type, int32 typmod, Oid collation)
{
	TupleDescInitEntry(desc, attno, name, type, typmod, 0);
	TupleDescInitEntryCollation(desc, attno, collation);
}
