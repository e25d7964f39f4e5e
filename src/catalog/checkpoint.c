/*
 * checkpoint.c
 *	  Positions and the conservation ledger: dynpipe.checkpoint, adoption, gap.
 *
 * dp_catalog_advance is the heart of exactly once: the position moves in the
 * transaction that writes the rows, and only from where the batch started.
 * Whoever lost the race updates fewer rows than it has partitions and aborts.
 */
#include "dynpipe.h"

#include "catalog/catalog.h"
#include "catalog/statement.h"
#include "utils/array.h"
#include "utils/builtins.h"

static Datum int8_array(const DpLedger *rows, int n, size_t field);
static Datum int4_array(const DpLedger *rows, int n);

List *
dp_catalog_checkpoints(int64 id)
{
	static DpStatement st = DP_STATEMENT(
		"SELECT partition, next_offset, version FROM dynpipe.checkpoint"
		" WHERE pipeline_id = $1 ORDER BY partition", INT8OID);
	DpStatementScope scope;
	List	   *rows = NIL;
	uint64		n;
	Datum		args[] = {Int64GetDatum(id)};

	dp_statement_begin(&scope);
	n = dp_statement_run(&st, args, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(scope.caller);
		DpCheckpoint *c = palloc0(sizeof(DpCheckpoint));

		c->partition = dp_statement_int32(i, 1, 0);
		c->next_offset = dp_statement_int64(i, 2, 0);
		c->version = dp_statement_int32(i, 3, 0);
		rows = lappend(rows, c);
		MemoryContextSwitchTo(old);
	}
	dp_statement_end(&scope);
	return rows;
}

void
dp_catalog_add_partition(int64 id, int32 partition, int64 offset)
{
	static DpStatement st = DP_STATEMENT(
		"INSERT INTO dynpipe.checkpoint (pipeline_id, partition, next_offset, first_offset)"
		" VALUES ($1, $2, $3, $3) ON CONFLICT (pipeline_id, partition) DO NOTHING", INT8OID, INT4OID, INT8OID);
	DpStatementScope scope;
	Datum		args[] = {Int64GetDatum(id), Int32GetDatum(partition), Int64GetDatum(offset)};

	dp_statement_begin(&scope);
	dp_statement_run(&st, args, NULL);
	dp_statement_end(&scope);
}

/* Record that [FROM, TO) was lost and move the position to TO. */
void
dp_catalog_add_gap(int64 id, int32 partition, int64 from, int64 to, const char *reason)
{
	static DpStatement insert = DP_STATEMENT(
		"INSERT INTO dynpipe.gap (pipeline_id, partition, from_offset, to_offset, reason)"
		" VALUES ($1, $2, $3, $4, $5)", INT8OID, INT4OID, INT8OID, INT8OID, TEXTOID);
	static DpStatement move = DP_STATEMENT(
		"UPDATE dynpipe.checkpoint SET next_offset = $4"
		" WHERE pipeline_id = $1 AND partition = $2 AND next_offset = $3",
		INT8OID, INT4OID, INT8OID, INT8OID);
	DpStatementScope scope;
	Datum		args[] = {
		Int64GetDatum(id), Int32GetDatum(partition), Int64GetDatum(from), Int64GetDatum(to),
		CStringGetTextDatum(reason)
	};

	dp_statement_begin(&scope);
	dp_statement_run(&insert, args, NULL);
	if (dp_statement_run(&move, args, NULL) != 1)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("another reader moved partition %d of this pipeline", partition)));
	dp_statement_end(&scope);
}

void
dp_catalog_advance(int64 id, int32 version, int64 batch, const DpLedger *rows, int n)
{
	static DpStatement st = DP_STATEMENT(
		"UPDATE dynpipe.checkpoint c SET next_offset = d.next_offset,"
		" consumed = c.consumed + d.consumed, loaded = c.loaded + d.loaded,"
		" deduplicated = c.deduplicated + d.deduplicated, dropped = c.dropped + d.dropped,"
		" quarantined = c.quarantined + d.quarantined, warned = c.warned + d.warned,"
		" inserted = c.inserted + d.inserted, updated = c.updated + d.updated,"
		" deleted = c.deleted + d.deleted, bronze = c.bronze + d.bronze,"
		" bytes = c.bytes + d.bytes, last_batch = $3, version = $2,"
		" last_timestamp = CASE WHEN d.last_ms >= 0"
		"   THEN pg_catalog.to_timestamp(d.last_ms / 1000.0) ELSE c.last_timestamp END"
		" FROM ROWS FROM (pg_catalog.unnest($4), pg_catalog.unnest($5), pg_catalog.unnest($6),"
		"   pg_catalog.unnest($7), pg_catalog.unnest($8), pg_catalog.unnest($9),"
		"   pg_catalog.unnest($10), pg_catalog.unnest($11), pg_catalog.unnest($12),"
		"   pg_catalog.unnest($13), pg_catalog.unnest($14), pg_catalog.unnest($15),"
		"   pg_catalog.unnest($16), pg_catalog.unnest($17), pg_catalog.unnest($18))"
		" AS d(partition, expected, next_offset, consumed, loaded, deduplicated, dropped,"
		"   quarantined, warned, inserted, updated, deleted, bronze, bytes, last_ms)"
		" WHERE c.pipeline_id = $1 AND c.partition = ANY ($4) AND c.partition = d.partition"
		"   AND c.next_offset = d.expected",
		INT8OID, INT4OID, INT8OID, INT4ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
		INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID,
		INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID, INT8ARRAYOID);
	DpStatementScope scope;
	uint64		moved;
	Datum		args[] = {
		Int64GetDatum(id), Int32GetDatum(version), Int64GetDatum(batch),
		int4_array(rows, n),
		int8_array(rows, n, offsetof(DpLedger, expected)),
		int8_array(rows, n, offsetof(DpLedger, next_offset)),
		int8_array(rows, n, offsetof(DpLedger, consumed)),
		int8_array(rows, n, offsetof(DpLedger, loaded)),
		int8_array(rows, n, offsetof(DpLedger, deduplicated)),
		int8_array(rows, n, offsetof(DpLedger, dropped)),
		int8_array(rows, n, offsetof(DpLedger, quarantined)),
		int8_array(rows, n, offsetof(DpLedger, warned)),
		int8_array(rows, n, offsetof(DpLedger, inserted)),
		int8_array(rows, n, offsetof(DpLedger, updated)),
		int8_array(rows, n, offsetof(DpLedger, deleted)),
		int8_array(rows, n, offsetof(DpLedger, bronze)),
		int8_array(rows, n, offsetof(DpLedger, bytes)),
		int8_array(rows, n, offsetof(DpLedger, last_ms))
	};

	dp_statement_begin(&scope);
	moved = dp_statement_run(&st, args, NULL);
	dp_statement_end(&scope);
	if (moved != (uint64) n)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("another reader moved this pipeline's position"),
				 errdetail("%d of %d partitions stood where the batch started.",
						   (int) moved, n),
				 errhint("The batch is discarded and read again from the stored position.")));
}

void
dp_catalog_adopt(int64 id, int32 partition, int32 version, int64 batch)
{
	static DpStatement st = DP_STATEMENT(
		"INSERT INTO dynpipe.adoption (pipeline_id, partition, version, first_batch)"
		" VALUES ($1, $2, $3, $4)", INT8OID, INT4OID, INT4OID, INT8OID);
	DpStatementScope scope;
	Datum		args[] = {
		Int64GetDatum(id), Int32GetDatum(partition), Int32GetDatum(version), Int64GetDatum(batch)
	};

	dp_statement_begin(&scope);
	dp_statement_run(&st, args, NULL);
	dp_statement_end(&scope);
}

int64
dp_catalog_next_batch(void)
{
	static DpStatement st = DP_STATEMENT(
		"SELECT pg_catalog.nextval('dynpipe.batch_id'::pg_catalog.regclass)");
	DpStatementScope scope;
	int64		id;

	dp_statement_begin(&scope);
	dp_statement_run(&st, NULL, NULL);
	id = dp_statement_int64(0, 1, 0);
	dp_statement_end(&scope);
	return id;
}

/* bigint[] of the member at offset FIELD of each row. */
static Datum
int8_array(const DpLedger *rows, int n, size_t field)
{
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		values[i] = Int64GetDatum(*(const int64 *) ((const char *) &rows[i] + field));
	return PointerGetDatum(construct_array(values, n, INT8OID, sizeof(int64),
										   FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

static Datum
int4_array(const DpLedger *rows, int n)
{
	Datum	   *values = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		values[i] = Int32GetDatum(rows[i].partition);
	return PointerGetDatum(construct_array(values, n, INT4OID, sizeof(int32),
										   true, TYPALIGN_INT));
}
