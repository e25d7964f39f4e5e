/*
 * unpack_zstd.c
 *	  zstd; the only user of libzstd.
 *
 * A frame says how large a window it needs, up to gigabytes.  What would not
 * leave room for the rest of a worker's memory is refused before anything is
 * allocated.  Skippable frames are passed over by the library.
 */
#include "dynpipe.h"

#include <zstd.h>
#include <zstd_errors.h>

#include "store/unpack.h"

static bool
zstd_begins(const unsigned char *bytes, Size len)
{
	return len >= 4 &&
		((bytes[0] == 0x28 && bytes[1] == 0xB5 && bytes[2] == 0x2F && bytes[3] == 0xFD) ||
		 ((bytes[0] & 0xF0) == 0x50 && bytes[1] == 0x2A && bytes[2] == 0x4D && bytes[3] == 0x18));
}

static void *
zstd_create(void)
{
	ZSTD_DStream *z = ZSTD_createDStream();

	if (z != NULL)
		(void) ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, DP_ZSTD_WINDOW_LOG);
	return z;
}

static DpCodecResult
zstd_step(void *state, const char **in, const char *in_end, char **out, char *out_end,
		  const char **problem)
{
	ZSTD_inBuffer input = {*in, in_end - *in, 0};
	ZSTD_outBuffer output = {*out, out_end - *out, 0};
	size_t		result = ZSTD_decompressStream(state, &output, &input);

	*in += input.pos;
	*out += output.pos;
	if (!ZSTD_isError(result))
		return result == 0 ? DP_CODEC_END : DP_CODEC_MORE;
	switch (ZSTD_getErrorCode(result))
	{
		case ZSTD_error_frameParameter_windowTooLarge:
			return DP_CODEC_TOO_LARGE;
		case ZSTD_error_memory_allocation:
			return DP_CODEC_NO_MEMORY;
		default:
			*problem = ZSTD_getErrorName(result);
			return DP_CODEC_BROKEN;
	}
}

static void
zstd_destroy(void *state)
{
	ZSTD_freeDStream(state);
}

const DpCodec dp_codec_zstd = {
	.compression = DP_COMPRESSION_ZSTD,
	.name = "zstd",
	.part = "frame",
	.padded = false,
	.begins = zstd_begins,
	.create = zstd_create,
	.step = zstd_step,
	.destroy = zstd_destroy,
};
