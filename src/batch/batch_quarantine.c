/*
 * batch_quarantine.c
 *	  Rejected records, raw and with the reason, into dynpipe.quarantine_record.
 *
 * The table is dynpipe's own, so it is written as the system.
 */
#include "dynpipe.h"

#include "access/table.h"
#include "access/xact.h"
#include "catalog/pg_type.h"
#include "batch/batch.h"
#include "batch/tables.h"
#include "sink/sink.h"
#include "util/as_owner.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"

#define NCOLUMNS 15

static const char *const names[NCOLUMNS] = {
	"pipeline_id", "partition", "offset", "timestamp", "key", "value", "headers",
	"stage", "column_name", "rule", "sqlstate", "message", "batch", "version", "line"
};
static const Oid types[NCOLUMNS] = {
	INT8OID, INT4OID, INT8OID, TIMESTAMPTZOID, BYTEAOID, BYTEAOID, JSONBOID,
	TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID, INT4OID, INT8OID
};
static const int32 typmods[NCOLUMNS] = {
	-1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1, -1
};

static bool any_rejected(const DpBatch *batch);
static void add_row(DpSink *sink, const DpBatch *batch, int i);
static Datum text_or_null(const char *text, bool *isnull);

void
dp_batch_quarantine(DpBatch *batch)
{
	DpTableName name = {"dynpipe", "quarantine_record"};
	DpRole		role;
	Relation	rel;
	DpSink		sink;

	if (!any_rejected(batch))
		return;
	dp_role_become_system(&role);
	PushActiveSnapshot(GetTransactionSnapshot());
	rel = dp_table_open(&name, RowExclusiveLock);
	sink = dp_sink_begin(rel, names, types, typmods, NCOLUMNS);
	for (int i = 0; i < batch->records.n; i++)
		if (batch->fate[i] == DP_FATE_QUARANTINED)
			add_row(&sink, batch, i);
	dp_sink_end(&sink);
	table_close(rel, NoLock);
	PopActiveSnapshot();
	dp_role_restore(&role);
	CommandCounterIncrement();
}

static bool
any_rejected(const DpBatch *batch)
{
	for (int i = 0; i < batch->records.n; i++)
		if (batch->fate[i] == DP_FATE_QUARANTINED)
			return true;
	return false;
}

static void
add_row(DpSink *sink, const DpBatch *batch, int i)
{
	const DpRecord *rec = &batch->records.rec[i];
	const DpRejected *why = batch->rejected[i];
	Datum		v[NCOLUMNS];
	bool		isnull[NCOLUMNS] = {false};

	v[0] = Int64GetDatum(batch->plan->pipeline_id);
	v[1] = Int32GetDatum(rec->partition);
	v[2] = Int64GetDatum(rec->offset);
	v[3] = dp_table_timestamp(rec->timestamp_ms, &isnull[3]);
	v[4] = dp_table_bytea(rec->key, rec->key_len, &isnull[4]);
	v[5] = dp_table_bytea(rec->value, rec->value_len, &isnull[5]);
	v[6] = rec->nheaders > 0 ? dp_headers_jsonb(rec) : (Datum) 0;
	isnull[6] = rec->nheaders == 0;
	v[7] = CStringGetTextDatum(why->reason.stage);
	v[8] = text_or_null(why->reason.column, &isnull[8]);
	v[9] = text_or_null(why->rule, &isnull[9]);
	v[10] = CStringGetTextDatum(unpack_sql_state(why->reason.sqlerrcode));
	v[11] = CStringGetTextDatum(why->reason.message);
	v[12] = Int64GetDatum(batch->id);
	v[13] = Int32GetDatum(batch->plan->version);
	v[14] = Int64GetDatum(rec->line);
	isnull[14] = rec->line == 0;
	dp_sink_row(sink, v, isnull);
}

static Datum
text_or_null(const char *text, bool *isnull)
{
	*isnull = text == NULL;
	return text ? CStringGetTextDatum(text) : (Datum) 0;
}
