/*
 * params.h
 *	  ${name} in the path of a source or destination; pure.
 *
 * Values come from the document's params, from the caller of dynpipe.run, and
 * for date, year, month, day and hour from the time at which the run was due.
 * "$${" stands for "${" itself.
 */
#ifndef DP_PARAMS_H
#define DP_PARAMS_H

#include "config/spec.h"
#include "pgtime.h"
#include "utils/timestamp.h"

/*
 * TEXT with the values put in; PARAMS is a List of DpSetting *, of one name the
 * last counts, also before a time's.  NULL with *PROBLEM, *HINT when it cannot
 * be done: an unknown name, a value with control characters, a path that would
 * have a part "..".  Messages name parameters, never values.
 */
extern char *dp_params_put(const char *text, List *params, TimestampTz now, pg_tz *zone,
						   const char **problem, const char **hint);

/* Does TEXT have something to put in, or an escape? */
extern bool dp_params_any(const char *text);

/* The hint for NAME, which is neither in DECLARED nor one of a time; NULL when it is known. */
extern const char *dp_params_unknown(const char *name, List *declared);

/* What is wrong with NAME as that of a parameter; NULL: nothing. */
extern const char *dp_params_name_problem(const char *name, const char **hint);

#endif							/* DP_PARAMS_H */
