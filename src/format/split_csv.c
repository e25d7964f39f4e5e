/*
 * split_csv.c
 *	  The text of a CSV file into records.
 *
 * A record ends at a line end (\n, \r\n or \r) outside of quotes.  A quote
 * opens only at the beginning of a field and closes at the next one that is
 * neither doubled nor escaped; anywhere else it is an ordinary character here,
 * and the decoder refuses the record.  So a stray quote inside a field costs
 * its record only.
 *
 * A stray quote at the beginning of a field would swallow what follows up to
 * the next quote.  A quoted field that spans lines is therefore doubted when
 *	- its closing quote is not followed by a delimiter or a line end, or
 *	- it is longer than LONG_BYTES or LONG_LINES and the lines inside it have
 *	  as many fields as records of this file have, or
 *	- the file ends inside of it.
 * Then the record's first line alone is broken, and splitting goes on behind
 * it.  (Where the file ends and the lines do not look like records, all of the
 * rest is broken: a file that was cut off in a long text.)
 *
 * What has been seen of an unfinished record is kept as a few numbers; no byte
 * is looked at twice but for a record that is doubted.  Such a second look
 * reaches LONG_BYTES at most.  Pure but for its state; nothing is allocated
 * while splitting.
 */
#include "dynpipe.h"

#include "format/csv_dialect.h"
#include "format/field.h"
#include "format/scan.h"

#ifndef LONG_LINES				/* the fuzzer sets less, to reach it */
#define LONG_LINES 1000
#endif
#define LONG_BYTES (64 * 1024)
#define LOOKS_LIKE 10			/* lines that are counted to believe in a stray quote */

typedef struct CsvSplitter
{
	DpSplitter	base;
	DpCsvDialect dialect;
	DpScanSet	set;			/* what a scan stops at */
	Size		lead;			/* bytes still to pass before the first record */

	/* The unfinished record, base.seen bytes of it. */
	Size		seen;			/* what base.seen was set to; if it is less, bytes were dropped */
	bool		cut;			/* its first bytes were dropped */
	bool		quoted;			/* inside of quotes */
	bool		doubted;		/* its length was looked into, and found right */
	char		before;			/* the byte before base.seen, if there is one */
	bool		comment;		/* it is none */
	int64		lines;			/* line ends within */
	int64		opened;			/* of them, before the last quote opened */
	Size		first_line;		/* the first behind that, not escaped, ends here; 0: none */
	int64		first_lines;	/* lines at that place */
} CsvSplitter;

static DpSplit split_record(CsvSplitter *splitter, const char *s, Size len, bool at_end,
							DpSpan *span);

DpSplitter *
dp_csv_splitter(const DpCsvDialect *dialect)
{
	CsvSplitter *splitter = palloc0(sizeof(CsvSplitter));

	splitter->base.header = dialect->header;
	splitter->dialect = *dialect;
	splitter->lead = dialect->lead;
	splitter->set.bytes[0] = '\n';
	splitter->set.bytes[1] = '\r';
	splitter->set.bytes[2] = dialect->quote ? dialect->quote : '\n';
	splitter->set.bytes[3] = dialect->escape ? dialect->escape : '\n';
	return &splitter->base;
}

/* Forget the record, its span has been given. */
static DpSplit
finish(CsvSplitter *splitter, DpSplit result)
{
	splitter->base.seen = splitter->seen = 0;
	splitter->cut = false;
	splitter->quoted = splitter->doubted = false;
	splitter->lines = splitter->opened = 0;
	splitter->first_line = 0;
	return result;
}

/* Length of the line end at I; 0: more bytes are needed to tell. */
static inline int
line_end(const char *s, Size i, Size len, bool at_end)
{
	if (s[i] == '\n')
		return 1;
	if (i + 1 < len)
		return s[i + 1] == '\n' ? 2 : 1;
	return at_end ? 1 : 0;
}

/* Bytes before the first record: what was found in the sample to be none. */
static DpSplit
pass_lead(CsvSplitter *splitter, const char *s, Size len, bool at_end, DpSpan *span)
{
	Size		used = Min(splitter->lead, len);

	/* Do not part \r from \n, which would count twice. */
	if (s[used - 1] == '\r' && used < splitter->lead && !at_end && --used == 0)
		return DP_SPLIT_MORE;
	for (Size i = 0; i < used; i++)
	{
		if (s[i] == '\n' || (s[i] == '\r' && (i + 1 == used || s[i + 1] != '\n')))
			span->lines++;
	}
	span->used = used;
	splitter->lead -= used;
	return DP_SPLIT_NOTHING;
}

/* Lines to be skipped that the sample did not hold. */
static DpSplit
pass_line(CsvSplitter *splitter, const char *s, Size len, bool at_end, DpSpan *span)
{
	DpScanSet	ends = {{'\n', '\r', '\n', '\r'}};
	Size		i = dp_scan(&ends, s, 0, len);
	int			n = i < len ? line_end(s, i, len, at_end) : 0;

	span->used = i + n;
	span->lines = n > 0;
	splitter->dialect.skip -= n > 0;
	return span->used > 0 ? DP_SPLIT_NOTHING : DP_SPLIT_MORE;
}

DpSplit
dp_csv_split(DpSplitter *base, const char *s, Size len, bool at_end, DpSpan *span)
{
	CsvSplitter *splitter = (CsvSplitter *) base;

	memset(span, 0, sizeof(DpSpan));
	splitter->cut |= base->seen < splitter->seen;
	if (len == 0 && !splitter->cut)
		return at_end ? DP_SPLIT_END : DP_SPLIT_MORE;
	if (splitter->lead > 0)
		return pass_lead(splitter, s, len, at_end, span);
	if (splitter->dialect.skip > 0)
		return pass_line(splitter, s, len, at_end, span);
	return split_record(splitter, s, len, at_end, span);
}

/* ---------- what is no record ---------- */

static bool
is_header_again(const CsvSplitter *splitter, const char *s, Size len)
{
	if (splitter->dialect.header_line == NULL)
		return false;
	if (len >= 3 && memcmp(s, "\xEF\xBB\xBF", 3) == 0)
	{
		s += 3;
		len -= 3;
	}
	return len == splitter->dialect.header_len &&
		memcmp(s, splitter->dialect.header_line, len) == 0;
}

static bool
is_blank(const CsvSplitter *splitter, const char *s, Size len)
{
	for (Size i = 0; i < len; i++)
	{
		if ((s[i] != ' ' && s[i] != '\t') || s[i] == splitter->dialect.delimiter)
			return false;
	}
	return true;
}

/* The record S[0..LEN) is followed by a line end of TERMINATOR bytes. */
static DpSplit
record_ends(CsvSplitter *splitter, const char *s, Size len, int terminator, DpSpan *span)
{
	bool		nothing = !splitter->cut &&
		(splitter->comment || is_blank(splitter, s, len) || is_header_again(splitter, s, len));

	span->len = len;
	span->used = len + terminator;
	span->lines = splitter->lines + (terminator > 0);
	return finish(splitter, nothing ? DP_SPLIT_NOTHING : DP_SPLIT_RECORD);
}

/* ---------- stray quotes ---------- */

/* Fields of the line S[0..LEN), taking no notice of line ends within quotes. */
static int
count_fields(const DpCsvDialect *dialect, const char *s, Size len)
{
	int			n = 1;
	bool		quoted = false;

	for (Size i = 0; i < len; i++)
	{
		if (dialect->quote && s[i] == dialect->quote)
			quoted = !quoted;
		else if (s[i] == dialect->delimiter && !quoted)
			n++;
	}
	return n;
}

/* Have the lines from FROM on as many fields as records of this file? */
static bool
look_like_records(const CsvSplitter *splitter, const char *s, Size from, Size len)
{
	DpScanSet	ends = {{'\n', '\r', '\n', '\r'}};
	int			lines = 0;
	int			alike = 0;

	while (from < len && lines < LOOKS_LIKE)
	{
		Size		end = dp_scan(&ends, s, from, Min(len, from + LONG_BYTES));

		if (end > from)
		{
			lines++;
			alike += count_fields(&splitter->dialect, s + from, end - from) ==
				splitter->dialect.nfields;
		}
		from = end + 1;
	}
	return splitter->dialect.nfields > 1 && lines > 0 && alike * 4 >= lines * 3;
}

/* The record's first line is broken; what follows it is looked at anew. */
static DpSplit
break_first_line(CsvSplitter *splitter, const char *s, DpSpan *span)
{
	span->used = span->len = splitter->first_line;
	while (span->len > 0 && (s[span->len - 1] == '\n' || s[span->len - 1] == '\r'))
		span->len--;
	span->lines = splitter->first_lines;
	span->problem = "a quote opens a field that is not closed as it should be";
	return finish(splitter, DP_SPLIT_BROKEN);
}

/* The file ends within quotes. */
static DpSplit
end_in_quotes(CsvSplitter *splitter, const char *s, Size len, DpSpan *span)
{
	if (splitter->first_line > 0 && !splitter->cut &&
		look_like_records(splitter, s, splitter->first_line, len))
		return break_first_line(splitter, s, span);
	span->len = span->used = len;
	span->lines = splitter->lines;
	span->problem = "the file ends inside a quoted field";
	return finish(splitter, DP_SPLIT_BROKEN);
}

/* A line ends inside of quotes at I.  True: the quote was stray. */
static bool
line_in_quotes(CsvSplitter *splitter, const char *s, Size i, Size len, int n)
{
	splitter->lines++;
	if (splitter->first_line == 0)
	{
		splitter->first_line = i + n;
		splitter->first_lines = splitter->lines;
	}
	if (splitter->doubted || splitter->cut ||
		(splitter->lines - splitter->opened < LONG_LINES && i - splitter->first_line < LONG_BYTES))
		return false;
	splitter->doubted = true;
	return look_like_records(splitter, s, splitter->first_line, i);
}

/* ---------- records ---------- */

static inline bool
is_outer_blank(const CsvSplitter *splitter, char c)
{
	return splitter->dialect.trim && (c == ' ' || c == '\t') && c != splitter->dialect.delimiter;
}

/* Does a quote at I stand where a field begins? */
static inline bool
opens_field(const CsvSplitter *splitter, const char *s, Size i)
{
	while (i > 0 && is_outer_blank(splitter, s[i - 1]))
		i--;
	if (i > 0)
		return s[i - 1] == splitter->dialect.delimiter;
	return !splitter->cut || splitter->before == splitter->dialect.delimiter;
}

/* Keep what was seen up to I until there are more bytes. */
static DpSplit
want_more(CsvSplitter *splitter, const char *s, Size i)
{
	Size		before = i;

	while (before > 0 && is_outer_blank(splitter, s[before - 1]))
		before--;
	if (before > 0)
		splitter->before = s[before - 1];
	splitter->base.seen = splitter->seen = i;
	return DP_SPLIT_MORE;
}

/*
 * A quote at I inside of quotes: true when it is known what it means, *NEXT is
 * behind it then; *STRAY: it ends a field that spans lines as no field ends.
 */
static bool
quote_in_quotes(CsvSplitter *splitter, const char *s, Size i, Size len, bool at_end,
				Size *next, bool *stray)
{
	Size		behind = i + 1;

	*next = behind;
	if (splitter->dialect.escape == splitter->dialect.quote)
	{
		if (behind >= len && !at_end)
			return false;
		if (behind < len && s[behind] == splitter->dialect.quote)
		{
			*next = behind + 1;
			return true;
		}
	}
	if (splitter->first_line > 0 && !splitter->cut)
	{
		while (behind < len && is_outer_blank(splitter, s[behind]))
			behind++;
		if (behind >= len && !at_end)
			return false;
		*stray = behind < len && s[behind] != splitter->dialect.delimiter &&
			s[behind] != '\n' && s[behind] != '\r';
	}
	splitter->quoted = false;
	return true;
}

/* An escape at I: what it makes ordinary ends at *NEXT.  False: more bytes are needed. */
static bool
pass_escaped(CsvSplitter *splitter, const char *s, Size i, Size len, bool at_end, Size *next)
{
	int			n = 1;

	if (i + 1 >= len)
	{
		if (at_end)
			*next = len;
		return at_end;
	}
	if (s[i + 1] == '\n' || s[i + 1] == '\r')
	{
		n = line_end(s, i + 1, len, at_end);
		if (n == 0)
			return false;
		splitter->lines++;
	}
	*next = i + 1 + n;
	return true;
}

static DpSplit
split_record(CsvSplitter *splitter, const char *s, Size len, bool at_end, DpSpan *span)
{
	const DpCsvDialect *dialect = &splitter->dialect;
	Size		i = splitter->base.seen;
	bool		stray = false;

	if (i == 0 && !splitter->cut)
		splitter->comment = dialect->comment && s[0] == dialect->comment;
	while ((i = dp_scan(&splitter->set, s, i, len)) < len)
	{
		if (s[i] == '\n' || s[i] == '\r')
		{
			int			n = line_end(s, i, len, at_end);

			if (n == 0)
				return want_more(splitter, s, i);
			if (!splitter->quoted)
				return record_ends(splitter, s, i, n, span);
			if (line_in_quotes(splitter, s, i, len, n))
				return break_first_line(splitter, s, span);
			i += n;
		}
		else if (splitter->comment)
			i++;
		else if (dialect->escape != dialect->quote && s[i] == dialect->escape)
		{
			if (!pass_escaped(splitter, s, i, len, at_end, &i))
				return want_more(splitter, s, i);
		}
		else if (splitter->quoted)
		{
			Size		next;

			if (!quote_in_quotes(splitter, s, i, len, at_end, &next, &stray))
				return want_more(splitter, s, i);
			if (stray)
				return break_first_line(splitter, s, span);
			i = next;
		}
		else
		{
			if (opens_field(splitter, s, i))
			{
				splitter->quoted = true;
				splitter->doubted = false;
				splitter->first_line = 0;
				splitter->opened = splitter->lines;
			}
			i++;
		}
	}
	if (!at_end)
		return want_more(splitter, s, len);
	return splitter->quoted ? end_in_quotes(splitter, s, len, span)
		: record_ends(splitter, s, len, 0, span);
}
