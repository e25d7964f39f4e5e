/*
 * plan_sql.c
 *	  The statements that take a batch into silver; plan.h says what each
 *	  reads and returns.
 *
 * Upserts, in the order in which they run:
 *
 *	  found      look up the stored rows of the batch's keys, one index probe a
 *	             key, and lock them in key order, so that workers cannot deadlock
 *	  winners    rank stored rows, remembered deletes and records of each key by
 *	             (sequence_by, _partition, _offset); the newest wins, and is a
 *	             winner of the batch if it came with the batch
 *	  upsert, delete, tombstone   apply them in key order
 *	  old        the found rows that had a winner
 *
 * A tombstone has no sequence of its own: it ranks with the newest of what was
 * stored or came before it in the batch, and beats that.  Without sequence_by
 * the last record of a key wins.
 */
#include "dynpipe.h"

#include "access/htup_details.h"
#include "catalog/pg_collation.h"
#include "catalog/pg_namespace.h"
#include "catalog/pg_operator.h"
#include "commands/defrem.h"
#include "plan/build.h"
#include "step/step.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/syscache.h"
#include "utils/typcache.h"

static char *append_sql(const DpPlan *plan);
static char *found_sql(const DpPlan *plan);
static char *last_wins_sql(const DpPlan *plan);
static char *newest_wins_sql(const DpPlan *plan);
static char *reached_columns(const DpPlan *plan);
static char *candidates(const DpPlan *plan);
static char *remembered(const DpPlan *plan);
static char *upsert_sql(const DpPlan *plan);
static char *delete_sql(const DpPlan *plan);
static char *tombstone_sql(const DpPlan *plan);
static char *old_sql(const DpPlan *plan);
static char *assignments(const List *names);
static bool is_in(const List *names, const char *name);

/* Fill in the statements of PLAN, whose columns and rules are complete. */
void
dp_plan_sql(DpPlan *plan)
{
	plan->transform_sql = dp_step_render(plan);
	plan->append_sql = append_sql(plan);
	if (!plan->upsert)
		return;
	plan->found_sql = found_sql(plan);
	plan->winners_sql = plan->spec->sequence_by ? newest_wins_sql(plan) : last_wins_sql(plan);
	plan->upsert_sql = upsert_sql(plan);
	plan->delete_sql = delete_sql(plan);
	if (plan->spec->sequence_by)
		plan->tombstone_sql = tombstone_sql(plan);
	plan->old_sql = old_sql(plan);
}

/* The silver columns as a list, each with PREFIX. */
char *
dp_plan_names(const DpPlan *plan, const char *prefix)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < plan->nsilver; i++)
		dp_sql_append(&buf, "%s%s%I", i ? ", " : "", prefix, plan->silver[i].name);
	return buf.data;
}

/* NAMES as a list, each between PREFIX and SUFFIX. */
char *
dp_plan_list(const List *names, const char *prefix, const char *suffix)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, names)
		dp_sql_append(&buf, "%s%s%I%s", foreach_current_index(lc) ? ", " : "", prefix,
					  lfirst(lc), suffix);
	return buf.data;
}

/*
 * How to write "=" for TYPE: the operator of its default order, qualified if
 * it is not the server's own, so that search_path cannot change its meaning.
 * NULL when the type has no order.
 */
const char *
dp_plan_equals(Oid type)
{
	TypeCacheEntry *entry = lookup_type_cache(type, TYPECACHE_EQ_OPR | TYPECACHE_LT_OPR);
	HeapTuple	tuple;
	Form_pg_operator op;
	char	   *text;

	if (!OidIsValid(entry->eq_opr) || !OidIsValid(entry->lt_opr))
		return NULL;
	tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(entry->eq_opr));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for operator %u", entry->eq_opr);
	op = (Form_pg_operator) GETSTRUCT(tuple);
	if (op->oprnamespace == PG_CATALOG_NAMESPACE)
		text = pstrdup(NameStr(op->oprname));
	else
		text = dp_sql("OPERATOR(%I.%s)", get_namespace_name(op->oprnamespace),
					  NameStr(op->oprname));
	ReleaseSysCache(tuple);
	return text;
}

/* "l.a = r.a AND l.b = r.b" over the key columns. */
char *
dp_plan_same_key(const DpPlan *plan, const char *left, const char *right)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, plan->spec->key)
	{
		DpSilverColumn *column = dp_plan_column(plan, lfirst(lc));

		dp_sql_append(&buf, "%s%s.%I %s %s.%I", foreach_current_index(lc) ? " AND " : "",
					  left, column->name, dp_plan_equals(column->type), right, column->name);
	}
	return buf.data;
}

/* Where deletes are remembered: a table beside the silver table. */
DpTableName *
dp_plan_tombstones(const DpPipelineSpec *spec)
{
	DpTableName *name = palloc(sizeof(DpTableName));

	name->schema = spec->silver_table.schema;
	name->table = makeObjectName(psprintf("_%s", spec->silver_table.table), NULL,
								 "tombstones");
	return name;
}

/* A column's type as it is written in DDL. */
char *
dp_plan_type(Oid type, int32 typmod, Oid collation)
{
	const char *name = format_type_with_typemod(type, typmod);
	HeapTuple	tuple;
	Form_pg_collation form;
	char	   *text;

	if (!OidIsValid(collation) || collation == get_typcollation(type))
		return pstrdup(name);
	tuple = SearchSysCache1(COLLOID, ObjectIdGetDatum(collation));
	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for collation %u", collation);
	form = (Form_pg_collation) GETSTRUCT(tuple);
	text = dp_sql("%s COLLATE %I.%I", name, get_namespace_name(form->collnamespace),
				  NameStr(form->collname));
	ReleaseSysCache(tuple);
	return text;
}

static char *
append_sql(const DpPlan *plan)
{
	char	   *names = dp_plan_names(plan, "");

	return dp_sql("INSERT INTO %T AS s (%s, _partition, _offset)\n"
				  "SELECT %s, _partition, _offset FROM dynpipe_rows\n"
				  "RETURNING s.*", &plan->spec->silver_table, names, names);
}

/*
 * LATERAL makes it one index probe per key whatever the planner believes
 * about the size of a table that was empty a minute ago.
 */
static char *
found_sql(const DpPlan *plan)
{
	char	   *key = dp_plan_list(plan->spec->key, "", "");

	return dp_sql("SELECT s.*\n"
				  "FROM (SELECT DISTINCT %s FROM dynpipe_rows ORDER BY %s) AS r\n"
				  "\tCROSS JOIN LATERAL (SELECT t.* FROM %T AS t WHERE %s FOR UPDATE) AS s",
				  key, key, &plan->spec->silver_table, dp_plan_same_key(plan, "t", "r"));
}

static char *
last_wins_sql(const DpPlan *plan)
{
	char	   *key = dp_plan_list(plan->spec->key, "", "");

	return dp_sql("SELECT DISTINCT ON (%s) %s, _partition, _offset, _n, _delete\n"
				  "FROM dynpipe_rows\n"
				  "ORDER BY %s, _n DESC", key, dp_plan_names(plan, ""), key);
}

/*
 * _rank orders what has a sequence within its key; _reach is, for a tombstone
 * without one, the rank of the newest before it.  The newest of all by
 * _reach wins, a tombstone before what it reaches, what is stored before a
 * record that is the same.  _newest_... is what a winning tombstone reaches,
 * for the memory of deletes: the newest of the key.
 */
static char *
newest_wins_sql(const DpPlan *plan)
{
	char	   *key = dp_plan_list(plan->spec->key, "", "");
	char	   *columns = reached_columns(plan);
	StringInfoData order;
	StringInfoData newest;

	initStringInfo(&order);
	initStringInfo(&newest);
	for (int i = 1; i <= list_length(plan->spec->sequence_by); i++)
	{
		dp_sql_append(&order, "_seq_%d NULLS FIRST, ", i);
		dp_sql_append(&newest, ", last_value(_seq_%d) OVER _all AS _newest_%d", i, i);
	}
	return dp_sql("SELECT %s, _n, _delete\n"
				  "FROM (SELECT DISTINCT ON (%s) *\n"
				  "\tFROM (SELECT *, CASE WHEN _blind THEN max(_rank) OVER (PARTITION BY %s "
				  "ORDER BY _n) ELSE _rank END AS _reach\n"
				  "\t\tFROM (SELECT *, rank() OVER _order AS _rank%s, last_value(_partition) OVER "
				  "_all AS _newest_partition, last_value(_offset) OVER _all AS _newest_offset\n"
				  "\t\t\tFROM (%s) AS c\n"
				  "\t\t\tWINDOW _order AS (PARTITION BY %s ORDER BY %s_partition NULLS FIRST, "
				  "_offset NULLS FIRST),\n"
				  "\t\t\t\t_all AS (_order ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED "
				  "FOLLOWING)) AS c) AS c\n"
				  "\tORDER BY %s, _reach DESC, _blind DESC, _n < 0 DESC, _n DESC) AS w\n"
				  "WHERE _n >= 0\n"
				  "ORDER BY %s",
				  columns, key, key, newest.data, candidates(plan), key, order.data, key, key);
}

/* The columns of a winner; a tombstone takes sequence and position of what it reaches. */
static char *
reached_columns(const DpPlan *plan)
{
	StringInfoData buf;
	int			nseq = list_length(plan->spec->sequence_by);

	initStringInfo(&buf);
	for (int i = 0; i < plan->nsilver; i++)
	{
		const char *name = plan->silver[i].name;
		int			k = 0;

		while (k < nseq && strcmp(list_nth(plan->spec->sequence_by, k), name) != 0)
			k++;
		if (k < nseq)
			dp_sql_append(&buf, "CASE WHEN _blind THEN _newest_%d ELSE %I END AS %I, ", k + 1,
						  name, name);
		else
			dp_sql_append(&buf, "%I, ", name);
	}
	dp_sql_append(&buf, "CASE WHEN _blind THEN _newest_partition ELSE _partition END AS "
				  "_partition, CASE WHEN _blind THEN _newest_offset ELSE _offset END AS _offset");
	return buf.data;
}

/* Records, stored rows, remembered deletes in one shape; _n of what is not of the batch: -1. */
static char *
candidates(const DpPlan *plan)
{
	char	   *names = dp_plan_names(plan, "");
	char	   *seq = dp_plan_list(plan->spec->sequence_by, "", "");
	StringInfoData blind;
	StringInfoData own;
	ListCell   *lc;

	initStringInfo(&blind);
	initStringInfo(&own);
	foreach(lc, plan->spec->sequence_by)
	{
		int			i = foreach_current_index(lc);

		dp_sql_append(&blind, "%s%I IS NULL", i ? " OR " : "", lfirst(lc));
		dp_sql_append(&own, ", CASE WHEN NOT _blind THEN %I END AS _seq_%d", lfirst(lc), i + 1);
	}
	return dp_sql("SELECT *%s\n"
				  "\t\t\t\tFROM (SELECT %s, _partition, _offset, _n, _delete, _delete AND (%s) "
				  "AS _blind FROM dynpipe_rows) AS r\n"
				  "\t\t\t\tUNION ALL SELECT %s, _partition, _offset, -1, false, false, %s "
				  "FROM dynpipe_found\n"
				  "\t\t\t\tUNION ALL %s",
				  own.data, names, blind.data, names, seq, remembered(plan));
}

static char *
remembered(const DpPlan *plan)
{
	char	   *key = dp_plan_list(plan->spec->key, "", "");
	StringInfoData columns;

	initStringInfo(&columns);
	for (int i = 0; i < plan->nsilver; i++)
	{
		const DpSilverColumn *column = &plan->silver[i];

		if (column->is_key || is_in(plan->spec->sequence_by, column->name))
			dp_sql_append(&columns, "t.%I, ", column->name);
		else
			dp_sql_append(&columns, "NULL::%s, ",
						  format_type_with_typemod(column->type, column->typmod));
	}
	return dp_sql("SELECT %st._partition, t._offset, -1, true, false, %s\n"
				  "\t\t\t\t\tFROM (SELECT DISTINCT %s FROM dynpipe_rows) AS r\n"
				  "\t\t\t\t\t\tCROSS JOIN LATERAL (SELECT * FROM %T AS t WHERE %s OFFSET 0) AS t",
				  columns.data, dp_plan_list(plan->spec->sequence_by, "t.", ""), key,
				  dp_plan_tombstones(plan->spec), dp_plan_same_key(plan, "t", "r"));
}

static char *
upsert_sql(const DpPlan *plan)
{
	char	   *names = dp_plan_names(plan, "");
	char	   *key = dp_plan_list(plan->spec->key, "", "");
	List	   *set = NIL;

	for (int i = 0; i < plan->nsilver; i++)
		if (!plan->silver[i].is_key)
			set = lappend(set, unconstify(char *, plan->silver[i].name));
	set = lappend(lappend(set, "_partition"), "_offset");
	return dp_sql("INSERT INTO %T AS s (%s, _partition, _offset)\n"
				  "SELECT %s, _partition, _offset FROM dynpipe_winners WHERE NOT _delete "
				  "ORDER BY %s\n"
				  "ON CONFLICT (%s) DO UPDATE SET %s\n"
				  "RETURNING s.*, (s.xmax = 0) AS _inserted",
				  &plan->spec->silver_table, names, names, key, key, assignments(set));
}

static char *
delete_sql(const DpPlan *plan)
{
	return dp_sql("DELETE FROM %T AS s USING dynpipe_winners AS w\n"
				  "WHERE w._delete AND %s",
				  &plan->spec->silver_table, dp_plan_same_key(plan, "s", "w"));
}

/* A delete that nothing is known before has no sequence to remember. */
static char *
tombstone_sql(const DpPlan *plan)
{
	DpTableName *table = dp_plan_tombstones(plan->spec);
	List	   *names = list_copy(plan->spec->sequence_by);
	char	   *key = dp_plan_list(plan->spec->key, "", "");
	ListCell   *lc;
	char	   *list;

	/* A column of the key is in the table once. */
	foreach(lc, plan->spec->sequence_by)
		if (is_in(plan->spec->key, lfirst(lc)))
			names = list_delete_ptr(names, lfirst(lc));
	list = dp_plan_list(list_concat_copy(plan->spec->key, names), "", "");
	names = lappend(lappend(lappend(names, "_partition"), "_offset"), "_deleted_at");
	return dp_sql("WITH revived AS (DELETE FROM %T AS t USING dynpipe_winners AS w "
				  "WHERE NOT w._delete AND %s)\n"
				  "INSERT INTO %T (%s, _partition, _offset, _deleted_at)\n"
				  "SELECT %s, _partition, _offset, now() FROM dynpipe_winners\n"
				  "WHERE _delete AND num_nulls(%s) = 0\n"
				  "ORDER BY %s\n"
				  "ON CONFLICT (%s) DO UPDATE SET %s",
				  table, dp_plan_same_key(plan, "t", "w"), table, list, list,
				  dp_plan_list(plan->spec->sequence_by, "", ""), key, key, assignments(names));
}

static char *
old_sql(const DpPlan *plan)
{
	return dp_sql("SELECT f.* FROM dynpipe_found AS f JOIN dynpipe_winners AS w ON %s",
				  dp_plan_same_key(plan, "f", "w"));
}

static char *
assignments(const List *names)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, names)
		dp_sql_append(&buf, "%s%I = excluded.%I", foreach_current_index(lc) ? ", " : "",
					  lfirst(lc), lfirst(lc));
	return buf.data;
}

static bool
is_in(const List *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names)
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	return false;
}
