/*
 * tables.c
 *	  dynpipe.pipeline_table: which pipeline writes which table.
 *
 * Two writers would each be right by their own ledger and wrong about the
 * table; apply refuses the second.
 */
#include "dynpipe.h"

#include "catalog/catalog.h"
#include "catalog/statement.h"
#include "utils/builtins.h"

bool
dp_catalog_table_taken(int64 id, const char *schema, const char *table)
{
	static DpStatement st = DP_STATEMENT(
		"SELECT FROM dynpipe.pipeline_table"
		" WHERE table_schema = $2 AND table_name = $3 AND pipeline_id <> $1",
		INT8OID, TEXTOID, TEXTOID);
	DpStatementScope scope;
	bool		taken;
	Datum		args[] = {
		Int64GetDatum(id), CStringGetTextDatum(schema), CStringGetTextDatum(table)
	};

	dp_statement_begin(&scope);
	taken = dp_statement_run(&st, args, NULL) > 0;
	dp_statement_end(&scope);
	return taken;
}

void
dp_catalog_clear_tables(int64 id)
{
	static DpStatement st = DP_STATEMENT(
		"DELETE FROM dynpipe.pipeline_table WHERE pipeline_id = $1", INT8OID);
	DpStatementScope scope;
	Datum		args[] = {Int64GetDatum(id)};

	dp_statement_begin(&scope);
	dp_statement_run(&st, args, NULL);
	dp_statement_end(&scope);
}

void
dp_catalog_add_table(int64 id, const char *layer, const char *schema, const char *table)
{
	static DpStatement st = DP_STATEMENT(
		"INSERT INTO dynpipe.pipeline_table (pipeline_id, layer, table_schema, table_name)"
		" VALUES ($1, $2, $3, $4)", INT8OID, TEXTOID, TEXTOID, TEXTOID);
	DpStatementScope scope;
	Datum		args[] = {
		Int64GetDatum(id), CStringGetTextDatum(layer), CStringGetTextDatum(schema),
		CStringGetTextDatum(table)
	};

	dp_statement_begin(&scope);
	dp_statement_run(&st, args, NULL);
	dp_statement_end(&scope);
}
