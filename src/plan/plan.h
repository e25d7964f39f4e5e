/*
 * plan.h
 *	  What a pipeline will do, worked out once: types looked up, every SQL
 *	  statement generated, write paths chosen.  Built from (spec, catalogs) by
 *	  dp_plan_build, immutable afterwards, no I/O of its own.
 *
 * A batch runs through these relations; each is an "ephemeral named relation"
 * (a tuplestore registered with SPI), so the statements below are prepared
 * once per plan and see new rows at each execution:
 *
 *	  dynpipe_batch    what decode made of the records: the plan's fields, then
 *	                   _partition int4, _offset int8, _timestamp timestamptz,
 *	                   _key bytea, _n int4 (ordinal in the batch),
 *	                   _tombstone bool
 *	  dynpipe_rows     what transform made of them: the silver columns of the
 *	                   plan, then _partition int4, _offset int8, _n int4,
 *	                   _delete bool
 *	  dynpipe_found    upsert: rows of the silver table that have a key of
 *	                   dynpipe_rows, locked; row type of the silver table
 *	  dynpipe_winners  upsert: row type of dynpipe_rows; for each key the
 *	                   newest record, if it is newer than what is stored
 *	  dynpipe_new      silver rows as they stand after the batch, for the rows
 *	                   the batch wrote; row type of the silver table
 *	  dynpipe_old      the same rows as they stood before it (upsert only)
 *
 * Flow (NULL statements are skipped):
 *
 *	  decode -> dynpipe_batch -> transform_sql -> verdict per record
 *	     append: rows -> multi-insert, or append_sql -> dynpipe_new
 *	     upsert: rows -> found_sql -> winners_sql -> upsert_sql, delete_sql,
 *	             tombstone_sql; old_sql -> dynpipe_old
 *	  gold: for each table, its statements in order over new and old
 *
 * User expressions are embedded as "(expr\n)" after each was parsed alone and
 * found to be exactly one expression.  Everything else is quoted by sqlbuf.c.
 * All statements run as the owner with search_path = pg_catalog, pg_temp.
 */
#ifndef DP_PLAN_H
#define DP_PLAN_H

#include "access/tupdesc.h"
#include "config/config.h"
#include "format/format.h"

#define DP_REL_BATCH	"dynpipe_batch"
#define DP_REL_ROWS		"dynpipe_rows"
#define DP_REL_FOUND	"dynpipe_found"
#define DP_REL_WINNERS	"dynpipe_winners"
#define DP_REL_NEW		"dynpipe_new"
#define DP_REL_OLD		"dynpipe_old"

/* Columns that follow the fields in dynpipe_batch, in this order. */
#define DP_BATCH_META	6		/* _partition _offset _timestamp _key _n _tombstone */
/* Columns that follow the silver columns in dynpipe_rows. */
#define DP_ROWS_META	4		/* _partition _offset _n _delete */

/* A column that the pipeline writes into silver. */
typedef struct DpSilverColumn
{
	const char *name;
	Oid			type;
	int32		typmod;
	Oid			collation;
	int			field;			/* index of the field it is copied from; -1: derived */
	const char *expr;			/* derived: the user's expression */
	const char *description;
	bool		is_key;
	bool		exists;			/* in the silver table when the plan was made */
	bool		inferred;		/* its type was; it may give way to a wider one */
	bool		widened;		/* the table's column still has a narrower type */
} DpSilverColumn;

/*
 * A verdict of transform_sql: 0 = load, one of the constants below, or k > 0 =
 * the k-th rule of this array failed (first that fails in the order given).
 * Rules with DP_ACTION_WARN never give a verdict: rule k sets bit k-1 of
 * _warned (so at most 63 rules).  A record that deletes (_delete) is checked
 * for its key and sequence only.
 */
#define DP_VERDICT_DROPPED			(-1)	/* by where */
#define DP_VERDICT_NULL_KEY			(-2)	/* a (derived) key column is NULL */
#define DP_VERDICT_NULL_SEQUENCE	(-3)	/* sequence_by is NULL, not a tombstone */

typedef struct DpRule
{
	const char *name;
	const char *check;
	DpAction	action;
} DpRule;

typedef enum DpGoldStrategy
{
	DP_GOLD_DELTA,				/* merge (new - old) per group */
	DP_GOLD_GROUPS,				/* recompute the groups that new and old touch */
	DP_GOLD_FULL				/* recompute all of it in each batch */
} DpGoldStrategy;

typedef struct DpGoldPlan
{
	const DpGoldSpec *spec;
	DpTableName table;			/* resolved */
	DpGoldStrategy strategy;
	const char *reason;			/* why this strategy, a sentence for explain */
	bool		serialize;		/* workers of the pipeline must take turns (groups, full) */
	List	   *apply_sql;		/* char *: run in this order after silver was written */
	const char *create_sql;		/* CREATE TABLE with hidden columns, unique index; may be several
								 * statements separated by ";\n" */
	const char *fill_sql;		/* fill an empty table from silver as it is now */
	const char *clear_sql;		/* empty it */
	const char *verify_sql;		/* one row (extra, missing bigint): rows of the table that the
								 * query does not give, and the reverse */
	TupleDesc	desc;			/* visible columns of the query */
	List	   *key;			/* char *: columns of the unique index; NIL: none */
	List	   *hidden;			/* char *: bookkeeping columns of the table */
} DpGoldPlan;

typedef struct DpPlan
{
	MemoryContext cxt;			/* owns the plan */
	int64		pipeline_id;
	int32		version;
	Oid			owner;
	const DpPipelineSpec *spec;

	/* decode */
	int			nfields;
	DpField    *fields;
	TupleDesc	batch_desc;		/* dynpipe_batch */

	/* transform; NULL: every record loads, silver columns = fields in order, no deletes */
	const char *transform_sql;	/* SELECT <silver columns>, _partition, _offset, _n, _delete,
								 * _verdict int4, _warned int8 FROM dynpipe_batch (plain scan, so
								 * rows come in batch order) */
	int			nrules;
	DpRule	   *rules;

	/* silver */
	int			nsilver;
	DpSilverColumn *silver;
	TupleDesc	rows_desc;		/* dynpipe_rows */
	Oid			silver_relid;	/* InvalidOid: did not exist when the plan was made */
	TupleDesc	silver_desc;	/* row type of the silver table as it is, or will be */
	bool		upsert;
	bool		retracts;		/* rows of append-only silver may be taken back (dynpipe_old) */
	const char *append_sql;		/* INSERT INTO silver SELECT FROM dynpipe_rows RETURNING *: used
								 * when the table cannot be written by multi-insert */
	const char *found_sql;
	const char *winners_sql;	/* result type: rows_desc */
	const char *upsert_sql;		/* RETURNING silver.*, (xmax = 0) AS _inserted */
	const char *delete_sql;		/* RETURNING nothing; count = rows deleted */
	const char *tombstone_sql;	/* remember deleted keys with their sequence; forget revived ones */
	const char *old_sql;		/* SELECT found.* of rows replaced or deleted */

	/* gold */
	int			ngold;
	DpGoldPlan *gold;
} DpPlan;

/*
 * Build the plan of SPEC in a new memory context below PARENT.  Looks up
 * types and tables as OWNER; problems (unknown type, expression that does not
 * parse, column that does not exist, gold query that cannot be kept) are added
 * to DOC at spec->pointer plus the key's path, and NULL is returned if there
 * are any.  With TABLES_EXIST false the silver table need not exist yet: its
 * shape is taken from the spec.  DOC may be NULL: then problems raise.
 * Caller must be in a transaction with a snapshot.
 */
extern DpPlan *dp_plan_build(const DpPipelineSpec *spec, int64 pipeline_id, int32 version,
							 Oid owner, bool tables_exist, DpDocument *doc,
							 MemoryContext parent);

/*
 * The fields alone, for a process that only decodes: types are looked up as
 * OWNER, no table is touched.  In the current memory context; *N of them.
 */
extern DpField *dp_plan_fields(const DpPipelineSpec *spec, Oid owner, int *n);

/*
 * DDL that brings the database from what exists to what PLAN needs, as a list
 * of DpChange in execution order: schemas, bronze, silver (CREATE, ADD COLUMN),
 * gold.  OLD is the plan of the version in force, NULL when there is none or
 * when its tables are gone: a gold table whose query is not OLD's is made anew
 * or filled again.  A change that would lose data (type change, key change) is
 * a problem added to DOC instead.  Nothing is returned twice: after the changes
 * were made the list is empty.
 */
typedef struct DpChange
{
	const char *action;			/* "create", "alter", "drop" */
	const char *object;			/* "schema", "table", "column", "comment", "gold" */
	const char *name;			/* qualified, quoted */
	const char *detail;
	const char *sql;			/* to run as the owner; may be several statements */
} DpChange;

extern List *dp_plan_changes(const DpPlan *plan, const DpPlan *old, DpDocument *doc);
/* Make one of them, as OWNER. */
extern void dp_plan_run_change(const DpChange *change, Oid owner);

/*
 * The invariants of the pipeline, List of DpVerifyItem.  Each statement gives
 * one text; the invariant holds when both are equal.  They must run in one
 * snapshot.  Only the system can read the catalog, only the owner's rights may
 * touch his tables, so each statement reads one side.
 */
typedef struct DpVerifyItem
{
	const char *name;
	const char *catalog_sql;	/* gives what is expected; run as the system */
	const char *owner_sql;		/* gives what is found; run as the owner */
	bool		system;			/* owner_sql reads the catalog: run it as the system too */
} DpVerifyItem;

extern List *dp_plan_verify(const DpPlan *plan);

/* The table that remembers deleted keys of an upsert pipeline; it may not exist. */
extern DpTableName *dp_plan_tombstones(const DpPipelineSpec *spec);

/* The text of dynpipe.explain: section/key/value rows, List of DpExplainRow. */
typedef struct DpExplainRow
{
	const char *section;		/* source, decode, silver, gold gold.sales_by_day, ... */
	const char *item;
	const char *value;
} DpExplainRow;

extern List *dp_plan_explain(const DpPlan *plan);

#endif							/* DP_PLAN_H */
