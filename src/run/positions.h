/*
 * positions.h
 *	  Is a stored position still good?  Pure: no I/O, no catalogs.
 */
#ifndef DP_POSITIONS_H
#define DP_POSITIONS_H

#include "config/spec.h"
#include "source/source.h"

typedef enum DpPositionCheck
{
	DP_POSITION_GOOD,
	DP_POSITION_GAP,			/* older than what the broker still has */
	DP_POSITION_BEYOND			/* newer than the end of its log */
} DpPositionCheck;

/*
 * SLACK: how far beyond the reported end a position may be without meaning
 * anything (Event Hubs has been seen to report its last record's own offset
 * as the end).
 */
extern DpPositionCheck dp_position_check(int64 position, const DpPartition *partition, int slack);

/* Raise for a position that cannot be read on from, saying what to do. */
extern void dp_position_raise_gap(const DpPipelineSpec *spec, int64 position,
								  const DpPartition *partition) pg_attribute_noreturn();
extern void dp_position_raise_beyond(const DpPipelineSpec *spec, int64 position,
									 const DpPartition *partition) pg_attribute_noreturn();
extern void dp_position_raise_missing(const DpPipelineSpec *spec,
									  int32 partition) pg_attribute_noreturn();

#endif							/* DP_POSITIONS_H */
