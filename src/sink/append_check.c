/*
 * append_check.c
 *	  Which tables the fast path may write.  Anything it does not positively
 *	  know to be safe is refused, with the reason for dynpipe.explain; the
 *	  caller then goes through INSERT, which knows everything.
 */
#include "dynpipe.h"

#include "access/relation.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "commands/extension.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "optimizer/optimizer.h"
#include "rewrite/rewriteHandler.h"
#include "sink/append.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/rls.h"

static char *table_refusal(Relation rel);
static char *column_refusal(Relation rel, const char *name, Oid type, int32 typmod);
static bool is_distributed(Relation rel);

char *
dp_append_refusal(Relation rel, const char *const *names, const Oid *types,
				  const int32 *typmods, int n)
{
	char	   *why = table_refusal(rel);
	TupleDesc	desc = RelationGetDescr(rel);

	for (int i = 0; why == NULL && i < n; i++)
		why = column_refusal(rel, names[i], types[i], typmods[i]);

	for (int i = 0; why == NULL && i < desc->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(desc, i);

		if (!att->attisdropped && att->atthasdef && !att->attgenerated &&
			contain_volatile_functions_not_nextval(build_column_default(rel, i + 1)))
			why = psprintf("column \"%s\" has a volatile default", NameStr(att->attname));
	}
	return why;
}

static char *
table_refusal(Relation rel)
{
	if (rel->rd_rel->relkind != RELKIND_RELATION)
		return pstrdup("it is not an ordinary table");
	if (rel->rd_rel->relhasrules)
		return pstrdup("it has rules");
	if (rel->trigdesc != NULL)
		return pstrdup("it has triggers or foreign keys");
	if (check_enable_rls(RelationGetRelid(rel), InvalidOid, true) == RLS_ENABLED)
		return pstrdup("row-level security applies");
	if (rel->rd_att->constr && rel->rd_att->constr->has_generated_stored)
		return pstrdup("it has generated columns");
	if (pg_class_aclcheck(RelationGetRelid(rel), GetUserId(), ACL_INSERT) != ACLCHECK_OK)
		return pstrdup("the owner has no INSERT privilege on the whole table");
	if (is_distributed(rel))
		return pstrdup("it is a distributed table");
	return NULL;
}

static char *
column_refusal(Relation rel, const char *name, Oid type, int32 typmod)
{
	AttrNumber	attnum = get_attnum(RelationGetRelid(rel), name);
	Form_pg_attribute att;

	if (attnum <= 0)
		return psprintf("column \"%s\" does not exist", name);
	att = TupleDescAttr(RelationGetDescr(rel), attnum - 1);
	if (att->attidentity == ATTRIBUTE_IDENTITY_ALWAYS)
		return psprintf("column \"%s\" is an identity column", name);
	if (att->atttypid != type || (att->atttypmod >= 0 && att->atttypmod != typmod))
		return psprintf("column \"%s\" has another type than declared", name);
	return NULL;
}

/*
 * Citus keeps the rows of its tables on other nodes; writing the local table
 * would silently hide them.  Its catalog is found by the extension, not by
 * search_path.
 */
static bool
is_distributed(Relation rel)
{
	Oid			args[] = {OIDOID};
	Datum		values[] = {ObjectIdGetDatum(RelationGetRelid(rel))};
	bool		found;

	if (!OidIsValid(get_extension_oid("citus", true)))
		return false;
	SPI_connect();
	SPI_execute_with_args("SELECT 1 FROM pg_catalog.pg_dist_partition WHERE logicalrelid = $1",
						  1, args, values, NULL, true, 1);
	found = SPI_processed > 0;
	SPI_finish();
	return found;
}
