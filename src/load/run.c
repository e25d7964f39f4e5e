/*
 * run.c
 *	  Every file that waits, one after the other, each in a subtransaction of
 *	  its own, so that one that fails does not stop the others.
 */
#include "dynpipe.h"

#include "access/xact.h"
#include "catalog/file.h"
#include "load/load.h"
#include "load/progress.h"
#include "load/widen.h"
#include "miscadmin.h"
#include "util/attempt.h"
#include "utils/memutils.h"

#define FILES_AT_A_TIME 500

typedef struct OneFile
{
	DpLoader   *loader;
	DpFileRow  *file;
	DpLoadResult *result;
} OneFile;

static void load_some(DpLoader *loader, List *files, DpFileDone done, void *arg);
static bool widen(DpLoader *loader);
static void load_one(void *arg);

void
dp_load_waiting(DpLoader *loader, bool notices, DpFileDone done, void *arg)
{
	int64		pipeline_id = loader->plan->pipeline_id;
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "dynpipe files",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	List	   *due;
	int64		files;
	int64		bytes;
	TimestampTz next;

	dp_file_waiting(pipeline_id, &files, &bytes, &next);
	dp_progress_begin(loader->plan, files, bytes, notices);
	while ((due = dp_file_due(pipeline_id, FILES_AT_A_TIME)) != NIL)
	{
		load_some(loader, due, done, arg);
		MemoryContextReset(cxt);
	}
	dp_progress_end();
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

static void
load_some(DpLoader *loader, List *files, DpFileDone done, void *arg)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "dynpipe one file",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	ListCell   *lc;

	foreach(lc, files)
	{
		DpFileRow  *file = lfirst(lc);
		DpLoadResult result;
		ErrorData  *error;

		CHECK_FOR_INTERRUPTS();
		error = dp_load_attempt(loader, file, &result);
		if (error != NULL)
			dp_file_set_failed(file->id, error, dp_load_retry_ms(file->failures + 1));
		CommandCounterIncrement();
		done(file, &result, error, arg);
		MemoryContextReset(cxt);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

/*
 * A column that turns out too narrow is widened, some times in a row if need be.
 * Whatever the file held (its bytes, helpers) is given back at once, not when
 * the next one comes.
 */
ErrorData *
dp_load_attempt(DpLoader *loader, DpFileRow *file, DpLoadResult *result)
{
	OneFile		one = {loader, file, result};
	ErrorData  *error;

	do
	{
		loader->widen_type = NULL;
		dp_progress_file(file->id, file->url, file->size);
		error = dp_attempt(load_one, &one);
		MemoryContextReset(loader->file_cxt);
	} while (error != NULL && loader->widen_type != NULL && widen(loader));
	dp_progress_file_done(error == NULL);
	if (error == NULL)
		return NULL;
	if (ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_TRANSACTION_ROLLBACK)
		ReThrowError(error);
	memset(result, 0, sizeof(*result));
	return error;
}

static bool
widen(DpLoader *loader)
{
	DpPipelineRow *row = dp_catalog_get(loader->plan->pipeline_id);

	if (row == NULL || !dp_load_widen(row, loader->widen_column, loader->widen_type))
		return false;
	CommandCounterIncrement();
	dp_loader_adopt(loader);
	return true;
}

/* Doubled from dynpipe.retry_initial to dynpipe.retry_max. */
int64
dp_load_retry_ms(int failures)
{
	int64		wait = dp_retry_initial;

	for (int i = 1; i < failures && wait < dp_retry_max; i++)
		wait *= 2;
	return Min(wait, dp_retry_max);
}

static void
load_one(void *arg)
{
	OneFile    *one = arg;

	dp_load_file(one->loader, one->file, one->result);
}
