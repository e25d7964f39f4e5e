/*
 * statement.c
 *	  Fixed statements over dynpipe.*: prepared once, run as the system.
 *
 * Plans are saved (SPI_keepplan) and live as long as the process; PostgreSQL
 * replans them by itself when the tables change.  One made while its tables
 * were empty would scan them for ever, so it is made anew each time the number
 * of its uses has doubled.  Results live in the SPI
 * context, until dp_statement_end.
 */
#include "dynpipe.h"

#include "catalog/statement.h"
#include "utils/builtins.h"

static void prepare(DpStatement *st);

/* Open a scope: SPI connected, system rights, search_path pinned. */
void
dp_statement_begin(DpStatementScope *scope)
{
	scope->caller = CurrentMemoryContext;
	dp_role_become_system(&scope->role);
	SPI_connect();
}

/* Close it; the caller's memory context is current again. */
void
dp_statement_end(DpStatementScope *scope)
{
	SPI_finish();
	dp_role_restore(&scope->role);
	MemoryContextSwitchTo(scope->caller);
}

uint64
dp_statement_run(DpStatement *st, const Datum *values, const bool *nulls)
{
	char		flags[DP_STATEMENT_ARGS];
	int			rc;

	st->uses++;
	if (st->plan == NULL || (st->uses & (st->uses - 1)) == 0)
		prepare(st);
	for (int i = 0; i < DP_STATEMENT_ARGS; i++)
		flags[i] = (nulls && st->types[i] != InvalidOid && nulls[i]) ? 'n' : ' ';
	rc = SPI_execute_plan(st->plan, (Datum *) values, flags, false, 0);
	if (rc < 0)
		elog(ERROR, "catalog statement failed: %s: %s", SPI_result_code_string(rc), st->sql);
	return SPI_processed;
}

Datum
dp_statement_value(uint64 row, int column, bool *isnull)
{
	return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, isnull);
}

char *
dp_statement_text(DpStatementScope *scope, uint64 row, int column)
{
	char	   *text = SPI_getvalue(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column);

	return text ? MemoryContextStrdup(scope->caller, text) : NULL;
}

int64
dp_statement_int64(uint64 row, int column, int64 if_null)
{
	bool		isnull;
	Datum		value = dp_statement_value(row, column, &isnull);

	return isnull ? if_null : DatumGetInt64(value);
}

int32
dp_statement_int32(uint64 row, int column, int32 if_null)
{
	bool		isnull;
	Datum		value = dp_statement_value(row, column, &isnull);

	return isnull ? if_null : DatumGetInt32(value);
}

/* Prepare and keep the plan of ST, in place of a former one. */
static void
prepare(DpStatement *st)
{
	SPIPlanPtr	plan;
	int			nargs = 0;

	while (nargs < DP_STATEMENT_ARGS && st->types[nargs] != InvalidOid)
		nargs++;
	plan = SPI_prepare(st->sql, nargs, st->types);
	if (plan == NULL)
		elog(ERROR, "cannot prepare catalog statement: %s: %s",
			 SPI_result_code_string(SPI_result), st->sql);
	if (st->plan != NULL)
		SPI_freeplan(st->plan);
	SPI_keepplan(plan);
	st->plan = plan;
}
