/*
 * parsers.h
 *	  Private to src/cast: the parsers that cast.c's table chooses from.
 *
 * Each has the shape of DpCastFn.  A parser knows the common spelling of its
 * type and decides it alone; everything else, wrong or merely unusual, it
 * hands to dp_cast_input, so that acceptance, SQLSTATE and message are those
 * of PostgreSQL's input function by construction.
 */
#ifndef DP_PARSERS_H
#define DP_PARSERS_H

#include "cast/cast.h"

#define DP_PARSER(name) \
	extern bool dp_cast_##name(DpCast *cast, const char *s, int len, \
							   Datum *out, DpReject *reject)

DP_PARSER(bool);
DP_PARSER(int2);
DP_PARSER(int4);
DP_PARSER(int8);
DP_PARSER(float4);
DP_PARSER(float8);
DP_PARSER(numeric);
DP_PARSER(date);
DP_PARSER(timestamp);
DP_PARSER(timestamptz);
DP_PARSER(string);				/* text, varchar */
DP_PARSER(bpchar);
DP_PARSER(bytea);
DP_PARSER(uuid);
DP_PARSER(json);				/* json, jsonb */
DP_PARSER(domain);
DP_PARSER(input);				/* any type, by its input function */

/* Is the type's input function built in and free of side effects? */
extern bool dp_cast_is_pure(Oid type, Oid infunc);

/* Prepare the state of dp_cast_domain. */
extern void dp_cast_init_domain(DpCast *cast, MemoryContext cxt);

#endif							/* DP_PARSERS_H */
