/*
 * gold_delta_fit.c
 *	  Can a gold query be kept by adding and subtracting?
 *
 * It can when each of its columns is a group key or one aggregate whose value
 * is the very same however the rows are split into batches: counts, sums and
 * averages of exact types, and least and greatest values of rows that are
 * never replaced.
 */
#include "dynpipe.h"

#include "catalog/pg_namespace.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/parsetree.h"
#include "plan/gold.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

static const char *plain_query(DpGoldQuery *q);
static const char *read_item(DpGoldQuery *q, DpGoldItem *item, Expr *expr);
static const char *read_aggregate(DpGoldQuery *q, DpGoldItem *item, Aggref *agg);
static const char *not_exact(const DpGoldQuery *q, const DpGoldItem *item, Node *arg);

/* NULL when deltas can keep the query, else why not. */
const char *
dp_gold_delta_refuses(DpGoldQuery *q)
{
	const char *reason = plain_query(q);
	int			n = 0;
	ListCell   *lc;

	if (reason)
		return reason;
	foreach(lc, q->query->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);

		if (entry->resjunk)
			continue;
		reason = read_item(q, &q->items[n++], entry->expr);
		if (reason)
			return reason;
	}
	return NULL;
}

/* One table, filtered and grouped, and nothing else. */
static const char *
plain_query(DpGoldQuery *q)
{
	Query	   *query = q->query;

	if (!q->sliced || q->nreads != 1 || query->setOperations || query->cteList ||
		list_length(query->jointree->fromlist) != 1 ||
		!IsA(linitial(query->jointree->fromlist), RangeTblRef) ||
		rt_fetch(linitial_node(RangeTblRef, query->jointree->fromlist)->rtindex,
				 query->rtable)->rtekind != RTE_NAMEDTUPLESTORE)
		return "the query reads more than the silver table";
	if (query->groupingSets)
		return "it has grouping sets";
	if (query->distinctClause)
		return "it has DISTINCT";
	if (query->havingQual)
		return "it has HAVING";
	if (query->hasWindowFuncs || query->hasTargetSRFs)
		return "it has window or set-returning functions";
	if (query->hasSubLinks)
		return "it has subqueries";
	if (query->limitCount || query->limitOffset)
		return "it has LIMIT";
	if (!query->hasAggs)
		return "it has no aggregates";
	if (q->unstable)
		return "it depends on the clock or on a volatile function";
	if (list_length(query->groupClause) != q->nkeys)
		return "it groups by what it does not select";
	return NULL;
}

static const char *
read_item(DpGoldQuery *q, DpGoldItem *item, Expr *expr)
{
	if (item->is_key)
		return dp_plan_equals(item->type) ? NULL :
			psprintf("type %s of \"%s\" has no order", format_type_be(item->type), item->name);
	if (!IsA(expr, Aggref) || q->text[item->text.start] == '(')
		return psprintf("\"%s\" is not a plain aggregate", item->name);
	return read_aggregate(q, item, castNode(Aggref, expr));
}

static const char *
read_aggregate(DpGoldQuery *q, DpGoldItem *item, Aggref *agg)
{
	static const char *const names[] = {[DP_AGG_COUNT] = "count",[DP_AGG_SUM] = "sum",
	[DP_AGG_AVG] = "avg",[DP_AGG_MIN] = "min",[DP_AGG_MAX] = "max"};
	const char *name = get_func_name(agg->aggfnoid);
	Node	   *arg = agg->args ? (Node *) linitial_node(TargetEntry, agg->args)->expr : NULL;

	if (get_func_namespace(agg->aggfnoid) == PG_CATALOG_NAMESPACE)
		for (int i = DP_AGG_COUNT; i <= DP_AGG_MAX; i++)
			if (strcmp(name, names[i]) == 0)
				item->agg = i;
	if (item->agg == DP_AGG_NONE)
		return psprintf("%s() cannot be kept by adding", name);
	if (agg->aggdistinct || agg->aggorder)
		return psprintf("\"%s\" needs distinct or ordered values", item->name);
	item->star = agg->aggstar;
	if (!dp_gold_slice_call(q, item))
		return psprintf("\"%s\" is not a plain aggregate", item->name);
	if (item->star)
		return NULL;
	item->arg_type = exprType(arg);
	return not_exact(q, item, arg);
}

/* Would adding and subtracting give the very same value as the aggregate? */
static const char *
not_exact(const DpGoldQuery *q, const DpGoldItem *item, Node *arg)
{
	Oid			type = item->arg_type;
	bool		is_int = type == INT2OID || type == INT4OID || type == INT8OID;

	/* "count(t.*)" would be more than one column where the argument is computed first. */
	if (type == RECORDOID || get_typtype(type) == TYPTYPE_COMPOSITE)
		return psprintf("\"%s\" is over whole rows", item->name);
	if (item->agg == DP_AGG_COUNT)
		return NULL;
	if (item->agg == DP_AGG_MIN || item->agg == DP_AGG_MAX)
		return q->upsert ? psprintf("\"%s\" cannot be kept when rows are replaced", item->name) :
			NULL;
	if (is_int)
		return NULL;
	if (type != NUMERICOID)
		return psprintf("%s of type %s depends on the order of additions",
						item->agg == DP_AGG_SUM ? "sum" : "avg", format_type_be(type));
	/* The digits of a quotient depend on the scale of a sum, which subtracting does not restore. */
	if (q->upsert && item->agg == DP_AGG_AVG && exprTypmod(arg) == -1)
		return psprintf("the argument of \"%s\" has no fixed scale", item->name);
	return NULL;
}
