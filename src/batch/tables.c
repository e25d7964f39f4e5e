/*
 * tables.c
 *	  Small things that the stages of a batch share about users' tables.
 */
#include "dynpipe.h"

#include "access/table.h"
#include "catalog/namespace.h"
#include "commands/trigger.h"
#include "nodes/makefuncs.h"
#include "batch/tables.h"
#include "utils/timestamp.h"

Relation
dp_table_open(const DpTableName *name, LOCKMODE lockmode)
{
	RangeVar   *rv = makeRangeVar(name->schema, name->table, -1);
	Oid			relid = RangeVarGetRelid(rv, lockmode, true);

	if (!OidIsValid(relid))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s.%s\" of the pipeline does not exist",
						name->schema, name->table),
				 errhint("Create it again with dynpipe.apply(dynpipe.export('<pipeline>')::text), "
						 "or drop the pipeline.")));
	return table_open(relid, NoLock);
}

void
dp_table_check_at_once(void)
{
	ConstraintsSetStmt *all = makeNode(ConstraintsSetStmt);

	AfterTriggerSetState(all);
}

/* Milliseconds since 1970 to microseconds since 2000; out of range is NULL. */
Datum
dp_table_timestamp(int64 ms, bool *isnull)
{
	TimestampTz at;
	const int64 epoch_ms =
		(POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * SECS_PER_DAY * INT64CONST(1000);

	*isnull = ms < 0 || ms > (END_TIMESTAMP / 1000);
	if (*isnull)
		return (Datum) 0;
	at = (ms - epoch_ms) * 1000;
	return TimestampTzGetDatum(at);
}

Datum
dp_table_bytea(const char *data, int32 len, bool *isnull)
{
	bytea	   *copy;

	*isnull = len < 0;
	if (len < 0)
		return (Datum) 0;
	copy = palloc(VARHDRSZ + len);
	SET_VARSIZE(copy, VARHDRSZ + len);
	memcpy(VARDATA(copy), data, len);
	return PointerGetDatum(copy);
}
