/*
 * statement.h
 *	  One fixed SQL statement over dynpipe.*, prepared at first use and kept
 *	  for the life of the process.
 *
 *	  static DpStatement find = DP_STATEMENT("SELECT ... WHERE id = $1", INT8OID);
 *
 * dp_statement_run executes it with the system's rights inside SPI; the caller
 * brackets runs with dp_statement_begin and _end and reads SPI_tuptable in
 * between.
 */
#ifndef DP_STATEMENT_H
#define DP_STATEMENT_H

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "util/as_owner.h"

#define DP_STATEMENT_ARGS 20

typedef struct DpStatement
{
	const char *sql;
	Oid			types[DP_STATEMENT_ARGS];	/* ends with InvalidOid */
	SPIPlanPtr	plan;
	int			uses;
} DpStatement;

#define DP_STATEMENT(text, ...) { .sql = (text), .types = {__VA_ARGS__} }

typedef struct DpStatementScope
{
	DpRole		role;
	MemoryContext caller;		/* results that outlive the scope go here */
} DpStatementScope;

extern void dp_statement_begin(DpStatementScope *scope);
extern void dp_statement_end(DpStatementScope *scope);

/* NULLS: NULL or one bool per value.  Returns the number of rows. */
extern uint64 dp_statement_run(DpStatement *st, const Datum *values, const bool *nulls);

/* Column COLUMN (1-based) of result row ROW; text is copied to the scope's caller context. */
extern Datum dp_statement_value(uint64 row, int column, bool *isnull);
extern char *dp_statement_text(DpStatementScope *scope, uint64 row, int column);
extern int64 dp_statement_int64(uint64 row, int column, int64 if_null);
extern int32 dp_statement_int32(uint64 row, int column, int32 if_null);

#endif							/* DP_STATEMENT_H */
