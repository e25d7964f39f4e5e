/*
 * config_api.c
 *	  The SQL functions that look at a document, or at a part of one, and touch
 *	  nothing: dynpipe.validate, dynpipe.canonical, dynpipe.schedule_preview.
 */
#include "dynpipe.h"

#include "config/config.h"
#include "fmgr.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "util/cron.h"
#include "utils/builtins.h"
#include "utils/tuplestore.h"

#define MAX_PREVIEW	10000

/* 15 declares these without visibility. */
PGDLLEXPORT Datum dynpipe_validate(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum dynpipe_canonical(PG_FUNCTION_ARGS);
PGDLLEXPORT Datum dynpipe_schedule_preview(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(dynpipe_validate);
PG_FUNCTION_INFO_V1(dynpipe_canonical);
PG_FUNCTION_INFO_V1(dynpipe_schedule_preview);

static void check_preview(int n, TimestampTz after);
static pg_tz *zone_named(const char *name);

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

/* schedule_preview(schedule, timezone, n, after): the next N times that it is due. */
Datum
dynpipe_schedule_preview(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *schedule = text_to_cstring(PG_GETARG_TEXT_PP(0));
	pg_tz	   *zone = zone_named(text_to_cstring(PG_GETARG_TEXT_PP(1)));
	int			n = PG_GETARG_INT32(2);
	TimestampTz at = PG_GETARG_TIMESTAMPTZ(3);
	DpCron		cron;
	const char *hint;
	const char *problem = dp_cron_parse(schedule, &cron, &hint);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("%s: \"%s\"", problem, schedule), errhint("%s", hint)));
	check_preview(n, at);
	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	for (; n > 0 && (at = dp_cron_next(&cron, at, zone)) != DT_NOEND; n--)
	{
		Datum		value = TimestampTzGetDatum(at);
		bool		null = false;

		CHECK_FOR_INTERRUPTS();
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &null);
	}
	return (Datum) 0;
}

static void
check_preview(int n, TimestampTz after)
{
	if (n < 0 || n > MAX_PREVIEW)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("number of times must be 0 to %d, not %d", MAX_PREVIEW, n)));
	if (TIMESTAMP_NOT_FINITE(after))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot look for times after infinity")));
}

static pg_tz *
zone_named(const char *name)
{
	const char *hint;
	pg_tz	   *zone = dp_cron_zone(name, &hint);

	if (zone == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("unknown time zone: \"%s\"", name), errhint("%s", hint)));
	return zone;
}
