/*
 * infer.h
 *	  Names and types of columns from a sample of the files.
 *
 *	  files ─> sample (sample.c) ─> records ─> values ─> types (infer_type.c)
 *
 * A column's type is the narrowest one offered that every value seen can be
 * loaded into, where "can be loaded" is said by the parsers that will load
 * them.  Types are wide on purpose: no integer but bigint, no limits, and what
 * only looks like a number (007, +49) stays text.
 */
#ifndef DP_INFER_H
#define DP_INFER_H

#include "plan/plan.h"

/* ---- infer_type.c: pure ---- */

/* In the order in which they are preferred. */
typedef enum DpInferType
{
	DP_INFER_BOOLEAN,
	DP_INFER_BIGINT,
	DP_INFER_DOUBLE,			/* only where exponents occur */
	DP_INFER_NUMERIC,
	DP_INFER_UUID,
	DP_INFER_DATE,
	DP_INFER_TIMESTAMP,
	DP_INFER_TIMESTAMPTZ,
	DP_INFER_JSONB,				/* only where objects or arrays occur */
	DP_INFER_TEXT
} DpInferType;

#define DP_INFER_NTYPES	(DP_INFER_TEXT + 1)

/* What a value is in its file. */
typedef enum DpInferKind
{
	DP_INFER_FIELD,				/* of CSV: could be anything */
	DP_INFER_STRING,			/* of JSON, as are the others */
	DP_INFER_NUMBER,
	DP_INFER_WORD,				/* true, false */
	DP_INFER_CONTAINER
} DpInferKind;

/* The parsers, prepared once. */
typedef struct DpInferCasts
{
	DpCast		cast[DP_INFER_NTYPES];
	bool		decimal_comma;
} DpInferCasts;

/* What is known of one column. */
typedef struct DpInferColumn
{
	uint32		fits;			/* bit 1 << t: every value so far loads as type t */
	uint32		words;			/* kinds of boolean words seen */
	int64		values;			/* that are neither null nor empty */
	int64		empty;			/* fields of no bytes that are not null */
	bool		definite;		/* one of them was more than NaN */
	bool		exponent;
	bool		container;
} DpInferColumn;

extern void dp_infer_prepare(DpInferCasts *casts, bool decimal_comma, MemoryContext cxt);
extern void dp_infer_begin(DpInferColumn *column);
/* One value that is not null.  Garbage is left in the current memory context. */
extern void dp_infer_see(DpInferColumn *column, DpInferCasts *casts, DpInferKind kind,
						 const char *s, int len);
extern DpInferType dp_infer_result(const DpInferColumn *column);
extern const char *dp_infer_type_name(DpInferType type);
/* The type an inferred type name stands for; DP_INFER_NTYPES: none of those offered. */
extern DpInferType dp_infer_type_of(Oid type);
/* Does type name TYPE, one of those offered, hold all that OLD holds, and more? */
extern bool dp_infer_is_narrower(const char *old, const char *type);
/* The narrowest type that holds all of type OLD and the value too. */
extern DpInferType dp_infer_join(DpInferCasts *casts, DpInferType old, const char *s, int len);

/*
 * The type that column COLUMN of PLAN must get so that VALUE, which its own
 * refuses, loads: *WIDER is its name.  False when the column's type was not
 * inferred, or no wider one is left.
 */
extern bool dp_infer_widen(const DpPlan *plan, const char *column, const char *value, int len,
						   const char **wider);

/* Is a comma the decimal point of the pipeline's files? */
extern bool dp_infer_comma(const DpPipelineSpec *spec);

/* ---- infer.c ---- */

/*
 * Give every column of the file pipeline SPEC that lacks a type the one that
 * its files suggest, and SPEC its columns when it has none.  What BEFORE, the
 * version in force or NULL, has inferred for the same names is kept without
 * looking at any file.  Reads as OWNER; what goes wrong becomes a problem of
 * DOC.  Returns what was looked at, "20 records of 1 file", or NULL when
 * nothing was.  *FOUND (may be NULL) is set to the format's options
 * (DpSetting *) that the first file has shown.
 */
extern const char *dp_infer_columns(DpPipelineSpec *spec, const DpPipelineSpec *before,
									Oid owner, List **found, DpDocument *doc);

/* The column of SPEC called NAME if its type was inferred, else NULL. */
extern DpColumnSpec *dp_infer_known(const DpPipelineSpec *spec, const char *name);

#endif							/* DP_INFER_H */
