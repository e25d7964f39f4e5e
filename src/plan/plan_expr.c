/*
 * plan_expr.c
 *	  Analysis of the user's SQL against relations that exist only in a batch.
 *
 * The relation is described to the parser as an ephemeral named relation with
 * nothing but a row type.  Parse analysis opens other tables and may raise
 * anywhere, so it runs in a subtransaction and the error becomes a problem of
 * the document.
 */
#include "dynpipe.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/analyze.h"
#include "parser/parser.h"
#include "plan/build.h"
#include "util/attempt.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/queryenvironment.h"

typedef struct Analysis
{
	const char *sql;
	const char *relname;
	TupleDesc	desc;
	Query	   *query;
} Analysis;

static bool check_syntax(DpBuild *build, const char *place, const char *expr);
static void analyse(void *arg);
static const char *not_per_row(Query *query);

/* The analysed tree of SQL, which may read RELNAME; NULL with *ERROR when it is not valid. */
Query *
dp_expr_query(const char *sql, const char *relname, TupleDesc desc, ErrorData **error)
{
	Analysis	analysis = {.sql = sql, .relname = relname, .desc = desc};

	*error = dp_attempt(analyse, &analysis);
	return *error ? NULL : analysis.query;
}

static void
analyse(void *arg)
{
	Analysis   *analysis = arg;
	List	   *parsed = raw_parser(analysis->sql, RAW_PARSE_DEFAULT);
	QueryEnvironment *env = create_queryEnv();
	EphemeralNamedRelation rel = palloc0(sizeof(*rel));

	rel->md.name = pstrdup(analysis->relname);
	rel->md.tupdesc = analysis->desc;
	rel->md.enrtype = ENR_NAMED_TUPLESTORE;
	register_ENR(env, rel);
	analysis->query = parse_analyze_fixedparams(linitial_node(RawStmt, parsed), analysis->sql,
												NULL, 0, env);
}

/*
 * Check EXPR, a user's expression over rows of DESC, and return its analysed
 * tree; NULL after a problem was added at PLACE.
 */
Node *
dp_expr_check(DpBuild *build, const char *place, const char *expr, TupleDesc desc, bool boolean)
{
	ErrorData  *error;
	Query	   *query;
	Node	   *node;
	const char *message;
	const char *hint = NULL;

	if (!check_syntax(build, place, expr))
		return NULL;
	query = dp_expr_query(dp_sql("SELECT %E FROM dynpipe_batch", expr), DP_REL_BATCH, desc, &error);
	if (!query)
	{
		dp_build_problem(build, place, error->hint, "%s", error->message);
		return NULL;
	}
	node = (Node *) linitial_node(TargetEntry, query->targetList)->expr;
	if ((message = not_per_row(query)) != NULL)
		hint = "An expression sees one record at a time; put aggregates into a gold query.";
	else if (boolean && exprType(node) != BOOLOID)
		message = psprintf("expression must be boolean, not %s", format_type_be(exprType(node)));
	else if (get_typtype(exprType(node)) == TYPTYPE_PSEUDO)
		message = psprintf("a value of type %s cannot be stored", format_type_be(exprType(node)));
	if (!message)
		return node;
	dp_build_problem(build, place, hint, "%s", message);
	return NULL;
}

static bool
check_syntax(DpBuild *build, const char *place, const char *expr)
{
	int			position;
	char	   *message = dp_sql_check_expr(expr, &position);

	if (message == NULL)
		return true;
	dp_build_problem(build, place, position > 0 ?
					 psprintf("See character %d of the expression.", position) : NULL,
					 "%s", message);
	return false;
}

/* What can be said of the user's expressions while the types of columns are not known. */
void
dp_expr_check_all_syntax(DpBuild *build)
{
	const DpPipelineSpec *spec = build->plan->spec;
	ListCell   *lc;

	foreach(lc, spec->derive)
	{
		DpDeriveSpec *derive = lfirst(lc);

		check_syntax(build, psprintf("/silver/derive/%s", derive->name), derive->expr);
	}
	if (spec->where)
		check_syntax(build, "/silver/where", spec->where);
	if (spec->delete_when)
		check_syntax(build, "/silver/delete_when", spec->delete_when);
	foreach(lc, spec->expect)
		check_syntax(build, psprintf("/silver/expect/%d/check", foreach_current_index(lc)),
					 ((DpExpectSpec *) lfirst(lc))->check);
}

static const char *
not_per_row(Query *query)
{
	if (query->hasAggs)
		return "aggregate functions are not allowed here";
	if (query->hasWindowFuncs)
		return "window functions are not allowed here";
	if (query->hasTargetSRFs)
		return "set-returning functions are not allowed here";
	if (list_length(query->targetList) != 1)
		return "more than one expression";
	return NULL;
}
