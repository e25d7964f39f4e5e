/*
 * gold.c
 *	  Reads a gold query and chooses how its table is kept.
 *
 *	  text -> raw tree -> which tables, where -> analysed tree -> result columns
 *	       -> delta if it fits, else groups if it fits, else full
 *
 * The silver table need not exist: the query is analysed with dynpipe_new,
 * which has its row type, in its place.
 */
#include "dynpipe.h"

#include "catalog/namespace.h"
#include "catalog/pg_class.h"
#include "catalog/pg_proc.h"
#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "optimizer/optimizer.h"
#include "parser/parser.h"
#include "plan/gold.h"
#include "util/attempt.h"
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

typedef struct Parse
{
	const char *text;
	List	   *statements;
	List	   *tables;			/* RangeVar * */
	List	   *columns;		/* ColumnRef * */
	List	   *with;			/* char *: names of WITH queries */
} Parse;

static bool read_query(DpBuild *build, const char *place, DpGoldQuery *q);
static void parse(void *arg);
static bool collect(Node *node, void *context);
static bool is_with(const Parse *parse, const char *name);
static bool check_tables(DpBuild *build, const char *place, DpGoldQuery *q, Parse *parsed);
static bool read_columns(DpBuild *build, const char *place, DpGoldQuery *q);
static const char *name_fault(const DpGoldQuery *q, int index);
static void mark_keys(DpGoldQuery *q);
static bool check_stable(DpBuild *build, const char *place, const DpGoldSpec *spec,
						 DpGoldQuery *q);
static bool reads_clock(Node *node, void *context);
static bool clock_function(Oid func, void *context);
static void choose(DpGoldPlan *gold, DpGoldQuery *q);
static char *verify_sql(const DpGoldPlan *gold, const DpGoldQuery *q);
static char *comparable(const DpGoldItem *item);

/* Plan the gold table number INDEX of the pipeline. */
void
dp_gold_build(DpBuild *build, int index)
{
	DpGoldPlan *gold = &build->plan->gold[index];
	const DpGoldSpec *spec = list_nth(build->plan->spec->gold, index);
	DpGoldQuery *q = palloc0(sizeof(DpGoldQuery));
	char	   *place = psprintf("/gold/%d/query", index);

	gold->spec = spec;
	gold->table = spec->table;
	q->text = spec->query;
	q->silver = &build->plan->spec->silver_table;
	q->upsert = build->plan->upsert || build->plan->retracts;
	if (!read_query(build, place, q) || !read_columns(build, place, q) ||
		!check_stable(build, place, spec, q))
		return;
	mark_keys(q);
	gold->desc = CreateTemplateTupleDesc(q->nitems);
	for (int i = 0; i < q->nitems; i++)
	{
		TupleDescInitEntry(gold->desc, i + 1, q->items[i].name, q->items[i].type,
						   q->items[i].typmod, 0);
		TupleDescInitEntryCollation(gold->desc, i + 1, q->items[i].collation);
	}
	gold->clear_sql = dp_sql("DELETE FROM %T", &gold->table);
	gold->verify_sql = verify_sql(gold, q);
	choose(gold, q);
}

/* Parse and analyse; false after a problem was added. */
static bool
read_query(DpBuild *build, const char *place, DpGoldQuery *q)
{
	Parse		parsed = {.text = q->text};
	ErrorData  *error = dp_attempt(parse, &parsed);

	if (error)
	{
		dp_build_problem(build, place, error->cursorpos > 0 ?
						 psprintf("See character %d of the query.", error->cursorpos) : NULL,
						 "%s", error->message);
		return false;
	}
	if (list_length(parsed.statements) != 1 ||
		!IsA(linitial_node(RawStmt, parsed.statements)->stmt, SelectStmt))
	{
		dp_build_problem(build, place, NULL, "a gold query must be one SELECT");
		return false;
	}
	q->raw = castNode(SelectStmt, linitial_node(RawStmt, parsed.statements)->stmt);
	if (!check_tables(build, place, q, &parsed))
		return false;
	q->query = dp_expr_query(dp_gold_text(q, DP_REL_NEW), DP_REL_NEW, build->plan->silver_desc,
							 &error);
	if (!q->query)
	{
		dp_build_problem(build, place, error->hint, "%s", error->message);
		return false;
	}
	if (q->query->commandType == CMD_SELECT && !q->query->hasModifyingCTE &&
		!q->raw->lockingClause && !q->raw->intoClause)
		return true;
	dp_build_problem(build, place, NULL, "a gold query must only read");
	return false;
}

static void
parse(void *arg)
{
	Parse	   *parsed = arg;

	parsed->statements = raw_parser(parsed->text, RAW_PARSE_DEFAULT);
	if (list_length(parsed->statements) == 1)
	{
		Node	   *stmt = linitial_node(RawStmt, parsed->statements)->stmt;

		if (IsA(stmt, SelectStmt))
			collect(stmt, parsed);
	}
}

static bool
collect(Node *node, void *context)
{
	Parse	   *parsed = context;

	if (node == NULL)
		return false;
	if (IsA(node, RangeVar))
		parsed->tables = lappend(parsed->tables, node);
	else if (IsA(node, ColumnRef))
		parsed->columns = lappend(parsed->columns, node);
	else if (IsA(node, CommonTableExpr))
		parsed->with = lappend(parsed->with, castNode(CommonTableExpr, node)->ctename);
	return raw_expression_tree_walker(node, collect, context);
}

static bool
is_with(const Parse *parsed, const char *name)
{
	ListCell   *lc;

	foreach(lc, parsed->with)
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	return false;
}

/* Every table must be qualified, silver among them; note where silver stands. */
static bool
check_tables(DpBuild *build, const char *place, DpGoldQuery *q, Parse *parsed)
{
	List	   *silver = NIL;
	List	   *columns = NIL;
	ListCell   *lc;

	foreach(lc, parsed->tables)
	{
		RangeVar   *table = lfirst(lc);

		if (!table->schemaname && !is_with(parsed, table->relname))
		{
			dp_build_problem(build, place,
							 psprintf("Write the schema too, for example %s.",
									  strcmp(table->relname, q->silver->table) == 0 ?
									  dp_sql("%T", q->silver) :
									  dp_sql("public.%I", table->relname)),
							 "table \"%s\" is not qualified", table->relname);
			return false;
		}
		if (!table->catalogname && table->schemaname &&
			strcmp(table->schemaname, q->silver->schema) == 0 &&
			strcmp(table->relname, q->silver->table) == 0)
			silver = lappend(silver, table);
	}
	foreach(lc, parsed->columns)
	{
		List	   *fields = lfirst_node(ColumnRef, lc)->fields;

		if (list_length(fields) >= 3 && strcmp(strVal(linitial(fields)), q->silver->schema) == 0 &&
			strcmp(strVal(lsecond(fields)), q->silver->table) == 0)
			columns = lappend(columns, lfirst(lc));
	}
	q->nreads = list_length(silver);
	dp_gold_find_edits(q, silver, columns);
	if (q->nreads == 0)
		dp_build_problem(build, place,
						 psprintf("Select from %s.", dp_sql("%T", q->silver)),
						 "gold query does not read the silver table");
	return q->nreads > 0;
}

static bool
read_columns(DpBuild *build, const char *place, DpGoldQuery *q)
{
	ListCell   *lc;

	q->items = palloc0(sizeof(DpGoldItem) * (list_length(q->query->targetList) + 1));
	foreach(lc, q->query->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);
		DpGoldItem *item = &q->items[q->nitems];
		const char *fault;

		if (entry->resjunk)
			continue;
		item->name = entry->resname;
		item->type = exprType((Node *) entry->expr);
		item->typmod = exprTypmod((Node *) entry->expr);
		item->collation = exprCollation((Node *) entry->expr);
		fault = name_fault(q, q->nitems++);
		if (fault)
			dp_build_problem(build, place, fault, "column %d of the gold query cannot be named \"%s\"",
							 q->nitems, item->name);
		else if (get_typtype(item->type) == TYPTYPE_PSEUDO)
			dp_build_problem(build, place, "Cast it to a type that can be stored.",
							 "column \"%s\" of the gold query has type %s", item->name,
							 format_type_be(item->type));
	}
	if (q->nitems == 0)
		dp_build_problem(build, place, NULL, "gold query has no columns");
	return build->nproblems == 0;
}

static const char *
name_fault(const DpGoldQuery *q, int index)
{
	const char *name = q->items[index].name;

	if (strcmp(name, "?column?") == 0)
		return "Name the column with AS.";
	if (name[0] == '_')
		return "Names that start with an underscore are kept for bookkeeping columns.";
	for (int i = 0; i < index; i++)
		if (strcmp(q->items[i].name, name) == 0)
			return "Two columns have this name; name them with AS.";
	return NULL;
}

/* The result is unique by its group keys, or by all columns with DISTINCT. */
static void
mark_keys(DpGoldQuery *q)
{
	List	   *clauses = q->query->groupClause;
	int			n = 0;
	ListCell   *lc;

	if (q->query->distinctClause && !q->query->hasDistinctOn && !clauses)
		clauses = q->query->distinctClause;
	foreach(lc, q->query->targetList)
	{
		TargetEntry *entry = lfirst_node(TargetEntry, lc);
		ListCell   *lc2;
		bool		is_key = false;

		foreach(lc2, clauses)
			is_key |= entry->ressortgroupref != 0 &&
				lfirst_node(SortGroupClause, lc2)->tleSortGroupRef == entry->ressortgroupref;
		if (entry->resjunk)
			continue;
		q->items[n++].is_key = is_key;
		q->nkeys += is_key;
	}
}

/* What changes by itself cannot be kept up to date by the rows that arrive. */
static bool
check_stable(DpBuild *build, const char *place, const DpGoldSpec *spec, DpGoldQuery *q)
{
	q->unstable = reads_clock((Node *) q->query, NULL) ||
		contain_volatile_functions((Node *) q->query);
	if (!q->unstable || spec->refresh_ms > 0)
		return true;
	dp_build_problem(build, place,
					 "Leave such functions out, or give refresh: to recompute the table at "
					 "intervals.",
					 "gold query depends on the clock or on a volatile function");
	return false;
}

static bool
reads_clock(Node *node, void *context)
{
	if (node == NULL)
		return false;
	if (IsA(node, SQLValueFunction) || check_functions_in_node(node, clock_function, NULL))
		return true;
	if (IsA(node, Query))
		return query_tree_walker(castNode(Query, node), reads_clock, context, 0);
	return expression_tree_walker(node, reads_clock, context);
}

static bool
clock_function(Oid func, void *context)
{
	return func == F_NOW || func == F_TRANSACTION_TIMESTAMP || func == F_STATEMENT_TIMESTAMP ||
		func == F_AGE_TIMESTAMP || func == F_AGE_TIMESTAMPTZ;
}

static void
choose(DpGoldPlan *gold, DpGoldQuery *q)
{
	const char *no_delta;
	const char *no_groups;

	dp_gold_slice(q);
	no_delta = dp_gold_delta_refuses(q);
	if (!no_delta)
	{
		gold->strategy = DP_GOLD_DELTA;
		gold->reason = q->upsert ?
			"Each batch adds its new rows to the groups and subtracts the rows they replace." :
			"Each batch adds its rows to the groups.";
		dp_gold_delta(gold, q);
		return;
	}
	gold->serialize = true;
	no_groups = dp_gold_groups_refuse(q);
	gold->strategy = no_groups ? DP_GOLD_FULL : DP_GOLD_GROUPS;
	if (!no_groups)
	{
		gold->reason = psprintf("Each batch recomputes the groups it touches, since %s.", no_delta);
		dp_gold_groups(gold, q);
		return;
	}
	gold->reason = psprintf("%s, since %s.", gold->spec->refresh_ms > 0 ?
							"The table is recomputed at the refresh interval" :
							"Each batch recomputes the table", no_groups);
	dp_gold_full(gold, q);
}

/* The result columns as a list, or those of the key. */
char *
dp_gold_columns(const DpGoldQuery *q, const char *prefix, bool keys_only)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < q->nitems; i++)
		if (!keys_only || q->items[i].is_key)
			dp_sql_append(&buf, "%s%s%I", buf.len ? ", " : "", prefix, q->items[i].name);
	return buf.data;
}

/* The names of the columns by which the result is unique. */
List *
dp_gold_keys(const DpGoldQuery *q)
{
	List	   *keys = NIL;

	for (int i = 0; i < q->nitems; i++)
		if (q->items[i].is_key)
			keys = lappend(keys, unconstify(char *, q->items[i].name));
	return keys;
}

/* CREATE TABLE with HIDDEN column definitions, and a unique index on the key if there is one. */
void
dp_gold_create(DpGoldPlan *gold, const DpGoldQuery *q, const char *hidden, const char *options)
{
	StringInfoData buf;

	initStringInfo(&buf);
	dp_sql_append(&buf, "CREATE TABLE %T (", &gold->table);
	for (int i = 0; i < q->nitems; i++)
		dp_sql_append(&buf, "%s%I %s", i ? ", " : "", q->items[i].name,
					  dp_plan_type(q->items[i].type, q->items[i].typmod, q->items[i].collation));
	dp_sql_append(&buf, "%s)%s", hidden, options);
	if (gold->key)
		dp_sql_append(&buf, ";\nCREATE UNIQUE INDEX ON %T (%s) NULLS NOT DISTINCT",
					  &gold->table, dp_plan_list(gold->key, "", ""));
	gold->create_sql = buf.data;
}

static char *
verify_sql(const DpGoldPlan *gold, const DpGoldQuery *q)
{
	StringInfoData list;
	char	   *is;
	char	   *should;

	initStringInfo(&list);
	for (int i = 0; i < q->nitems; i++)
		dp_sql_append(&list, "%s%s", i ? ", " : "", comparable(&q->items[i]));
	is = dp_sql("SELECT %s FROM %T", list.data, &gold->table);
	should = dp_sql("SELECT %s FROM %E AS q", list.data, dp_gold_text(q, NULL));
	return dp_sql("SELECT (SELECT count(*) FROM (%s EXCEPT ALL %s) AS x) AS extra,\n"
				  "\t(SELECT count(*) FROM (%s EXCEPT ALL %s) AS x) AS missing",
				  is, should, should, is);
}

/*
 * A column as two computations of it can be compared: the order of additions
 * changes the last digits of floats, and some types have no equality.
 */
static char *
comparable(const DpGoldItem *item)
{
	if (item->type == FLOAT8OID)
		return dp_sql("%I::float4", item->name);
	if (!dp_plan_equals(item->type))
		return dp_sql("%I::text", item->name);
	return dp_sql("%I", item->name);
}
