/*
 * unpack.h
 *	  The seam between unpack.c, which streams, and the codecs, which each know
 *	  one library.
 *
 * A codec is created in plain memory of its library (malloc) and destroyed by
 * close or by a reset callback; it never raises, it says what is wrong.
 */
#ifndef DP_UNPACK_H
#define DP_UNPACK_H

#include "store/bytes.h"

typedef enum DpCodecResult
{
	DP_CODEC_MORE,				/* goes on, perhaps with more input */
	DP_CODEC_END,				/* of a member or frame; the input may hold another one */
	DP_CODEC_BROKEN,
	DP_CODEC_TOO_LARGE,			/* needs more memory than it may have */
	DP_CODEC_NO_MEMORY
} DpCodecResult;

typedef struct DpCodec
{
	DpCompression compression;
	const char *name;
	const char *part;			/* what END ends: "member", "frame" */
	bool		padded;			/* zero bytes may follow the last part */
	/* Does a part begin with these bytes, 4 or all there are? */
	bool		(*begins) (const unsigned char *bytes, Size len);
	void	   *(*create) (void);	/* NULL: no memory */
	/*
	 * Move *IN (up to IN_END) and *OUT (up to OUT_END) along.  Behind END the
	 * next call begins a new part.  *PROBLEM says what is broken.
	 */
	DpCodecResult (*step) (void *state, const char **in, const char *in_end,
						   char **out, char *out_end, const char **problem);
	void		(*destroy) (void *state);
} DpCodec;

extern const DpCodec dp_codec_gzip;
extern const DpCodec dp_codec_zstd;

/* The largest window a zstd frame may ask for: 2^24 = 16 MB. */
#define DP_ZSTD_WINDOW_LOG	24

#endif							/* DP_UNPACK_H */
