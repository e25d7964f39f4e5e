/*
 * feed.c
 *	  A pipeline being read: see feed.h for the order of calls.
 *
 * Memory: plan, exec and format live in contexts below feed->cxt and are
 * replaced together when the version changes; the source makes a context of
 * its own below source_cxt; the batch's is reset for each batch.
 */
#include "dynpipe.h"

#include "access/xact.h"
#include "catalog/pg_foreign_server.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "run/feed.h"
#include "run/positions.h"
#include "utils/fmgrprotos.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

static void replace_plan(DpFeed *feed, const DpPipelineRow *row);
static bool same_source(const DpPipelineSpec *a, const DpPipelineSpec *b);
static void add_partitions(DpFeed *feed, List *checkpoints);
static void remember_positions(DpFeed *feed, List *checkpoints);
static void check_position(DpFeed *feed, DpCheckpoint *checkpoint);
static void assign(DpFeed *feed);
static int64 position_of(int32 partition, void *arg);

DpFeed *
dp_feed_create(int64 pipeline_id, int index, int count, Size memory_limit, int wake_fd,
			   MemoryContext parent)
{
	MemoryContext cxt = AllocSetContextCreate(parent, "dynpipe feed", ALLOCSET_DEFAULT_SIZES);
	DpFeed	   *feed = MemoryContextAllocZero(cxt, sizeof(DpFeed));

	feed->cxt = cxt;
	feed->batch_cxt = AllocSetContextCreate(cxt, "dynpipe batch", ALLOCSET_DEFAULT_SIZES);
	feed->source_cxt = AllocSetContextCreate(cxt, "dynpipe source", ALLOCSET_DEFAULT_SIZES);
	feed->pipeline_id = pipeline_id;
	feed->index = index;
	feed->count = count;
	feed->memory_limit = memory_limit;
	feed->wake_fd = wake_fd;
	return feed;
}

void
dp_feed_load(DpFeed *feed, const DpPipelineRow *row)
{
	if (!OidIsValid(row->owner))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("the owner of pipeline \"%s\" no longer exists", row->name),
				 errhint("A superuser can drop the pipeline and apply it again.")));
	if (feed->plan == NULL || feed->plan->version != row->version ||
		feed->plan->owner != row->owner)
		replace_plan(feed, row);
}

void
dp_feed_connect(DpFeed *feed)
{
	const DpPipelineSpec *spec = feed->plan->spec;
	const DpSourceOps *ops = dp_source_find(spec->scheme);
	ForeignServer *server;
	MemoryContext old;
	DpSourceSpec source = {
		.pipeline = spec->name,
		.scheme = spec->scheme,
		.authority = spec->authority,
		.path = spec->path,
		.owner = feed->plan->owner,
		.shard_index = feed->index,
		.shard_count = feed->count,
		.memory_limit = feed->memory_limit,
		.wake_fd = feed->wake_fd,
		.start = spec->start
	};

	if (feed->source != NULL)
		return;
	server = GetForeignServerByName(spec->connection ? spec->connection : spec->authority, true);
	source.serverid = server ? server->serverid : InvalidOid;
	if (spec->start == DP_START_TIMESTAMP)
		source.start_ms = (DatumGetTimestampTz(
			DirectFunctionCall3(timestamptz_in, CStringGetDatum(spec->start_timestamp),
								ObjectIdGetDatum(InvalidOid), Int32GetDatum(-1))) -
			SetEpochTimestamp()) / 1000;
	old = MemoryContextSwitchTo(feed->source_cxt);
	feed->source = ops->open(&source);
	feed->assigned = false;
	MemoryContextSwitchTo(old);
}

bool
dp_feed_discover(DpFeed *feed)
{
	MemoryContext old = MemoryContextSwitchTo(feed->source_cxt);
	bool		known = feed->source->ops->discover(feed->source, &feed->found, &feed->nfound);

	MemoryContextSwitchTo(old);
	return known;
}

void
dp_feed_take_positions(DpFeed *feed)
{
	List	   *checkpoints = dp_catalog_checkpoints(feed->pipeline_id);

	add_partitions(feed, checkpoints);
	checkpoints = dp_catalog_checkpoints(feed->pipeline_id);
	remember_positions(feed, checkpoints);
	assign(feed);
}

bool
dp_feed_was_moved(const DpFeed *feed)
{
	ListCell   *lc;

	foreach(lc, dp_catalog_checkpoints(feed->pipeline_id))
	{
		DpCheckpoint *c = lfirst(lc);

		if (c->partition < feed->npositions && feed->position[c->partition] >= 0 &&
			feed->position[c->partition] != c->next_offset)
			return true;
	}
	return false;
}

DpPollResult
dp_feed_poll(DpFeed *feed)
{
	DpPollResult result;
	MemoryContext old;

	dp_batch_begin(&feed->batch, feed->plan, feed->exec, feed->format, feed->batch_cxt);
	old = MemoryContextSwitchTo(feed->batch_cxt);
	result = feed->source->ops->poll(feed->source, &feed->batch.records,
									 feed->plan->spec->batch_max_rows,
									 feed->plan->spec->batch_max_bytes);
	MemoryContextSwitchTo(old);
	if (result == DP_POLL_OUT_OF_RANGE || result == DP_POLL_PARTITIONS_CHANGED)
		feed->assigned = false;
	feed->pending = result == DP_POLL_RECORDS;
	return result;
}

void
dp_feed_write(DpFeed *feed)
{
	DpBatch    *batch = &feed->batch;

	/* the version may have changed since the records were polled */
	batch->plan = feed->plan;
	batch->exec = feed->exec;
	batch->format = feed->format;
	dp_batch_run(batch, position_of, feed);
	for (int i = 0; i < batch->nledger; i++)
	{
		int32		partition = batch->ledger[i].partition;

		if (feed->adopted[partition] != feed->plan->version)
			dp_catalog_adopt(feed->pipeline_id, partition, feed->plan->version, batch->id);
	}
}

void
dp_feed_committed(DpFeed *feed)
{
	for (int i = 0; i < feed->batch.nledger; i++)
	{
		const DpLedger *row = &feed->batch.ledger[i];

		feed->position[row->partition] = row->next_offset;
		feed->adopted[row->partition] = feed->plan->version;
	}
	feed->source->ops->release(feed->source);
	feed->pending = false;
}

void
dp_feed_check_connection(DpFeed *feed)
{
	if (feed->source != NULL && feed->source->ops->changed(feed->source))
		dp_feed_close_source(feed);
}

void
dp_feed_close_source(DpFeed *feed)
{
	if (feed->source != NULL)
		feed->source->ops->close(feed->source);
	feed->source = NULL;
	feed->found = NULL;
	feed->nfound = 0;
	feed->assigned = false;
	feed->pending = false;
	MemoryContextReset(feed->source_cxt);
}

void
dp_feed_destroy(DpFeed *feed)
{
	dp_feed_close_source(feed);
	MemoryContextDelete(feed->cxt);
}

int64
dp_feed_lag(const DpFeed *feed)
{
	int64		lag = 0;

	if (!feed->assigned)
		return -1;
	for (int p = 0; p < feed->npositions; p++)
	{
		int64		high;

		if (feed->position[p] < 0)
			continue;
		if (!feed->source->ops->lag(feed->source, p, &high))
			return -1;
		lag += Max(high - feed->position[p], 0);
	}
	return lag;
}

/* Build the plan of ROW's version; a source that it changes is closed. */
static void
replace_plan(DpFeed *feed, const DpPipelineRow *row)
{
	DpPlan	   *old = feed->plan;
	DpPlan	   *plan;
	MemoryContext caller = MemoryContextSwitchTo(feed->cxt);
	DpPipelineSpec *spec;
	MemoryContext spec_cxt = AllocSetContextCreate(feed->cxt, "dynpipe spec",
												   ALLOCSET_DEFAULT_SIZES);

	MemoryContextSwitchTo(spec_cxt);
	spec = dp_spec_from_json(row->definition);
	MemoryContextSwitchTo(caller);
	plan = dp_plan_build(spec, row->id, row->version, row->owner, true, NULL, feed->cxt);
	MemoryContextSetParent(spec_cxt, plan->cxt);

	if (old != NULL && (!same_source(old->spec, spec) || old->owner != row->owner))
		dp_feed_close_source(feed);
	MemoryContextSwitchTo(plan->cxt);
	feed->exec = dp_exec_create(plan, plan->cxt);
	feed->format = plan->nfields > 0 ?
		dp_format_find(spec->format)->open(spec, plan->fields, plan->nfields, spec->path) : NULL;
	MemoryContextSwitchTo(caller);
	feed->plan = plan;
	if (old != NULL)
		MemoryContextDelete(old->cxt);
}

static bool
same_source(const DpPipelineSpec *a, const DpPipelineSpec *b)
{
	const char *ca = a->connection ? a->connection : "";
	const char *cb = b->connection ? b->connection : "";

	return strcmp(a->source, b->source) == 0 && strcmp(ca, cb) == 0;
}

/*
 * A row for every partition of the source, ours or not: a partition without
 * one is then known to be new and is read from its beginning, while at the
 * very first start the document's start policy applies.
 */
static void
add_partitions(DpFeed *feed, List *checkpoints)
{
	for (int i = 0; i < feed->nfound; i++)
	{
		const DpPartition *p = &feed->found[i];
		bool		known = false;
		ListCell   *lc;

		foreach(lc, checkpoints)
			known |= ((DpCheckpoint *) lfirst(lc))->partition == p->id;
		if (!known)
			dp_catalog_add_partition(feed->pipeline_id, p->id,
									 checkpoints == NIL ? p->start : p->low);
	}
}

/* Check the positions of our partitions and keep them. */
static void
remember_positions(DpFeed *feed, List *checkpoints)
{
	MemoryContext old = MemoryContextSwitchTo(feed->source_cxt);
	int			n = 0;
	ListCell   *lc;

	foreach(lc, checkpoints)
		n = Max(n, ((DpCheckpoint *) lfirst(lc))->partition + 1);
	feed->npositions = n;
	feed->position = palloc(sizeof(int64) * Max(n, 1));
	feed->adopted = palloc0(sizeof(int32) * Max(n, 1));
	memset(feed->position, -1, sizeof(int64) * Max(n, 1));
	MemoryContextSwitchTo(old);

	foreach(lc, checkpoints)
	{
		DpCheckpoint *c = lfirst(lc);

		if (c->partition % feed->count != feed->index)
			continue;
		check_position(feed, c);
		feed->position[c->partition] = c->next_offset;
		feed->adopted[c->partition] = c->version;
	}
}

/* Gap: skip and record, or stop.  Beyond the end or gone: stop. */
static void
check_position(DpFeed *feed, DpCheckpoint *checkpoint)
{
	const DpPipelineSpec *spec = feed->plan->spec;
	const DpPartition *found = NULL;
	int			slack = strcmp(spec->scheme, "eventhubs") == 0 ? 1 : 0;

	for (int i = 0; i < feed->nfound; i++)
		if (feed->found[i].id == checkpoint->partition)
			found = &feed->found[i];
	if (found == NULL)
		dp_position_raise_missing(spec, checkpoint->partition);

	switch (dp_position_check(checkpoint->next_offset, found, slack))
	{
		case DP_POSITION_GOOD:
			return;
		case DP_POSITION_BEYOND:
			dp_position_raise_beyond(spec, checkpoint->next_offset, found);
		case DP_POSITION_GAP:
			if (spec->on_gap == DP_ON_GAP_STOP)
				dp_position_raise_gap(spec, checkpoint->next_offset, found);
			dp_catalog_add_gap(feed->pipeline_id, found->id, checkpoint->next_offset,
							   found->low, "expired before it was read");
			dp_catalog_event(feed->pipeline_id, spec->name, "gap", "warning",
							 psprintf("partition %d: " INT64_FORMAT " records from offset "
									  INT64_FORMAT " on had expired and were skipped",
									  found->id, found->low - checkpoint->next_offset,
									  checkpoint->next_offset), NULL);
			checkpoint->next_offset = found->low;
	}
}

static void
assign(DpFeed *feed)
{
	DpPosition *positions = palloc(sizeof(DpPosition) * Max(feed->npositions, 1));
	int			n = 0;

	for (int p = 0; p < feed->npositions; p++)
		if (feed->position[p] >= 0)
			positions[n++] = (DpPosition) {p, feed->position[p]};
	feed->source->ops->assign(feed->source, positions, n);
	feed->assigned = true;
	pfree(positions);
}

static int64
position_of(int32 partition, void *arg)
{
	const DpFeed *feed = arg;

	if (partition < 0 || partition >= feed->npositions || feed->position[partition] < 0)
		elog(ERROR, "source gave partition %d, which is not assigned", partition);
	return feed->position[partition];
}
