/*
 * output.h
 *	  dynpipe.output_object: what must be written to a destination, or removed
 *	  from it.  Written in the transaction that changes the rows, worked off
 *	  later, so an object is never forgotten and never visible too early.
 *
 *	  wanted -> written               (removed: the row goes)
 *	     |  \-> failed -> (next try) written
 *	     +-> wanted, by a newer generation: what an older one did is not marked
 *
 * Whoever publishes holds the object's lock (dp_catalog_output_lock) from
 * before it looks at the row until its transaction ends, so two never write
 * the same name at once and the newer content is what stays.  It does not hold
 * the row meanwhile: a load that wants the object again need not wait for an
 * upload.  The marks skip a row that somebody is changing; it is then wanted
 * anew.  All of it needs a new snapshot for each statement: READ COMMITTED.
 */
#ifndef DP_OUTPUT_H
#define DP_OUTPUT_H

#include "catalog/catalog.h"

typedef struct DpOutputRow
{
	char	   *key;			/* of the object, in its store */
	char	   *url;
	int32		file_id;		/* whose rows it holds; dynpipe.source_file */
	bool		remove;
	int64		generation;
	int32		attempts;		/* so far */
} DpOutputRow;

/* The key under which the rows of SOURCE, a file's URL, are written already, or NULL. */
extern char *dp_catalog_output_key(int64 id, const char *source);
/* Want KEY written with the rows of FILE_ID; false when it is another source's. */
extern bool dp_catalog_output_want(int64 id, const char *key, const char *url,
								   const char *source, int32 file_id);
/* Want the object removed that holds the rows of FILE_ID; none is no error. */
extern void dp_catalog_output_unwant(int64 id, int32 file_id);
/* The files whose rows a destination shall have: DpFileRow * with id and url. */
extern List *dp_catalog_output_loaded(int64 id);
/* The destination is another one: forget those of the old, which stay as they are. */
extern void dp_catalog_output_forget(int64 id);

/* Keys that are to be published, longest due first, LIMIT at most; ALL: also those not due yet. */
extern List *dp_catalog_output_due(int64 id, bool all, int limit);
/* When the next is due; 0: there is none. */
extern TimestampTz dp_catalog_output_next(int64 id);

/* The publisher's lock, held to the end of the transaction; false when another has it. */
extern bool dp_catalog_output_lock(int64 id, const char *key);
/* The row as it is now; NULL when it is published, gone, or being changed by somebody. */
extern DpOutputRow *dp_catalog_output_read(int64 id, const char *key);

/*
 * Marks.  False, and nothing is marked, when the object was wanted anew or the
 * pipeline is no longer at VERSION.
 */
extern bool dp_catalog_output_written(int64 id, int32 version, const DpOutputRow *row,
									  int64 rows, int64 bytes);
extern bool dp_catalog_output_removed(int64 id, int32 version, const DpOutputRow *row);
extern bool dp_catalog_output_failed(int64 id, const DpOutputRow *row, const ErrorData *error,
									 int64 delay_ms);

#endif							/* DP_OUTPUT_H */
