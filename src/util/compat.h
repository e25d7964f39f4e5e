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
#endif

/* One access check for all kinds of object came with 16. */
#if PG_VERSION_NUM >= 160000
#define dp_server_aclcheck(serverid, roleid, mode) \
	object_aclcheck(ForeignServerRelationId, serverid, roleid, mode)
#else
#define dp_server_aclcheck(serverid, roleid, mode) \
	pg_foreign_server_aclcheck(serverid, roleid, mode)
#endif

#endif							/* DP_COMPAT_H */
