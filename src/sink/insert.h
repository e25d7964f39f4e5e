/*
 * insert.h
 *	  Slow path: rows by INSERT, one at a time, for tables that the fast path
 *	  refuses.  Everything PostgreSQL does at an INSERT happens here too.
 */
#ifndef DP_INSERT_H
#define DP_INSERT_H

#include "utils/rel.h"

typedef struct DpInsert DpInsert;

extern DpInsert *dp_insert_begin(Relation rel, const char *const *names,
								 const Oid *types, int n);
extern void dp_insert_row(DpInsert *insert, const Datum *values, const bool *isnull);
extern int64 dp_insert_end(DpInsert *insert);

#endif							/* DP_INSERT_H */
