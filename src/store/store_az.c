/*
 * store_az.c
 *	  az://container/path: Azure storage under the short name.
 *
 * The account is that of the connection, or part of the URL as in
 * az://container@account/path.  Everything else is azure.c and its neighbours.
 */
#include "dynpipe.h"

#include "store/azure.h"

extern const DpStoreOps dp_store_az_ops;

static DpStore *
az_open(const DpStoreSpec *spec)
{
	return dp_azure_open(spec, &dp_store_az_ops);
}

const DpStoreOps dp_store_az_ops = {
	.name = "az",
	.lists = true,
	.writes = true,
	.check = dp_azure_check,
	.open = az_open,
	.list = dp_azure_list,
	.stat = dp_azure_stat,
	.get = dp_azure_get,
	.put = dp_azure_put,
	.remove = dp_azure_remove,
	.close = dp_azure_close,
};
