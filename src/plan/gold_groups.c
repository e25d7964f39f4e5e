/*
 * gold_groups.c
 *	  Gold kept by recomputing: the groups that a batch touches, or all of it.
 *
 * The groups touched are those that the query would form of dynpipe_new and
 * dynpipe_old in the place of silver.  That finds all of them when each result
 * row's group depends on the silver rows joined into it and on no others: one
 * plain reference to silver in FROM, not on the nullable side of an outer join.
 * They are deleted and inserted anew from the query over silver itself.
 *
 * Group keys are compared as records, which treats nulls as equal and can be
 * merge joined; in addition each key column is narrowed by an array, which the
 * planner pushes into the query and to indexes.
 */
#include "dynpipe.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "plan/gold.h"
#include "utils/lsyscache.h"

static bool silver_is_joined_plainly(const DpGoldQuery *q);
static bool find_plain(Node *node, bool nullable, const DpGoldQuery *q);
static char *touched(const DpGoldQuery *q);
static void append_touched(StringInfo buf, const DpGoldQuery *q, const char *relation);
static char *narrowed(const DpGoldQuery *q, const char *alias);

/* NULL when the groups touched can be told, else why not. */
const char *
dp_gold_groups_refuse(DpGoldQuery *q)
{
	Query	   *query = q->query;

	if (q->unstable)
		return "it depends on the clock or on a volatile function";
	if (q->nreads != 1)
		return "the query reads the silver table more than once";
	if (query->cteList || query->setOperations || !q->sliced)
		return "it is not one plain SELECT";
	if (query->groupingSets || query->hasDistinctOn)
		return "it has grouping sets or DISTINCT ON";
	if (query->distinctClause && (query->groupClause || query->hasAggs))
		return "it has DISTINCT over groups";
	if (query->limitCount || query->limitOffset)
		return "it has LIMIT";
	if (query->hasWindowFuncs || query->hasTargetSRFs)
		return "it has window or set-returning functions";
	if (q->nkeys == 0 || (query->groupClause && list_length(query->groupClause) != q->nkeys))
		return "its groups cannot be told from its columns";
	for (int i = 0; i < q->nitems; i++)
		if (q->items[i].is_key && !dp_plan_equals(q->items[i].type))
			return psprintf("the type of \"%s\" has no order", q->items[i].name);
	if (!silver_is_joined_plainly(q))
		return "the silver table is inside a subquery or on the nullable side of an outer join";
	return NULL;
}

void
dp_gold_groups(DpGoldPlan *gold, const DpGoldQuery *q)
{
	char	   *columns = dp_gold_columns(q, "", false);
	char	   *keys = dp_gold_columns(q, "g.", true);
	char	   *groups = touched(q);
	char	   *query = dp_gold_text(q, NULL);

	gold->key = dp_gold_keys(q);
	dp_gold_create(gold, q, "", " WITH (fillfactor = 70)");
	gold->fill_sql = dp_sql("INSERT INTO %T (%s)\nSELECT %s FROM %E AS q", &gold->table,
							columns, columns, query);
	gold->apply_sql =
		list_make2(dp_sql("WITH touched AS MATERIALIZED (%s)\n"
						  "DELETE FROM %T AS g USING touched AS t\n"
						  "WHERE ROW(%s) = t._keys%s",
						  groups, &gold->table, keys, narrowed(q, "g")),
				   dp_sql("WITH touched AS MATERIALIZED (%s)\n"
						  "INSERT INTO %T (%s)\n"
						  "SELECT %s FROM (SELECT * FROM %E AS q WHERE true%s OFFSET 0) AS g\n"
						  "JOIN touched AS t ON ROW(%s) = t._keys\n"
						  "ORDER BY %s",
						  groups, &gold->table, columns, dp_gold_columns(q, "g.", false), query,
						  narrowed(q, "q"), keys, keys));
}

/* Recompute all of it with each batch, or at the refresh interval only. */
void
dp_gold_full(DpGoldPlan *gold, const DpGoldQuery *q)
{
	char	   *columns = dp_gold_columns(q, "", false);

	dp_gold_create(gold, q, "", "");
	gold->fill_sql = dp_sql("INSERT INTO %T (%s)\nSELECT %s FROM %E AS q", &gold->table,
							columns, columns, dp_gold_text(q, NULL));
	if (gold->spec->refresh_ms == 0)
		gold->apply_sql = list_make2(unconstify(char *, gold->clear_sql),
									 unconstify(char *, gold->fill_sql));
}

/*
 * Append to a WHERE clause over ALIAS that the key column ITEM is among the
 * values of the query KEYS, in a form that indexes and subqueries can use.
 */
void
dp_gold_narrow(StringInfo buf, const DpGoldItem *item, const char *alias, const char *keys)
{
	if (get_typtype(item->type) == TYPTYPE_DOMAIN || !OidIsValid(get_array_type(item->type)))
		return;
	dp_sql_append(buf, "\n\tAND (%s.%I %s ANY (ARRAY(%s)) OR %s.%I IS NULL)", alias, item->name,
				  dp_plan_equals(item->type), keys, alias, item->name);
}

static bool
silver_is_joined_plainly(const DpGoldQuery *q)
{
	ListCell   *lc;

	foreach(lc, q->query->jointree->fromlist)
		if (find_plain(lfirst(lc), false, q))
			return true;
	return false;
}

/* Is silver in this FROM item, and never null-extended? */
static bool
find_plain(Node *node, bool nullable, const DpGoldQuery *q)
{
	JoinExpr   *join;

	if (IsA(node, RangeTblRef))
	{
		RangeTblEntry *rte = rt_fetch(castNode(RangeTblRef, node)->rtindex, q->query->rtable);

		return rte->rtekind == RTE_NAMEDTUPLESTORE && !nullable;
	}
	join = castNode(JoinExpr, node);
	return find_plain(join->larg, nullable || join->jointype == JOIN_RIGHT ||
					  join->jointype == JOIN_FULL, q) ||
		find_plain(join->rarg, nullable || join->jointype == JOIN_LEFT ||
				   join->jointype == JOIN_FULL, q);
}

/* The keys of the groups touched: columns by number, and all of them as a record. */
static char *
touched(const DpGoldQuery *q)
{
	StringInfoData buf;
	StringInfoData list;

	initStringInfo(&buf);
	initStringInfo(&list);
	for (int i = 0; i < q->nitems; i++)
		if (q->items[i].is_key)
			dp_sql_append(&list, "%s_k%d", list.len ? ", " : "", i);
	dp_sql_append(&buf, "SELECT *, ROW(%s) AS _keys FROM (", list.data);
	append_touched(&buf, q, DP_REL_NEW);
	if (q->upsert)
	{
		dp_sql_append(&buf, "\n\t\tUNION ");
		append_touched(&buf, q, DP_REL_OLD);
	}
	dp_sql_append(&buf, ") AS k");
	return buf.data;
}

static void
append_touched(StringInfo buf, const DpGoldQuery *q, const char *relation)
{
	const char *comma = "";

	dp_sql_append(buf, "SELECT DISTINCT ");
	for (int i = 0; i < q->nitems; i++)
	{
		if (!q->items[i].is_key)
			continue;
		dp_sql_append(buf, "%s%E AS _k%d", comma, dp_gold_render(q, q->items[i].text, relation), i);
		comma = ", ";
	}
	dp_sql_append(buf, " FROM %s", dp_gold_render(q, q->from, relation));
	if (q->where.start >= 0)
		dp_sql_append(buf, " WHERE %E", dp_gold_render(q, q->where, relation));
}

static char *
narrowed(const DpGoldQuery *q, const char *alias)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < q->nitems; i++)
		if (q->items[i].is_key)
			dp_gold_narrow(&buf, &q->items[i], alias,
						   psprintf("SELECT DISTINCT _k%d FROM touched", i));
	return buf.data;
}
