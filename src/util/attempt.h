/*
 * attempt.h
 *	  Try something that may raise, and go on with the error in hand.
 */
#ifndef DP_ATTEMPT_H
#define DP_ATTEMPT_H

#include "postgres.h"

/*
 * Call FN(ARG) in a subtransaction.  Returns NULL when FN returned, else the
 * error it raised, and everything it did is undone.  A cancel, a shutdown and
 * a lack of resources are raised again.
 */
typedef void (*DpAttempt) (void *arg);
extern ErrorData *dp_attempt(DpAttempt fn, void *arg);

#endif							/* DP_ATTEMPT_H */
