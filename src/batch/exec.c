/*
 * exec.c
 *	  The batch relations and the plan's SQL statements over them: see exec.h.
 *
 *	  tuplestore --registered with SPI under its name--> prepared statement
 *	      --result--> receiver --> another tuplestore
 *
 * The relations with the silver table's row type are registered by that
 * table's Oid, so a statement is planned anew when the table changes shape.
 * Statements are found again by the address of their text: the plan's texts
 * are immutable and live as long as the plan.  A statement that was planned
 * when its tables were empty would scan them for ever, so it is planned anew
 * each time the number of its uses has doubled.
 */
#include "dynpipe.h"

#include "access/table.h"
#include "miscadmin.h"
#include "parser/parse_coerce.h"
#include "batch/exec.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/queryenvironment.h"

typedef struct Prepared
{
	const char *sql;			/* identity */
	SPIPlanPtr	plan;
	int			uses;
} Prepared;

struct DpExec
{
	const DpPlan *plan;
	MemoryContext cxt;
	MemoryContextCallback callback;	/* gives back the prepared statements */
	List	   *prepared;		/* Prepared * */
	Relation	silver;
	EphemeralNamedRelationData enr[DP_NRELATIONS];
};

/* Receiver of dp_exec_run_into. */
typedef struct IntoReceiver
{
	DestReceiver pub;
	Tuplestorestate *store;
	TupleDesc	target;
	Datum	   *values;
	bool	   *isnull;
	uint64		flagged;
} IntoReceiver;

static const char *const relation_names[DP_NRELATIONS] = {
	DP_REL_BATCH, DP_REL_ROWS, DP_REL_FOUND, DP_REL_WINNERS, DP_REL_NEW, DP_REL_OLD
};

static void free_plans(void *arg);
static void register_relation(DpExec *exec, DpRelation which);
static TupleDesc relation_desc(DpExec *exec, DpRelation which);
static SPIPlanPtr prepare(DpExec *exec, const char *sql);
static Prepared *find_prepared(DpExec *exec, const char *sql);
static void open_into(IntoReceiver *into, DpExec *exec, DpRelation which);
static bool into_receive(TupleTableSlot *slot, DestReceiver *self);
static void into_startup(DestReceiver *self, int operation, TupleDesc desc);
static bool fits(Form_pg_attribute from, Form_pg_attribute to);
static void into_nothing(DestReceiver *self);

DpExec *
dp_exec_create(const DpPlan *plan, MemoryContext cxt)
{
	DpExec	   *exec = MemoryContextAllocZero(cxt, sizeof(DpExec));

	exec->plan = plan;
	exec->cxt = cxt;
	exec->callback.func = free_plans;
	exec->callback.arg = exec;
	MemoryContextRegisterResetCallback(cxt, &exec->callback);
	return exec;
}

void
dp_exec_begin(DpExec *exec, Relation silver)
{
	MemoryContext old = CurrentMemoryContext;

	exec->silver = silver;
	for (int i = 0; i < DP_NRELATIONS; i++)
	{
		exec->enr[i].reldata = NULL;
		if (relation_desc(exec, i) != NULL)
			exec->enr[i].reldata = tuplestore_begin_heap(false, false, Max(work_mem, 32768));
	}
	SPI_connect();
	for (int i = 0; i < DP_NRELATIONS; i++)
		if (exec->enr[i].reldata != NULL)
			register_relation(exec, i);
	MemoryContextSwitchTo(old);
}

void
dp_exec_end(DpExec *exec)
{
	MemoryContext old = CurrentMemoryContext;

	SPI_finish();
	MemoryContextSwitchTo(old);
	for (int i = 0; i < DP_NRELATIONS; i++)
	{
		if (exec->enr[i].reldata != NULL)
			tuplestore_end(exec->enr[i].reldata);
		exec->enr[i].reldata = NULL;
	}
	exec->silver = NULL;
}

Tuplestorestate *
dp_exec_relation(DpExec *exec, DpRelation which)
{
	return exec->enr[which].reldata;
}

void
dp_exec_set_rows(DpExec *exec, DpRelation which, double rows)
{
	exec->enr[which].md.enrtuples = Max(rows, 1);
}

void
dp_exec_clear(DpExec *exec, DpRelation which)
{
	tuplestore_clear(exec->enr[which].reldata);
}

uint64
dp_exec_run(DpExec *exec, const char *sql, DestReceiver *dest)
{
	SPIPlanPtr	plan = prepare(exec, sql);
	SPIExecuteOptions options = {.dest = dest ? dest : None_Receiver};
	int			rc = SPI_execute_plan_extended(plan, &options);

	if (rc < 0)
		elog(ERROR, "pipeline statement failed: %s: %s", SPI_result_code_string(rc), sql);
	return SPI_processed;
}

uint64
dp_exec_run_into(DpExec *exec, const char *sql, DpRelation which, uint64 *flagged)
{
	IntoReceiver into;
	uint64		n;

	open_into(&into, exec, which);
	n = dp_exec_run(exec, sql, &into.pub);
	dp_exec_set_rows(exec, which, n);
	if (flagged)
		*flagged = into.flagged;
	return n;
}

uint64
dp_exec_run_once_into(DpExec *exec, const char *sql, DpRelation which)
{
	IntoReceiver into;
	SPIExecuteOptions options = {.dest = &into.pub};
	int			rc;

	open_into(&into, exec, which);
	rc = SPI_execute_extended(sql, &options);
	if (rc < 0)
		elog(ERROR, "pipeline statement failed: %s: %s", SPI_result_code_string(rc), sql);
	dp_exec_set_rows(exec, which, SPI_processed);
	return SPI_processed;
}

static void
open_into(IntoReceiver *into, DpExec *exec, DpRelation which)
{
	*into = (IntoReceiver) {
		.pub = {
			.receiveSlot = into_receive,
			.rStartup = into_startup,
			.rShutdown = into_nothing,
			.rDestroy = into_nothing,
			.mydest = DestTuplestore
		},
		.store = exec->enr[which].reldata,
		.target = relation_desc(exec, which)
	};
	into->values = palloc(sizeof(Datum) * into->target->natts);
	into->isnull = palloc(sizeof(bool) * into->target->natts);
}

/* Called when exec->cxt goes, in whatever way. */
static void
free_plans(void *arg)
{
	DpExec	   *exec = arg;
	ListCell   *lc;

	foreach(lc, exec->prepared)
	{
		Prepared   *p = lfirst(lc);

		if (p->plan != NULL)
			SPI_freeplan(p->plan);
	}
	exec->prepared = NIL;
}

static void
register_relation(DpExec *exec, DpRelation which)
{
	EphemeralNamedRelation enr = &exec->enr[which];
	bool		silver_rows = which == DP_FOUND || which == DP_NEW || which == DP_OLD;
	int			rc;

	enr->md.name = unconstify(char *, relation_names[which]);
	enr->md.reliddesc = silver_rows ? RelationGetRelid(exec->silver) : InvalidOid;
	enr->md.tupdesc = silver_rows ? NULL : relation_desc(exec, which);
	enr->md.enrtype = ENR_NAMED_TUPLESTORE;
	if (enr->md.enrtuples < 1)
		enr->md.enrtuples = 1000;
	rc = SPI_register_relation(enr);
	if (rc != SPI_OK_REL_REGISTER)
		elog(ERROR, "cannot register %s: %s", enr->md.name, SPI_result_code_string(rc));
}

/* Row type of a relation, NULL when this pipeline has none. */
static TupleDesc
relation_desc(DpExec *exec, DpRelation which)
{
	switch (which)
	{
		case DP_BATCH:
			return exec->plan->batch_desc;
		case DP_ROWS:
		case DP_WINNERS:
			return exec->plan->rows_desc;
		default:
			return exec->silver ? RelationGetDescr(exec->silver) : NULL;
	}
}

/* The plan of SQL, made at its first use and anew at uses 2, 4, 8, ... */
static SPIPlanPtr
prepare(DpExec *exec, const char *sql)
{
	Prepared   *p = find_prepared(exec, sql);
	SPIPlanPtr	plan;

	p->uses++;
	if (p->plan != NULL && (p->uses & (p->uses - 1)) != 0)
		return p->plan;
	plan = SPI_prepare(sql, 0, NULL);
	if (plan == NULL)
		elog(ERROR, "cannot prepare pipeline statement: %s: %s",
			 SPI_result_code_string(SPI_result), sql);
	if (p->plan != NULL)
		SPI_freeplan(p->plan);
	SPI_keepplan(plan);
	p->plan = plan;
	return plan;
}

static Prepared *
find_prepared(DpExec *exec, const char *sql)
{
	MemoryContext old;
	Prepared   *p;
	ListCell   *lc;

	foreach(lc, exec->prepared)
	{
		p = lfirst(lc);
		if (p->sql == sql)
			return p;
	}
	old = MemoryContextSwitchTo(exec->cxt);
	p = palloc0(sizeof(Prepared));
	p->sql = sql;
	exec->prepared = lappend(exec->prepared, p);
	MemoryContextSwitchTo(old);
	return p;
}

/* Dropped columns of the target are NULL; a column beyond it is the flag. */
static bool
into_receive(TupleTableSlot *slot, DestReceiver *self)
{
	IntoReceiver *into = (IntoReceiver *) self;
	int			from = 0;

	slot_getallattrs(slot);
	for (int i = 0; i < into->target->natts; i++)
	{
		bool		dropped = TupleDescAttr(into->target, i)->attisdropped;

		into->isnull[i] = dropped || slot->tts_isnull[from];
		into->values[i] = dropped ? (Datum) 0 : slot->tts_values[from];
		if (!dropped)
			from++;
	}
	tuplestore_putvalues(into->store, into->target, into->values, into->isnull);
	if (from < slot->tts_tupleDescriptor->natts &&
		!slot->tts_isnull[from] && DatumGetBool(slot->tts_values[from]))
		into->flagged++;
	return true;
}

static void
into_startup(DestReceiver *self, int operation, TupleDesc desc)
{
	dp_exec_check_result(((IntoReceiver *) self)->target, desc);
}

/*
 * The types of a statement's result were those of TARGET when the plan was
 * made; a table altered or a function made anew since then changes them, and
 * their values would be taken for what they are not.
 */
void
dp_exec_check_result(TupleDesc target, TupleDesc result)
{
	int			from = 0;

	for (int i = 0; i < target->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(target, i);

		if (att->attisdropped)
			continue;
		if (from == result->natts || !fits(TupleDescAttr(result, from++), att))
			ereport(ERROR,
					(errcode(ERRCODE_DATATYPE_MISMATCH),
					 errmsg("column \"%s\" of the silver table now gets another type",
							NameStr(att->attname)),
					 errdetail("A table or function that the pipeline uses was changed."),
					 errhint("The pipeline is planned anew and tried again.")));
	}
}

static bool
fits(Form_pg_attribute from, Form_pg_attribute to)
{
	return from->attlen == to->attlen && from->attbyval == to->attbyval &&
		from->attalign == to->attalign &&
		IsBinaryCoercible(from->atttypid, getBaseType(to->atttypid));
}

static void
into_nothing(DestReceiver *self)
{
}
