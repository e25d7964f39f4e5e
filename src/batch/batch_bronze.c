/*
 * batch_bronze.c
 *	  Raw records into the bronze table, as the owner.
 *
 * Keys and values are copied once, from the source's buffer into a bytea in
 * the batch's memory.
 */
#include "dynpipe.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "nodes/makefuncs.h"
#include "batch/batch.h"
#include "batch/tables.h"
#include "sink/sink.h"
#include "util/as_owner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

#define NCOLUMNS 7

static const char *const names[NCOLUMNS] = {
	"_partition", "_offset", "_timestamp", "_key", "_value", "_headers", "_batch"
};
static const Oid types[NCOLUMNS] = {
	INT4OID, INT8OID, TIMESTAMPTZOID, BYTEAOID, BYTEAOID, JSONBOID, INT8OID
};
static const int32 typmods[NCOLUMNS] = {-1, -1, -1, -1, -1, -1, -1};

void
dp_batch_bronze(DpBatch *batch, int lo, int hi)
{
	DpRole		role;
	Relation	rel;
	DpSink		sink;

	if (!batch->plan->spec->bronze || batch->replay)
		return;
	dp_role_become_owner(&role, batch->plan->owner);
	PushActiveSnapshot(GetTransactionSnapshot());
	rel = dp_table_open(&batch->plan->spec->bronze_table, RowExclusiveLock);
	sink = dp_sink_begin(rel, names, types, typmods, NCOLUMNS);
	for (int i = lo; i < hi; i++)
	{
		const DpRecord *rec = &batch->records.rec[i];
		Datum		values[NCOLUMNS];
		bool		isnull[NCOLUMNS] = {false};

		values[0] = Int32GetDatum(rec->partition);
		values[1] = Int64GetDatum(rec->offset);
		values[2] = dp_table_timestamp(rec->timestamp_ms, &isnull[2]);
		values[3] = dp_table_bytea(rec->key, rec->key_len, &isnull[3]);
		values[4] = dp_table_bytea(rec->value, rec->value_len, &isnull[4]);
		values[5] = rec->nheaders > 0 ? dp_headers_jsonb(rec) : (Datum) 0;
		isnull[5] = rec->nheaders == 0;
		values[6] = Int64GetDatum(batch->id);
		dp_sink_row(&sink, values, isnull);
	}
	dp_sink_end(&sink);
	table_close(rel, NoLock);
	PopActiveSnapshot();
	dp_role_restore(&role);
	CommandCounterIncrement();
}
