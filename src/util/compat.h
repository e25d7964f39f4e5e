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

/*
 * With hidden visibility, 15 exports a function's description but not the
 * function; from 16 on the macro does both.
 */
#if PG_VERSION_NUM < 160000
#include "fmgr.h"
#undef PG_FUNCTION_INFO_V1
#define PG_FUNCTION_INFO_V1(funcname) \
	extern PGDLLEXPORT Datum funcname(PG_FUNCTION_ARGS); \
	extern PGDLLEXPORT const Pg_finfo_record *CppConcat(pg_finfo_, funcname) (void); \
	const Pg_finfo_record * \
	CppConcat(pg_finfo_, funcname) (void) \
	{ \
		static const Pg_finfo_record my_finfo = {1}; \
		return &my_finfo; \
	} \
	extern int no_such_variable
#endif

/* Soft errors in input functions came with 16. */
#if PG_VERSION_NUM >= 160000
#define DP_HAVE_SOFT_ERRORS 1
#include "varatt.h"
#endif

/* In domains' constraints only with 17. */
#if PG_VERSION_NUM >= 170000
#define DP_HAVE_SOFT_DOMAIN_CHECK 1
#endif

#include "access/relation.h"
#include "catalog/objectaddress.h"
#include "catalog/pg_database.h"
#include "catalog/pg_extension.h"
#include "executor/executor.h"
#include "nodes/execnodes.h"
#include "nodes/parsenodes.h"
#include "parser/parse_relation.h"
#include "utils/acl.h"
#include "utils/rel.h"
#include "utils/wait_event.h"

/*
 * Give ESTATE a range table with REL as entry 1, as error messages about its
 * constraints expect.  Permissions have been checked by the caller.
 */
static inline void
dp_compat_init_range_table(EState *estate, Relation rel)
{
	RangeTblEntry *rte = makeNode(RangeTblEntry);
#if PG_VERSION_NUM >= 160000
	List	   *perminfos = NIL;
#endif

	rte->rtekind = RTE_RELATION;
	rte->relid = RelationGetRelid(rel);
	rte->relkind = rel->rd_rel->relkind;
	rte->rellockmode = RowExclusiveLock;
#if PG_VERSION_NUM >= 160000
	addRTEPermissionInfo(&perminfos, rte);
#endif
#if PG_VERSION_NUM >= 180000
	ExecInitRangeTable(estate, list_make1(rte), perminfos, bms_make_singleton(1));
#elif PG_VERSION_NUM >= 160000
	ExecInitRangeTable(estate, list_make1(rte), perminfos);
#else
	ExecInitRangeTable(estate, list_make1(rte));
#endif
}

/* Index entries for a new tuple; unique violations raise. */
static inline void
dp_compat_insert_index_tuples(ResultRelInfo *target, TupleTableSlot *slot, EState *estate)
{
#if PG_VERSION_NUM >= 160000
	(void) ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL, false);
#else
	(void) ExecInsertIndexTuples(target, slot, estate, false, false, NULL, NIL);
#endif
}

/* parseTypeString's last argument: a flag until 15, an error sink from 16; 0 = raise. */
#define dp_parse_type(str, type, typmod)	parseTypeString((str), (type), (typmod), 0)

/* Ownership checks were made one function in 16. */
#if PG_VERSION_NUM >= 160000
#define dp_owns_database(dbid, role)	object_ownercheck(DatabaseRelationId, dbid, role)
#define dp_owns_extension(extid, role)	object_ownercheck(ExtensionRelationId, extid, role)
#else
#define dp_owns_database(dbid, role)	pg_database_ownercheck(dbid, role)
#define dp_owns_extension(extid, role)	pg_extension_ownercheck(extid, role)
#endif

/* 18 moved the attribute in front of declarations, under another name. */
#ifndef pg_attribute_noreturn
#define pg_attribute_noreturn()			__attribute__((noreturn))
#endif

/* Wait sets for life: bound to memory until 16, to a resource owner from 17 on. */
#if PG_VERSION_NUM >= 170000
#define dp_create_wait_set(n)			CreateWaitEventSet(NULL, n)
#else
#define dp_create_wait_set(n)			CreateWaitEventSet(TopMemoryContext, n)
#endif

/* Extensions name their waits from 17 on; before, pg_stat_activity says "Extension". */
#if PG_VERSION_NUM >= 170000
#define dp_wait_event(name)				WaitEventExtensionNew(name)
#else
#define dp_wait_event(name)				((uint32) PG_WAIT_EXTENSION)
#endif

/* One access check for all kinds of object came with 16. */
#if PG_VERSION_NUM >= 160000
#define dp_server_aclcheck(serverid, roleid, mode) \
	object_aclcheck(ForeignServerRelationId, serverid, roleid, mode)
#define dp_schema_aclcheck(schemaid, roleid, mode) \
	object_aclcheck(NamespaceRelationId, schemaid, roleid, mode)
#define dp_database_aclcheck(dbid, roleid, mode) \
	object_aclcheck(DatabaseRelationId, dbid, roleid, mode)
#else
#define dp_server_aclcheck(serverid, roleid, mode) \
	pg_foreign_server_aclcheck(serverid, roleid, mode)
#define dp_schema_aclcheck(schemaid, roleid, mode) \
	pg_namespace_aclcheck(schemaid, roleid, mode)
#define dp_database_aclcheck(dbid, roleid, mode) \
	pg_database_aclcheck(dbid, roleid, mode)
#endif

/* TOAST compression that this server was built with. */
#ifdef USE_LZ4
#define DP_COMPRESSION " COMPRESSION lz4"
#else
#define DP_COMPRESSION ""
#endif

/* Backends' entries by index were renamed in 16. */
#if PG_VERSION_NUM >= 160000
#define dp_compat_local_beentry(i)	pgstat_get_local_beentry_by_index(i)
#else
#define dp_compat_local_beentry(i)	pgstat_fetch_stat_local_beentry(i)
#endif

#endif							/* DP_COMPAT_H */
