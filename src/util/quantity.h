/*
 * quantity.h
 *	  A whole number and a unit, as people write them: 16MB, 5min.
 */
#ifndef DP_QUANTITY_H
#define DP_QUANTITY_H

#include "postgres.h"

typedef struct DpUnit
{
	const char *name;
	int64		factor;
} DpUnit;

/* The largest unit first, the last has factor 1; they end with a NULL name. */
extern const DpUnit dp_byte_units[];
extern const DpUnit dp_time_units[];	/* milliseconds */

/* "16 MB" -> 16777216, with one of UNITS in any case; false when it is not that. */
extern bool dp_quantity_parse(const char *text, const DpUnit *units, int64 *result);

/* The shortest way to write VALUE exactly; NULL for zero. */
extern char *dp_quantity_text(int64 value, const DpUnit *units);

#endif							/* DP_QUANTITY_H */
