/*
 * failure.h
 *	  What became of a shard, written to dynpipe.failure and dynpipe.event in a
 *	  transaction of its own, since that of the batch is aborted.
 *
 * Both functions run outside a transaction and never raise: a database that
 * cannot be written to is a reason to fail, not to die.
 */
#ifndef DP_FAILURE_H
#define DP_FAILURE_H

#include "dynpipe.h"

#include "run/served.h"

/* Insert or update the shard's failure; EVENT: also tell dynpipe.event. */
extern void dp_failure_record(const DpServed *served, const ErrorData *edata, bool event);

/* The shard works again: remove its failure and tell dynpipe.event if there was one. */
extern void dp_failure_clear(const DpServed *served);

/*
 * After an ERROR caught outside or inside a transaction: end the transaction
 * and give back what an error leaves behind.
 */
extern void dp_failure_clean_up(void);

/* Give back the session-level advisory locks that users' code took. */
extern void dp_failure_release_locks(void);

#endif							/* DP_FAILURE_H */
