/*
 * as_owner.h
 *	  Whose rights are in force.  Two moves, each paired with dp_role_restore:
 *
 *	  dp_role_become_owner   anything that can reach a user's code (writing his
 *	                         tables, evaluating his expressions, DDL): identity
 *	                         of the pipeline's owner inside a security-restricted
 *	                         operation, settings pinned, those changed by his code
 *	                         undone at restore.
 *	  dp_role_become_system  dynpipe's own fixed statements over dynpipe.*: the
 *	                         bootstrap superuser, settings pinned.
 *
 * After an ERROR the (sub)transaction's abort restores both by itself.
 */
#ifndef DP_AS_OWNER_H
#define DP_AS_OWNER_H

#include "postgres.h"

typedef struct DpRole
{
	Oid			saved_user;
	int			saved_sec;
	int			guc_level;
} DpRole;

extern void dp_role_become_owner(DpRole *role, Oid owner);
extern void dp_role_become_system(DpRole *role);
extern void dp_role_restore(DpRole *role);

#endif							/* DP_AS_OWNER_H */
