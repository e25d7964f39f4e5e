/*
 * catalog.c
 *	  Rows of dynpipe.pipeline and what hangs on them: versions, events, locks.
 *	  Positions and the ledger are next door in checkpoint.c.
 *
 * Every function is a fixed statement run as the system in the caller's
 * transaction; results are copied to the caller's memory context.
 */
#include "dynpipe.h"

#include "catalog/catalog.h"
#include "catalog/home.h"
#include "catalog/statement.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "utils/acl.h"
#include "utils/builtins.h"

/* Fourth field of our lock tags: advisory locks of users have 1 or 2 there. */
#define LOCK_PIPELINE	0x6470
#define LOCK_TURN		0x6471

#define PIPELINE_COLUMNS \
	"SELECT p.id, p.name, p.owner::oid, p.version, p.definition, p.enabled, p.home," \
	"       p.workers, p.streaming, r.oid IS NOT NULL, p.served" \
	"  FROM dynpipe.pipeline p LEFT JOIN pg_catalog.pg_roles r ON r.oid = p.owner::oid "

static DpPipelineRow *read_pipeline(DpStatementScope *scope, uint64 row);
static DpPipelineRow *find_one(DpStatement *st, Datum arg);
static void add_version(int64 id);

DpPipelineRow *
dp_catalog_find(const char *name, bool missing_ok)
{
	static DpStatement st = DP_STATEMENT(PIPELINE_COLUMNS "WHERE p.name = $1", TEXTOID);
	DpPipelineRow *row = find_one(&st, CStringGetTextDatum(name));

	if (row == NULL && !missing_ok)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("pipeline \"%s\" does not exist", name),
				 errhint("SELECT pipeline FROM dynpipe.status lists the pipelines.")));
	return row;
}

DpPipelineRow *
dp_catalog_get(int64 id)
{
	static DpStatement st = DP_STATEMENT(PIPELINE_COLUMNS "WHERE p.id = $1", INT8OID);

	return find_one(&st, Int64GetDatum(id));
}

List *
dp_catalog_all(void)
{
	static DpStatement st = DP_STATEMENT(PIPELINE_COLUMNS "ORDER BY p.name");
	DpStatementScope scope;
	List	   *rows = NIL;
	uint64		n;

	dp_statement_begin(&scope);
	n = dp_statement_run(&st, NULL, NULL);
	for (uint64 i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(scope.caller);

		rows = lappend(rows, read_pipeline(&scope, i));
		MemoryContextSwitchTo(old);
	}
	dp_statement_end(&scope);
	return rows;
}

/* Insert the pipeline and its first version; returns its id. */
int64
dp_catalog_insert(const char *name, Oid owner, const char *definition,
				  bool enabled, int workers, bool streaming, bool served)
{
	static DpStatement st = DP_STATEMENT(
		"INSERT INTO dynpipe.pipeline (name, owner, definition, enabled, workers, streaming, home,"
		" served) VALUES ($1, $2::regrole, $3, $4, $5, $6, $7, $8) RETURNING id",
		TEXTOID, OIDOID, TEXTOID, BOOLOID, INT4OID, BOOLOID, TEXTOID, BOOLOID);
	DpStatementScope scope;
	int64		id;
	Datum		args[] = {
		CStringGetTextDatum(name), ObjectIdGetDatum(owner), CStringGetTextDatum(definition),
		BoolGetDatum(enabled), Int32GetDatum(workers), BoolGetDatum(streaming),
		CStringGetTextDatum(dp_catalog_home()), BoolGetDatum(served)
	};

	dp_statement_begin(&scope);
	dp_statement_run(&st, args, NULL);
	id = dp_statement_int64(0, 1, 0);
	dp_statement_end(&scope);
	add_version(id);
	return id;
}

/* A new definition: the version goes up by one. */
void
dp_catalog_update(int64 id, const char *definition, bool enabled, int workers, bool streaming,
				  bool served)
{
	static DpStatement st = DP_STATEMENT(
		"UPDATE dynpipe.pipeline SET definition = $2, enabled = $3, workers = $4, streaming = $5,"
		" served = $6, version = version + 1, changed_at = pg_catalog.now() WHERE id = $1",
		INT8OID, TEXTOID, BOOLOID, INT4OID, BOOLOID, BOOLOID);
	DpStatementScope scope;
	Datum		args[] = {
		Int64GetDatum(id), CStringGetTextDatum(definition), BoolGetDatum(enabled),
		Int32GetDatum(workers), BoolGetDatum(streaming), BoolGetDatum(served)
	};

	dp_statement_begin(&scope);
	dp_statement_run(&st, args, NULL);
	dp_statement_end(&scope);
	add_version(id);
}

/* Enabling also makes this database the pipeline's home. */
void
dp_catalog_set_enabled(int64 id, bool enabled)
{
	static DpStatement st = DP_STATEMENT(
		"UPDATE dynpipe.pipeline SET enabled = $2, changed_at = pg_catalog.now(),"
		" home = CASE WHEN $2 THEN $3 ELSE home END WHERE id = $1",
		INT8OID, BOOLOID, TEXTOID);
	DpStatementScope scope;
	Datum		args[] = {
		Int64GetDatum(id), BoolGetDatum(enabled), CStringGetTextDatum(dp_catalog_home())
	};

	dp_statement_begin(&scope);
	dp_statement_run(&st, args, NULL);
	dp_statement_end(&scope);
}

/* Remove all that dynpipe keeps of a pipeline, except its events. */
void
dp_catalog_delete(int64 id)
{
	static DpStatement st[] = {
		DP_STATEMENT("DELETE FROM dynpipe.checkpoint WHERE pipeline_id = $1", INT8OID),
		DP_STATEMENT("DELETE FROM dynpipe.adoption WHERE pipeline_id = $1", INT8OID),
		DP_STATEMENT("DELETE FROM dynpipe.gap WHERE pipeline_id = $1", INT8OID),
		DP_STATEMENT("DELETE FROM dynpipe.quarantine_record WHERE pipeline_id = $1", INT8OID),
		DP_STATEMENT("DELETE FROM dynpipe.failure WHERE pipeline_id = $1", INT8OID),
		DP_STATEMENT("DELETE FROM dynpipe.gold_refresh WHERE pipeline_id = $1", INT8OID),
		DP_STATEMENT("DELETE FROM dynpipe.output_object WHERE pipeline_id = $1", INT8OID),
		DP_STATEMENT("DELETE FROM dynpipe.pipeline_version WHERE pipeline_id = $1", INT8OID),
		DP_STATEMENT("DELETE FROM dynpipe.pipeline_table WHERE pipeline_id = $1", INT8OID),
		DP_STATEMENT("DELETE FROM dynpipe.tick WHERE pipeline_id = $1", INT8OID),
		DP_STATEMENT("DELETE FROM dynpipe.source_file WHERE pipeline_id = $1", INT8OID),
		DP_STATEMENT("DELETE FROM dynpipe.pipeline WHERE id = $1", INT8OID),
	};
	DpStatementScope scope;
	Datum		args[] = {Int64GetDatum(id)};

	dp_statement_begin(&scope);
	for (int i = 0; i < lengthof(st); i++)
		dp_statement_run(&st[i], args, NULL);
	dp_statement_end(&scope);
}

/* PIPELINE is kept beside the id so that events of dropped pipelines stay readable. */
void
dp_catalog_event(int64 id, const char *pipeline, const char *kind,
				 const char *severity, const char *message, const char *detail)
{
	static DpStatement st = DP_STATEMENT(
		"INSERT INTO dynpipe.event (pipeline_id, pipeline, kind, severity, message, detail)"
		" VALUES ($1, $2, $3, $4, $5, $6::jsonb)",
		INT8OID, TEXTOID, TEXTOID, TEXTOID, TEXTOID, TEXTOID);
	DpStatementScope scope;
	bool		nulls[] = {false, false, false, false, false, detail == NULL};
	Datum		args[] = {
		Int64GetDatum(id), CStringGetTextDatum(pipeline), CStringGetTextDatum(kind),
		CStringGetTextDatum(severity), CStringGetTextDatum(message),
		detail ? CStringGetTextDatum(detail) : (Datum) 0
	};

	dp_statement_begin(&scope);
	dp_statement_run(&st, args, nulls);
	dp_statement_end(&scope);
}

void
dp_catalog_set_refreshed(int64 id, const char *gold)
{
	static DpStatement st = DP_STATEMENT(
		"INSERT INTO dynpipe.gold_refresh VALUES ($1, $2, pg_catalog.now())"
		" ON CONFLICT (pipeline_id, gold) DO UPDATE SET refreshed_at = excluded.refreshed_at",
		INT8OID, TEXTOID);
	DpStatementScope scope;
	Datum		args[] = {Int64GetDatum(id), CStringGetTextDatum(gold)};

	dp_statement_begin(&scope);
	dp_statement_run(&st, args, NULL);
	dp_statement_end(&scope);
}

TimestampTz
dp_catalog_refreshed(int64 id, const char *gold)
{
	static DpStatement st = DP_STATEMENT(
		"SELECT refreshed_at FROM dynpipe.gold_refresh WHERE pipeline_id = $1 AND gold = $2",
		INT8OID, TEXTOID);
	DpStatementScope scope;
	TimestampTz at = 0;
	Datum		args[] = {Int64GetDatum(id), CStringGetTextDatum(gold)};

	dp_statement_begin(&scope);
	if (dp_statement_run(&st, args, NULL) > 0)
		at = dp_statement_int64(0, 1, 0);
	dp_statement_end(&scope);
	return at;
}

TimestampTz
dp_catalog_ticked(int64 id)
{
	static DpStatement st = DP_STATEMENT(
		"SELECT coalesce(t.ticked_at, p.changed_at) FROM dynpipe.pipeline p"
		" LEFT JOIN dynpipe.tick t ON t.pipeline_id = p.id WHERE p.id = $1", INT8OID);
	DpStatementScope scope;
	TimestampTz at;
	Datum		args[] = {Int64GetDatum(id)};

	dp_statement_begin(&scope);
	dp_statement_run(&st, args, NULL);
	at = dp_statement_int64(0, 1, 0);
	dp_statement_end(&scope);
	return at;
}

void
dp_catalog_set_ticked(int64 id, TimestampTz at)
{
	static DpStatement st = DP_STATEMENT(
		"INSERT INTO dynpipe.tick VALUES ($1, $2)"
		" ON CONFLICT (pipeline_id) DO UPDATE SET ticked_at = excluded.ticked_at",
		INT8OID, TIMESTAMPTZOID);
	DpStatementScope scope;
	Datum		args[] = {Int64GetDatum(id), TimestampTzGetDatum(at)};

	dp_statement_begin(&scope);
	dp_statement_run(&st, args, NULL);
	dp_statement_end(&scope);
}

void
dp_catalog_check_owner(const DpPipelineRow *row, Oid user)
{
	if (OidIsValid(row->owner) ? has_privs_of_role(user, row->owner) : superuser_arg(user))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("must be owner of pipeline \"%s\"", row->name),
			 OidIsValid(row->owner) ?
			 errhint("The owner is role \"%s\"; become a member of it or ask it.",
					 GetUserNameFromId(row->owner, false)) :
			 errhint("Its owner was dropped; a superuser can apply or drop it.")));
}

bool
dp_catalog_lock(int64 id, LOCKMODE mode, bool nowait)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) (id >> 32), (uint32) id, LOCK_PIPELINE);
	return LockAcquire(&tag, mode, false, nowait) != LOCKACQUIRE_NOT_AVAIL;
}

void
dp_catalog_lock_turn(int64 id, int what)
{
	LOCKTAG		tag;

	SET_LOCKTAG_ADVISORY(tag, MyDatabaseId, (uint32) id, (uint32) what, LOCK_TURN);
	(void) LockAcquire(&tag, ExclusiveLock, false, false);
}

/* Run a statement that gives at most one pipeline. */
static DpPipelineRow *
find_one(DpStatement *st, Datum arg)
{
	DpStatementScope scope;
	DpPipelineRow *row = NULL;

	dp_statement_begin(&scope);
	if (dp_statement_run(st, &arg, NULL) > 0)
	{
		MemoryContext old = MemoryContextSwitchTo(scope.caller);

		row = read_pipeline(&scope, 0);
		MemoryContextSwitchTo(old);
	}
	dp_statement_end(&scope);
	return row;
}

/* Copy result row ROW of PIPELINE_COLUMNS into the current context. */
static DpPipelineRow *
read_pipeline(DpStatementScope *scope, uint64 row)
{
	DpPipelineRow *p = palloc0(sizeof(DpPipelineRow));
	bool		isnull;

	p->id = dp_statement_int64(row, 1, 0);
	p->name = dp_statement_text(scope, row, 2);
	p->owner = DatumGetObjectId(dp_statement_value(row, 3, &isnull));
	p->version = dp_statement_int32(row, 4, 0);
	p->definition = dp_statement_text(scope, row, 5);
	p->enabled = DatumGetBool(dp_statement_value(row, 6, &isnull));
	p->home = dp_statement_text(scope, row, 7);
	p->workers = dp_statement_int32(row, 8, 1);
	p->streaming = DatumGetBool(dp_statement_value(row, 9, &isnull));
	p->served = DatumGetBool(dp_statement_value(row, 11, &isnull));
	if (!DatumGetBool(dp_statement_value(row, 10, &isnull)))
		p->owner = InvalidOid;
	return p;
}

/* Keep the definition as it is now in the history. */
static void
add_version(int64 id)
{
	static DpStatement st = DP_STATEMENT(
		"INSERT INTO dynpipe.pipeline_version (pipeline_id, version, definition, applied_by)"
		" SELECT id, version, definition, session_user FROM dynpipe.pipeline WHERE id = $1",
		INT8OID);
	DpStatementScope scope;
	Datum		args[] = {Int64GetDatum(id)};

	dp_statement_begin(&scope);
	dp_statement_run(&st, args, NULL);
	dp_statement_end(&scope);
}
