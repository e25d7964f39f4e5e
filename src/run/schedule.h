/*
 * schedule.h
 *	  When to try again after a failure: pure functions of (error, number of
 *	  failures, settings, a random number).
 */
#ifndef DP_SCHEDULE_H
#define DP_SCHEDULE_H

#include "postgres.h"

typedef enum DpFailureClass
{
	DP_FAILURE_CONFLICT,		/* lost to another transaction: the first tries are immediate */
	DP_FAILURE_TRANSIENT,		/* waiting may help: network, resources, shutdown */
	DP_FAILURE_REPAIR,			/* somebody must act: configuration, privileges, data */
	DP_FAILURE_INTERNAL			/* anything else */
} DpFailureClass;

/* Immediate retries of a conflict before it is treated like any other failure. */
#define DP_CONFLICT_RETRIES 10

/* After this long without a failure the count starts at zero again. */
#define DP_HEALTHY_MS 60000

extern DpFailureClass dp_schedule_classify(int sqlerrcode);

/*
 * Milliseconds to wait before the next try, FAILURES (>= 1) counting this one:
 * INITIAL doubled each time up to MAX, then +- 15 % by RANDOM in [0, 1).
 * Never more than MAX.  0 for the first conflicts.
 */
extern int64 dp_schedule_delay(DpFailureClass class, int failures, int initial, int max,
							   double random);

/* Is this the first failure or a power of two?  So long series stay short in the log. */
extern bool dp_schedule_worth_logging(int failures);

#endif							/* DP_SCHEDULE_H */
