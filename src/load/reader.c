/*
 * reader.c
 *	  A file's text as records: see reader.h.
 *
 *	  bytes ──read──> window [start ... end) ──split──> DpRecords pointing into it
 *
 * The window is moved and refilled only when the records of the last call are
 * no longer needed.  It begins small, so that it stays in the CPU's caches,
 * and doubles when a batch would be cut short by it; a record that does not
 * fit into its greatest size is given cut, and the rest of it dropped as it
 * is read.
 */
#include "dynpipe.h"

#include "load/reader.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define WINDOW_MIN	(1024 * 1024)
#define READ_SIZE	(256 * 1024)
#define KEPT_OF_OVERSIZED (64 * 1024)

struct DpReader
{
	const DpFormatOps *ops;
	DpBytes    *bytes;
	DpSplitter *splitter;
	char	   *window;
	Size		size;
	Size		limit;
	Size		start;			/* of what is not split yet */
	Size		end;
	bool		at_end;			/* nothing comes behind the window */
	bool		skipping;		/* the rest of an oversized record */
	bool		short_batch;	/* the last one was cut by the window's size */
	int64		offset;			/* of the next record */
	int64		line;			/* on which the window's start stands */
};

static bool fetch(DpReader *reader);
static bool more(DpReader *reader, DpRecords *records, int32 partition);
static void grow(DpReader *reader);
static void move_window(DpReader *reader);
static DpRecord *add(DpReader *reader, int32 partition, DpRecords *records, Size start, Size len);

DpReader *
dp_reader_open(const DpPipelineSpec *spec, DpBytes *bytes, Size memory)
{
	DpReader   *reader = palloc0(sizeof(DpReader));

	reader->ops = dp_format_find(spec->format);
	reader->bytes = bytes;
	reader->limit = Max(memory, 2 * WINDOW_MIN);
	reader->size = WINDOW_MIN;
	reader->window = palloc(reader->size);
	reader->line = 1;
	while (reader->end < DP_SAMPLE_SIZE && fetch(reader))
		;
	reader->splitter = reader->ops->splitter(spec, reader->window, reader->end, reader->at_end);
	return reader;
}

const DpSplitter *
dp_reader_splitter(const DpReader *reader)
{
	return reader->splitter;
}

bool
dp_reader_next(DpReader *reader, int32 partition, DpRecords *records, int max_rows,
			   Size max_bytes)
{
	DpSpan		span = {0};

	records->n = 0;
	records->bytes = 0;
	move_window(reader);
	while (records->n < max_rows && records->bytes < max_bytes)
	{
		DpSplit		found = reader->ops->split(reader->splitter, reader->window + reader->start,
											   reader->end - reader->start, reader->at_end, &span);

		if (found == DP_SPLIT_END)
			break;
		if (found == DP_SPLIT_MORE)
		{
			if (!more(reader, records, partition))
				break;
			continue;
		}
		if (found != DP_SPLIT_NOTHING && !reader->skipping)
			add(reader, partition, records, reader->start + span.start,
				span.len)->problem = found == DP_SPLIT_BROKEN ? span.problem : NULL;
		reader->skipping &= found == DP_SPLIT_NOTHING;
		reader->start += span.used;
		reader->line += span.lines;
	}
	return records->n > 0;
}

DpCompression
dp_reader_compression(const DpPipelineSpec *spec)
{
	static const char *const names[] = {
		[DP_COMPRESSION_NONE] = "none",
		[DP_COMPRESSION_GZIP] = "gzip",
		[DP_COMPRESSION_ZSTD] = "zstd"
	};

	for (int i = DP_COMPRESSION_NONE; spec->compression != NULL && i < lengthof(names); i++)
		if (strcmp(spec->compression, names[i]) == 0)
			return i;
	return DP_COMPRESSION_DETECT;
}

const char *
dp_reader_encoding(const DpPipelineSpec *spec)
{
	const char *encoding = dp_format_option(spec, "encoding");

	return encoding != NULL ? encoding : dp_encoding_names[0];
}

/* Read behind what the window holds; false when there is no room or no more. */
static bool
fetch(DpReader *reader)
{
	Size		room = reader->size - reader->end;
	Size		n;

	CHECK_FOR_INTERRUPTS();
	if (room == 0 || reader->at_end)
		return false;
	n = dp_bytes_read(reader->bytes, reader->window + reader->end, Min(room, READ_SIZE));
	reader->end += n;
	reader->at_end = n == 0;
	return true;
}

/*
 * The record at the window's start goes on behind its end.  False when the
 * records that the batch has must be used first.
 */
static bool
more(DpReader *reader, DpRecords *records, int32 partition)
{
	if (reader->at_end)
		elog(ERROR, "format \"%s\" wants more than there is", reader->ops->name);
	if (fetch(reader))
		return true;
	if (records->n > 0)
	{
		reader->short_batch = true;
		return false;
	}
	if (reader->start > 0)
		move_window(reader);
	else if (reader->skipping)
	{
		reader->start = reader->splitter->seen;
		reader->splitter->seen = 0;
		move_window(reader);
	}
	else if (reader->size < reader->limit)
		grow(reader);
	else
	{
		add(reader, partition, records, 0, KEPT_OF_OVERSIZED)->problem =
			psprintf("the record is longer than %zu MB; its first %d kB are kept",
					 reader->limit / (1024 * 1024), KEPT_OF_OVERSIZED / 1024);
		reader->skipping = true;
		return false;
	}
	return true;
}

static void
grow(DpReader *reader)
{
	reader->size = Min(reader->size * 2, reader->limit);
	reader->window = repalloc_huge(reader->window, reader->size);
}

/* What is not split yet goes to the window's start. */
static void
move_window(DpReader *reader)
{
	if (reader->start > 0)
		memmove(reader->window, reader->window + reader->start, reader->end - reader->start);
	reader->end -= reader->start;
	reader->start = 0;
	if (reader->short_batch && reader->size < reader->limit / 2)
		grow(reader);
	reader->short_batch = false;
}

static DpRecord *
add(DpReader *reader, int32 partition, DpRecords *records, Size start, Size len)
{
	DpRecord   *rec;

	if (records->n == records->capacity)
	{
		int			capacity = Max(records->capacity * 2, 1024);

		records->rec = records->rec == NULL ? palloc(sizeof(DpRecord) * capacity) :
			repalloc_huge(records->rec, sizeof(DpRecord) * capacity);
		records->capacity = capacity;
	}
	rec = &records->rec[records->n++];
	*rec = (DpRecord) {
		.partition = partition,
		.offset = reader->offset++,
		.timestamp_ms = -1,
		.key_len = -1,
		.value = reader->window + start,
		.value_len = len,
		.line = reader->line
	};
	records->bytes += len;
	return rec;
}
