/*
 * recode.c
 *	  A stream of text in some encoding as UTF-8: see bytes.h.
 *
 *	  below ──read──> input (16 kB) ──character by character──> the caller's buffer
 *
 * UTF-8 is passed on as it is: once the first bytes were looked at, reads go
 * straight to the stream below.
 */
#include "dynpipe.h"

#include "mb/pg_wchar.h"
#include "store/bytes.h"

#define INPUT_SIZE	(16 * 1024)
/* Bytes that are looked at for zero bytes. */
#define SAMPLE_SIZE	(4 * 1024)
/* At least one in that many pairs of bytes has its zero in the same half. */
#define ZERO_SHARE	4

typedef enum Encoding
{
	ENCODING_DETECT,
	ENCODING_UTF8,
	ENCODING_UTF16,				/* either, by mark or by zero bytes */
	ENCODING_UTF16LE,
	ENCODING_UTF16BE,
	ENCODING_LATIN1,
	ENCODING_WINDOWS1252
} Encoding;

/* In the order of the enum. */
const char *const dp_encoding_names[] = {
	"detect", "utf-8", "utf-16", "utf-16le", "utf-16be", "latin1", "windows-1252", NULL
};

/*
 * 0x80 to 0x9F of windows-1252, where latin1 has control characters.  The five
 * bytes that it leaves undefined are taken as those, as browsers do.
 */
static const uint16 windows1252[32] = {
	0x20AC, 0x0081, 0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
	0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0x008D, 0x017D, 0x008F,
	0x0090, 0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
	0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0x009D, 0x017E, 0x0178
};

typedef struct Recode
{
	DpBytes		base;
	Encoding	encoding;		/* as asked for, then as it is */
	bool		begun;
	bool		ended;			/* no more input below */
	unsigned char *input;		/* INPUT_SIZE bytes */
	int			at;				/* what is not yet used of it */
	int			end;
	int64		before;			/* bytes of the stream in front of input[0] */
	unsigned char rest[4];		/* of a character that had no room, */
	int			rest_at;		/* from here */
	int			rest_end;		/* to here */
} Recode;

static Encoding encoding_by_name(const char *name);
static Size recode_read(DpBytes *base, char *buf, Size len);
static void begin(Recode *recode);
static Encoding encoding_by_mark(const Recode *recode, int *mark);
static Encoding encoding_by_zeros(const Recode *recode);
static Size copy_plain(Recode *recode, char *buf, Size len);
static bool next_char(Recode *recode, pg_wchar *c);
static bool next_unit(Recode *recode, uint16 *unit);
static int	encode(pg_wchar c, unsigned char *out);
static bool fill(Recode *recode, int wanted);
static void recode_close(DpBytes *base);

DpBytes *
dp_bytes_recode(DpBytes *below, const char *encoding)
{
	Recode	   *recode = palloc0(sizeof(Recode));

	recode->base.read = recode_read;
	recode->base.close = recode_close;
	recode->base.below = below;
	recode->encoding = encoding_by_name(encoding);
	recode->input = palloc(INPUT_SIZE);
	return &recode->base;
}

static Encoding
encoding_by_name(const char *name)
{
	for (int i = 0; dp_encoding_names[i] != NULL; i++)
		if (strcmp(dp_encoding_names[i], name) == 0)
			return i;
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("unknown encoding \"%s\"", name),
			 errhint("Encodings are: detect, utf-8, utf-16, utf-16le, utf-16be, latin1, "
					 "windows-1252.")));
}

static Size
recode_read(DpBytes *base, char *buf, Size len)
{
	Recode	   *recode = (Recode *) base;
	Size		n = 0;
	pg_wchar	c;

	if (!recode->begun)
		begin(recode);
	if (recode->encoding == ENCODING_UTF8)
		return copy_plain(recode, buf, len);
	while (recode->rest_at < recode->rest_end && n < len)
		buf[n++] = recode->rest[recode->rest_at++];
	/* Give what there is before waiting for more. */
	while (n < len && (n == 0 || recode->end - recode->at >= 4) && next_char(recode, &c))
	{
		if (len - n >= 4)
			n += encode(c, (unsigned char *) buf + n);
		else
		{
			recode->rest_at = 0;
			recode->rest_end = encode(c, recode->rest);
			while (recode->rest_at < recode->rest_end && n < len)
				buf[n++] = recode->rest[recode->rest_at++];
		}
	}
	return n;
}

/* Look at the first bytes: settle the encoding, pass over the mark. */
static void
begin(Recode *recode)
{
	int			mark = 0;
	Encoding	marked;

	fill(recode, SAMPLE_SIZE);
	marked = encoding_by_mark(recode, &mark);
	if (recode->encoding == ENCODING_DETECT)
		recode->encoding = marked != ENCODING_DETECT ? marked : encoding_by_zeros(recode);
	else if (recode->encoding == ENCODING_UTF16)
	{
		recode->encoding = marked == ENCODING_UTF8 ? ENCODING_DETECT : marked;
		if (recode->encoding == ENCODING_DETECT)
			recode->encoding = encoding_by_zeros(recode);
		if (recode->encoding == ENCODING_UTF8)
			recode->encoding = ENCODING_UTF16LE;
	}
	if (marked == recode->encoding)
		recode->at += mark;
	recode->begun = true;
}

/* ENCODING_DETECT: there is no mark.  *MARK is its length. */
static Encoding
encoding_by_mark(const Recode *recode, int *mark)
{
	const unsigned char *in = recode->input;
	bool		four = recode->end >= 4;

	if (recode->encoding == ENCODING_DETECT && four &&
		(memcmp(in, "\xFF\xFE\0\0", 4) == 0 || memcmp(in, "\0\0\xFE\xFF", 4) == 0))
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("encoding UTF-32 is not supported"),
				 errhint("Convert the file to UTF-8.")));
	if (recode->end >= 3 && memcmp(in, "\xEF\xBB\xBF", 3) == 0)
	{
		*mark = 3;
		return ENCODING_UTF8;
	}
	*mark = 2;
	if (recode->end >= 2 && memcmp(in, "\xFF\xFE", 2) == 0)
		return ENCODING_UTF16LE;
	if (recode->end >= 2 && memcmp(in, "\xFE\xFF", 2) == 0)
		return ENCODING_UTF16BE;
	return ENCODING_DETECT;
}

/*
 * In UTF-16 the digits, commas and line ends of any language have their zero
 * byte in the same half, and few characters have one in the other; text in
 * UTF-8 has none or a stray one, binary data has them anywhere.
 */
static Encoding
encoding_by_zeros(const Recode *recode)
{
	int			n = Min(recode->end, SAMPLE_SIZE) & ~1;
	int			zeros[2] = {0, 0};

	for (int i = 0; i < n; i++)
		zeros[i & 1] += recode->input[i] == 0;
	if (zeros[1] > 0 && zeros[1] * ZERO_SHARE >= n / 2 && zeros[0] * 2 <= zeros[1])
		return ENCODING_UTF16LE;
	if (zeros[0] > 0 && zeros[0] * ZERO_SHARE >= n / 2 && zeros[1] * 2 <= zeros[0])
		return ENCODING_UTF16BE;
	return ENCODING_UTF8;
}

/* First what was read to look at it, then from below without a detour. */
static Size
copy_plain(Recode *recode, char *buf, Size len)
{
	Size		n = Min(len, recode->end - recode->at);

	if (n == 0)
		return dp_bytes_read(recode->base.below, buf, len);
	memcpy(buf, recode->input + recode->at, n);
	recode->at += n;
	return n;
}

/* False at the end. */
static bool
next_char(Recode *recode, pg_wchar *c)
{
	uint16		first;
	uint16		second;

	if (recode->encoding == ENCODING_LATIN1 || recode->encoding == ENCODING_WINDOWS1252)
	{
		if (!fill(recode, 1))
			return false;
		*c = recode->input[recode->at++];
		if (recode->encoding == ENCODING_WINDOWS1252 && *c >= 0x80 && *c < 0xA0)
			*c = windows1252[*c - 0x80];
		return true;
	}
	if (!next_unit(recode, &first))
		return false;
	recode->at += 2;
	*c = first;
	if (first < 0xD800 || first > 0xDFFF)
		return true;
	/* Half of a pair without the other half becomes the replacement character. */
	*c = 0xFFFD;
	if (first < 0xDC00 && next_unit(recode, &second) && second >= 0xDC00 && second <= 0xDFFF)
	{
		recode->at += 2;
		*c = 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
	}
	return true;
}

/* The two bytes at hand as a number, without taking them; false at the end. */
static bool
next_unit(Recode *recode, uint16 *unit)
{
	const unsigned char *p;

	if (!fill(recode, 2))
	{
		if (recode->at < recode->end)
			ereport(ERROR,
					(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
					 errmsg("UTF-16 text ends with half a character at byte %lld",
							(long long) (recode->before + recode->at)),
					 errhint("The file is cut off, or in another encoding: see the format's "
							 "option \"encoding\".")));
		return false;
	}
	p = recode->input + recode->at;
	*unit = recode->encoding == ENCODING_UTF16LE ? p[0] | p[1] << 8 : p[0] << 8 | p[1];
	return true;
}

/* The character's length in bytes. */
static int
encode(pg_wchar c, unsigned char *out)
{
	if (c < 0x80)
	{
		*out = c;
		return 1;
	}
	unicode_to_utf8(c, out);
	return c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
}

/* Read until WANTED bytes are at hand; false when there are fewer. */
static bool
fill(Recode *recode, int wanted)
{
	int			kept = recode->end - recode->at;

	if (kept >= wanted || recode->ended)
		return kept >= wanted;
	recode->before += recode->at;
	memmove(recode->input, recode->input + recode->at, kept);
	recode->at = 0;
	recode->end = kept;
	while (recode->end < wanted && !recode->ended)
	{
		Size		n = dp_bytes_read(recode->base.below, (char *) recode->input + recode->end,
									  INPUT_SIZE - recode->end);

		recode->end += n;
		recode->ended = n == 0;
	}
	return recode->end >= wanted;
}

/* Holds nothing outside of memory contexts. */
static void
recode_close(DpBytes *base)
{
	dp_bytes_close(base->below);
}
