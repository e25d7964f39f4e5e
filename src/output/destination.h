/*
 * destination.h
 *	  May a pipeline write where its document says?  Asked when it is applied.
 */
#ifndef DP_DESTINATION_H
#define DP_DESTINATION_H

#include "config/config.h"

/*
 * Adds problems: the store cannot write, OWNER may not use it, the source
 * would read what was written, another pipeline than ID writes there.  No I/O
 * but for symbolic links of file://.
 */
extern void dp_destination_check(const DpPipelineSpec *spec, int64 id, Oid owner,
								 DpDocument *doc);

#endif							/* DP_DESTINATION_H */
