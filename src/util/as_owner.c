/*
 * as_owner.c
 *	  Whose rights are in force: see as_owner.h for the two moves.
 *
 * Both push a settings level, so a SET that a user's function leaves behind
 * is undone when the role is restored, and both pin the settings on which the
 * meaning of names, times and numbers depends: a pipeline gives the same rows
 * whoever runs it and wherever.
 */
#include "dynpipe.h"

#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "util/as_owner.h"
#include "utils/guc.h"

/* What the meaning of a statement or a value must not depend on. */
static const struct
{
	const char *name;
	const char *value;
}			pinned[] = {
	{"search_path", "pg_catalog, pg_temp"},
	{"TimeZone", "UTC"},
	{"DateStyle", "ISO, YMD"},
	{"IntervalStyle", "postgres"},
	{"extra_float_digits", "1"},
	{"bytea_output", "hex"},
	{"array_nulls", "on"},
	{"standard_conforming_strings", "on"},
	{"transform_null_equals", "off"},
};

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
	for (int i = 0; i < lengthof(pinned); i++)
		(void) set_config_option(pinned[i].name, pinned[i].value, PGC_USERSET, PGC_S_SESSION,
								 GUC_ACTION_SAVE, true, 0, false);
}
