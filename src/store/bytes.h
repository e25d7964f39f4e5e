/*
 * bytes.h
 *	  A stream of bytes that is pulled, in bounded memory.
 *
 * Streams are stacked: an object in a store <- gunzip <- recoding to UTF-8.
 * The one on top is pulled and pulls those below; closing it closes them.
 * Whatever a stream holds outside of memory contexts (a file descriptor, a
 * connection, a decompressor) is given back by close and, after an ERROR, by a
 * reset callback of the memory context it was made in, so nothing leaks.
 */
#ifndef DP_BYTES_H
#define DP_BYTES_H

#include "postgres.h"

typedef struct DpBytes DpBytes;

struct DpBytes
{
	/*
	 * Up to LEN bytes into BUF; 0 only at the end.  May wait (interruptibly,
	 * cancelled within a second), raises when it cannot go on.
	 */
	Size		(*read) (DpBytes *bytes, char *buf, Size len);
	void		(*close) (DpBytes *bytes);	/* may be called twice */
	DpBytes    *below;			/* the one it pulls from; NULL: it is the object itself */
};

static inline Size
dp_bytes_read(DpBytes *bytes, char *buf, Size len)
{
	return bytes->read(bytes, buf, len);
}

static inline void
dp_bytes_close(DpBytes *bytes)
{
	if (bytes != NULL)
		bytes->close(bytes);
}

typedef enum DpCompression
{
	DP_COMPRESSION_DETECT,		/* by content; a suffix alone proves nothing */
	DP_COMPRESSION_NONE,
	DP_COMPRESSION_GZIP,
	DP_COMPRESSION_ZSTD
} DpCompression;

/*
 * Unpack BELOW.  Concatenated members and frames are read on; a truncated or
 * broken one raises ERRCODE_DATA_CORRUPTED and says how far it was good.
 * *IS (may be NULL) is set once the first byte was read.
 */
extern DpBytes *dp_bytes_unpack(DpBytes *below, DpCompression compression, DpCompression *is);

/*
 * UTF-8 from BELOW, without byte order mark.  ENCODING is one of
 * dp_encoding_names, "detect" goes by the byte order mark, then by zero bytes,
 * else takes UTF-8.  Bytes that are invalid in the encoding become what they
 * are not: they are passed on as they stand where it is UTF-8 (the record is
 * then quarantined), and raise where the encoding has no such sequence (an odd
 * byte at the end of UTF-16).  Never changes valid UTF-8.
 */
extern DpBytes *dp_bytes_recode(DpBytes *below, const char *encoding);
extern const char *const dp_encoding_names[];	/* NULL-terminated; the first is "detect" */

#endif							/* DP_BYTES_H */
