/*
 * insert.c
 *	  Rows by INSERT through SPI: see insert.h.
 *
 * One statement is prepared per use; it and the value flags live in the memory
 * context current at begin.
 */
#include "dynpipe.h"

#include "executor/spi.h"
#include "sink/insert.h"
#include "util/sqlbuf.h"
#include "utils/lsyscache.h"

struct DpInsert
{
	SPIPlanPtr	plan;
	int			n;
	char	   *flags;
	int64		written;
};

DpInsert *
dp_insert_begin(Relation rel, const char *const *names, const Oid *types, int n)
{
	DpInsert   *insert = palloc0(sizeof(DpInsert));
	DpTableName name = {
		get_namespace_name(RelationGetNamespace(rel)), RelationGetRelationName(rel)
	};
	StringInfoData sql;

	insert->n = n;
	insert->flags = palloc0(n + 1);
	initStringInfo(&sql);
	dp_sql_append(&sql, "INSERT INTO %T (", &name);
	for (int i = 0; i < n; i++)
		dp_sql_append(&sql, i ? ", %I" : "%I", names[i]);
	appendStringInfoString(&sql, ") VALUES (");
	for (int i = 0; i < n; i++)
		appendStringInfo(&sql, i ? ", $%d" : "$%d", i + 1);
	appendStringInfoChar(&sql, ')');

	SPI_connect();
	insert->plan = SPI_prepare(sql.data, n, (Oid *) types);
	if (insert->plan == NULL)
		elog(ERROR, "cannot prepare insert: %s", SPI_result_code_string(SPI_result));
	return insert;
}

void
dp_insert_row(DpInsert *insert, const Datum *values, const bool *isnull)
{
	for (int i = 0; i < insert->n; i++)
		insert->flags[i] = isnull[i] ? 'n' : ' ';
	SPI_execute_plan(insert->plan, (Datum *) values, insert->flags, false, 0);
	insert->written += SPI_processed;
}

int64
dp_insert_end(DpInsert *insert)
{
	SPI_finish();
	return insert->written;
}
