/*
 * guard.h
 *	  Work that may fail, in a subtransaction.
 */
#ifndef DP_GUARD_H
#define DP_GUARD_H

#include "postgres.h"

/*
 * Run WORK(ARG) in a subtransaction.  NULL when it came to its end: what it
 * did is kept if KEEP, else undone.  Otherwise the error, in the memory context
 * of the caller, and all undone; the caller looks whether it is one to bear,
 * and gives any other to ReThrowError.  WORK runs in the caller's memory
 * context.
 */
extern ErrorData *dp_guard_run(void (*work) (void *arg), void *arg, bool keep);

#endif							/* DP_GUARD_H */
