/*
 * store_abfss.c
 *	  abfss://container@account.dfs.core.windows.net/path: Azure storage under the
 *	  name that Hadoop, Databricks and Synapse use.
 *
 * The account is part of the URL.  Everything else is azure.c and its
 * neighbours, which speak to the blob endpoint of the same account.
 */
#include "dynpipe.h"

#include "store/azure.h"

extern const DpStoreOps dp_store_abfss_ops;

static DpStore *
abfss_open(const DpStoreSpec *spec)
{
	return dp_azure_open(spec, &dp_store_abfss_ops);
}

const DpStoreOps dp_store_abfss_ops = {
	.name = "abfss",
	.lists = true,
	.writes = true,
	.check = dp_azure_check,
	.open = abfss_open,
	.list = dp_azure_list,
	.stat = dp_azure_stat,
	.get = dp_azure_get,
	.put = dp_azure_put,
	.remove = dp_azure_remove,
	.close = dp_azure_close,
};
