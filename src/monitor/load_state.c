/*
 * load_state.c
 *	  The loads of files that run now, as rows; see load/progress.h for where
 *	  they are told.
 *
 * Rows of all pipelines are given, with nothing in them but numbers; the view
 * dynpipe.progress leaves out those that its user may not see.
 */
#include "dynpipe.h"

#include "commands/progress.h"
#include "fmgr.h"
#include "funcapi.h"
#include "load/progress.h"
#include "miscadmin.h"
#include "utils/backend_status.h"
#include "utils/timestamp.h"

#define COLUMNS 13

PG_FUNCTION_INFO_V1(dynpipe_load_state);

static void put_row(ReturnSetInfo *result, const PgBackendStatus *entry);

Datum
dynpipe_load_state(PG_FUNCTION_ARGS)
{
	int			n = pgstat_fetch_stat_numbackends();

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 1; i <= n; i++)
	{
		LocalPgBackendStatus *local = dp_compat_local_beentry(i);

		if (local == NULL || local->backendStatus.st_databaseid != MyDatabaseId ||
			local->backendStatus.st_progress_command != PROGRESS_COMMAND_COPY ||
			local->backendStatus.st_progress_param[DP_PROGRESS_MAGIC] != DP_PROGRESS_IS_OURS)
			continue;
		put_row((ReturnSetInfo *) fcinfo->resultinfo, &local->backendStatus);
	}
	return (Datum) 0;
}

static void
put_row(ReturnSetInfo *result, const PgBackendStatus *entry)
{
	const int64 *param = entry->st_progress_param;
	int64		bytes = param[PROGRESS_COPY_BYTES_PROCESSED];
	int64		records = param[PROGRESS_COPY_TUPLES_PROCESSED];
	bool		nulls[COLUMNS] = {false};
	Datum		values[COLUMNS] = {
		Int64GetDatum(param[DP_PROGRESS_PIPELINE]), Int32GetDatum(entry->st_procpid),
		Int32GetDatum((int32) param[DP_PROGRESS_FILE]),
		TimestampTzGetDatum(param[DP_PROGRESS_STARTED]),
		Int64GetDatum(param[DP_PROGRESS_FILES]), Int64GetDatum(param[DP_PROGRESS_FILES_DONE]),
		Int64GetDatum(param[DP_PROGRESS_BYTES]),
		Int64GetDatum(param[DP_PROGRESS_BYTES_DONE] + bytes),
		Int64GetDatum(param[PROGRESS_COPY_BYTES_TOTAL]), Int64GetDatum(bytes),
		Int64GetDatum(param[DP_PROGRESS_ROWS_DONE] + records), Int64GetDatum(records),
		Int64GetDatum(param[PROGRESS_COPY_TUPLES_EXCLUDED])
	};

	tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}
