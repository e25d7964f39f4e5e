/*
 * gold_refresh.h
 *	  Recompute gold tables in full, in the caller's transaction.
 */
#ifndef DP_GOLD_REFRESH_H
#define DP_GOLD_REFRESH_H

#include "plan/plan.h"

/* Empty gold table number G of PLAN and fill it from silver as it is now. */
extern void dp_gold_refresh(const DpPlan *plan, int g);

/* Refresh every gold table whose interval has passed; true when any was. */
extern bool dp_gold_refresh_due(const DpPlan *plan);

#endif							/* DP_GOLD_REFRESH_H */
