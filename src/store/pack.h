/*
 * pack.h
 *	  Objects that are packed on their way to a store.
 *
 * The counterpart of dp_bytes_unpack: what is put on top of another put takes
 * it over, so finish and abort of the one on top do those of the one below.
 */
#ifndef DP_PACK_H
#define DP_PACK_H

#include "store/store.h"

/*
 * A put in the current memory context that writes gzip to BELOW.  The same
 * bytes give the same object: no name, no time.
 */
extern DpPut *dp_put_gzip(DpPut *below);

#endif							/* DP_PACK_H */
