/*
 * tables.h
 *	  Small things that the stages of a batch share about users' tables.
 */
#ifndef DP_TABLES_H
#define DP_TABLES_H

#include "config/spec.h"
#include "storage/lockdefs.h"
#include "utils/rel.h"

/*
 * Open and lock a table by its resolved name.  Raises 42P01 with a hint when
 * it is gone.
 */
extern Relation dp_table_open(const DpTableName *name, LOCKMODE lockmode);

/*
 * For the rest of the transaction constraints are checked, and their triggers
 * fire, with each statement: deferred ones would belong to no record, and
 * PostgreSQL refuses to queue them in a restricted security context.
 */
extern void dp_table_check_at_once(void);

/* Record timestamp (Unix ms, -1 none) as timestamptz. */
extern Datum dp_table_timestamp(int64 ms, bool *isnull);

/* LEN bytes (-1: NULL) copied to a bytea in the current memory context. */
extern Datum dp_table_bytea(const char *data, int32 len, bool *isnull);

#endif							/* DP_TABLES_H */
