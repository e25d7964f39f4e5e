/*
 * config_api.c
 *	  The SQL functions that look at a document and touch nothing:
 *	  dynpipe.validate and dynpipe.canonical.
 */
#include "dynpipe.h"

#include "config/config.h"
#include "fmgr.h"
#include "funcapi.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

/* 15 declares these without visibility. */
PGDLLEXPORT Datum dynpipe_validate(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum dynpipe_canonical(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(dynpipe_validate);
PG_FUNCTION_INFO_V1(dynpipe_canonical);

/* validate(document): one row per problem. */
Datum
dynpipe_validate(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DpDocument *doc = dp_config_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	ListCell   *lc;

	InitMaterializedSRF(fcinfo, 0);
	foreach(lc, doc->problems)
	{
		const DpProblem *problem = lfirst(lc);
		Datum		values[5] = {0};
		bool		nulls[5] = {false};

		values[0] = CStringGetTextDatum(problem->pointer);
		values[1] = Int32GetDatum(problem->line);
		values[2] = Int32GetDatum(problem->column);
		values[3] = CStringGetTextDatum(problem->message);
		nulls[1] = nulls[2] = problem->line == 0;
		if (problem->hint != NULL)
			values[4] = CStringGetTextDatum(problem->hint);
		nulls[4] = problem->hint == NULL;
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* canonical(document): each pipeline as it would be stored; raises for a bad document. */
Datum
dynpipe_canonical(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	DpDocument *doc = dp_config_parse(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	ListCell   *lc;

	dp_config_raise(doc);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	foreach(lc, doc->pipelines)
	{
		Datum		value = CStringGetTextDatum(dp_spec_to_json(lfirst(lc)));
		bool		null = false;

		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &null);
	}
	return (Datum) 0;
}
