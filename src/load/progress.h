/*
 * progress.h
 *	  How far a load is, for everyone who may look, while it runs.
 *
 * Shown through PostgreSQL's own progress reporting as a COPY FROM into the
 * silver table, so pg_stat_progress_copy and the tools built on it show it as
 * it is; parameters that COPY does not use say the rest, for dynpipe.progress.
 * A session that runs a load is told by NOTICE lines as well.
 */
#ifndef DP_PROGRESS_H
#define DP_PROGRESS_H

#include "batch/batch.h"

/* Parameters beyond those of COPY, which end below 10 in all versions. */
enum
{
	DP_PROGRESS_MAGIC = 10,
	DP_PROGRESS_PIPELINE,
	DP_PROGRESS_FILE,
	DP_PROGRESS_FILES,
	DP_PROGRESS_FILES_DONE,
	DP_PROGRESS_BYTES,			/* of the run */
	DP_PROGRESS_BYTES_DONE,		/* of its finished files */
	DP_PROGRESS_STARTED,		/* TimestampTz */
	DP_PROGRESS_ROWS_DONE
};
#define DP_PROGRESS_IS_OURS	INT64CONST(0x64796e70697065)

/* A run over FILES files of BYTES bytes (what is known of them) begins, or goes on. */
extern void dp_progress_begin(const DpPlan *plan, int64 files, int64 bytes, bool notices);
/* A file of SIZE bytes (-1: not known) begins. */
extern void dp_progress_file(int32 file, const char *url, int64 size);
/* Of the file at hand so far. */
extern void dp_progress_rows(const DpLedger *ledger, int64 bytes);
extern void dp_progress_file_done(bool loaded);
extern void dp_progress_end(void);

#endif							/* DP_PROGRESS_H */
