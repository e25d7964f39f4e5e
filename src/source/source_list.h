/*
 * source_list.h
 *	  The sources: DP_SOURCE(scheme) for each dp_source_<scheme>_ops.  Read
 *	  more than once, so no include guard.
 */
DP_SOURCE(eventhubs)
DP_SOURCE(kafka)
