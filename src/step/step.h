/*
 * step.h
 *	  A step is one thing that silver: asks for between decode and write, as
 *	  SQL text.  Steps only write text: columns in, fragment out.
 *
 * The fragments of all steps are put together by dp_step_render into one
 * SELECT over dynpipe_batch, in levels that each see the one below:
 *
 *	  dynpipe_batch  ->  derive  ->  is_delete  ->  verdict  ->  warned
 *
 * A level that no step uses is left out.  OFFSET 0 keeps the planner from
 * merging levels, so each expression of the user's is evaluated once a row.
 *
 * Steps are called in the order of step_list.h, which is the order in which
 * their branches of the verdict are tried.  In the verdict and later levels
 * the silver columns, the meta columns and "_delete" are visible.
 */
#ifndef DP_STEP_H
#define DP_STEP_H

#include "plan/plan.h"
#include "util/sqlbuf.h"

typedef struct DpStepSql
{
	bool		derives;		/* the derive level is needed */
	StringInfoData derive;		/* select list: every silver column, comma separated */
	StringInfoData is_delete;	/* boolean expression; empty when nothing deletes */
	StringInfoData verdict;		/* WHEN ... THEN ... branches of a CASE */
	StringInfoData warned;		/* int8 expression; empty: 0 */
} DpStepSql;

typedef struct DpStepOps
{
	const char *name;
	/* Append to the fragments; adds nothing when the plan does not ask for the step. */
	void		(*render) (const DpPlan *plan, DpStepSql *sql);
} DpStepOps;

#define DP_STEP(name) extern const DpStepOps dp_step_##name##_ops;
#include "step/step_list.h"
#undef DP_STEP

/* The plan's transform statement, or NULL when every record loads as decoded. */
extern char *dp_step_render(const DpPlan *plan);

#endif							/* DP_STEP_H */
