/*
 * compat.h
 *	  The only place that knows differences between PostgreSQL 15 and 18.
 *
 * Each difference is given one name of ours; callers never test
 * PG_VERSION_NUM themselves.
 */
#ifndef DP_COMPAT_H
#define DP_COMPAT_H

#include "postgres.h"

#if PG_VERSION_NUM < 150000
#error "dynpipe needs PostgreSQL 15 or newer"
#endif

/* Soft errors in input functions came with 16. */
#if PG_VERSION_NUM >= 160000
#define DP_HAVE_SOFT_ERRORS 1
#include "varatt.h"
#endif

/* parseTypeString's last argument: a flag until 15, an error sink from 16; 0 = raise. */
#define dp_parse_type(str, type, typmod)	parseTypeString((str), (type), (typmod), 0)

#endif							/* DP_COMPAT_H */
