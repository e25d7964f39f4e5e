/*
 * attempt.c
 *	  Try something that may raise, and go on with the error in hand.
 */
#include "dynpipe.h"

#include "util/attempt.h"
#include "util/guard.h"

ErrorData *
dp_attempt(DpAttempt fn, void *arg)
{
	ErrorData  *error = dp_guard_run(fn, arg, true);

	/* A cancel or a lack of memory says nothing about what was tried. */
	if (error && (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_OPERATOR_INTERVENTION ||
				  ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_INSUFFICIENT_RESOURCES))
		ReThrowError(error);
	return error;
}
