/*
 * csv_dialect.c
 *	  What a file's first bytes show of how it is written: the delimiter,
 *	  whether and where there is a header, how many fields a record has.
 *
 * The sample is split with each candidate for the delimiter.  The one wins
 * that finds most of the names asked for in one line, else the one under which
 * most records have the same number of fields, else the one that makes most
 * fields.
 *
 * A header is the line among the first DP_CSV_PREAMBLE that has most of the
 * names; where no name is known or found, the first line that is as wide as
 * the records, if it is all names (distinct, nothing that looks like a value)
 * above a column that is all values.  What stands above it is passed over.
 */
#include "dynpipe.h"

#include "format/csv_dialect.h"
#include "lib/stringinfo.h"

#define MAX_RECORDS 200			/* of the sample that are looked at */

typedef struct Line
{
	const char *s;
	int			len;
	Size		end;			/* in the sample, with its line end */
	List	   *fields;			/* char * */
} Line;

/* The sample as one delimiter has it. */
typedef struct View
{
	char		delimiter;
	Line		lines[MAX_RECORDS];
	int			nlines;
	int			nfields;		/* in most lines, if more than one */
	int			share;			/* of the lines that have so many, in tenths */
	int			best;			/* line with most of the names; -1: none has any */
	int			found;			/* so many */
} View;

/* ---------- names ---------- */

static const char *
skip_blanks(const char *s)
{
	return s + strspn(s, " \t\r\n");
}

static int
trimmed_len(const char *s)
{
	int			len = strlen(s);

	while (len > 0 && strchr(" \t\r\n", s[len - 1]))
		len--;
	return len;
}

bool
dp_csv_same_name(const char *a, const char *b)
{
	int			len;

	a = skip_blanks(a);
	b = skip_blanks(b);
	len = trimmed_len(a);
	return len == trimmed_len(b) && pg_strncasecmp(a, b, len) == 0;
}

static bool
has_name(List *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names)
	{
		if (dp_csv_same_name(lfirst(lc), name))
			return true;
	}
	return false;
}

static int
count_names(List *wanted, List *fields)
{
	ListCell   *lc;
	int			n = 0;

	foreach(lc, wanted)
		n += has_name(fields, lfirst(lc));
	return n;
}

/* ---------- fields of a line ---------- */

/* The field that begins at *I, without its quotes; *I is behind it then. */
static char *
take_field(const DpCsvDialect *dialect, const char *s, int len, int *i)
{
	StringInfoData field;
	bool		quoted;

	initStringInfo(&field);
	quoted = dialect->quote && *i < len && s[*i] == dialect->quote;
	*i += quoted;
	for (; *i < len && (quoted || s[*i] != dialect->delimiter); (*i)++)
	{
		bool		more = *i + 1 < len;

		if (dialect->escape && s[*i] == dialect->escape && more &&
			(dialect->escape != dialect->quote || (quoted && s[*i + 1] == dialect->quote)))
			appendStringInfoChar(&field, s[++(*i)]);
		else if (quoted && s[*i] == dialect->quote)
			quoted = false;
		else
			appendStringInfoChar(&field, s[*i]);
	}
	return field.data;
}

static List *
take_fields(const DpCsvDialect *dialect, const char *s, int len)
{
	List	   *fields = NIL;
	int			i = 0;

	for (;;)
	{
		fields = lappend(fields, take_field(dialect, s, len, &i));
		if (i >= len || list_length(fields) > DP_CSV_MAX_ORDINAL)
			return fields;
		if (++i >= len)			/* a delimiter at the end: one more, empty */
			return lappend(fields, pstrdup(""));
	}
}

/* ---------- one view of the sample ---------- */

/* Bytes of the first *N lines; *N is how many of them were not in the sample. */
static Size
skip_lines(const char *s, Size len, bool all, int *n)
{
	Size		i = 0;

	for (; *n > 0 && i < len; i++)
	{
		if (s[i] == '\r' && i + 1 == len && !all)
			break;
		*n -= s[i] == '\n' || (s[i] == '\r' && (i + 1 == len || s[i + 1] != '\n'));
	}
	return i;
}

static void
split_sample(View *view, const DpCsvDialect *dialect, const char *sample, Size len, bool all)
{
	DpSplitter *splitter = dp_csv_splitter(dialect);
	DpSpan		span;
	DpSplit		split;
	Size		at = 0;

	while (view->nlines < MAX_RECORDS &&
		   (split = dp_csv_split(splitter, sample + at, len - at, all, &span)) != DP_SPLIT_MORE &&
		   split != DP_SPLIT_END)
	{
		if (split == DP_SPLIT_RECORD)
		{
			Line	   *line = &view->lines[view->nlines++];

			line->s = sample + at + span.start;
			line->len = span.len;
			line->end = at + span.used;
			line->fields = take_fields(dialect, line->s, line->len);
		}
		at += span.used;
	}
}

/* How many fields do most lines have, if more than one? */
static void
count_widths(View *view)
{
	int			most = 0;

	for (int i = 0; i < view->nlines; i++)
	{
		int			width = list_length(view->lines[i].fields);
		int			n = 0;

		for (int j = 0; j < view->nlines; j++)
			n += list_length(view->lines[j].fields) == width;
		if (width > 1 && (n > most || (n == most && width > view->nfields)))
		{
			most = n;
			view->nfields = width;
		}
	}
	if (view->nlines > 0)
		view->share = Min(9, most * 10 / view->nlines);
}

static void
find_names(View *view, List *wanted)
{
	view->best = -1;
	for (int i = 0; i < Min(view->nlines, DP_CSV_PREAMBLE); i++)
	{
		int			found = count_names(wanted, view->lines[i].fields);

		if (found > view->found)
		{
			view->found = found;
			view->best = i;
		}
	}
}

static View *
make_view(const DpCsvDialect *base, char delimiter, List *wanted,
		  const char *sample, Size len, bool all)
{
	View	   *view = palloc0(sizeof(View));
	DpCsvDialect dialect = *base;

	view->delimiter = dialect.delimiter = delimiter;
	split_sample(view, &dialect, sample, len, all);
	count_widths(view);
	find_names(view, wanted);
	return view;
}

/* Does A explain the sample better than B? */
static bool
is_better(const View *a, const View *b, int expected)
{
	if (a->found != b->found)
		return a->found > b->found;
	if (expected > 1 && (a->nfields == expected) != (b->nfields == expected))
		return a->nfields == expected && a->share >= 5;
	if (a->share != b->share)
		return a->share > b->share;
	return a->nfields > b->nfields;
}

static View *
choose_view(const DpCsvDialect *dialect, const DpCsvOptions *options, List *wanted,
			const char *sample, Size len, bool all)
{
	static const char candidates[] = ",;\t|";
	View	   *best = NULL;

	if (options->delimiter)
		return make_view(dialect, options->delimiter, wanted, sample, len, all);
	for (const char *c = candidates; *c; c++)
	{
		View	   *view;

		if (*c == options->quote || *c == options->escape || *c == options->comment)
			continue;
		view = make_view(dialect, *c, wanted, sample, len, all);
		if (best == NULL || (options->decimal_comma && best->delimiter == ',' &&
							 best->found <= view->found && view->nfields > 1) ||
			is_better(view, best, list_length(wanted)))
			best = view;
	}
	return best;
}

/* ---------- the header ---------- */

/* A number, a date, a time: something no column is called. */
static bool
looks_like_value(const char *s)
{
	s = skip_blanks(s);
	s += *s == '-' || *s == '+';
	if (*s == '.' || *s == ',')
		s++;
	return *s >= '0' && *s <= '9' && strspn(s, "0123456789.,:+-/ TZeE") == trimmed_len(s);
}

static bool
is_all_names(List *fields)
{
	ListCell   *lc;

	foreach(lc, fields)
	{
		const char *field = lfirst(lc);

		if (*skip_blanks(field) == '\0' || looks_like_value(field))
			return false;
		for (int i = 0; i < foreach_current_index(lc); i++)
		{
			if (dp_csv_same_name(list_nth(fields, i), field))
				return false;
		}
	}
	return true;
}

/* Is there a column that holds values only, below line HEADER? */
static bool
has_value_column(const View *view, int header, int width)
{
	for (int column = 0; column < width; column++)
	{
		int			values = 0;
		bool		only = true;

		for (int i = header + 1; i < view->nlines && only; i++)
		{
			const char *field;

			if (list_length(view->lines[i].fields) != width)
				continue;
			field = list_nth(view->lines[i].fields, column);
			values += looks_like_value(field);
			only = *skip_blanks(field) == '\0' || looks_like_value(field);
		}
		if (only && values > 0)
			return true;
	}
	return false;
}

/* A line that looks like a header whatever its names are; -1: none. */
static int
header_by_look(const View *view)
{
	int			width = Max(view->nfields, 1);

	for (int i = 0; i < Min(view->nlines, DP_CSV_PREAMBLE); i++)
	{
		List	   *fields = view->lines[i].fields;

		if (list_length(fields) == width)
			return width <= 1000 && is_all_names(fields) && has_value_column(view, i, width)
				? i : -1;
	}
	return -1;
}

/* The line that is the header; -1: there is none. */
static int
find_header(const View *view, const DpCsvOptions *options, List *wanted)
{
	int			by_look;

	if (options->header == DP_CSV_HEADER_NO)
		return -1;
	if (view->best >= 0 && view->found * 2 >= list_length(wanted))
		return view->best;
	by_look = header_by_look(view);
	if (by_look >= 0)
		return by_look;
	if (options->header == DP_CSV_HEADER_YES && view->nlines > 0)
		return Max(view->best, 0);
	return -1;
}

void
dp_csv_detect(DpCsvDialect *dialect, const DpCsvOptions *options, List *wanted,
			  const char *sample, Size len, bool all)
{
	View	   *view;
	int			header;

	memset(dialect, 0, sizeof(*dialect));
	dialect->quote = options->quote;
	dialect->escape = options->escape;
	dialect->comment = options->comment;
	dialect->trim = options->trim;
	dialect->skip = options->skip;
	dialect->lead = skip_lines(sample, len, all, &dialect->skip);
	view = choose_view(dialect, options, wanted, sample, len, all);
	dialect->delimiter = view->delimiter;
	dialect->nfields = view->nfields;
	header = find_header(view, options, wanted);
	if (header < 0)
		return;
	dialect->lead = view->lines[header].end;
	dialect->header = view->lines[header].fields;
	dialect->header_len = view->lines[header].len;
	dialect->header_line = palloc(dialect->header_len + 1);
	memcpy(dialect->header_line, view->lines[header].s, dialect->header_len);	/* may have NULs */
	dialect->nfields = list_length(dialect->header);
}
