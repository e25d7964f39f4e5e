/*
 * step_list.h
 *	  The steps, in the order in which they act on a record.
 */
DP_STEP(derive)
DP_STEP(delete)
DP_STEP(where)
DP_STEP(expect)
DP_STEP(upsert)
