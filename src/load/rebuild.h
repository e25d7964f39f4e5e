/*
 * rebuild.h
 *	  Silver and gold made anew from bronze.
 */
#ifndef DP_REBUILD_H
#define DP_REBUILD_H

#include "load/load.h"

/*
 * [in a transaction] Empty silver and bring every record of bronze back into
 * it, in the order in which they came, then refresh gold.  The ledger is
 * counted anew.  Readers see the former state until the caller commits.
 */
extern void dp_rebuild(DpLoader *loader);

#endif							/* DP_REBUILD_H */
