/*
 * as_owner.c
 *	  Whose rights are in force: see as_owner.h for the two moves.
 *
 * Both push a settings level, so a SET that a user's function leaves behind
 * is undone when the role is restored, and both pin search_path, so that a
 * name in a fixed or generated statement means what it says.
 */
#include "dynpipe.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "util/as_owner.h"
#include "utils/guc.h"

static void become(DpRole *role, Oid user, int sec);

void
dp_role_become_owner(DpRole *role, Oid owner)
{
	become(role, owner, SECURITY_LOCAL_USERID_CHANGE | SECURITY_RESTRICTED_OPERATION);
}

void
dp_role_become_system(DpRole *role)
{
	become(role, BOOTSTRAP_SUPERUSERID, SECURITY_LOCAL_USERID_CHANGE);
}

void
dp_role_restore(DpRole *role)
{
	AtEOXact_GUC(false, role->guc_level);
	SetUserIdAndSecContext(role->saved_user, role->saved_sec);
}

/* The flags are added: a restricted caller never becomes less restricted. */
static void
become(DpRole *role, Oid user, int sec)
{
	GetUserIdAndSecContext(&role->saved_user, &role->saved_sec);
	SetUserIdAndSecContext(user, role->saved_sec | sec);
	role->guc_level = NewGUCNestLevel();
	(void) set_config_option("search_path", "pg_catalog, pg_temp",
							 PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
							 true, 0, false);
}
