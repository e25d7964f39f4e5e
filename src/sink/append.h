/*
 * append.h
 *	  Fast path: rows straight from memory into a plain table.
 *
 * dp_append_refusal says why a table cannot be written this way, or NULL when
 * it can; a caller must ask before it begins, with the table locked, because
 * the fast path knows nothing of triggers, policies, rules, partitions or
 * generated columns.  Rows given to dp_append_row are copied when the buffer
 * is flushed, so their bytes must stay valid until dp_append_end.
 *
 * Constraint and input errors raise as an INSERT would; the buffer and
 * everything else belongs to a memory context below the one current at begin
 * and goes with the (sub)transaction that failed.
 */
#ifndef DP_APPEND_H
#define DP_APPEND_H

#include "utils/rel.h"
#include "utils/tuplestore.h"

typedef struct DpAppend DpAppend;

/*
 * The columns a caller will give, by name and type.  Text in the current
 * memory context, or NULL.  Runs with the rights of the current user.
 */
extern char *dp_append_refusal(Relation rel, const char *const *names,
							   const Oid *types, const int32 *typmods, int n);

/* Column i of the rows goes to the table's column names[i]; others take their defaults. */
extern DpAppend *dp_append_begin(Relation rel, const char *const *names, int n);
extern void dp_append_row(DpAppend *append, const Datum *values, const bool *isnull);

/* Flush; when COPY is given every row as stored is added to it.  Returns rows written. */
extern int64 dp_append_end(DpAppend *append);
extern void dp_append_copy_to(DpAppend *append, Tuplestorestate *copy);

#endif							/* DP_APPEND_H */
