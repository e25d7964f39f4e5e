/*
 * api.h
 *	  Shared by the files of SQL functions: arguments, results, access.
 */
#ifndef DP_API_H
#define DP_API_H

#include "catalog/catalog.h"
#include "config/config.h"
#include "funcapi.h"
#include "plan/plan.h"

/* Text argument N as C string; NULL when it is NULL. */
extern char *dp_api_text_arg(FunctionCallInfo fcinfo, int n);

/* The pipeline named by argument N; raises unless the caller has its owner's rights. */
extern DpPipelineRow *dp_api_pipeline_arg(FunctionCallInfo fcinfo, int n);

/* The members of jsonb argument N as DpSetting *; raises unless it is an object of scalars. */
extern List *dp_api_params_arg(FunctionCallInfo fcinfo, int n);

/*
 * The same pipeline, locked against batches and changes until the transaction
 * ends, as it is then; raises when it was dropped meanwhile.
 */
extern DpPipelineRow *dp_api_lock(const DpPipelineRow *row);

/* Raise when called by an expression or a trigger that a batch is executing. */
extern void dp_api_check_outside(void);

/* Add a row of text to the function's result; NULL entries are NULL. */
extern void dp_api_put_row(FunctionCallInfo fcinfo, const char *const *columns, int n);

/* The plan of a stored pipeline; everything in the current memory context. */
extern DpPlan *dp_api_plan(const DpPipelineRow *row);

/* Raise 55000 unless the library was preloaded. */
extern void dp_api_warn_not_preloaded(void);

/*
 * Apply one checked pipeline as CALLER: tables, catalog row, events.  Rows of
 * the result (DpApplied *) are appended to *APPLIED; problems go to DOC.
 */
typedef struct DpApplied
{
	const char *action;			/* create, alter, unchanged, drop */
	const char *object;			/* pipeline, schema, table, column, gold */
	const char *name;
	const char *detail;
} DpApplied;

extern void dp_apply_pipeline(DpPipelineSpec *spec, Oid caller, DpDocument *doc, List **applied);
extern void dp_apply_drop(const DpPipelineRow *row, bool tables, List **applied);

#endif							/* DP_API_H */
