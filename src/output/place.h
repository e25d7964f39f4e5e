/*
 * place.h
 *	  One spelling for each place, so that two URLs can be compared.
 */
#ifndef DP_OUTPUT_PLACE_H
#define DP_OUTPUT_PLACE_H

#include "postgres.h"

/*
 * PATH of a store, which may have patterns and parameters, as it is written
 * without detours.  For file:// what is there decides: symbolic links are
 * followed where OWNER may write files, as far as there are no patterns.
 */
extern char *dp_place_path(const char *scheme, const char *path, Oid owner);

/* May these be one bucket, container or host?  Servers are not looked up. */
extern bool dp_place_same(const char *scheme_a, const char *authority_a,
						  const char *scheme_b, const char *authority_b);

#endif							/* DP_OUTPUT_PLACE_H */
