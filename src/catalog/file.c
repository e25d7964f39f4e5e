/*
 * file.c
 *	  The file ledger: see file.h.
 *
 * A row is current as long as no newer version of its object was seen and the
 * object is there; a unique index holds that to one per object, so two who
 * look at the same folder at once enter nothing twice.
 */
#include "dynpipe.h"

#include "catalog/file.h"
#include "catalog/statement.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

#define FILE_COLUMNS \
	"f.id, f.url, f.version, f.size," \
	" (pg_catalog.date_part('epoch', f.modified_at) * 1000)::bigint, f.state, f.failures, f.layout"

#define SEEN_ROWS \
	"ROWS FROM (pg_catalog.unnest($2), pg_catalog.unnest($3), pg_catalog.unnest($4)," \
	" pg_catalog.unnest($5)) AS s(url, version, size, ms)"

static const char *const state_names[] = {
	[DP_FILE_PENDING] = "pending",
	[DP_FILE_LOADED] = "loaded",
	[DP_FILE_FAILED] = "failed",
	[DP_FILE_REPLACED] = "replaced",
	[DP_FILE_UNLOADED] = "unloaded",
	[DP_FILE_GONE] = "gone",
};

static Datum text_array(char **values, int n);
static Datum int8_array(const int64 *values, int n);
static DpFileRow *read_file(DpStatementScope *scope, int64 pipeline_id, uint64 row);
static List *read_files(DpStatementScope *scope, int64 pipeline_id, uint64 n);
static Datum text_or_null(const char *text, bool *isnull);

const char *
dp_file_state_name(DpFileState state)
{
	return state_names[state];
}

char *
dp_file_key(char *url)
{
	char	   *authority = strstr(url, "://") + strlen("://");

	return strchrnul(authority, '/') + 1;
}

void
dp_file_see(int64 pipeline_id, const DpSeenFiles *seen, bool keep_first,
			int64 *fresh, int64 *changed)
{
	static DpStatement waiting = DP_STATEMENT(
		"UPDATE dynpipe.source_file f SET version = s.version, size = nullif(s.size, -1),"
		" modified_at = pg_catalog.to_timestamp(nullif(s.ms, -1) / 1000.0), state = 'pending',"
		" failures = 0, next_try_at = NULL, message = NULL, detail = NULL, hint = NULL,"
		" sqlstate = NULL, seen_at = pg_catalog.now()"
		" FROM " SEEN_ROWS
		" WHERE f.pipeline_id = $1 AND f.current AND f.url = s.url AND f.version <> s.version"
		" AND f.state IN ('pending', 'failed')",
		INT8OID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID);
	static DpStatement superseded = DP_STATEMENT(
		"UPDATE dynpipe.source_file f SET current = false FROM " SEEN_ROWS
		" WHERE f.pipeline_id = $1 AND f.current AND f.url = s.url AND f.version <> s.version",
		INT8OID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID);
	static DpStatement insert = DP_STATEMENT(
		"INSERT INTO dynpipe.source_file (pipeline_id, url, version, size, modified_at)"
		" SELECT $1, s.url, s.version, nullif(s.size, -1),"
		" pg_catalog.to_timestamp(nullif(s.ms, -1) / 1000.0)"
		" FROM " SEEN_ROWS
		" WHERE NOT EXISTS (SELECT FROM dynpipe.source_file f"
		"   WHERE f.pipeline_id = $1 AND f.current AND f.url = s.url)"
		" ORDER BY nullif(s.ms, -1) NULLS FIRST, s.url"
		" ON CONFLICT (pipeline_id, url) WHERE current DO NOTHING",
		INT8OID, TEXTARRAYOID, TEXTARRAYOID, INT8ARRAYOID, INT8ARRAYOID);
	DpStatementScope scope;
	uint64		moved = 0;
	Datum		args[] = {
		Int64GetDatum(pipeline_id), text_array(seen->url, seen->n),
		text_array(seen->version, seen->n), int8_array(seen->size, seen->n),
		int8_array(seen->modified_ms, seen->n)
	};

	dp_statement_begin(&scope);
	*changed += dp_statement_run(&waiting, args, NULL);
	if (!keep_first)
		moved = dp_statement_run(&superseded, args, NULL);
	*fresh += dp_statement_run(&insert, args, NULL) - moved;
	*changed += moved;
	dp_statement_end(&scope);
}

List *
dp_file_expected(int64 pipeline_id, bool loaded_too)
{
	static DpStatement st = DP_STATEMENT(
		"SELECT " FILE_COLUMNS " FROM dynpipe.source_file f WHERE f.pipeline_id = $1 AND f.current"
		" AND (f.state IN ('pending', 'failed') OR $2 AND f.state = 'loaded')", INT8OID, BOOLOID);
	DpStatementScope scope;
	List	   *rows;
	Datum		args[] = {Int64GetDatum(pipeline_id), BoolGetDatum(loaded_too)};

	dp_statement_begin(&scope);
	rows = read_files(&scope, pipeline_id, dp_statement_run(&st, args, NULL));
	dp_statement_end(&scope);
	return rows;
}

DpFileRow *
dp_file_next(int64 pipeline_id)
{
	static DpStatement st = DP_STATEMENT(
		"SELECT " FILE_COLUMNS " FROM dynpipe.source_file f WHERE f.pipeline_id = $1 AND f.current"
		" AND f.state IN ('pending', 'failed') AND (f.state = 'pending'"
		"   OR f.next_try_at <= pg_catalog.clock_timestamp())"
		" ORDER BY f.modified_at NULLS FIRST, f.id LIMIT 1 FOR UPDATE SKIP LOCKED", INT8OID);
	DpStatementScope scope;
	DpFileRow  *file = NULL;
	Datum		args[] = {Int64GetDatum(pipeline_id)};

	dp_statement_begin(&scope);
	if (dp_statement_run(&st, args, NULL) > 0)
		file = read_file(&scope, pipeline_id, 0);
	dp_statement_end(&scope);
	return file;
}

/*
 * In one transaction the rows of files that were loaded stay in the way of
 * whoever looks for the next one, so it looks for many at a time.
 */
List *
dp_file_due(int64 pipeline_id, int limit)
{
	static DpStatement st = DP_STATEMENT(
		"SELECT " FILE_COLUMNS " FROM dynpipe.source_file f WHERE f.pipeline_id = $1 AND f.current"
		" AND f.state IN ('pending', 'failed')"
		" AND (f.state = 'pending' OR f.tried_at < pg_catalog.now())"
		" ORDER BY f.modified_at NULLS FIRST, f.id LIMIT $2", INT8OID, INT8OID);
	DpStatementScope scope;
	List	   *rows;
	Datum		args[] = {Int64GetDatum(pipeline_id), Int64GetDatum(limit)};

	dp_statement_begin(&scope);
	rows = read_files(&scope, pipeline_id, dp_statement_run(&st, args, NULL));
	dp_statement_end(&scope);
	return rows;
}

void
dp_file_waiting(int64 pipeline_id, int64 *files, int64 *bytes, TimestampTz *due)
{
	static DpStatement st = DP_STATEMENT(
		"SELECT pg_catalog.count(*) FILTER (WHERE f.state = 'pending'),"
		" coalesce(pg_catalog.sum(f.size) FILTER (WHERE f.state = 'pending'), 0)::bigint,"
		" pg_catalog.min(f.next_try_at)"
		" FROM dynpipe.source_file f WHERE f.pipeline_id = $1 AND f.current"
		" AND f.state IN ('pending', 'failed')", INT8OID);
	DpStatementScope scope;
	Datum		args[] = {Int64GetDatum(pipeline_id)};

	dp_statement_begin(&scope);
	dp_statement_run(&st, args, NULL);
	*files = dp_statement_int64(0, 1, 0);
	*bytes = dp_statement_int64(0, 2, 0);
	*due = dp_statement_int64(0, 3, 0);
	dp_statement_end(&scope);
}

List *
dp_file_find(int64 pipeline_id, const char *url, int32 id)
{
	static DpStatement by_url = DP_STATEMENT(
		"SELECT " FILE_COLUMNS " FROM dynpipe.source_file f"
		" WHERE f.pipeline_id = $1 AND f.url = $2 ORDER BY f.id DESC", INT8OID, TEXTOID);
	static DpStatement by_id = DP_STATEMENT(
		"SELECT " FILE_COLUMNS " FROM dynpipe.source_file f"
		" WHERE f.pipeline_id = $1 AND f.id = $2", INT8OID, INT4OID);
	DpStatementScope scope;
	List	   *rows;
	Datum		args[] = {
		Int64GetDatum(pipeline_id), url ? CStringGetTextDatum(url) : Int32GetDatum(id)
	};

	dp_statement_begin(&scope);
	rows = read_files(&scope, pipeline_id, dp_statement_run(url ? &by_url : &by_id, args, NULL));
	dp_statement_end(&scope);
	return rows;
}

void
dp_file_set_state(int32 id, DpFileState state, bool current)
{
	static DpStatement st = DP_STATEMENT(
		"UPDATE dynpipe.source_file SET state = $2, current = current AND $3,"
		" finished_at = pg_catalog.clock_timestamp(), next_try_at = NULL WHERE id = $1",
		INT4OID, TEXTOID, BOOLOID);
	DpStatementScope scope;
	Datum		args[] = {
		Int32GetDatum(id), CStringGetTextDatum(state_names[state]), BoolGetDatum(current)
	};

	dp_statement_begin(&scope);
	dp_statement_run(&st, args, NULL);
	dp_statement_end(&scope);
}

void
dp_file_set_loaded(int32 id, const char *layout, int64 batch)
{
	static DpStatement st = DP_STATEMENT(
		"UPDATE dynpipe.source_file SET state = 'loaded', layout = $2, batch = $3, failures = 0,"
		" tried_at = pg_catalog.now(), finished_at = pg_catalog.clock_timestamp(),"
		" sqlstate = NULL, message = NULL, detail = NULL, hint = NULL, next_try_at = NULL"
		" WHERE id = $1 AND state IN ('pending', 'failed')", INT4OID, TEXTOID, INT8OID);
	DpStatementScope scope;
	bool		nulls[] = {false, layout == NULL, batch == 0};
	Datum		args[] = {
		Int32GetDatum(id), layout ? CStringGetTextDatum(layout) : (Datum) 0, Int64GetDatum(batch)
	};
	uint64		n;

	dp_statement_begin(&scope);
	n = dp_statement_run(&st, args, nulls);
	dp_statement_end(&scope);
	if (n != 1)
		ereport(ERROR,
				(errcode(ERRCODE_T_R_SERIALIZATION_FAILURE),
				 errmsg("file %d was loaded by somebody else meanwhile", id)));
}

void
dp_file_set_failed(int32 id, const ErrorData *error, int64 wait_ms)
{
	static DpStatement st = DP_STATEMENT(
		"UPDATE dynpipe.source_file SET state = 'failed', failures = failures + 1,"
		" tried_at = pg_catalog.now(), sqlstate = $2, message = $3, detail = $4, hint = $5,"
		" next_try_at = pg_catalog.clock_timestamp() + $6 * interval '1 millisecond'"
		" WHERE id = $1 AND state IN ('pending', 'failed')",
		INT4OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, INT8OID);
	DpStatementScope scope;
	bool		nulls[6] = {false};
	Datum		args[6];

	args[0] = Int32GetDatum(id);
	args[1] = CStringGetTextDatum(unpack_sql_state(error->sqlerrcode));
	args[2] = CStringGetTextDatum(error->message ? error->message : "unknown error");
	args[3] = text_or_null(error->detail, &nulls[3]);
	args[4] = text_or_null(error->hint, &nulls[4]);
	args[5] = Int64GetDatum(wait_ms);
	dp_statement_begin(&scope);
	dp_statement_run(&st, args, nulls);
	dp_statement_end(&scope);
}

void
dp_file_forget(int64 pipeline_id, int32 id)
{
	static DpStatement ledger = DP_STATEMENT(
		"UPDATE dynpipe.checkpoint SET consumed = 0, loaded = 0, deduplicated = 0, dropped = 0,"
		" quarantined = 0, late = 0, warned = 0, inserted = 0, updated = 0, deleted = 0,"
		" bronze = 0, bytes = 0 WHERE pipeline_id = $1 AND partition = $2", INT8OID, INT4OID);
	static DpStatement quarantine = DP_STATEMENT(
		"DELETE FROM dynpipe.quarantine_record WHERE pipeline_id = $1 AND partition = $2",
		INT8OID, INT4OID);
	DpStatementScope scope;
	Datum		args[] = {Int64GetDatum(pipeline_id), Int32GetDatum(id)};

	dp_statement_begin(&scope);
	dp_statement_run(&ledger, args, NULL);
	dp_statement_run(&quarantine, args, NULL);
	dp_statement_end(&scope);
}

int64
dp_file_again(int32 id)
{
	static DpStatement retry = DP_STATEMENT(
		"UPDATE dynpipe.source_file SET state = 'pending', failures = 0, next_try_at = NULL"
		" WHERE id = $1 AND current AND state IN ('pending', 'failed')", INT4OID);
	static DpStatement insert = DP_STATEMENT(
		"INSERT INTO dynpipe.source_file (pipeline_id, url, version, size, modified_at)"
		" SELECT f.pipeline_id, f.url, f.version, f.size, f.modified_at"
		" FROM dynpipe.source_file f WHERE f.id = $1"
		" ON CONFLICT (pipeline_id, url) WHERE current DO NOTHING", INT4OID);
	static DpStatement supersede = DP_STATEMENT(
		"UPDATE dynpipe.source_file SET current = false WHERE id = $1 AND current", INT4OID);
	DpStatementScope scope;
	int64		n;
	Datum		args[] = {Int32GetDatum(id)};

	dp_statement_begin(&scope);
	n = dp_statement_run(&retry, args, NULL);
	if (n == 0)
	{
		dp_statement_run(&supersede, args, NULL);
		n = dp_statement_run(&insert, args, NULL);
	}
	dp_statement_end(&scope);
	return n;
}

/* Batches of the replay are newer than the one that is drawn here. */
int64
dp_file_reset(int64 pipeline_id)
{
	static DpStatement ledger = DP_STATEMENT(
		"UPDATE dynpipe.checkpoint c SET next_offset = 0, loaded = 0, deduplicated = 0,"
		" dropped = 0, late = 0, warned = 0, inserted = 0, updated = 0, deleted = 0, bronze = 0,"
		" bytes = 0, consumed = q.n, quarantined = q.n"
		" FROM (SELECT c.partition, (SELECT pg_catalog.count(*)"
		"   FROM dynpipe.quarantine_record q WHERE q.pipeline_id = $1"
		"   AND q.partition = c.partition AND q.stage = 'bronze') AS n"
		"   FROM dynpipe.checkpoint c WHERE c.pipeline_id = $1) q"
		" WHERE c.pipeline_id = $1 AND c.partition = q.partition", INT8OID);
	DpStatementScope scope;
	Datum		args[] = {Int64GetDatum(pipeline_id)};

	dp_statement_begin(&scope);
	dp_statement_run(&ledger, args, NULL);
	dp_statement_end(&scope);
	return dp_catalog_next_batch();
}

void
dp_file_reset_done(int64 pipeline_id, int64 before)
{
	static DpStatement st = DP_STATEMENT(
		"DELETE FROM dynpipe.quarantine_record WHERE pipeline_id = $1 AND batch < $2"
		" AND stage <> 'bronze'", INT8OID, INT8OID);
	DpStatementScope scope;
	Datum		args[] = {Int64GetDatum(pipeline_id), Int64GetDatum(before)};

	dp_statement_begin(&scope);
	dp_statement_run(&st, args, NULL);
	dp_statement_end(&scope);
}

List *
dp_file_bad_records(int64 pipeline_id, int32 id, int64 first, int64 last, int64 before)
{
	static DpStatement st = DP_STATEMENT(
		"SELECT q.\"offset\", q.line, CASE WHEN q.stage = 'read' THEN q.message END"
		" FROM dynpipe.quarantine_record q WHERE q.pipeline_id = $1 AND q.partition = $2"
		" AND q.\"offset\" BETWEEN $3 AND $4 AND q.batch < $5 ORDER BY q.\"offset\"",
		INT8OID, INT4OID, INT8OID, INT8OID, INT8OID);
	DpStatementScope scope;
	List	   *records = NIL;
	uint64		n;
	Datum		args[] = {
		Int64GetDatum(pipeline_id), Int32GetDatum(id), Int64GetDatum(first), Int64GetDatum(last),
		Int64GetDatum(before)
	};

	dp_statement_begin(&scope);
	n = dp_statement_run(&st, args, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(scope.caller);
		DpBadRecord *record = palloc(sizeof(DpBadRecord));

		record->offset = dp_statement_int64(i, 1, 0);
		record->line = dp_statement_int64(i, 2, 0);
		record->problem = dp_statement_text(&scope, i, 3);
		records = lappend(records, record);
		MemoryContextSwitchTo(old);
	}
	dp_statement_end(&scope);
	return records;
}

char *
dp_file_layout(int32 id)
{
	static DpStatement st = DP_STATEMENT(
		"SELECT layout FROM dynpipe.source_file WHERE id = $1", INT4OID);
	DpStatementScope scope;
	char	   *layout = NULL;
	Datum		args[] = {Int32GetDatum(id)};

	dp_statement_begin(&scope);
	if (dp_statement_run(&st, args, NULL) > 0)
		layout = dp_statement_text(&scope, 0, 1);
	dp_statement_end(&scope);
	return layout;
}

static Datum
text_array(char **values, int n)
{
	Datum	   *datums = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		datums[i] = CStringGetTextDatum(values[i]);
	return PointerGetDatum(construct_array(datums, n, TEXTOID, -1, false, TYPALIGN_INT));
}

static Datum
int8_array(const int64 *values, int n)
{
	Datum	   *datums = palloc(sizeof(Datum) * Max(n, 1));

	for (int i = 0; i < n; i++)
		datums[i] = Int64GetDatum(values[i]);
	return PointerGetDatum(construct_array(datums, n, INT8OID, sizeof(int64), FLOAT8PASSBYVAL,
										   TYPALIGN_DOUBLE));
}

/* Copy result row ROW of FILE_COLUMNS into the scope's caller context. */
static DpFileRow *
read_file(DpStatementScope *scope, int64 pipeline_id, uint64 row)
{
	DpFileRow  *file = MemoryContextAllocZero(scope->caller, sizeof(DpFileRow));
	char	   *state = dp_statement_text(scope, row, 6);

	file->id = dp_statement_int32(row, 1, 0);
	file->pipeline_id = pipeline_id;
	file->url = dp_statement_text(scope, row, 2);
	file->version = dp_statement_text(scope, row, 3);
	file->size = dp_statement_int64(row, 4, -1);
	file->modified_ms = dp_statement_int64(row, 5, -1);
	file->failures = dp_statement_int32(row, 7, 0);
	file->layout = dp_statement_text(scope, row, 8);
	for (int i = 0; i < lengthof(state_names); i++)
		if (strcmp(state, state_names[i]) == 0)
			file->state = i;
	return file;
}

static List *
read_files(DpStatementScope *scope, int64 pipeline_id, uint64 n)
{
	List	   *rows = NIL;

	for (uint64 i = 0; i < n; i++)
	{
		DpFileRow  *file = read_file(scope, pipeline_id, i);
		MemoryContext old = MemoryContextSwitchTo(scope->caller);

		rows = lappend(rows, file);
		MemoryContextSwitchTo(old);
	}
	return rows;
}

static Datum
text_or_null(const char *text, bool *isnull)
{
	*isnull = text == NULL;
	return text ? CStringGetTextDatum(text) : (Datum) 0;
}
