/*
 * plan_ddl.h
 *	  Private to src/plan: changes in the making, see plan_ddl.c.
 */
#ifndef DP_PLAN_DDL_H
#define DP_PLAN_DDL_H

#include "plan/plan.h"

typedef struct DpDdl
{
	const DpPlan *plan;
	const DpPlan *old;			/* NULL: nothing known */
	DpDocument *doc;
	List	   *changes;
} DpDdl;

extern void dp_ddl_add(DpDdl *ddl, const char *action, const char *object, const char *name,
					   const char *detail, const char *sql);
extern Oid	dp_ddl_relid(const DpTableName *name);
extern bool dp_ddl_has_unique_index(Oid relid, const List *key, bool nulls_equal);
extern void dp_ddl_describe(DpDdl *ddl, const DpTableName *name, Oid relid, const char *layer,
							const char *description, StringInfo sql);

/* gold_ddl.c */
extern void dp_ddl_gold(DpDdl *ddl, int index);

#endif							/* DP_PLAN_DDL_H */
