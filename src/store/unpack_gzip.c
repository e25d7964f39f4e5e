/*
 * unpack_gzip.c
 *	  gzip by zlib; the only user of zlib.  About 40 kB of memory.
 */
#include "dynpipe.h"

#include <zlib.h>

#include "store/unpack.h"

/* A window of 32 kB; 16 more: with gzip's header and checksum. */
#define WINDOW_BITS		(15 + 16)

static bool
gzip_begins(const unsigned char *bytes, Size len)
{
	return len >= 3 && bytes[0] == 0x1F && bytes[1] == 0x8B && bytes[2] == Z_DEFLATED;
}

static void *
gzip_create(void)
{
	z_stream   *z = calloc(1, sizeof(z_stream));

	if (z != NULL && inflateInit2(z, WINDOW_BITS) != Z_OK)
	{
		free(z);
		z = NULL;
	}
	return z;
}

static DpCodecResult
gzip_step(void *state, const char **in, const char *in_end, char **out, char *out_end,
		  const char **problem)
{
	z_stream   *z = state;
	int			result;

	z->next_in = (Bytef *) *in;
	z->avail_in = Min(in_end - *in, PG_INT32_MAX);
	z->next_out = (Bytef *) *out;
	z->avail_out = Min(out_end - *out, PG_INT32_MAX);
	result = inflate(z, Z_NO_FLUSH);
	*in = (const char *) z->next_in;
	*out = (char *) z->next_out;
	switch (result)
	{
		case Z_OK:
		case Z_BUF_ERROR:		/* nothing to do without more input or room */
			return DP_CODEC_MORE;
		case Z_STREAM_END:
			inflateReset(z);
			return DP_CODEC_END;
		case Z_MEM_ERROR:
			return DP_CODEC_NO_MEMORY;
		default:
			*problem = z->msg != NULL ? z->msg : "it needs a dictionary";
			return DP_CODEC_BROKEN;
	}
}

static void
gzip_destroy(void *state)
{
	inflateEnd(state);
	free(state);
}

const DpCodec dp_codec_gzip = {
	.compression = DP_COMPRESSION_GZIP,
	.name = "gzip",
	.part = "member",
	.padded = true,
	.begins = gzip_begins,
	.create = gzip_create,
	.step = gzip_step,
	.destroy = gzip_destroy,
};
