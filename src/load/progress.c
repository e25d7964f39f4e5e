/*
 * progress.c
 *	  How far a load is: see progress.h.
 *
 * The state is static: a process loads one file at a time.  PostgreSQL ends
 * the report itself when a (sub)transaction aborts, as one does for each record
 * that breaks a constraint, and commands within a user's trigger have reports
 * of their own; so it is begun anew whenever it is found to be another one.
 */
#include "dynpipe.h"

#include "commands/progress.h"
#include "load/progress.h"
#include "pgstat.h"
#include "utils/backend_progress.h"
#include "utils/backend_status.h"
#include "utils/timestamp.h"

#define NOTICE_EVERY_MS 3000

static struct
{
	char		pipeline[NAMEDATALEN];	/* its beginning */
	Oid			silver;
	int64		pipeline_id;
	bool		notices;
	TimestampTz started;
	TimestampTz noticed;
	int64		files;			/* in this run */
	int64		files_done;
	int64		bytes;			/* of all files; 0: not known */
	int64		bytes_done;		/* of the files before */
	int64		rows_done;
	int32		file;
	char		url[256];		/* its end */
	int64		size;
	int64		file_bytes;
	int64		rows;			/* of the file at hand */
	int64		bad;
} now;

static void begin(void);
static void report(void);
static void notice(TimestampTz at);

void
dp_progress_begin(const DpPlan *plan, int64 files, int64 bytes, bool notices)
{
	memset(&now, 0, sizeof(now));
	strlcpy(now.pipeline, plan->spec->name, sizeof(now.pipeline));
	now.pipeline_id = plan->pipeline_id;
	now.silver = plan->silver_relid;
	now.files = files;
	now.bytes = bytes;
	now.notices = notices;
	now.started = now.noticed = GetCurrentTimestamp();
}

void
dp_progress_file(int32 file, const char *url, int64 size)
{
	Size		len = strlen(url);

	now.file = file;
	now.size = size;
	now.rows = now.bad = now.file_bytes = 0;
	strlcpy(now.url, url + (len >= sizeof(now.url) ? len - sizeof(now.url) + 1 : 0),
			sizeof(now.url));
	begin();
	report();
}

void
dp_progress_rows(const DpLedger *ledger, int64 bytes)
{
	TimestampTz at = GetCurrentTimestamp();

	now.rows = ledger->consumed;
	now.bad = ledger->quarantined;
	now.file_bytes = bytes;
	if (MyBEEntry != NULL && (MyBEEntry->st_progress_command != PROGRESS_COMMAND_COPY ||
							  MyBEEntry->st_progress_param[DP_PROGRESS_MAGIC] !=
							  DP_PROGRESS_IS_OURS))
		begin();
	report();
	if (now.notices && TimestampDifferenceExceeds(now.noticed, at, NOTICE_EVERY_MS))
		notice(at);
}

void
dp_progress_file_done(bool loaded)
{
	now.files_done++;
	now.bytes_done += Max(now.size, 0);
	if (loaded)
		now.rows_done += now.rows;
	pgstat_progress_end_command();
}

void
dp_progress_end(void)
{
	pgstat_progress_end_command();
}

static void
begin(void)
{
	pgstat_progress_start_command(PROGRESS_COMMAND_COPY, now.silver);
	pgstat_progress_update_param(PROGRESS_COPY_COMMAND, PROGRESS_COPY_COMMAND_FROM);
	pgstat_progress_update_param(PROGRESS_COPY_TYPE, PROGRESS_COPY_TYPE_FILE);
}

/* See DpProgressParam for what COPY has no parameters for. */
static void
report(void)
{
	const int	index[] = {
		PROGRESS_COPY_BYTES_PROCESSED, PROGRESS_COPY_BYTES_TOTAL,
		PROGRESS_COPY_TUPLES_PROCESSED, PROGRESS_COPY_TUPLES_EXCLUDED,
		DP_PROGRESS_MAGIC, DP_PROGRESS_PIPELINE, DP_PROGRESS_FILE, DP_PROGRESS_FILES,
		DP_PROGRESS_FILES_DONE, DP_PROGRESS_BYTES, DP_PROGRESS_BYTES_DONE, DP_PROGRESS_STARTED,
		DP_PROGRESS_ROWS_DONE
	};
	const int64 value[] = {
		now.file_bytes, Max(now.size, 0),
		now.rows, now.bad,
		DP_PROGRESS_IS_OURS, now.pipeline_id, now.file, now.files,
		now.files_done, now.bytes, now.bytes_done, now.started,
		now.rows_done
	};

	pgstat_progress_update_multi_param(lengthof(index), index, value);
}

/* One line for a person who waits at psql. */
static void
notice(TimestampTz at)
{
	double		seconds = (at - now.started) / 1000000.0;
	int64		bytes = now.bytes_done + now.file_bytes;
	double		rate = bytes / seconds;
	char		percent[64] = "";
	char		left[64] = "";

	now.noticed = at;
	if (now.bytes > 0 && rate > 0)
	{
		snprintf(percent, sizeof(percent), "%.0f %%, ",
				 Min(100.0 * bytes / now.bytes, 100.0));
		snprintf(left, sizeof(left), ", about %.0f s left",
				 Max(now.bytes - bytes, 0) / rate);
	}
	ereport(NOTICE,
			(errmsg("%s: %sfile " INT64_FORMAT " of " INT64_FORMAT ", " INT64_FORMAT
					" records, %.1f MB, %.1f MB/s%s",
					now.pipeline, percent, now.files_done + 1, Max(now.files, now.files_done + 1),
					now.rows_done + now.rows, bytes / 1e6, rate / 1e6, left),
			 errhidecontext(true)));
}
