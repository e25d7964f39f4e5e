/*
 * load.h
 *	  Files into a pipeline's tables.
 *
 *	  dp_discover   store -> ledger: new, changed and vanished files
 *	  dp_load_file  one file, whole, in the caller's transaction: bytes ->
 *	                records -> batches -> ledger
 *	  dp_unload     the effect of a file out of every layer
 *
 *	  object ─> unpack ─> recode ─> reader (window, splitter) ─> DpRecords ─> batch
 *
 * A file is one partition, its records are numbered from 0; its row in
 * dynpipe.checkpoint moves in the transaction of its rows.  Who owns the
 * transaction decides what is atomic: dynpipe.run one subtransaction per file
 * inside the caller's, workers one transaction per file.
 */
#ifndef DP_LOAD_H
#define DP_LOAD_H

#include "batch/batch.h"
#include "catalog/file.h"
#include "store/store.h"

/* A pipeline that loads files, opened once and used for many. */
typedef struct DpLoader
{
	MemoryContext cxt;
	MemoryContext file_cxt;		/* one file: reset after each */
	MemoryContext batch_cxt;	/* one batch: reset by dp_batch_begin */
	const DpPlan *plan;
	DpExec	   *exec;
	DpFormat   *format;
	DpBatch		batch;			/* the one at hand */
	DpStore    *store;
	const char *authority;
	const char *pattern;		/* key or glob, parameters put in */
	const char *folder;			/* of the destination likewise; NULL: none */
	bool		rebuild_due;	/* between dp_unload and dp_unload_done */
	char	   *widen_column;	/* set when a load ended because a type is too narrow */
	char	   *widen_type;
	int			helpers;		/* that may decode beside us */
	void		(*after_batch) (void *arg);	/* see dp_load_alive; or NULL */
	void	   *after_batch_arg;
} DpLoader;

/* What one file's load did. */
typedef struct DpLoadResult
{
	DpLedger	ledger;			/* sums over its batches */
	int64		bytes;			/* of the object, as stored */
	int64		batch;			/* the last one's number; 0: there was none */
} DpLoadResult;

/*
 * [in a transaction] PARAMS: DpSetting *, over those of the document; DUE: the
 * time that ${date} and the like stand for.  It can be used in later
 * transactions as well.
 */
extern DpLoader *dp_loader_open(const DpPipelineRow *row, List *params, TimestampTz due,
								MemoryContext parent);
/* [in a transaction] Go on with the version that is now in the catalog. */
extern void dp_loader_adopt(DpLoader *loader);
/* TEXT with the parameters of SPEC and PARAMS put in; raises when that is not possible. */
extern char *dp_load_put_params(const DpPipelineSpec *spec, const char *text, List *params,
								TimestampTz due);
extern void dp_loader_close(DpLoader *loader);
/* Something large goes on: whoever has a limit of time for a step begins it anew. */
extern void dp_load_alive(DpLoader *loader);

typedef struct DpDiscovered
{
	int64		seen;
	int64		fresh;
	int64		changed;
	int64		removed;
} DpDiscovered;

/* [in a transaction] */
extern DpDiscovered dp_discover(DpLoader *loader);

/* [in a transaction] Raises what went wrong; the caller's (sub)transaction undoes it. */
extern void dp_load_file(DpLoader *loader, DpFileRow *file, DpLoadResult *result);

/*
 * [in a transaction] The same in a subtransaction: NULL, or why it failed.
 * What is not the file's fault (cancel, shutdown, resources, a conflict) raises.
 */
extern ErrorData *dp_load_attempt(DpLoader *loader, DpFileRow *file, DpLoadResult *result);
/* How long to wait before the next try of a file that has failed so often. */
extern int64 dp_load_retry_ms(int failures);

/*
 * [in a transaction] Every file that waits; DONE is told of each, with ERROR
 * when it failed.  NOTICES: tell the client how far it is.
 */
typedef void (*DpFileDone) (const DpFileRow *file, const DpLoadResult *result,
							const ErrorData *error, void *arg);
extern void dp_load_waiting(DpLoader *loader, bool notices, DpFileDone done, void *arg);

/*
 * [in a transaction] Take FILE's effect out of every layer.  Not CURRENT:
 * should its object be seen again, it loads again.  dp_unload_done must follow
 * when all of them are out: with a key, silver is made anew once for all.
 */
extern void dp_unload(DpLoader *loader, const DpFileRow *file, DpFileState state, bool current);
extern void dp_unload_done(DpLoader *loader);
/* [in a transaction] All loaded versions of FILE's object but itself, done. */
extern void dp_unload_older(DpLoader *loader, const DpFileRow *file);

#endif							/* DP_LOAD_H */
