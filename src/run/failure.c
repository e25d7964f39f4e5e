/*
 * failure.c
 *	  Follow-up transactions of a worker; see failure.h.
 */
#include "run/failure.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "storage/condition_variable.h"
#include "storage/lock.h"
#include "storage/lwlock.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#define RECORD_SQL \
	"INSERT INTO dynpipe.failure AS f (pipeline_id, shard, failures, sqlstate, message," \
	" detail, hint, context, first_at, last_at, next_try_at)" \
	" SELECT $1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11" \
	" WHERE EXISTS (SELECT FROM dynpipe.pipeline AS p WHERE p.id OPERATOR(pg_catalog.=) $1)" \
	" ON CONFLICT (pipeline_id, shard) DO UPDATE SET failures = excluded.failures," \
	" sqlstate = excluded.sqlstate, message = excluded.message, detail = excluded.detail," \
	" hint = excluded.hint, context = excluded.context, last_at = excluded.last_at," \
	" next_try_at = excluded.next_try_at"

#define FAILED_EVENT_SQL \
	"INSERT INTO dynpipe.event (pipeline_id, pipeline, kind, severity, message, detail)" \
	" SELECT $1, p.name, 'failed', 'error', $5, pg_catalog.jsonb_strip_nulls(" \
	"pg_catalog.jsonb_build_object('shard', $2, 'failures', $3, 'sqlstate', $4," \
	" 'detail', $6, 'hint', $7, 'context', $8))" \
	" FROM dynpipe.pipeline AS p WHERE p.id OPERATOR(pg_catalog.=) $1"

#define CLEAR_SQL \
	"DELETE FROM dynpipe.failure WHERE pipeline_id OPERATOR(pg_catalog.=) $1" \
	" AND shard OPERATOR(pg_catalog.=) $2"

#define RECOVERED_EVENT_SQL \
	"INSERT INTO dynpipe.event (pipeline_id, pipeline, kind, message, detail)" \
	" SELECT $1, p.name, 'recovered', 'works again'," \
	" pg_catalog.jsonb_build_object('shard', $2)" \
	" FROM dynpipe.pipeline AS p WHERE p.id OPERATOR(pg_catalog.=) $1"

#define RECORD_ARGS 11

static void write_record(const DpServed *served, const ErrorData *edata, bool event);
static void write_clear(const DpServed *served);
static void begin(void);
static void commit(void);
static uint64 execute(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls);
static void report_unwritten(ErrorData *edata);

void
dp_failure_record(const DpServed *served, const ErrorData *edata, bool event)
{
	MemoryContext old = CurrentMemoryContext;

	PG_TRY();
	{
		write_record(served, edata, event);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		report_unwritten(CopyErrorData());
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
}

void
dp_failure_clear(const DpServed *served)
{
	MemoryContext old = CurrentMemoryContext;

	PG_TRY();
	{
		write_clear(served);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		report_unwritten(CopyErrorData());
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
}

void
dp_failure_clean_up(void)
{
	FlushErrorState();
	HOLD_INTERRUPTS();
	disable_all_timeouts(false);
	QueryCancelPending = false;
	AbortOutOfAnyTransaction();
	/* Outside a transaction nobody else gives these back. */
	LWLockReleaseAll();
	ConditionVariableCancelSleep();
	pgstat_report_wait_end();
	dp_failure_release_locks();
	RESUME_INTERRUPTS();
}

/* Those of a worker would stay for ever: its session has no end. */
void
dp_failure_release_locks(void)
{
	LockReleaseSession(USER_LOCKMETHOD);
}

static void
write_record(const DpServed *served, const ErrorData *edata, bool event)
{
	const char *texts[] = {unpack_sql_state(edata->sqlerrcode),
		edata->message != NULL ? edata->message : "unknown error",
	edata->detail, edata->hint, edata->context};
	Oid			types[RECORD_ARGS] = {INT8OID, INT4OID, INT4OID, TEXTOID, TEXTOID, TEXTOID,
	TEXTOID, TEXTOID, TIMESTAMPTZOID, TIMESTAMPTZOID, TIMESTAMPTZOID};
	Datum		values[RECORD_ARGS] = {0};
	char		nulls[RECORD_ARGS + 1];

	begin();
	memset(nulls, ' ', sizeof(nulls));
	values[0] = Int64GetDatum(served->pipeline_id);
	values[1] = Int32GetDatum(served->index);
	values[2] = Int32GetDatum(served->failures);
	for (int i = 0; i < lengthof(texts); i++)
	{
		if (texts[i] != NULL)
			values[3 + i] = CStringGetTextDatum(texts[i]);
		else
			nulls[3 + i] = 'n';
	}
	values[8] = TimestampTzGetDatum(served->first_failure);
	values[9] = TimestampTzGetDatum(served->last_failure);
	values[10] = TimestampTzGetDatum(served->due);
	execute(RECORD_SQL, RECORD_ARGS, types, values, nulls);
	if (event)
		execute(FAILED_EVENT_SQL, 8, types, values, nulls);
	commit();
}

static void
write_clear(const DpServed *served)
{
	Oid			types[] = {INT8OID, INT4OID};
	Datum		values[] = {Int64GetDatum(served->pipeline_id), Int32GetDatum(served->index)};

	begin();
	if (execute(CLEAR_SQL, 2, types, values, NULL) > 0)
		execute(RECOVERED_EVENT_SQL, 2, types, values, NULL);
	commit();
}

static void
begin(void)
{
	SetCurrentStatementStartTimestamp();
	StartTransactionCommand();
	SPI_connect();
	PushActiveSnapshot(GetTransactionSnapshot());
}

static void
commit(void)
{
	SPI_finish();
	PopActiveSnapshot();
	CommitTransactionCommand();
}

static uint64
execute(const char *sql, int nargs, Oid *types, Datum *values, const char *nulls)
{
	int			rc = SPI_execute_with_args(sql, nargs, types, values, nulls, false, 0);

	if (rc < 0)
		elog(ERROR, "SPI_execute_with_args failed: %s", SPI_result_code_string(rc));
	CommandCounterIncrement();
	return SPI_processed;
}

/* Shared memory and the log have the failure all the same. */
static void
report_unwritten(ErrorData *edata)
{
	static TimestampTz last = 0;
	TimestampTz now = GetCurrentTimestamp();

	dp_failure_clean_up();
	if (last == 0 || TimestampDifferenceExceeds(last, now, 60000))
		ereport(LOG,
				(errcode(edata->sqlerrcode),
				 errmsg("could not write the state of a pipeline to dynpipe.failure: %s",
						edata->message)));
	last = now;
	FreeErrorData(edata);
}
