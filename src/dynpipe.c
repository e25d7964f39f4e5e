/*
 * dynpipe.c
 *	  Entry point of the library: settings, and when preloaded the shared
 *	  memory and the launcher.
 */
#include "dynpipe.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

int			dp_max_workers = 4;
int			dp_max_shards = 1024;
int			dp_worker_memory = 256 * 1024;
int			dp_retry_initial = 1000;
int			dp_retry_max = 60000;
bool		dp_preloaded = false;

PGDLLEXPORT void _PG_init(void);

/* Define the settings; register what needs shared_preload_libraries. */
void
_PG_init(void)
{
	dp_preloaded = process_shared_preload_libraries_in_progress;
}
