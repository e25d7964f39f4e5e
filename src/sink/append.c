/*
 * append.c
 *	  Rows from memory into a plain table by table_multi_insert, the way COPY
 *	  writes, without COPY's text in between (measured at twice binary COPY).
 *
 *	  dp_append_row -> slot (values by reference, defaults filled in)
 *	      -> buffer of SLOTS slots -> table_multi_insert -> index entries
 *	                                                     -> copy of the rows
 *
 * Memory: everything lives in append->cxt, a child of the context current at
 * begin; per-flush leftovers in a per-tuple context that is reset.  A bulk
 * insert ring is not used: the rows are read again at once by silver and gold.
 *
 * Measured (perf, one million 180-byte events, PostgreSQL 15): slots that count
 * references on the table's row type cost 9 % of a worker's time, so they are
 * made on a copy of it; entries for the BRIN index of bronze cost 10 %, since
 * 15 looks at the range map for each row; extending the files costs 7 %.
 */
#include "dynpipe.h"

#include "access/heapam.h"
#include "access/tableam.h"
#include "access/xact.h"
#include "executor/executor.h"
#include "nodes/makefuncs.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "sink/append.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* COPY's own figure; 5000 was slower without an index. */
#define SLOTS 1000

struct DpAppend
{
	MemoryContext cxt;
	Relation	rel;
	EState	   *estate;
	ResultRelInfo *target;
	TupleDesc	desc;			/* a copy: slots on the table's own would count references */
	TupleTableSlot **slots;
	int			nslots;			/* slots made so far */
	int			used;			/* slots filled */
	int			natts;			/* of the table */
	int			n;				/* columns per row given */
	AttrNumber *attnums;		/* where each goes */
	int			ndefaults;
	AttrNumber *default_att;
	ExprState **default_expr;
	int64		written;
	Tuplestorestate *copy;
};

static void open_target(DpAppend *append);
static void prepare_defaults(DpAppend *append);
static TupleTableSlot *next_slot(DpAppend *append);
static void fill_defaults(DpAppend *append, TupleTableSlot *slot);
static void flush(DpAppend *append);

DpAppend *
dp_append_begin(Relation rel, const char *const *names, int n)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "dynpipe append",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	DpAppend   *append = palloc0(sizeof(DpAppend));

	append->cxt = cxt;
	append->rel = rel;
	append->desc = CreateTupleDescCopy(RelationGetDescr(rel));
	append->natts = append->desc->natts;
	append->n = n;
	append->attnums = palloc(sizeof(AttrNumber) * n);
	for (int i = 0; i < n; i++)
		append->attnums[i] = get_attnum(RelationGetRelid(rel), names[i]);
	append->slots = palloc0(sizeof(TupleTableSlot *) * SLOTS);
	open_target(append);
	prepare_defaults(append);
	MemoryContextSwitchTo(old);
	return append;
}

void
dp_append_copy_to(DpAppend *append, Tuplestorestate *copy)
{
	append->copy = copy;
}

void
dp_append_row(DpAppend *append, const Datum *values, const bool *isnull)
{
	TupleTableSlot *slot = next_slot(append);

	memset(slot->tts_isnull, true, append->natts * sizeof(bool));
	for (int i = 0; i < append->n; i++)
	{
		int			att = append->attnums[i] - 1;

		slot->tts_values[att] = values[i];
		slot->tts_isnull[att] = isnull[i];
	}
	if (append->ndefaults > 0)
		fill_defaults(append, slot);
	ExecStoreVirtualTuple(slot);

	if (RelationGetDescr(append->rel)->constr)
		ExecConstraints(append->target, slot, append->estate);
	append->used++;
}

int64
dp_append_end(DpAppend *append)
{
	int64		written;

	flush(append);
	written = append->written;
	/* the slots hold no pins any more and go with the context */
	ExecCloseIndices(append->target);
	ExecResetTupleTable(append->estate->es_tupleTable, false);
	FreeExecutorState(append->estate);
	MemoryContextDelete(append->cxt);
	return written;
}

/*
 * An executor state with a range table: error messages about constraints look
 * the relation up there, and crash without it.
 */
static void
open_target(DpAppend *append)
{
	append->estate = CreateExecutorState();
	dp_compat_init_range_table(append->estate, append->rel);
	append->target = makeNode(ResultRelInfo);
	InitResultRelInfo(append->target, append->rel, 1, NULL, 0);
	append->estate->es_output_cid = GetCurrentCommandId(true);
	ExecOpenIndices(append->target, false);
}

/* Compile the defaults of the columns that the caller does not give. */
static void
prepare_defaults(DpAppend *append)
{
	append->default_att = palloc(sizeof(AttrNumber) * append->natts);
	append->default_expr = palloc(sizeof(ExprState *) * append->natts);

	for (int att = 1; att <= append->natts; att++)
	{
		bool		given = TupleDescAttr(RelationGetDescr(append->rel), att - 1)->attisdropped;
		Expr	   *expr;

		for (int i = 0; i < append->n; i++)
			given |= append->attnums[i] == att;
		if (given || (expr = (Expr *) build_column_default(append->rel, att)) == NULL)
			continue;
		append->default_att[append->ndefaults] = att;
		append->default_expr[append->ndefaults++] = ExecInitExpr(expression_planner(expr), NULL);
	}
}

/* An empty slot, flushing when the buffer is full. */
static TupleTableSlot *
next_slot(DpAppend *append)
{
	if (append->used == SLOTS)
		flush(append);
	if (append->used == append->nslots)
	{
		MemoryContext old = MemoryContextSwitchTo(append->cxt);

		append->slots[append->nslots++] =
			MakeSingleTupleTableSlot(append->desc, table_slot_callbacks(append->rel));
		MemoryContextSwitchTo(old);
	}
	return append->slots[append->used];
}

/* Evaluate defaults; results live until the next flush. */
static void
fill_defaults(DpAppend *append, TupleTableSlot *slot)
{
	ExprContext *econtext = GetPerTupleExprContext(append->estate);
	MemoryContext old = MemoryContextSwitchTo(econtext->ecxt_per_tuple_memory);

	for (int i = 0; i < append->ndefaults; i++)
	{
		int			att = append->default_att[i] - 1;

		slot->tts_values[att] = ExecEvalExpr(append->default_expr[i], econtext,
											 &slot->tts_isnull[att]);
	}
	MemoryContextSwitchTo(old);
}

/* Write what is buffered: heap, indexes, copy. */
static void
flush(DpAppend *append)
{
	MemoryContext tuple_cxt = GetPerTupleMemoryContext(append->estate);
	MemoryContext old;

	if (append->used == 0)
		return;
	old = MemoryContextSwitchTo(tuple_cxt);
	table_multi_insert(append->rel, append->slots, append->used,
					   append->estate->es_output_cid, 0, NULL);
	MemoryContextSwitchTo(old);

	for (int i = 0; i < append->used; i++)
	{
		TupleTableSlot *slot = append->slots[i];

		if (append->target->ri_NumIndices > 0)
			dp_compat_insert_index_tuples(append->target, slot, append->estate);
		if (append->copy)
			tuplestore_puttupleslot(append->copy, slot);
		ExecClearTuple(slot);
	}
	append->written += append->used;
	append->used = 0;
	ResetPerTupleExprContext(append->estate);
}
