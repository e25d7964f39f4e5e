/*
 * pack_gzip.c
 *	  gzip on the way to a store; unpack_gzip.c goes the other way.
 *
 *	  caller -> write -> zlib -> buffer -> the put below
 *
 * zlib's memory is its own: a reset callback of the memory context gives it
 * back, in whatever way the context goes.
 */
#include "dynpipe.h"

#include <zlib.h>

#include "store/pack.h"

#define BUFFER_SIZE		(64 * 1024)
#define GZIP_WINDOW		(15 + 16)	/* the largest window, a gzip header */

typedef struct GzipPut
{
	DpPut		base;
	DpPut	   *below;
	z_stream	stream;
	bool		open;
	MemoryContextCallback callback;
	char		buffer[BUFFER_SIZE];
} GzipPut;

static void gzip_write(DpPut *put, const char *buf, Size len);
static void gzip_finish(DpPut *put);
static void gzip_abort(DpPut *put);
static int	deflate_on(GzipPut *gzip, int flush);
static void gzip_free(void *arg);

DpPut *
dp_put_gzip(DpPut *below)
{
	GzipPut    *gzip = palloc0(sizeof(GzipPut));

	gzip->base.write = gzip_write;
	gzip->base.finish = gzip_finish;
	gzip->base.abort = gzip_abort;
	gzip->below = below;
	gzip->callback.func = gzip_free;
	gzip->callback.arg = gzip;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &gzip->callback);
	if (deflateInit2(&gzip->stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_WINDOW, 8,
					 Z_DEFAULT_STRATEGY) != Z_OK)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("could not begin to compress an object")));
	gzip->open = true;
	return &gzip->base;
}

/* zlib counts in unsigned int: a large piece is given in parts. */
static void
gzip_write(DpPut *put, const char *buf, Size len)
{
	GzipPut    *gzip = (GzipPut *) put;

	while (len > 0)
	{
		Size		part = Min(len, (Size) 1 << 30);

		gzip->stream.next_in = (Bytef *) buf;
		gzip->stream.avail_in = (uInt) part;
		while (gzip->stream.avail_in > 0)
			(void) deflate_on(gzip, Z_NO_FLUSH);
		buf += part;
		len -= part;
	}
}

static void
gzip_finish(DpPut *put)
{
	GzipPut    *gzip = (GzipPut *) put;

	gzip->stream.next_in = NULL;
	gzip->stream.avail_in = 0;
	while (deflate_on(gzip, Z_FINISH) != Z_STREAM_END)
		;
	gzip_free(gzip);
	gzip->below->finish(gzip->below);
}

static void
gzip_abort(DpPut *put)
{
	GzipPut    *gzip = (GzipPut *) put;

	gzip_free(gzip);
	gzip->below->abort(gzip->below);
}

/* One bufferful at most from zlib to the put below. */
static int
deflate_on(GzipPut *gzip, int flush)
{
	int			rc;
	Size		n;

	gzip->stream.next_out = (Bytef *) gzip->buffer;
	gzip->stream.avail_out = BUFFER_SIZE;
	rc = deflate(&gzip->stream, flush);
	if (rc != Z_OK && rc != Z_STREAM_END)
		elog(ERROR, "deflate failed: %d", rc);
	n = BUFFER_SIZE - gzip->stream.avail_out;
	if (n > 0)
		gzip->below->write(gzip->below, gzip->buffer, n);
	return rc;
}

static void
gzip_free(void *arg)
{
	GzipPut    *gzip = arg;

	if (gzip->open)
		(void) deflateEnd(&gzip->stream);
	gzip->open = false;
}
