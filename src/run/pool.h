/*
 * pool.h
 *	  The supervisor's workers: starting them, and giving them shards.
 */
#ifndef DP_POOL_H
#define DP_POOL_H

#include "dynpipe.h"

#include "datatype/timestamp.h"

/*
 * One round: notice workers that did not start, start what is missing, place
 * the shards of DBID.  Allocates in the current memory context.  Returns the
 * number of workers that DBID has.
 */
extern int	dp_pool_balance(Oid dbid, TimestampTz now);

#endif							/* DP_POOL_H */
