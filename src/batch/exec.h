/*
 * exec.h
 *	  The batch relations and the plan's SQL statements over them.
 *
 * A DpExec lives as long as its plan.  Within one attempt at a batch:
 *
 *	  dp_exec_begin      SPI connected, relations empty and registered
 *	  dp_exec_relation   the tuplestore to fill or read
 *	  dp_exec_run        a statement; its result is thrown away, put into a
 *	                     relation, or given to a receiver of the caller's
 *	  dp_exec_end
 *
 * Statements are prepared at first use and kept; they are planned anew by
 * PostgreSQL when a table they name changes.  The relations live in the memory
 * context that is current at begin.  After an ERROR only dp_exec_begin may
 * follow: SPI was disconnected by the abort.
 */
#ifndef DP_EXEC_H
#define DP_EXEC_H

#include "executor/spi.h"
#include "plan/plan.h"
#include "tcop/dest.h"
#include "utils/rel.h"
#include "utils/tuplestore.h"

typedef enum DpRelation
{
	DP_BATCH,
	DP_ROWS,
	DP_FOUND,
	DP_WINNERS,
	DP_NEW,
	DP_OLD,
	DP_NRELATIONS
} DpRelation;

typedef struct DpExec DpExec;

/* Freed with CXT, prepared statements included. */
extern DpExec *dp_exec_create(const DpPlan *plan, MemoryContext cxt);

/* SILVER: the silver table, open and locked, or NULL. */
extern void dp_exec_begin(DpExec *exec, Relation silver);
extern void dp_exec_end(DpExec *exec);

extern Tuplestorestate *dp_exec_relation(DpExec *exec, DpRelation which);
/* How many rows the planner may expect in it. */
extern void dp_exec_set_rows(DpExec *exec, DpRelation which, double rows);
extern void dp_exec_clear(DpExec *exec, DpRelation which);

/* Returns the number of rows processed.  DEST may be NULL. */
extern uint64 dp_exec_run(DpExec *exec, const char *sql, DestReceiver *dest);
/*
 * As dp_exec_run, with the result rows stored in WHICH.  The result may have
 * one more column than the relation, a boolean: *flagged counts its trues.
 */
extern uint64 dp_exec_run_into(DpExec *exec, const char *sql, DpRelation which,
							   uint64 *flagged);

/* The same for a statement that is not worth keeping. */
extern uint64 dp_exec_run_once_into(DpExec *exec, const char *sql, DpRelation which);

/* For rStartup of other receivers: raises unless RESULT begins with TARGET's columns. */
extern void dp_exec_check_result(TupleDesc target, TupleDesc result);

#endif							/* DP_EXEC_H */
