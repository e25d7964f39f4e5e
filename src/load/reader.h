/*
 * reader.h
 *	  A file's text as records: a window over a stream of bytes, moved along by
 *	  the format's splitter.
 *
 * Records point into the window and stay valid until the next call of
 * dp_reader_next.  A record larger than the window may become is given with
 * its first bytes and a problem; the rest is skipped without being kept.
 */
#ifndef DP_READER_H
#define DP_READER_H

#include "format/format.h"
#include "store/bytes.h"

typedef struct DpReader DpReader;

/* In the current memory context; MEMORY bounds the window.  Reads the sample. */
extern DpReader *dp_reader_open(const DpPipelineSpec *spec, DpBytes *bytes, Size memory);
extern const DpSplitter *dp_reader_splitter(const DpReader *reader);
/* Append records of partition PARTITION to RECORDS; false at the end of the file. */
extern bool dp_reader_next(DpReader *reader, int32 partition, DpRecords *records,
						   int max_rows, Size max_bytes);

/* What the document says of how the bytes are packed, and of what they spell. */
extern DpCompression dp_reader_compression(const DpPipelineSpec *spec);
extern const char *dp_reader_encoding(const DpPipelineSpec *spec);

#endif							/* DP_READER_H */
