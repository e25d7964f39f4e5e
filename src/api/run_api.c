/*
 * run_api.c
 *	  dynpipe.run: load what is there by now, in the caller's transaction.
 *
 * Files: discovery, then each file that waits in a subtransaction of its own.
 *
 * A stream: the ends of the partitions are noted at the start and the run stops there.
 * A worker that serves the same pipeline at the same time is held back by the
 * pipeline's lock; when it goes on, its idea of the position is stale, its
 * compare-and-swap fails, and it starts again from the stored one.
 */
#include "dynpipe.h"

#include "access/xact.h"
#include "api/api.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "config/params.h"
#include "load/load.h"
#include "run/feed.h"
#include "run/wake.h"
#include "storage/latch.h"
#include "utils/builtins.h"
#include "utils/wait_event.h"

#define NAP_MS 10
/* Ends may be beyond the last record that can be read (control records). */
#define SILENCE_MS 3000

PG_FUNCTION_INFO_V1(dynpipe_run);

static void run_files(FunctionCallInfo fcinfo, const DpPipelineRow *row, List *params);
static void check_params(const DpPipelineSpec *spec, List *params);
static void put_file(const DpFileRow *file, const DpLoadResult *result, const ErrorData *error,
					 void *arg);
static void run_stream(FunctionCallInfo fcinfo, const DpPipelineRow *row);
static List *read_all(DpFeed *feed);
static bool at_end(const DpFeed *feed);
static List *add_ledger(List *totals, const DpBatch *batch);
static void nap(void);
static void put_totals(FunctionCallInfo fcinfo, List *totals);

Datum
dynpipe_run(PG_FUNCTION_ARGS)
{
	DpPipelineRow *row = dp_api_pipeline_arg(fcinfo, 0);

	InitMaterializedSRF(fcinfo, 0);
	row = dp_api_lock(row);
	if (row->streaming)
		run_stream(fcinfo, row);
	else
		run_files(fcinfo, row, dp_api_params_arg(fcinfo, 1));
	dp_run_wake_at_commit();
	return (Datum) 0;
}

static void
run_files(FunctionCallInfo fcinfo, const DpPipelineRow *row, List *params)
{
	DpLoader   *loader = dp_loader_open(row, params, GetCurrentTransactionStartTimestamp(),
										   CurrentMemoryContext);

	check_params(loader->plan->spec, params);
	dp_discover(loader);
	dp_load_waiting(loader, true, put_file, fcinfo);
	dp_loader_close(loader);
}

/* A parameter that nothing asks for is a slip. */
static void
check_params(const DpPipelineSpec *spec, List *params)
{
	ListCell   *lc;

	foreach(lc, params)
	{
		const char *name = ((const DpSetting *) lfirst(lc))->name;
		const char *hint = dp_params_unknown(name, spec->params);

		if (hint != NULL)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("pipeline \"%s\" has no parameter \"%s\"", spec->name, name),
					 errhint("%s", hint)));
	}
}

/* One row of the result. */
static void
put_file(const DpFileRow *file, const DpLoadResult *result, const ErrorData *error, void *arg)
{
	const DpLedger *t = &result->ledger;
	const char *columns[] = {
		file->url, dp_file_state_name(error ? DP_FILE_FAILED : DP_FILE_LOADED),
		psprintf("%d", file->id), "0", psprintf(INT64_FORMAT, t->next_offset),
		psprintf(INT64_FORMAT, t->consumed), psprintf(INT64_FORMAT, t->loaded),
		psprintf(INT64_FORMAT, t->deduplicated), psprintf(INT64_FORMAT, t->dropped),
		psprintf(INT64_FORMAT, t->quarantined), error ? error->message : NULL
	};

	dp_api_put_row(arg, columns, lengthof(columns));
}

static void
run_stream(FunctionCallInfo fcinfo, const DpPipelineRow *row)
{
	DpFeed	   *feed;

	feed = dp_feed_create(row->id, 0, 1, (Size) dp_worker_memory * 1024 / 4, -1,
						  CurrentMemoryContext);
	dp_feed_load(feed, row);
	dp_feed_connect(feed);
	while (!dp_feed_discover(feed))
		nap();
	dp_feed_take_positions(feed);
	put_totals(fcinfo, read_all(feed));
	dp_feed_destroy(feed);
}

/* Batch after batch until the ends that discover gave; DpLedger * per partition. */
static List *
read_all(DpFeed *feed)
{
	List	   *totals = NIL;
	int			silence = 0;

	while (!at_end(feed) && silence < SILENCE_MS)
	{
		DpPollResult result = dp_feed_poll(feed);

		if (result == DP_POLL_OUT_OF_RANGE)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("the source no longer has the records that are next to read"),
					 errhint("Run it again: the position is then checked against what "
							 "the source still has.")));
		if (result == DP_POLL_PARTITIONS_CHANGED)
			break;
		if (result == DP_POLL_EMPTY)
		{
			nap();
			silence += NAP_MS;
			continue;
		}
		silence = 0;
		dp_feed_write(feed);
		totals = add_ledger(totals, &feed->batch);
		dp_feed_committed(feed);
		CommandCounterIncrement();
		CHECK_FOR_INTERRUPTS();
	}
	return totals;
}

static bool
at_end(const DpFeed *feed)
{
	for (int i = 0; i < feed->nfound; i++)
		if (feed->position[feed->found[i].id] < feed->found[i].high)
			return false;
	return true;
}

static List *
add_ledger(List *totals, const DpBatch *batch)
{
	for (int i = 0; i < batch->nledger; i++)
	{
		const DpLedger *row = &batch->ledger[i];
		DpLedger   *total = NULL;
		ListCell   *lc;

		foreach(lc, totals)
			if (((DpLedger *) lfirst(lc))->partition == row->partition)
				total = lfirst(lc);
		if (total == NULL)
		{
			total = palloc0(sizeof(DpLedger));
			total->partition = row->partition;
			total->expected = row->expected;
			totals = lappend(totals, total);
		}
		total->next_offset = row->next_offset;
		total->consumed += row->consumed;
		total->loaded += row->loaded;
		total->deduplicated += row->deduplicated;
		total->dropped += row->dropped;
		total->quarantined += row->quarantined;
	}
	return totals;
}

static void
nap(void)
{
	(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, NAP_MS,
					 PG_WAIT_EXTENSION);
	ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
}

static void
put_totals(FunctionCallInfo fcinfo, List *totals)
{
	ListCell   *lc;

	foreach(lc, totals)
	{
		DpLedger   *t = lfirst(lc);
		const char *columns[] = {
			NULL, "loaded", psprintf("%d", t->partition),
			psprintf(INT64_FORMAT, t->expected), psprintf(INT64_FORMAT, t->next_offset),
			psprintf(INT64_FORMAT, t->consumed), psprintf(INT64_FORMAT, t->loaded),
			psprintf(INT64_FORMAT, t->deduplicated), psprintf(INT64_FORMAT, t->dropped),
			psprintf(INT64_FORMAT, t->quarantined), NULL
		};

		dp_api_put_row(fcinfo, columns, lengthof(columns));
	}
}
