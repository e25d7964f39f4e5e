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
 *	     +-> gone
 */
#ifndef DP_FILE_H
#define DP_FILE_H

#include "catalog/catalog.h"
#include "utils/elog.h"

typedef enum DpFileState
{
	DP_FILE_PENDING,
	DP_FILE_LOADED,
	DP_FILE_FAILED,
	DP_FILE_REPLACED,
	DP_FILE_UNLOADED,
	DP_FILE_GONE				/* vanished before it could be loaded */
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
	char	   *layout;			/* of a loaded one, see DpSplitter; or NULL */
} DpFileRow;

extern const char *dp_file_state_name(DpFileState state);

/* The key within its store of a URL of the ledger; points into URL. */
extern char *dp_file_key(char *url);

/* What a listing found; arrays of N texts and numbers, see DpObject. */
typedef struct DpSeenFiles
{
	int			n;
	char	  **url;
	char	  **version;
	int64	   *size;
	int64	   *modified_ms;
} DpSeenFiles;

/*
 * Enter what was seen: unknown files as pending; a waiting file that changed
 * takes its new version; a loaded one that changed is followed by a pending
 * row of the new version, unless KEEP_FIRST.  *FRESH and *CHANGED count.
 */
extern void dp_file_see(int64 pipeline_id, const DpSeenFiles *seen, bool keep_first,
						int64 *fresh, int64 *changed);

/* Current rows that a complete listing would have to show: DpFileRow * with id, url, state. */
extern List *dp_file_expected(int64 pipeline_id, bool loaded_too);

/*
 * For workers: the next file whose time has come, its row locked; NULL when
 * there is none that nobody else is loading.
 */
extern DpFileRow *dp_file_next(int64 pipeline_id);
/*
 * For a run that has the pipeline to itself: the next files, LIMIT at most.
 * Failed ones need not wait, but are given once in a transaction only.
 */
extern List *dp_file_due(int64 pipeline_id, int limit);
/* How many wait, and their bytes; when the next failed one is due (0: none). */
extern void dp_file_waiting(int64 pipeline_id, int64 *files, int64 *bytes, TimestampTz *due);
/* By url, newest version first; or by id (url NULL).  DpFileRow *. */
extern List *dp_file_find(int64 pipeline_id, const char *url, int32 id);

/* Not CURRENT: should its object be seen again, it is a new file. */
extern void dp_file_set_state(int32 id, DpFileState state, bool current);
extern void dp_file_set_loaded(int32 id, const char *layout, int64 batch);
extern void dp_file_set_failed(int32 id, const ErrorData *error, int64 wait_ms);

/* Let the object of file ID wait to be loaded, as a new file; returns how many wait for it. */
extern int64 dp_file_again(int32 id);

/* Its checkpoint row counts nothing any more, its quarantined records are forgotten. */
extern void dp_file_forget(int64 pipeline_id, int32 id);

/*
 * For a replay from bronze: the ledger of all files as if none had been read.
 * What is known of their bad records stays until dp_file_reset_done; what
 * bronze could not keep stays for good.  Returns a moment for the other two.
 */
extern int64 dp_file_reset(int64 pipeline_id);
extern void dp_file_reset_done(int64 pipeline_id, int64 before);

/* What a replay cannot find out anew of a bad record. */
typedef struct DpBadRecord
{
	int64		offset;
	int64		line;			/* 0: not known */
	char	   *problem;		/* it could not be read whole; or NULL */
} DpBadRecord;

/* DpBadRecord * of file ID, offsets FIRST to LAST, in their order. */
extern List *dp_file_bad_records(int64 pipeline_id, int32 id, int64 first, int64 last,
								 int64 before);
extern char *dp_file_layout(int32 id);	/* or NULL */

#endif							/* DP_FILE_H */
