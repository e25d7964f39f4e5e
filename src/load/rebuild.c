/*
 * rebuild.c
 *	  Silver and gold made anew from bronze: see rebuild.h.
 *
 *	  bronze ─cursor, in order of _batch─> records ─> batch (replay) ─> silver
 *
 * A batch holds records of one file, since its layout says how they are
 * decoded, and no more bytes than the document allows.  They are copied from
 * the cursor's rows into the batch's memory.
 * Bronze does not say that a record could not be read whole, nor its line: the
 * quarantine's rows do, which therefore go when the replay is done.
 */
#include "dynpipe.h"

#include "access/xact.h"
#include "batch/gold_refresh.h"
#include "batch/tables.h"
#include "catalog/file.h"
#include "catalog/namespace.h"
#include "load/rebuild.h"
#include "miscadmin.h"
#include "output/output.h"
#include "util/as_owner.h"
#include "util/sqlbuf.h"
#include "utils/builtins.h"
#include "utils/hsearch.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define FETCH_ROWS 1000

typedef struct FilePosition
{
	int32		id;
	int64		next;
} FilePosition;

typedef struct Replay
{
	DpLoader   *loader;
	HTAB	   *positions;		/* FilePosition */
	int64		before;			/* see dp_file_reset */
	int32		adopted;		/* file whose layout is in force; 0: none */
} Replay;

static void empty_silver(const DpPlan *plan);
static bool table_exists(const DpTableName *name);
static Portal open_bronze(const DpPlan *plan);
static void replay_rows(Replay *replay);
static void add_record(DpBatch *batch, HeapTuple tuple, TupleDesc desc);
static void run_batch(Replay *replay);
static void put_what_is_known(const Replay *replay, DpBatch *batch);
static int64 position_of(int32 partition, void *arg);

void
dp_rebuild(DpLoader *loader)
{
	const DpPlan *plan = loader->plan;
	HASHCTL		ctl = {.keysize = sizeof(int32), .entrysize = sizeof(FilePosition)};
	Replay		replay = {.loader = loader};
	Portal		portal;

	dp_catalog_lock_turn(plan->pipeline_id, DP_TURN_UPSERT);
	empty_silver(plan);
	replay.before = dp_file_reset(plan->pipeline_id);
	CommandCounterIncrement();

	ctl.hcxt = CurrentMemoryContext;
	replay.positions = hash_create("dynpipe replay", 64, &ctl,
								   HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	SPI_connect();
	portal = open_bronze(plan);
	do
	{
		DpRole		role;

		CHECK_FOR_INTERRUPTS();
		dp_role_become_owner(&role, plan->owner);
		SPI_cursor_fetch(portal, true, FETCH_ROWS);
		dp_role_restore(&role);
		replay_rows(&replay);
	} while (SPI_processed > 0);
	SPI_cursor_close(portal);
	SPI_finish();
	hash_destroy(replay.positions);
	dp_file_reset_done(plan->pipeline_id, replay.before);
	for (int g = 0; g < plan->ngold; g++)
		dp_gold_refresh(plan, g);
	/* Rows that a later file had replaced are those of an earlier one again. */
	dp_output_write_all(plan, loader->folder);
}

/* DELETE, not TRUNCATE: whoever reads it now goes on seeing it. */
static void
empty_silver(const DpPlan *plan)
{
	DpTableName *tombstones = dp_plan_tombstones(plan->spec);
	DpRole		role;

	dp_role_become_owner(&role, plan->owner);
	PushActiveSnapshot(GetTransactionSnapshot());
	SPI_connect();
	if (SPI_execute(dp_sql("DELETE FROM %T", &plan->spec->silver_table), false, 0) < 0 ||
		(table_exists(tombstones) &&
		 SPI_execute(dp_sql("DELETE FROM %T", tombstones), false, 0) < 0))
		elog(ERROR, "cannot empty the silver table");
	SPI_finish();
	PopActiveSnapshot();
	dp_role_restore(&role);
}

static bool
table_exists(const DpTableName *name)
{
	Oid			schema = get_namespace_oid(name->schema, true);

	return OidIsValid(schema) && OidIsValid(get_relname_relid(name->table, schema));
}

static Portal
open_bronze(const DpPlan *plan)
{
	DpRole		role;
	Portal		portal;

	dp_role_become_owner(&role, plan->owner);
	PushActiveSnapshot(GetTransactionSnapshot());
	portal = SPI_cursor_open_with_args(NULL,
									   dp_sql("SELECT _partition, _offset, _timestamp, _key, _value "
											  "FROM %T ORDER BY _batch, _partition, _offset",
											  &plan->spec->bronze_table),
									   0, NULL, NULL, NULL, true, CURSOR_OPT_NO_SCROLL);
	PopActiveSnapshot();
	dp_role_restore(&role);
	return portal;
}

/* The rows of one fetch, batch by batch: a new one where the file changes. */
static void
replay_rows(Replay *replay)
{
	DpLoader   *loader = replay->loader;
	SPITupleTable *rows = SPI_tuptable;
	uint64		n = SPI_processed;
	bool		isnull;

	dp_batch_begin(&loader->batch, loader->plan, loader->exec, loader->format, loader->batch_cxt);
	for (uint64 i = 0; i < n; i++)
	{
		int32		file = DatumGetInt32(SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &isnull));

		if (loader->batch.records.n > 0 &&
			(file != loader->batch.records.rec[0].partition ||
			 loader->batch.records.bytes > loader->plan->spec->batch_max_bytes))
		{
			run_batch(replay);
			dp_batch_begin(&loader->batch, loader->plan, loader->exec, loader->format,
						   loader->batch_cxt);
		}
		add_record(&loader->batch, rows->vals[i], rows->tupdesc);
	}
	if (loader->batch.records.n > 0)
		run_batch(replay);
	SPI_freetuptable(rows);
	SPI_processed = n;
}

static void
add_record(DpBatch *batch, HeapTuple tuple, TupleDesc desc)
{
	MemoryContext old = MemoryContextSwitchTo(batch->cxt);
	DpRecords  *records = &batch->records;
	DpRecord   *rec;
	Datum		timestamp;
	Datum		bytes[2];
	bool		isnull[2];
	bool		no_timestamp;

	if (records->rec == NULL)
		records->rec = palloc(sizeof(DpRecord) * FETCH_ROWS);
	rec = &records->rec[records->n++];
	*rec = (DpRecord) {.key_len = -1, .value_len = -1, .timestamp_ms = -1};
	rec->partition = DatumGetInt32(SPI_getbinval(tuple, desc, 1, &isnull[0]));
	rec->offset = DatumGetInt64(SPI_getbinval(tuple, desc, 2, &isnull[0]));
	timestamp = SPI_getbinval(tuple, desc, 3, &no_timestamp);
	if (!no_timestamp)
		rec->timestamp_ms = (DatumGetTimestampTz(timestamp) - SetEpochTimestamp()) / 1000;
	for (int i = 0; i < 2; i++)
	{
		bytes[i] = SPI_getbinval(tuple, desc, 4 + i, &isnull[i]);
		if (!isnull[i])
			bytes[i] = PointerGetDatum(PG_DETOAST_DATUM_COPY(bytes[i]));
	}
	if (!isnull[0])
	{
		rec->key = VARDATA_ANY(DatumGetPointer(bytes[0]));
		rec->key_len = VARSIZE_ANY_EXHDR(DatumGetPointer(bytes[0]));
	}
	if (!isnull[1])
	{
		rec->value = VARDATA_ANY(DatumGetPointer(bytes[1]));
		rec->value_len = VARSIZE_ANY_EXHDR(DatumGetPointer(bytes[1]));
	}
	records->bytes += Max(rec->key_len, 0) + Max(rec->value_len, 0);
	MemoryContextSwitchTo(old);
}

static void
run_batch(Replay *replay)
{
	DpLoader   *loader = replay->loader;
	DpBatch    *batch = &loader->batch;
	int32		file = batch->records.rec[0].partition;
	FilePosition *position;

	if (file != replay->adopted && loader->format != NULL)
		loader->format->ops->adopt(loader->format, dp_file_layout(file));
	replay->adopted = file;
	batch->replay = true;
	put_what_is_known(replay, batch);
	dp_batch_run(batch, position_of, replay);
	position = hash_search(replay->positions, &file, HASH_FIND, NULL);
	position->next = batch->ledger[0].next_offset;
	CommandCounterIncrement();
	dp_load_alive(loader);
}

/* Of the records that were bad before; both lists are in the order of offsets. */
static void
put_what_is_known(const Replay *replay, DpBatch *batch)
{
	MemoryContext old = MemoryContextSwitchTo(batch->cxt);
	DpRecords  *records = &batch->records;
	int			i = 0;
	ListCell   *lc;

	foreach(lc, dp_file_bad_records(replay->loader->plan->pipeline_id, records->rec[0].partition,
									records->rec[0].offset, records->rec[records->n - 1].offset,
									replay->before))
	{
		const DpBadRecord *bad = lfirst(lc);

		while (i < records->n && records->rec[i].offset < bad->offset)
			i++;
		if (i == records->n)
			break;
		if (records->rec[i].offset != bad->offset)
			continue;
		records->rec[i].line = bad->line;
		records->rec[i].problem = bad->problem;
	}
	MemoryContextSwitchTo(old);
}

static int64
position_of(int32 partition, void *arg)
{
	bool		found;
	FilePosition *position = hash_search(((Replay *) arg)->positions, &partition, HASH_ENTER,
										 &found);

	if (!found)
		position->next = 0;
	return position->next;
}
