/*
 * output.c
 *	  Rows of dynpipe.output_object: see output.h for the protocol.
 *
 * Every function is a fixed statement run as the system in the caller's
 * transaction; results are copied to the caller's memory context.
 */
#include "dynpipe.h"

#include "catalog/file.h"
#include "catalog/output.h"
#include "catalog/statement.h"
#include "common/hashfn.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "util/guard.h"
#include "utils/builtins.h"

/* Fourth field of the lock tag; the others of dynpipe are in catalog.c. */
#define LOCK_OUTPUT		0x6472

/* The row of key $2, if it is of generation $3 and nobody is changing it. */
#define OF_GENERATION \
	"(SELECT w.pipeline_id, w.key FROM dynpipe.output_object w" \
	"  WHERE w.pipeline_id = $1 AND w.key = $2 AND w.generation = $3" \
	"  FOR UPDATE SKIP LOCKED) AS mine" \
	" WHERE o.pipeline_id = mine.pipeline_id AND o.key = mine.key"

/* And the pipeline is still at version $4. */
#define AT_VERSION \
	" AND EXISTS (SELECT FROM dynpipe.pipeline p WHERE p.id = $1 AND p.version = $4)"

typedef struct ReadArgs
{
	int64		id;
	const char *key;
	DpOutputRow *row;
} ReadArgs;

static void read_locked(void *arg);
static bool run_mark(DpStatement *st, const Datum *args, const bool *nulls);

char *
dp_catalog_output_key(int64 id, const char *source)
{
	static DpStatement st = DP_STATEMENT(
		"SELECT key FROM dynpipe.output_object WHERE pipeline_id = $1 AND source = $2"
		" ORDER BY file_id DESC LIMIT 1", INT8OID, TEXTOID);
	DpStatementScope scope;
	char	   *key = NULL;
	Datum		args[] = {Int64GetDatum(id), CStringGetTextDatum(source)};

	dp_statement_begin(&scope);
	if (dp_statement_run(&st, args, NULL) > 0)
		key = dp_statement_text(&scope, 0, 1);
	dp_statement_end(&scope);
	return key;
}

bool
dp_catalog_output_want(int64 id, const char *key, const char *url, const char *source,
					   int32 file_id)
{
	static DpStatement st = DP_STATEMENT(
		"INSERT INTO dynpipe.output_object AS o"
		" (pipeline_id, key, url, source, file_id) VALUES ($1, $2, $3, $4, $5)"
		" ON CONFLICT (pipeline_id, key) DO UPDATE SET file_id = excluded.file_id,"
		" action = 'write', state = 'wanted', generation = o.generation + 1, attempts = 0,"
		" sqlstate = NULL, message = NULL, hint = NULL,"
		" wanted_at = excluded.wanted_at, next_try_at = excluded.next_try_at"
		" WHERE o.source = excluded.source",
		INT8OID, TEXTOID, TEXTOID, TEXTOID, INT4OID);
	Datum		args[] = {
		Int64GetDatum(id), CStringGetTextDatum(key), CStringGetTextDatum(url),
		CStringGetTextDatum(source), Int32GetDatum(file_id)
	};

	return run_mark(&st, args, NULL);
}

void
dp_catalog_output_unwant(int64 id, int32 file_id)
{
	static DpStatement st = DP_STATEMENT(
		"UPDATE dynpipe.output_object SET action = 'remove', state = 'wanted',"
		" generation = generation + 1, attempts = 0, sqlstate = NULL, message = NULL, hint = NULL,"
		" wanted_at = pg_catalog.now(), next_try_at = pg_catalog.now()"
		" WHERE pipeline_id = $1 AND file_id = $2 AND action = 'write'", INT8OID, INT4OID);
	Datum		args[] = {Int64GetDatum(id), Int32GetDatum(file_id)};

	(void) run_mark(&st, args, NULL);
}

List *
dp_catalog_output_loaded(int64 id)
{
	static DpStatement st = DP_STATEMENT(
		"SELECT id, url FROM dynpipe.source_file WHERE pipeline_id = $1 AND state = 'loaded'"
		" ORDER BY id", INT8OID);
	DpStatementScope scope;
	List	   *files = NIL;
	uint64		n;
	Datum		args[] = {Int64GetDatum(id)};

	dp_statement_begin(&scope);
	n = dp_statement_run(&st, args, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		DpFileRow  *file = MemoryContextAllocZero(scope.caller, sizeof(DpFileRow));
		MemoryContext old = MemoryContextSwitchTo(scope.caller);

		file->pipeline_id = id;
		file->id = dp_statement_int32(i, 1, 0);
		file->url = dp_statement_text(&scope, i, 2);
		file->state = DP_FILE_LOADED;
		files = lappend(files, file);
		MemoryContextSwitchTo(old);
	}
	dp_statement_end(&scope);
	return files;
}

void
dp_catalog_output_forget(int64 id)
{
	static DpStatement st = DP_STATEMENT(
		"DELETE FROM dynpipe.output_object WHERE pipeline_id = $1", INT8OID);
	Datum		args[] = {Int64GetDatum(id)};

	(void) run_mark(&st, args, NULL);
}

List *
dp_catalog_output_due(int64 id, bool all, int limit)
{
	static DpStatement st = DP_STATEMENT(
		"SELECT key FROM dynpipe.output_object WHERE pipeline_id = $1 AND state <> 'written'"
		" AND ($2 OR next_try_at <= pg_catalog.clock_timestamp())"
		" ORDER BY next_try_at, key LIMIT $3", INT8OID, BOOLOID, INT4OID);
	DpStatementScope scope;
	List	   *keys = NIL;
	uint64		n;
	Datum		args[] = {Int64GetDatum(id), BoolGetDatum(all), Int32GetDatum(limit)};

	dp_statement_begin(&scope);
	n = dp_statement_run(&st, args, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		char	   *key = dp_statement_text(&scope, i, 1);
		MemoryContext old = MemoryContextSwitchTo(scope.caller);

		keys = lappend(keys, key);
		MemoryContextSwitchTo(old);
	}
	dp_statement_end(&scope);
	return keys;
}

TimestampTz
dp_catalog_output_next(int64 id)
{
	static DpStatement st = DP_STATEMENT(
		"SELECT pg_catalog.min(next_try_at) FROM dynpipe.output_object"
		" WHERE pipeline_id = $1 AND state <> 'written'", INT8OID);
	DpStatementScope scope;
	TimestampTz at;
	Datum		args[] = {Int64GetDatum(id)};

	dp_statement_begin(&scope);
	dp_statement_run(&st, args, NULL);
	at = dp_statement_int64(0, 1, 0);
	dp_statement_end(&scope);
	return at;
}

/* Two keys of one hash only wait for each other. */
bool
dp_catalog_output_lock(int64 id, const char *key)
{
	LOCKTAG		tag;
	uint32		hash = hash_bytes((const unsigned char *) key, strlen(key));

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) id, hash, LOCK_OUTPUT);
	return LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL;
}

/*
 * Locking the row shows whether somebody is changing it, whose change would
 * only be found out after all the work.  The lock is given back at once.
 */
DpOutputRow *
dp_catalog_output_read(int64 id, const char *key)
{
	ReadArgs	args = {.id = id, .key = key};
	ErrorData  *error = dp_guard_run(read_locked, &args, false);

	if (error != NULL)
		ReThrowError(error);
	return args.row;
}

bool
dp_catalog_output_written(int64 id, int32 version, const DpOutputRow *row,
						  int64 rows, int64 bytes)
{
	static DpStatement st = DP_STATEMENT(
		"UPDATE dynpipe.output_object o SET state = 'written', attempts = o.attempts + 1,"
		" rows = $5, bytes = $6, sqlstate = NULL, message = NULL, hint = NULL,"
		" written_at = pg_catalog.clock_timestamp() FROM " OF_GENERATION AT_VERSION,
		INT8OID, TEXTOID, INT8OID, INT4OID, INT8OID, INT8OID);
	Datum		args[] = {
		Int64GetDatum(id), CStringGetTextDatum(row->key), Int64GetDatum(row->generation),
		Int32GetDatum(version), Int64GetDatum(rows), Int64GetDatum(bytes)
	};

	return run_mark(&st, args, NULL);
}

bool
dp_catalog_output_removed(int64 id, int32 version, const DpOutputRow *row)
{
	static DpStatement st = DP_STATEMENT(
		"DELETE FROM dynpipe.output_object o USING " OF_GENERATION AT_VERSION,
		INT8OID, TEXTOID, INT8OID, INT4OID);
	Datum		args[] = {
		Int64GetDatum(id), CStringGetTextDatum(row->key), Int64GetDatum(row->generation),
		Int32GetDatum(version)
	};

	return run_mark(&st, args, NULL);
}

bool
dp_catalog_output_failed(int64 id, const DpOutputRow *row, const ErrorData *error,
						 int64 delay_ms)
{
	static DpStatement st = DP_STATEMENT(
		"UPDATE dynpipe.output_object o SET state = 'failed', attempts = o.attempts + 1,"
		" sqlstate = $4, message = $5, hint = $6,"
		" next_try_at = pg_catalog.clock_timestamp() + $7 * interval '1 millisecond'"
		" FROM " OF_GENERATION,
		INT8OID, TEXTOID, INT8OID, TEXTOID, TEXTOID, TEXTOID, INT8OID);
	bool		nulls[] = {false, false, false, false, false, error->hint == NULL, false};
	Datum		args[] = {
		Int64GetDatum(id), CStringGetTextDatum(row->key), Int64GetDatum(row->generation),
		CStringGetTextDatum(unpack_sql_state(error->sqlerrcode)),
		CStringGetTextDatum(error->message ? error->message : "unknown error"),
		error->hint ? CStringGetTextDatum(error->hint) : (Datum) 0,
		Int64GetDatum(delay_ms)
	};

	return run_mark(&st, args, nulls);
}

static void
read_locked(void *arg)
{
	static DpStatement st = DP_STATEMENT(
		"SELECT url, file_id, action = 'remove', generation, attempts FROM dynpipe.output_object"
		" WHERE pipeline_id = $1 AND key = $2 AND state <> 'written' FOR UPDATE SKIP LOCKED",
		INT8OID, TEXTOID);
	ReadArgs   *read = arg;
	DpStatementScope scope;
	bool		isnull;
	Datum		args[] = {Int64GetDatum(read->id), CStringGetTextDatum(read->key)};

	dp_statement_begin(&scope);
	if (dp_statement_run(&st, args, NULL) > 0)
	{
		DpOutputRow *row = MemoryContextAllocZero(scope.caller, sizeof(DpOutputRow));

		row->key = MemoryContextStrdup(scope.caller, read->key);
		row->url = dp_statement_text(&scope, 0, 1);
		row->file_id = dp_statement_int32(0, 2, 0);
		row->remove = DatumGetBool(dp_statement_value(0, 3, &isnull));
		row->generation = dp_statement_int64(0, 4, 0);
		row->attempts = dp_statement_int32(0, 5, 0);
		read->row = row;
	}
	dp_statement_end(&scope);
}

/* Did the statement change a row? */
static bool
run_mark(DpStatement *st, const Datum *args, const bool *nulls)
{
	DpStatementScope scope;
	uint64		n;

	dp_statement_begin(&scope);
	n = dp_statement_run(st, args, nulls);
	dp_statement_end(&scope);
	return n > 0;
}
