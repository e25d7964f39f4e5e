/*
 * pipeline_api.c
 *	  dynpipe.start, stop, drop, export, explain, verify, seek, refresh: what a
 *	  person does with a pipeline that exists.
 *
 * Every function acts for its caller, who must have the rights of the
 * pipeline's owner.  Those that change it take the pipeline's lock, so they
 * return when no batch is in flight and hold new ones back until commit.
 */
#include "dynpipe.h"

#include "api/api.h"
#include "catalog/statement.h"
#include "miscadmin.h"
#include "batch/gold_refresh.h"
#include "run/wake.h"
#include "util/as_owner.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(dynpipe_start);
PG_FUNCTION_INFO_V1(dynpipe_stop);
PG_FUNCTION_INFO_V1(dynpipe_drop);
PG_FUNCTION_INFO_V1(dynpipe_export);
PG_FUNCTION_INFO_V1(dynpipe_explain);
PG_FUNCTION_INFO_V1(dynpipe_verify);
PG_FUNCTION_INFO_V1(dynpipe_seek);
PG_FUNCTION_INFO_V1(dynpipe_refresh);

static void set_enabled(FunctionCallInfo fcinfo, bool enabled);
static char *run_for_text(const char *sql, bool as_owner, Oid owner);

Datum
dynpipe_start(PG_FUNCTION_ARGS)
{
	set_enabled(fcinfo, true);
	dp_api_warn_not_preloaded();
	PG_RETURN_VOID();
}

Datum
dynpipe_stop(PG_FUNCTION_ARGS)
{
	set_enabled(fcinfo, false);
	PG_RETURN_VOID();
}

Datum
dynpipe_drop(PG_FUNCTION_ARGS)
{
	DpPipelineRow *row = dp_api_pipeline_arg(fcinfo, 0);
	List	   *applied = NIL;

	dp_apply_drop(dp_api_lock(row), PG_GETARG_BOOL(1), &applied);
	dp_run_wake_at_commit();
	PG_RETURN_VOID();
}

/* The named pipeline, or all that the caller may see, as one document. */
Datum
dynpipe_export(PG_FUNCTION_ARGS)
{
	List	   *rows = PG_ARGISNULL(0) ? dp_catalog_all() :
		list_make1(dp_api_pipeline_arg(fcinfo, 0));
	StringInfoData doc;
	ListCell   *lc;
	bool		first = true;

	initStringInfo(&doc);
	appendStringInfoString(&doc, "{\"pipelines\": [");
	foreach(lc, rows)
	{
		DpPipelineRow *row = lfirst(lc);

		if (!OidIsValid(row->owner) || !has_privs_of_role(GetUserId(), row->owner))
			continue;
		appendStringInfo(&doc, "%s%s", first ? "" : ", ", row->definition);
		first = false;
	}
	appendStringInfoString(&doc, "]}");
	PG_RETURN_DATUM(DirectFunctionCall1(jsonb_in, CStringGetDatum(doc.data)));
}

Datum
dynpipe_explain(PG_FUNCTION_ARGS)
{
	DpPipelineRow *row = dp_api_pipeline_arg(fcinfo, 0);
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, dp_plan_explain(dp_api_plan(row)))
	{
		DpExplainRow *r = lfirst(lc);
		const char *columns[] = {r->section, r->item, r->value};

		dp_api_put_row(fcinfo, columns, lengthof(columns));
	}
	return (Datum) 0;
}

/* Every invariant in one snapshot: what the ledger says against what is there. */
Datum
dynpipe_verify(PG_FUNCTION_ARGS)
{
	DpPipelineRow *row = dp_api_pipeline_arg(fcinfo, 0);
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, dp_plan_verify(dp_api_plan(row)))
	{
		DpVerifyItem *item = lfirst(lc);
		char	   *expected = run_for_text(item->catalog_sql, false, row->owner);
		char	   *found = run_for_text(item->owner_sql, !item->system, row->owner);
		bool		ok = expected && found && strcmp(expected, found) == 0;
		const char *columns[] = {item->name, expected, found, ok ? "t" : "f"};

		dp_api_put_row(fcinfo, columns, lengthof(columns));
	}
	return (Datum) 0;
}

/* Set where a partition is read from next; the owner's decision, so it is logged. */
Datum
dynpipe_seek(PG_FUNCTION_ARGS)
{
	static DpStatement st = DP_STATEMENT(
		"UPDATE dynpipe.checkpoint SET next_offset = $3"
		" WHERE pipeline_id = $1 AND partition = $2", INT8OID, INT4OID, INT8OID);
	DpPipelineRow *row = dp_api_pipeline_arg(fcinfo, 0);
	DpStatementScope scope;
	uint64		moved;
	Datum		args[] = {Int64GetDatum(row->id), PG_GETARG_DATUM(1), PG_GETARG_DATUM(2)};

	if (PG_GETARG_INT64(2) < 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("next_offset must not be negative")));
	row = dp_api_lock(row);
	dp_statement_begin(&scope);
	moved = dp_statement_run(&st, args, NULL);
	dp_statement_end(&scope);
	if (moved == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("pipeline \"%s\" has no partition %d", row->name, PG_GETARG_INT32(1)),
				 errhint("SELECT partition FROM dynpipe.partitions lists them; a partition "
						 "appears when the pipeline first reads it.")));
	dp_catalog_event(row->id, row->name, "seek", "warning",
					 psprintf("partition %d set to offset " INT64_FORMAT " by %s",
							  PG_GETARG_INT32(1), PG_GETARG_INT64(2),
							  GetUserNameFromId(GetUserId(), false)), NULL);
	dp_run_wake_at_commit();
	PG_RETURN_VOID();
}

/* Recompute all gold tables of the pipeline from silver. */
Datum
dynpipe_refresh(PG_FUNCTION_ARGS)
{
	DpPipelineRow *row = dp_api_pipeline_arg(fcinfo, 0);
	DpPlan	   *plan;

	row = dp_api_lock(row);
	plan = dp_api_plan(row);
	for (int g = 0; g < plan->ngold; g++)
		dp_gold_refresh(plan, g);
	dp_catalog_event(row->id, row->name, "refreshed", "info",
					 psprintf("gold recomputed by %s",
							  GetUserNameFromId(GetUserId(), false)), NULL);
	PG_RETURN_VOID();
}

static void
set_enabled(FunctionCallInfo fcinfo, bool enabled)
{
	DpPipelineRow *row = dp_api_pipeline_arg(fcinfo, 0);

	row = dp_api_lock(row);
	dp_catalog_set_enabled(row->id, enabled);
	dp_catalog_event(row->id, row->name, enabled ? "started" : "stopped", "info",
					 psprintf("by %s", GetUserNameFromId(GetUserId(), false)), NULL);
	dp_run_wake_at_commit();
}

/* First column of the first row, read-only: in the snapshot of the calling query. */
static char *
run_for_text(const char *sql, bool as_owner, Oid owner)
{
	MemoryContext caller = CurrentMemoryContext;
	DpRole		role;
	char	   *text = NULL;

	if (as_owner)
		dp_role_become_owner(&role, owner);
	else
		dp_role_become_system(&role);
	SPI_connect();
	if (SPI_execute(sql, true, 1) < 0)
		elog(ERROR, "cannot run: %s", sql);
	if (SPI_processed > 0)
		text = SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
	if (text)
		text = MemoryContextStrdup(caller, text);
	SPI_finish();
	dp_role_restore(&role);
	return text;
}
