/*
 * unpack.c
 *	  A compressed stream as its content: see bytes.h.
 *
 *	  below ──read──> input (64 kB) ──codec──> the caller's buffer
 *
 * What it is is decided by its first bytes.  Nothing is kept but the input
 * buffer and the codec's window, so a bomb is a long file and no more.  Parts
 * (gzip's members, zstd's frames) follow one another; what follows the last
 * one must be nothing, or zero bytes where the format has them.
 */
#include "dynpipe.h"

#include "miscadmin.h"
#include "store/unpack.h"
#include "utils/memutils.h"

#define INPUT_SIZE	(64 * 1024)

typedef struct Unpack
{
	DpBytes		base;
	DpCompression asked;
	DpCompression *is;			/* told once; may be NULL */
	bool		begun;			/* the first bytes were looked at */
	const DpCodec *codec;		/* NULL: not compressed */
	void	   *state;			/* the codec's; not in palloc's memory */
	bool		inside;			/* of a part */
	bool		padding;		/* zero bytes have followed a part */
	bool		ended;			/* no more input below */
	char	   *input;			/* INPUT_SIZE bytes */
	const char *at;				/* what is not yet used of it */
	const char *end;
	int64		good;			/* bytes of whole parts, as stored */
	int64		before;			/* of the stream, in front of input[0] */
	int64		produced;
	MemoryContextCallback callback;
} Unpack;

static const DpCodec *const codecs[] = {&dp_codec_gzip, &dp_codec_zstd};

static Size unpack_read(DpBytes *base, char *buf, Size len);
static void begin(Unpack *unpack);
static const DpCodec *find_codec(const Unpack *unpack);
static Size copy_plain(Unpack *unpack, char *buf, Size len);
static bool begin_part(Unpack *unpack);
static void unpack_some(Unpack *unpack, char **out, char *out_end);
static void fill(Unpack *unpack, Size wanted);
static void raise_broken(const Unpack *unpack, const char *problem) pg_attribute_noreturn();
static void unpack_close(DpBytes *base);
static void unpack_forgotten(void *arg);

DpBytes *
dp_bytes_unpack(DpBytes *below, DpCompression compression, DpCompression *is)
{
	Unpack	   *unpack = palloc0(sizeof(Unpack));

	unpack->base.read = unpack_read;
	unpack->base.close = unpack_close;
	unpack->base.below = below;
	unpack->asked = compression;
	unpack->is = is;
	unpack->input = palloc(INPUT_SIZE);
	unpack->at = unpack->end = unpack->input;
	unpack->callback.func = unpack_forgotten;
	unpack->callback.arg = unpack;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &unpack->callback);
	return &unpack->base;
}

static Size
unpack_read(DpBytes *base, char *buf, Size len)
{
	Unpack	   *unpack = (Unpack *) base;
	char	   *out = buf;

	if (!unpack->begun)
		begin(unpack);
	if (unpack->codec == NULL)
		return copy_plain(unpack, buf, len);
	while (out == buf)
	{
		CHECK_FOR_INTERRUPTS();
		if (!unpack->inside && !begin_part(unpack))
			return 0;
		unpack_some(unpack, &out, buf + len);
	}
	unpack->produced += out - buf;
	return out - buf;
}

/* Look at the first bytes. */
static void
begin(Unpack *unpack)
{
	if (unpack->asked != DP_COMPRESSION_NONE)
		fill(unpack, 4);
	unpack->codec = find_codec(unpack);
	if (unpack->codec != NULL)
	{
		unpack->state = unpack->codec->create();
		if (unpack->state == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory"),
					 errdetail("Failed to open a decompressor of %s.", unpack->codec->name)));
	}
	if (unpack->is != NULL)
		*unpack->is = unpack->codec != NULL ? unpack->codec->compression : DP_COMPRESSION_NONE;
	unpack->begun = true;
}

/* A codec that was asked for by name is taken on trust: it says itself what is wrong. */
static const DpCodec *
find_codec(const Unpack *unpack)
{
	for (int i = 0; i < lengthof(codecs); i++)
		if (unpack->asked == DP_COMPRESSION_DETECT ?
			codecs[i]->begins((const unsigned char *) unpack->at, unpack->end - unpack->at) :
			unpack->asked == codecs[i]->compression)
			return codecs[i];
	return NULL;
}

/* First what was read to look at it, then from below without a detour. */
static Size
copy_plain(Unpack *unpack, char *buf, Size len)
{
	Size		n = Min(len, unpack->end - unpack->at);

	if (n == 0)
		return dp_bytes_read(unpack->base.below, buf, len);
	memcpy(buf, unpack->at, n);
	unpack->at += n;
	return n;
}

/* Is there another part?  Zero bytes behind the last one are passed over. */
static bool
begin_part(Unpack *unpack)
{
	const DpCodec *codec = unpack->codec;

	for (;;)
	{
		fill(unpack, 4);
		while (codec->padded && unpack->good > 0 && unpack->at < unpack->end && *unpack->at == 0)
		{
			unpack->at++;
			unpack->padding = true;
		}
		if (unpack->at < unpack->end)
			break;
		if (unpack->ended && unpack->good > 0)
			return false;
		if (unpack->ended)
			raise_broken(unpack, "it is empty");
	}
	if (unpack->padding ||
		!codec->begins((const unsigned char *) unpack->at, unpack->end - unpack->at))
		raise_broken(unpack, unpack->good > 0 ? psprintf("no %s begins here", codec->part) :
					 psprintf("it is not %s", codec->name));
	unpack->inside = true;
	return true;
}

/* One step of the codec, with more input where it has used all of it. */
static void
unpack_some(Unpack *unpack, char **out, char *out_end)
{
	const char *problem = NULL;
	const char *in;
	const char *out_before = *out;

	fill(unpack, 1);
	in = unpack->at;
	switch (unpack->codec->step(unpack->state, &unpack->at, unpack->end, out, out_end, &problem))
	{
		case DP_CODEC_MORE:
			/* Behind the end of the input only what was held back can still come. */
			if (unpack->ended && unpack->at == unpack->end && in == unpack->at &&
				*out == out_before)
				raise_broken(unpack, psprintf("it ends inside of a %s", unpack->codec->part));
			break;
		case DP_CODEC_END:
			unpack->inside = false;
			unpack->good = unpack->before + (unpack->at - unpack->input);
			break;
		case DP_CODEC_BROKEN:
			raise_broken(unpack, problem);
			break;
		case DP_CODEC_TOO_LARGE:
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("%s data needs more than %d MB of memory to be unpacked",
							unpack->codec->name, 1 << (DP_ZSTD_WINDOW_LOG - 20)),
					 errhint("Compress it again without --long and --ultra.")));
			break;
		case DP_CODEC_NO_MEMORY:
			ereport(ERROR,
					(errcode(ERRCODE_OUT_OF_MEMORY),
					 errmsg("out of memory"),
					 errdetail("Failed to unpack %s data.", unpack->codec->name)));
			break;
	}
}

/* Read until WANTED bytes are at hand, or all there are. */
static void
fill(Unpack *unpack, Size wanted)
{
	Size		kept = unpack->end - unpack->at;

	if (kept >= wanted || unpack->ended)
		return;
	unpack->before += unpack->at - unpack->input;
	memmove(unpack->input, unpack->at, kept);
	unpack->at = unpack->input;
	unpack->end = unpack->input + kept;
	while (unpack->end - unpack->at < wanted && !unpack->ended)
	{
		Size		n = dp_bytes_read(unpack->base.below, unpack->input + kept, INPUT_SIZE - kept);

		kept += n;
		unpack->end += n;
		unpack->ended = n == 0;
	}
}

static void
raise_broken(const Unpack *unpack, const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("%s data is broken at byte %lld: %s", unpack->codec->name,
					(long long) (unpack->before + (unpack->at - unpack->input)), problem),
			 errdetail("%lld bytes of it are whole %ss; %lld bytes of its content were read.",
					   (long long) unpack->good, unpack->codec->part,
					   (long long) unpack->produced),
			 errhint("Get the file anew from where it was made.")));
	pg_unreachable();
}

static void
unpack_close(DpBytes *base)
{
	unpack_forgotten(base);
	dp_bytes_close(base->below);
}

static void
unpack_forgotten(void *arg)
{
	Unpack	   *unpack = arg;

	if (unpack->state != NULL)
		unpack->codec->destroy(unpack->state);
	unpack->state = NULL;
}
