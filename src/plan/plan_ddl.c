/*
 * plan_ddl.c
 *	  What must change in the database for a plan to run: schemas, then bronze,
 *	  silver, its memory of deletes, gold.
 *
 * What exists is looked at, never assumed: a table may be the user's own, kept
 * from an earlier pipeline, or altered by hand.  It is taken over when it fits
 * and reported when it does not; columns that the document no longer names are
 * left alone.  Comments are set when a table is made, later only if the
 * document has a description that differs.
 */
#include "dynpipe.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/relation.h"
#include "catalog/index.h"
#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_database.h"
#include "catalog/pg_index.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "commands/comment.h"
#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "plan/build.h"
#include "plan/plan_ddl.h"
#include "util/as_owner.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/relcache.h"
#include "utils/syscache.h"

static void change_schema(DpDdl *ddl, const DpTableName *name);
static void may_not_create(DpDdl *ddl, const DpTableName *name, const char *in_what,
						   const char *in);
static void change_bronze(DpDdl *ddl);
static void check_bronze(DpDdl *ddl, Oid relid);
static void change_silver(DpDdl *ddl);
static void create_silver(DpDdl *ddl);
static void alter_silver(DpDdl *ddl, Oid relid);
static void widen_column(DpDdl *ddl, const DpTableName *name, Oid relid,
						 const DpSilverColumn *column);
static bool same_names(const List *a, const List *b);
static void change_tombstones(DpDdl *ddl);
static char *column_list(const DpPlan *plan, const List *names);
static bool has_columns(const DpPlan *plan, Oid relid, const List *names);
static bool has_narrower(const DpPlan *plan, Oid relid, const char *name);
static void describe_columns(DpDdl *ddl, Oid relid, StringInfo sql);

static const struct
{
	const char *name;
	const char *definition;
	Oid			type;
} bronze_columns[] = {
	{"_partition", "integer NOT NULL", INT4OID},
	{"_offset", "bigint NOT NULL", INT8OID},
	{"_timestamp", "timestamp with time zone", TIMESTAMPTZOID},
	{"_key", "bytea", BYTEAOID},
	{"_value", "bytea" DP_COMPRESSION, BYTEAOID},
	{"_headers", "jsonb", JSONBOID},
	{"_batch", "bigint NOT NULL", INT8OID},
};

List *
dp_plan_changes(const DpPlan *plan, const DpPlan *old, DpDocument *doc)
{
	DpDdl		ddl = {.plan = plan,.old = old,.doc = doc};
	DpRole		role;

	dp_role_become_owner(&role, plan->owner);
	if (plan->spec->bronze)
		change_schema(&ddl, &plan->spec->bronze_table);
	if (plan->spec->silver)
		change_schema(&ddl, &plan->spec->silver_table);
	for (int i = 0; i < plan->ngold; i++)
		change_schema(&ddl, &plan->gold[i].table);
	if (plan->spec->bronze)
		change_bronze(&ddl);
	if (plan->spec->silver)
		change_silver(&ddl);
	for (int i = 0; i < plan->ngold; i++)
		dp_ddl_gold(&ddl, i);
	dp_role_restore(&role);
	return ddl.changes;
}

/* Append a change; the texts are kept, not copied. */
void
dp_ddl_add(DpDdl *ddl, const char *action, const char *object, const char *name,
		   const char *detail, const char *sql)
{
	DpChange   *change = palloc(sizeof(DpChange));

	change->action = action;
	change->object = object;
	change->name = name;
	change->detail = detail;
	change->sql = sql;
	ddl->changes = lappend(ddl->changes, change);
}

/* The table's Oid, InvalidOid when it does not exist. */
Oid
dp_ddl_relid(const DpTableName *name)
{
	Oid			schema = get_namespace_oid(name->schema, true);

	return OidIsValid(schema) ? get_relname_relid(name->table, schema) : InvalidOid;
}

/* Has the table a unique index on exactly KEY that can arbitrate an upsert? */
bool
dp_ddl_has_unique_index(Oid relid, const List *key, bool nulls_equal)
{
	Relation	rel = relation_open(relid, AccessShareLock);
	bool		found = false;
	ListCell   *lc;

	foreach(lc, RelationGetIndexList(rel))
	{
		Relation	index = index_open(lfirst_oid(lc), AccessShareLock);
		Form_pg_index form = index->rd_index;
		int			matched = 0;

		for (int i = 0; i < form->indnkeyatts; i++)
		{
			const char *name = form->indkey.values[i] > 0 ?
				get_attname(relid, form->indkey.values[i], false) : "";
			ListCell   *lc2;

			foreach(lc2, key)
				matched += strcmp(lfirst(lc2), name) == 0;
		}
		found |= form->indisunique && form->indimmediate && form->indisvalid &&
			matched == list_length(key) && matched == form->indnkeyatts &&
			(form->indnullsnotdistinct || !nulls_equal) &&
			RelationGetIndexPredicate(index) == NIL;
		index_close(index, AccessShareLock);
	}
	relation_close(rel, AccessShareLock);
	return found;
}

/* COMMENT ON the table: its description, else what it is. */
void
dp_ddl_describe(DpDdl *ddl, const DpTableName *name, Oid relid, const char *layer,
				const char *description, StringInfo sql)
{
	const char *text = description;
	char	   *present = OidIsValid(relid) ? GetComment(relid, RelationRelationId, 0) : NULL;

	if (!text)
		text = psprintf("%s of pipeline \"%s\"", layer, ddl->plan->spec->name);
	if (!OidIsValid(relid))
		dp_sql_append(sql, ";\nCOMMENT ON TABLE %T IS %L", name, text);
	else if (description && (!present || strcmp(present, description) != 0))
		dp_ddl_add(ddl, "alter", "comment", dp_sql("%T", name), text,
				   dp_sql("COMMENT ON TABLE %T IS %L", name, text));
}

static void
change_schema(DpDdl *ddl, const DpTableName *name)
{
	Oid			schema = get_namespace_oid(name->schema, true);
	ListCell   *lc;

	if (OidIsValid(schema))
	{
		if (!OidIsValid(dp_ddl_relid(name)) &&
			dp_schema_aclcheck(schema, ddl->plan->owner, ACL_CREATE) != ACLCHECK_OK)
			may_not_create(ddl, name, "schema", name->schema);
		return;
	}
	foreach(lc, ddl->changes)
		if (strcmp(((DpChange *) lfirst(lc))->name, quote_identifier(name->schema)) == 0)
			return;
	if (dp_database_aclcheck(MyDatabaseId, ddl->plan->owner, ACL_CREATE) != ACLCHECK_OK)
	{
		may_not_create(ddl, name, "database", get_database_name(MyDatabaseId));
		return;
	}
	dp_ddl_add(ddl, "create", "schema", dp_sql("%I", name->schema), NULL,
			   dp_sql("CREATE SCHEMA %I", name->schema));
}

static void
may_not_create(DpDdl *ddl, const DpTableName *name, const char *in_what, const char *in)
{
	const char *role = quote_identifier(GetUserNameFromId(ddl->plan->owner, false));

	dp_config_add_problem(ddl->doc, ddl->plan->spec->pointer,
						  psprintf("Have its owner GRANT %s ON %s %s TO %s, or name tables in a "
								   "schema of your own.",
								   strcmp(in_what, "schema") == 0 ? "USAGE, CREATE" : "CREATE",
								   in_what, quote_identifier(in), role),
						  "permission denied for %s %s, in which table \"%s\" would be made",
						  in_what, quote_identifier(in), dp_sql("%T", name));
}

static void
change_bronze(DpDdl *ddl)
{
	const DpTableName *name = &ddl->plan->spec->bronze_table;
	Oid			relid = dp_ddl_relid(name);
	StringInfoData sql;

	if (OidIsValid(relid))
	{
		check_bronze(ddl, relid);
		return;
	}
	initStringInfo(&sql);
	dp_sql_append(&sql, "CREATE TABLE %T (", name);
	for (int i = 0; i < lengthof(bronze_columns); i++)
		dp_sql_append(&sql, "%s%I %s", i ? ", " : "", bronze_columns[i].name,
					  bronze_columns[i].definition);
	dp_sql_append(&sql, ");\nCREATE INDEX ON %T USING brin (_timestamp)", name);
	dp_ddl_describe(ddl, name, InvalidOid, "raw records", NULL, &sql);
	dp_ddl_add(ddl, "create", "table", dp_sql("%T", name), "bronze", sql.data);
}

static void
check_bronze(DpDdl *ddl, Oid relid)
{
	for (int i = 0; i < lengthof(bronze_columns); i++)
	{
		AttrNumber	attno = get_attnum(relid, bronze_columns[i].name);

		if (attno == InvalidAttrNumber || get_atttype(relid, attno) != bronze_columns[i].type)
			dp_config_add_problem(ddl->doc, psprintf("%s/bronze/table", ddl->plan->spec->pointer),
								  "Name another table; one that does not exist is made.",
								  "table \"%s\" cannot be the bronze table: it has no column "
								  "\"%s\" of type %s",
								  dp_sql("%T", &ddl->plan->spec->bronze_table),
								  bronze_columns[i].name, format_type_be(bronze_columns[i].type));
	}
}

static void
change_silver(DpDdl *ddl)
{
	Oid			relid = dp_ddl_relid(&ddl->plan->spec->silver_table);

	if (OidIsValid(relid))
		alter_silver(ddl, relid);
	else
		create_silver(ddl);
	if (ddl->plan->tombstone_sql)
		change_tombstones(ddl);
}

static void
create_silver(DpDdl *ddl)
{
	const DpPlan *plan = ddl->plan;
	const DpTableName *name = &plan->spec->silver_table;
	StringInfoData sql;

	initStringInfo(&sql);
	dp_sql_append(&sql, "CREATE TABLE %T (", name);
	for (int i = 0; i < plan->nsilver; i++)
		dp_sql_append(&sql, "%I %s, ", plan->silver[i].name,
					  dp_plan_type(plan->silver[i].type, plan->silver[i].typmod,
								   plan->silver[i].collation));
	dp_sql_append(&sql, "_partition integer, _offset bigint");
	if (plan->upsert)
		dp_sql_append(&sql, ", PRIMARY KEY (%s)", dp_plan_list(plan->spec->key, "", ""));
	dp_sql_append(&sql, ")%s", plan->upsert ? " WITH (fillfactor = 90)" : "");
	dp_ddl_describe(ddl, name, InvalidOid, "cleansed records", plan->spec->description, &sql);
	describe_columns(ddl, InvalidOid, &sql);
	dp_ddl_add(ddl, "create", "table", dp_sql("%T", name), "silver", sql.data);
}

/* Add what is missing; types were compared when the plan was built. */
static void
alter_silver(DpDdl *ddl, Oid relid)
{
	const DpPlan *plan = ddl->plan;
	const DpTableName *name = &plan->spec->silver_table;
	char	   *pointer = psprintf("%s/silver/key", plan->spec->pointer);

	if (ddl->old && ddl->old->silver_relid == relid &&
		!same_names(ddl->old->spec->key, plan->spec->key))
		dp_config_add_problem(ddl->doc, pointer, "Name another silver table, or drop this one.",
							  "the key of silver table \"%s\" cannot change", dp_sql("%T", name));
	else if (plan->upsert && !dp_ddl_has_unique_index(relid, plan->spec->key, false))
		dp_config_add_problem(ddl->doc, pointer,
							  psprintf("CREATE UNIQUE INDEX ON %s (%s), or name another table.",
									   dp_sql("%T", name), dp_plan_list(plan->spec->key, "", "")),
							  "silver table \"%s\" has no unique index on its key",
							  dp_sql("%T", name));
	for (int i = 0; i < plan->silver_desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(plan->silver_desc, i);
		const char *column = NameStr(att->attname);

		if (!att->attisdropped && get_attnum(relid, column) == InvalidAttrNumber)
			dp_ddl_add(ddl, "alter", "column", dp_sql("%T.%I", name, column), "added",
					   dp_sql("ALTER TABLE %T ADD COLUMN %I %s", name, column,
							  dp_plan_type(att->atttypid, att->atttypmod, att->attcollation)));
	}
	for (int i = 0; i < plan->nsilver; i++)
		if (plan->silver[i].widened)
			widen_column(ddl, name, relid, &plan->silver[i]);
	dp_ddl_describe(ddl, name, relid, "cleansed records", plan->spec->description, NULL);
	describe_columns(ddl, relid, NULL);
}

static void
widen_column(DpDdl *ddl, const DpTableName *name, Oid relid, const DpSilverColumn *column)
{
	Oid			old = get_atttype(relid, get_attnum(relid, column->name));
	char	   *type = dp_plan_type(column->type, column->typmod, column->collation);

	dp_ddl_add(ddl, "alter", "column", dp_sql("%T.%I", name, column->name),
			   psprintf("widened from %s to %s", format_type_be(old),
						format_type_with_typemod(column->type, column->typmod)),
			   dp_sql("ALTER TABLE %T ALTER COLUMN %I TYPE %s USING %I::%s", name, column->name,
					  type, column->name, format_type_be_qualified(column->type)));
}

static bool
same_names(const List *a, const List *b)
{
	ListCell   *la;
	ListCell   *lb;

	if (list_length(a) != list_length(b))
		return false;
	forboth(la, a, lb, b)
		if (strcmp(lfirst(la), lfirst(lb)) != 0)
			return false;
	return true;
}

/* A memory of deletes with other columns is of another order: it cannot be compared with. */
static void
change_tombstones(DpDdl *ddl)
{
	const DpPlan *plan = ddl->plan;
	DpTableName *name = dp_plan_tombstones(plan->spec);
	List	   *names = list_union_ptr(NIL, plan->spec->key);
	Oid			relid = dp_ddl_relid(name);
	ListCell   *lc;
	char	   *create;

	foreach(lc, plan->spec->sequence_by)
	{
		DpSilverColumn *column = dp_plan_column(plan, lfirst(lc));

		if (!column->is_key)
			names = lappend(names, unconstify(char *, column->name));
	}
	create = dp_sql("CREATE TABLE %T (%s, _partition integer, _offset bigint, "
					"_deleted_at timestamp with time zone NOT NULL, PRIMARY KEY (%s));\n"
					"COMMENT ON TABLE %T IS %L", name, column_list(plan, names),
					dp_plan_list(plan->spec->key, "", ""), name,
					psprintf("keys deleted from %s, so that records older than the delete do not "
							 "bring them back", dp_sql("%T", &plan->spec->silver_table)));
	if (!OidIsValid(relid))
		dp_ddl_add(ddl, "create", "table", dp_sql("%T", name), "memory of deletes", create);
	else if (!has_columns(plan, relid, names))
		dp_ddl_add(ddl, "alter", "table", dp_sql("%T", name), "memory of deletes, begun anew",
				   dp_sql("DROP TABLE %T;\n%s", name, create));
	else
		foreach(lc, names)
			if (has_narrower(plan, relid, lfirst(lc)))
				widen_column(ddl, name, relid, dp_plan_column(plan, lfirst(lc)));
}

static char *
column_list(const DpPlan *plan, const List *names)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, names)
	{
		DpSilverColumn *column = dp_plan_column(plan, lfirst(lc));

		dp_sql_append(&buf, "%s%I %s", buf.len ? ", " : "", column->name,
					  dp_plan_type(column->type, column->typmod, column->collation));
	}
	return buf.data;
}

/* In the right types, or in those that silver has up to now. */
static bool
has_columns(const DpPlan *plan, Oid relid, const List *names)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		AttrNumber	attno = get_attnum(relid, lfirst(lc));

		if (attno == InvalidAttrNumber ||
			(get_atttype(relid, attno) != dp_plan_column(plan, lfirst(lc))->type &&
			 !has_narrower(plan, relid, lfirst(lc))))
			return false;
	}
	return dp_ddl_has_unique_index(relid, plan->spec->key, false);
}

static bool
has_narrower(const DpPlan *plan, Oid relid, const char *name)
{
	DpSilverColumn *column = dp_plan_column(plan, name);

	return column->widened &&
		dp_cast_widens(get_atttype(relid, get_attnum(relid, name)), column->type);
}

static void
describe_columns(DpDdl *ddl, Oid relid, StringInfo sql)
{
	const DpPlan *plan = ddl->plan;
	const DpTableName *name = &plan->spec->silver_table;

	for (int i = 0; i < plan->nsilver; i++)
	{
		const char *text = plan->silver[i].description;
		AttrNumber	attno = OidIsValid(relid) ? get_attnum(relid, plan->silver[i].name) : 0;
		char	   *present = attno > 0 ? GetComment(relid, RelationRelationId, attno) : NULL;
		char	   *comment;

		if (!text || (present && strcmp(present, text) == 0))
			continue;
		comment = dp_sql("COMMENT ON COLUMN %T.%I IS %L", name, plan->silver[i].name, text);
		if (sql)
			dp_sql_append(sql, ";\n%s", comment);
		else
			dp_ddl_add(ddl, "alter", "comment", dp_sql("%T.%I", name, plan->silver[i].name), text,
					   comment);
	}
}
