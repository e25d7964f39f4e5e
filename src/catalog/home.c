/*
 * home.c
 *	  Which copy of a database this is: see home.h.
 */
#include "dynpipe.h"

#include "access/xlog.h"
#include "catalog/home.h"
#include "miscadmin.h"

char *
dp_catalog_home(void)
{
	return psprintf(UINT64_FORMAT "/%u", GetSystemIdentifier(), MyDatabaseId);
}
