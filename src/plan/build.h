/*
 * build.h
 *	  Private to src/plan: what the files that build a plan share.
 *
 * A DpBuild lives on the stack of dp_plan_build.  While it works the current
 * memory context is the plan's, the current user is the owner, and
 * search_path is pinned.  A finding about the user's document is reported by
 * dp_build_problem and building goes on, so that one look finds all of them.
 */
#ifndef DP_BUILD_H
#define DP_BUILD_H

#include "nodes/parsenodes.h"
#include "plan/plan.h"
#include "util/sqlbuf.h"

typedef struct DpBuild
{
	DpPlan	   *plan;
	DpDocument *doc;			/* where problems go */
	MemoryContext caller;		/* they outlive the plan */
	int			nproblems;		/* added by this build */
	bool		tables_exist;
} DpBuild;

/* Add a problem at the pipeline's pointer followed by PLACE, e.g. "/silver/where". */
extern void dp_build_problem(DpBuild *build, const char *place, const char *hint,
							 const char *fmt,...) pg_attribute_printf(4, 5);

/* plan.c: silver columns and their names */
extern DpSilverColumn *dp_plan_column(const DpPlan *plan, const char *name);

/* plan_rowtype.c: row types */
extern TupleDesc dp_rowtype_batch(const DpPlan *plan);
extern TupleDesc dp_rowtype_checked(const DpPlan *plan);
extern TupleDesc dp_rowtype_rows(const DpPlan *plan);
extern void dp_rowtype_silver(DpBuild *build);

/* plan_expr.c: analysis of SQL text against relations that exist only here */
extern Query *dp_expr_query(const char *sql, const char *relname, TupleDesc desc,
							ErrorData **error);
extern Node *dp_expr_check(DpBuild *build, const char *place, const char *expr,
						   TupleDesc desc, bool boolean);

extern void dp_expr_check_all_syntax(DpBuild *build);

/* plan_sql.c */
extern void dp_plan_sql(DpPlan *plan);
extern char *dp_plan_names(const DpPlan *plan, const char *prefix);
extern char *dp_plan_list(const List *names, const char *prefix, const char *suffix);
extern const char *dp_plan_equals(Oid type);
extern char *dp_plan_same_key(const DpPlan *plan, const char *left, const char *right);
extern char *dp_plan_type(Oid type, int32 typmod, Oid collation);

/* gold.c */
extern void dp_gold_build(DpBuild *build, int index);

#endif							/* DP_BUILD_H */
