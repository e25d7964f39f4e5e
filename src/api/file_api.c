/*
 * file_api.c
 *	  dynpipe.unload, dynpipe.reload: a file's rows out of every layer, and in
 *	  again.
 */
#include "dynpipe.h"

#include "access/xact.h"
#include "api/api.h"
#include "catalog/file.h"
#include "load/load.h"
#include "run/wake.h"
#include "utils/builtins.h"

PG_FUNCTION_INFO_V1(dynpipe_unload);
PG_FUNCTION_INFO_V1(dynpipe_reload);

static int64 unload(FunctionCallInfo fcinfo, bool reload);
static List *find_files(const DpPipelineRow *row, const char *file);

Datum
dynpipe_unload(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(unload(fcinfo, false));
}

Datum
dynpipe_reload(PG_FUNCTION_ARGS)
{
	PG_RETURN_INT64(unload(fcinfo, true));
}

/* Every loaded version; to reload, the newest one waits again, as a file of its own. */
static int64
unload(FunctionCallInfo fcinfo, bool reload)
{
	DpPipelineRow *row = dp_api_lock(dp_api_pipeline_arg(fcinfo, 0));
	List	   *files = find_files(row, dp_api_text_arg(fcinfo, 1));
	DpLoader   *loader = dp_loader_open(row, NIL, GetCurrentTransactionStartTimestamp(),
										   CurrentMemoryContext);
	int64		unloaded = 0;
	int64		waiting = 0;
	ListCell   *lc;

	foreach(lc, files)
	{
		DpFileRow  *file = lfirst(lc);
		bool		first = lc == list_head(files);

		if (file->state == DP_FILE_LOADED)
		{
			dp_unload(loader, file, DP_FILE_UNLOADED, !reload);
			unloaded++;
		}
		if (reload && first)
			waiting += dp_file_again(file->id);
	}
	dp_unload_done(loader);
	if (reload && waiting == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("a newer version took the place of file %d of pipeline \"%s\"",
						((DpFileRow *) linitial(files))->id, row->name),
				 errhint("Its bytes are no longer there to be loaded. Reload the file by its URL.")));
	dp_loader_close(loader);
	dp_catalog_event(row->id, row->name, reload ? "reload" : "unloaded", "info",
					 ((DpFileRow *) linitial(files))->url, NULL);
	dp_run_wake_at_commit();
	return reload ? waiting : unloaded;
}

/* By URL, or by id when FILE is a number. */
static List *
find_files(const DpPipelineRow *row, const char *file)
{
	bool		number = *file != '\0' && strspn(file, "0123456789") == strlen(file) &&
		strlen(file) < 10;
	List	   *files = dp_file_find(row->id, number ? NULL : file, number ? atoi(file) : 0);

	if (files == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("pipeline \"%s\" has no file \"%s\"", row->name, file),
				 errhint("SELECT file, state FROM dynpipe.file WHERE pipeline = %s lists its "
						 "files.", quote_literal_cstr(row->name))));
	return files;
}
