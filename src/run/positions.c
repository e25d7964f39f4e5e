/*
 * positions.c
 *	  Is a stored position still good, and what to tell the user when not.
 *
 * Below the oldest record: retention removed what was not read yet; the range
 * is a gap that on_gap decides about.  Beyond the end: this is not the log
 * that was read before (recreated, truncated, failed over); reading on would
 * mix two logs, so it always stops.
 */
#include "dynpipe.h"

#include "run/positions.h"

DpPositionCheck
dp_position_check(int64 position, const DpPartition *partition, int slack)
{
	if (position < partition->low)
		return DP_POSITION_GAP;
	if (position > partition->high + slack)
		return DP_POSITION_BEYOND;
	return DP_POSITION_GOOD;
}

void
dp_position_raise_gap(const DpPipelineSpec *spec, int64 position, const DpPartition *partition)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("pipeline \"%s\" lost " INT64_FORMAT " records of partition %d to retention",
					spec->name, partition->low - position, partition->id),
			 errdetail("The next record to read is offset " INT64_FORMAT
					   "; the oldest that \"%s\" still has is " INT64_FORMAT ".",
					   position, spec->source, partition->low),
			 errhint("Nothing was read past the loss. To go on without these records set "
					 "\"on_gap\": \"skip\" with dynpipe.apply (the range is then recorded in "
					 "dynpipe.gaps), or call dynpipe.seek.")));
}

void
dp_position_raise_beyond(const DpPipelineSpec *spec, int64 position,
						 const DpPartition *partition)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("position of partition %d of pipeline \"%s\" is beyond the end of the log",
					partition->id, spec->name),
			 errdetail("The next record to read is offset " INT64_FORMAT
					   ", but \"%s\" ends at " INT64_FORMAT
					   ": it was recreated, truncated or failed over.",
					   position, spec->source, partition->high),
			 errhint("If it is the right log, set where to go on with "
					 "dynpipe.seek('%s', %d, offset); what was loaded stays.",
					 spec->name, partition->id)));
}

void
dp_position_raise_missing(const DpPipelineSpec *spec, int32 partition)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("partition %d of pipeline \"%s\" no longer exists", partition, spec->name),
			 errdetail("\"%s\" was recreated with fewer partitions than before.", spec->source),
			 errhint("Check the hub or topic. To read the new one from the start, drop the "
					 "pipeline and apply it again under another name.")));
}
