/*
 * publish_api.c
 *	  dynpipe.publish: write a pipeline's destination now, in the caller's
 *	  session.
 *
 * Every object that is wanted is tried once, due or not.  An object becomes
 * visible at once, its mark with the caller's commit; after a rollback it is
 * written again.
 */
#include "dynpipe.h"

#include "api/api.h"
#include "catalog/output.h"
#include "miscadmin.h"
#include "output/publish.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(dynpipe_publish);

static void check_destination(const DpPipelineRow *row);
static void put_result(FunctionCallInfo fcinfo, const DpPublished *result);
static const char *number(int64 n);

Datum
dynpipe_publish(PG_FUNCTION_ARGS)
{
	DpPipelineRow *row = dp_api_pipeline_arg(fcinfo, 0);
	DpPublisher *publisher;
	ListCell   *lc;

	dp_api_check_outside();
	check_destination(row);
	InitMaterializedSRF(fcinfo, 0);
	publisher = dp_publisher_open(row, CurrentMemoryContext);
	foreach(lc, dp_catalog_output_due(row->id, true, INT_MAX))
	{
		DpPublished result;

		CHECK_FOR_INTERRUPTS();
		if (dp_publisher_key(publisher, lfirst(lc), &result))
			put_result(fcinfo, &result);
	}
	dp_publisher_close(publisher);
	return (Datum) 0;
}

static void
check_destination(const DpPipelineRow *row)
{
	if (dp_spec_from_json(row->definition)->target.url == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pipeline \"%s\" has no destination to publish to", row->name),
				 errhint("Give its document a destination: with a URL and apply it.")));
}

static void
put_result(FunctionCallInfo fcinfo, const DpPublished *result)
{
	const char *done = result->remove ? "removed" : "written";
	const char *columns[] = {
		result->url, result->remove ? "remove" : "write",
		number(result->rows), number(result->bytes),
		result->state == DP_PUBLISH_DONE ? done :
		result->state == DP_PUBLISH_FAILED ? "failed" : "wanted",
		result->state == DP_PUBLISH_SUPERSEDED ?
		"It was wanted anew while it was published." : result->message,
		result->hint
	};

	dp_api_put_row(fcinfo, columns, lengthof(columns));
}

static const char *
number(int64 n)
{
	return n < 0 ? NULL : psprintf(INT64_FORMAT, n);
}
