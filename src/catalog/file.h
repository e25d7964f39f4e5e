/*
 * file.h
 *	  The file ledger: dynpipe.source_file, shown as dynpipe.file.
 *
 * One row for each version of each object that a pipeline has seen.  Its id is
 * the _partition of the rows that came from it, and of its row in
 * dynpipe.checkpoint, whose compare-and-swap makes it load once: whoever comes
 * second moves no row and aborts.  Statements are fixed, run with the system's
 * rights in the caller's transaction (see catalog.h).
 *
 *	  pending -> loaded -> replaced (a newer version took its place)
 *	     |   \             unloaded (by hand, or its object is gone)
 *	     |    failed -> (next try) loaded
 *	     +-> gone, ignored
 */
#ifndef DP_FILE_H
#define DP_FILE_H

#include "catalog/catalog.h"

typedef enum DpFileState
{
	DP_FILE_PENDING,
	DP_FILE_LOADED,
	DP_FILE_FAILED,
	DP_FILE_REPLACED,
	DP_FILE_UNLOADED,
	DP_FILE_GONE,				/* vanished before it could be loaded */
	DP_FILE_IGNORED				/* another version of a loaded file, on_change: ignore */
} DpFileState;

typedef struct DpFileRow
{
	int32		id;
	int64		pipeline_id;
	char	   *url;			/* scheme://authority/key, key not encoded */
	char	   *version;
	int64		size;			/* -1: not known */
	int64		modified_ms;	/* -1: not known */
	DpFileState state;
	int32		failures;		/* in a row */
} DpFileRow;

extern const char *dp_file_state_name(DpFileState state);

#endif							/* DP_FILE_H */
