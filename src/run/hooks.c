/*
 * hooks.c
 *	  Statements that would hang on our processes, or that decide which exist.
 *
 *	  DROP DATABASE, ALTER DATABASE RENAME / SET TABLESPACE,
 *	  CREATE DATABASE ... TEMPLATE     need a database without other sessions
 *	  DROP EXTENSION, DROP SCHEMA, DROP OWNED (of the extension)
 *									   lock the tables that workers write to
 *
 * Before such a statement runs, the processes of the database leave, and stay
 * away until its transaction ends (dp_run_clear_database); if it fails or is
 * rolled back they come again.  Only who may execute the statement gets that
 * far, so that nobody else can interrupt streams by statements that fail.
 *
 * The object access hook sees the extension come and go by whatever way, a
 * cascade for instance.
 */
#include "dynpipe.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/table.h"
#include "access/xact.h"
#include "catalog/objectaccess.h"
#include "catalog/pg_authid.h"
#include "commands/dbcommands.h"
#include "commands/defrem.h"
#include "commands/extension.h"
#include "miscadmin.h"
#include "run/hooks.h"
#include "run/wake.h"
#include "tcop/utility.h"
#include "utils/fmgroids.h"
#include "utils/syscache.h"

static ProcessUtility_hook_type prev_utility_hook = NULL;
static object_access_hook_type prev_access_hook = NULL;

static void on_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
					   ProcessUtilityContext context, ParamListInfo params,
					   QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc);
static void on_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *arg);
static void before_statement(Node *stmt);
static void before_create_database(CreatedbStmt *stmt);
static void before_alter_database(AlterDatabaseStmt *stmt);
static void before_drop(DropStmt *stmt);
static void before_drop_owned(DropOwnedStmt *stmt);
static void clear_owned_database(const char *name);
static void clear_for_extension(void);
static bool may_copy_database(Oid dbid);
static Oid	extension_owner(Oid extid);

void
dp_hooks_init(void)
{
	prev_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = on_utility;
	prev_access_hook = object_access_hook;
	object_access_hook = on_access;
}

static void
on_utility(PlannedStmt *pstmt, const char *query, bool read_only_tree,
		   ProcessUtilityContext context, ParamListInfo params,
		   QueryEnvironment *env, DestReceiver *dest, QueryCompletion *qc)
{
	/* Aborted transactions execute nothing but their end. */
	if (IsTransactionState())
		before_statement(pstmt->utilityStmt);

	if (prev_utility_hook != NULL)
		prev_utility_hook(pstmt, query, read_only_tree, context, params, env, dest, qc);
	else
		standard_ProcessUtility(pstmt, query, read_only_tree, context, params, env, dest, qc);
}

static void
on_access(ObjectAccessType access, Oid class_id, Oid object_id, int sub_id, void *arg)
{
	if (prev_access_hook != NULL)
		prev_access_hook(access, class_id, object_id, sub_id, arg);

	/* A row being created is not visible yet, so its name cannot be asked: look in any case. */
	if (class_id == ExtensionRelationId && access == OAT_POST_CREATE)
		dp_run_wake_at_commit();
	else if (class_id == ExtensionRelationId && access == OAT_DROP &&
			 object_id == get_extension_oid("dynpipe", true))
		(void) dp_run_clear_database(MyDatabaseId);
}

static void
before_statement(Node *stmt)
{
	switch (nodeTag(stmt))
	{
		case T_DropdbStmt:
			clear_owned_database(castNode(DropdbStmt, stmt)->dbname);
			dp_run_rescan_at_commit();
			break;
		case T_CreatedbStmt:
			before_create_database(castNode(CreatedbStmt, stmt));
			break;
		case T_AlterDatabaseStmt:
			before_alter_database(castNode(AlterDatabaseStmt, stmt));
			break;
		case T_RenameStmt:
			if (castNode(RenameStmt, stmt)->renameType == OBJECT_DATABASE)
				clear_owned_database(castNode(RenameStmt, stmt)->subname);
			break;
		case T_DropStmt:
			before_drop(castNode(DropStmt, stmt));
			break;
		case T_DropOwnedStmt:
			before_drop_owned(castNode(DropOwnedStmt, stmt));
			break;
		default:
			break;
	}
}

static void
before_create_database(CreatedbStmt *stmt)
{
	ListCell   *lc;

	dp_run_rescan_at_commit();
	foreach(lc, stmt->options)
	{
		DefElem    *option = lfirst_node(DefElem, lc);
		Oid			dbid;

		if (strcmp(option->defname, "template") != 0 || option->arg == NULL)
			continue;
		dbid = get_database_oid(defGetString(option), true);
		if (OidIsValid(dbid) && may_copy_database(dbid))
			(void) dp_run_clear_database(dbid);
	}
}

/* SET TABLESPACE moves the files; the other options concern new sessions only. */
static void
before_alter_database(AlterDatabaseStmt *stmt)
{
	ListCell   *lc;

	dp_run_rescan_at_commit();
	foreach(lc, stmt->options)
	{
		if (strcmp(lfirst_node(DefElem, lc)->defname, "tablespace") == 0)
			clear_owned_database(stmt->dbname);
	}
}

/* DROP EXTENSION dynpipe, or DROP SCHEMA of the schema it owns. */
static void
before_drop(DropStmt *stmt)
{
	ListCell   *lc;

	if (stmt->removeType != OBJECT_EXTENSION &&
		!(stmt->removeType == OBJECT_SCHEMA && stmt->behavior == DROP_CASCADE))
		return;
	foreach(lc, stmt->objects)
	{
		if (strcmp(strVal(lfirst(lc)), "dynpipe") == 0)
			clear_for_extension();
	}
}

static void
before_drop_owned(DropOwnedStmt *stmt)
{
	Oid			extid = get_extension_oid("dynpipe", true);
	Oid			owner = OidIsValid(extid) ? extension_owner(extid) : InvalidOid;
	ListCell   *lc;

	foreach(lc, stmt->roles)
	{
		if (OidIsValid(owner) && get_rolespec_oid(lfirst_node(RoleSpec, lc), true) == owner)
			clear_for_extension();
	}
}

static void
clear_owned_database(const char *name)
{
	Oid			dbid = get_database_oid(name, true);

	if (OidIsValid(dbid) && dbid != MyDatabaseId && dp_owns_database(dbid, GetUserId()))
		(void) dp_run_clear_database(dbid);
}

static void
clear_for_extension(void)
{
	Oid			extid = get_extension_oid("dynpipe", true);

	if (OidIsValid(extid) && dp_owns_extension(extid, GetUserId()))
		(void) dp_run_clear_database(MyDatabaseId);
}

/* The conditions of CREATE DATABASE: CREATEDB, and owner of the template or it is one for all. */
static bool
may_copy_database(Oid dbid)
{
	HeapTuple	tuple = SearchSysCache1(AUTHOID, ObjectIdGetDatum(GetUserId()));
	bool		createdb = false;
	bool		allowed;

	if (HeapTupleIsValid(tuple))
	{
		createdb = ((Form_pg_authid) GETSTRUCT(tuple))->rolcreatedb;
		ReleaseSysCache(tuple);
	}
	if (!createdb && !superuser())
		return false;

	tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(dbid));
	if (!HeapTupleIsValid(tuple))
		return false;
	allowed = ((Form_pg_database) GETSTRUCT(tuple))->datistemplate;
	ReleaseSysCache(tuple);
	return allowed || dp_owns_database(dbid, GetUserId());
}

/* pg_extension has no system cache on 15. */
static Oid
extension_owner(Oid extid)
{
	Relation	rel = table_open(ExtensionRelationId, AccessShareLock);
	Oid			owner = InvalidOid;
	SysScanDesc scan;
	ScanKeyData key;
	HeapTuple	tuple;

	ScanKeyInit(&key, Anum_pg_extension_oid, BTEqualStrategyNumber, F_OIDEQ,
				ObjectIdGetDatum(extid));
	scan = systable_beginscan(rel, ExtensionOidIndexId, true, NULL, 1, &key);
	if (HeapTupleIsValid(tuple = systable_getnext(scan)))
		owner = ((Form_pg_extension) GETSTRUCT(tuple))->extowner;
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
	return owner;
}
