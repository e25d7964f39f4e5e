/*
 * format_csv.c
 *	  One CSV record into values.  The only file that knows libcsv.
 *
 * Which field of the record a column gets:
 *	  from: "3"			the third;
 *	  columns: "a,b,c"	(option) the one that stands where its name, or its
 *						from:, stands in that list;
 *	  a file's header	the one of its name, or its from:, exactly or else but
 *						for case and blanks;
 *	  else				the one at the column's own position in the schema.
 *
 * As with COPY, a record with fewer or more fields than expected is refused,
 * since a missing or extra delimiter shifts everything behind it.  Only where
 * every column names its ordinal may there be more.
 *
 * A record whose quotes, if any, surround whole fields and are not doubled, the
 * usual case, is divided where it lies.  All others go through libcsv, which
 * calls back for each field; the callbacks only collect bytes and ends in
 * buffers of the format.  Its buffer is malloc's and freed with the format's
 * memory context.  libcsv knows quotes
 * that are doubled: where another escape is set, the record is rewritten for it.
 */
#include "dynpipe.h"

#include <csv.h>

#include "catalog/pg_type.h"
#include "format/csv_dialect.h"
#include "format/field.h"
#include "format/scan.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "utils/lsyscache.h"

#define BUFFER_STEP (64 * 1024) /* libcsv's default of 128 bytes would realloc all day */
#define BUFFER_KEPT (1024 * 1024)	/* more is given back after the record */

typedef struct CsvField
{
	const char *s;
	int			len;			/* -1: nothing between two delimiters, not even quotes */
} CsvField;

typedef struct CsvNull
{
	const char *s;				/* "": nothing between two delimiters */
	int			len;
} CsvNull;

typedef struct CsvFormat
{
	DpFormat	base;
	struct csv_parser parser;
	MemoryContextCallback free_parser;
	int		   *ordinal;		/* per field: its place in the record from 0; -1: none */
	bool	   *swap;			/* per field: a number, with its decimal sign to be exchanged */
	int			expected;		/* fields in a record; 0: at least as many as are used */
	bool		exact;			/* no fewer either */
	const char *columns;		/* the option */
	CsvNull    *nulls;
	int			nnulls;
	char		delimiter;
	char		escape;			/* '\0': quotes are doubled */
	bool		trim;
	DpScanSet	special;		/* what makes a record more than its fields and delimiters */

	/* The current record. */
	StringInfoData text;		/* fields taken out of their quotes */
	StringInfoData rewritten;	/* the record, for libcsv */
	CsvField   *fields;
	int			nfields;
	int			capacity;
	bool		ended;			/* the record's end was seen */
	bool		second;			/* and something after it */
} CsvFormat;

static DpFormat *csv_open(const DpPipelineSpec *spec, DpField *fields, int nfields,
						  const char *topic);
static bool csv_decode(DpFormat *format, const DpRecord *rec,
					   Datum *values, bool *isnull, DpReject *reject);

static DpSplitter *csv_splitter(const DpPipelineSpec *spec, const char *sample, Size len,
								bool all);
static void csv_adopt(DpFormat *format, const char *layout);

static const char *const csv_options[] = {"delimiter", "quote", "escape", "header", "encoding",
"comment", "skip", "null", "decimal", "trim", "columns", NULL};

const DpFormatOps dp_format_csv_ops = {
	.name = "csv",
	.options = csv_options,
	.check = dp_csv_check_options,
	.open = csv_open,
	.decode = csv_decode,
	.splitter = csv_splitter,
	.split = dp_csv_split,
	.adopt = csv_adopt,
};

/* ---------- open ---------- */

static int
keep_blanks(unsigned char c)
{
	return 0;
}

static void
free_parser(void *arg)
{
	csv_free(arg);
}

static int
count_names(const char *list)
{
	return dp_scan_count(list, strlen(list), ',') + 1;
}

/* Give each field its place; a name that cannot be found was a problem of the check. */
static void
place_fields(CsvFormat *format)
{
	bool		all_ordinals = true;
	int			position = 0;

	for (int i = 0; i < format->base.nfields; i++)
	{
		const DpField *field = &format->base.fields[i];
		int			ordinal = dp_csv_ordinal(dp_field_path(field));

		format->ordinal[i] = -1;
		if (field->from != DP_FROM_VALUE)
			continue;
		position++;
		if (ordinal > 0)
		{
			format->ordinal[i] = ordinal - 1;
			continue;
		}
		all_ordinals = false;
		format->ordinal[i] = format->columns
			? dp_csv_list_position(format->columns, field->path ? field->path : field->name)
			: position - 1;
		if (format->ordinal[i] < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"columns\" does not list column \"%s\"", field->name)));
	}
	format->expected = format->columns ? count_names(format->columns)
		: all_ordinals ? 0 : position;
	format->exact = false;
}

/* How records are written, from now on. */
static void
set_dialect(CsvFormat *format, char delimiter, char quote, char escape, bool trim)
{
	format->delimiter = delimiter;
	format->escape = escape == quote ? '\0' : escape;
	format->trim = trim;
	format->special.bytes[0] = '\n';
	format->special.bytes[1] = '\r';
	format->special.bytes[2] = quote ? quote : '\n';
	format->special.bytes[3] = escape ? escape : '\n';

	/* Without a quote it is NUL, which no valid record has. */
	csv_set_delim(&format->parser, delimiter);
	csv_set_quote(&format->parser, quote);
	csv_set_space_func(&format->parser, trim ? NULL : keep_blanks);
}

static void
read_nulls(CsvFormat *format, List *nulls)
{
	ListCell   *lc;

	if (nulls == NIL)
		nulls = list_make1("");
	format->nulls = palloc(sizeof(CsvNull) * list_length(nulls));
	foreach(lc, nulls)
	{
		format->nulls[format->nnulls].s = pstrdup(lfirst(lc));
		format->nulls[format->nnulls++].len = strlen(lfirst(lc));
	}
}

static bool
has_decimals(const DpField *field)
{
	Oid			base = getBaseType(field->type);

	return base == NUMERICOID || base == FLOAT4OID || base == FLOAT8OID;
}

static DpFormat *
csv_open(const DpPipelineSpec *spec, DpField *fields, int nfields, const char *topic)
{
	CsvFormat  *format = palloc0(sizeof(CsvFormat));
	DpCsvOptions options;

	dp_csv_read_options(spec, &options);
	dp_format_init(&format->base, &dp_format_csv_ops, fields, nfields, topic);
	format->columns = options.columns ? pstrdup(options.columns) : NULL;
	format->ordinal = palloc(sizeof(int) * Max(nfields, 1));
	place_fields(format);
	format->swap = palloc(sizeof(bool) * Max(nfields, 1));
	for (int i = 0; i < nfields; i++)
		format->swap[i] = options.decimal_comma && has_decimals(&fields[i]);
	read_nulls(format, options.nulls);
	initStringInfo(&format->text);
	initStringInfo(&format->rewritten);
	format->capacity = 64;
	format->fields = palloc(sizeof(CsvField) * format->capacity);

	if (csv_init(&format->parser, CSV_STRICT | CSV_STRICT_FINI | CSV_EMPTY_IS_NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("could not create a CSV parser")));
	format->free_parser.func = free_parser;
	format->free_parser.arg = &format->parser;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &format->free_parser);
	csv_set_blk_size(&format->parser, BUFFER_STEP);
	set_dialect(format, options.delimiter ? options.delimiter : ',', options.quote,
				options.escape, options.trim);
	return &format->base;
}

/* ---------- files ---------- */

static char *
to_utf8(char *name)
{
	return pg_server_to_any(name, strlen(name), PG_UTF8);
}

/* Names that a header would have. */
static List *
wanted_names(const DpPipelineSpec *spec, const char *columns)
{
	List	   *names = NIL;
	ListCell   *lc;
	char	   *list = columns ? pstrdup(columns) : NULL;

	for (char *name = list ? strtok_r(list, ",", &list) : NULL; name != NULL;
		 name = strtok_r(NULL, ",", &list))
		names = lappend(names, to_utf8(name));
	if (columns != NULL)
		return names;
	foreach(lc, spec->columns)
	{
		DpColumnSpec *column = lfirst(lc);
		const char *path;

		if (dp_field_from(column->from, &path) == DP_FROM_VALUE && dp_csv_ordinal(path) == 0)
			names = lappend(names, to_utf8(column->from ? column->from : column->name));
	}
	return names;
}

/* Names as the file has them are UTF-8, and need not even be that. */
static List *
header_to_server(List *header)
{
	ListCell   *lc;

	foreach(lc, header)
	{
		const char *name = lfirst(lc);
		int			len = strlen(name);
		DpReject	reject;

		if (pg_verify_mbstr(PG_UTF8, name, len, true) && dp_field_to_server(&name, &len, &reject))
			lfirst(lc) = pnstrdup(name, len);
		else
		{
			for (char *c = lfirst(lc); *c; c++)
				*c = IS_HIGHBIT_SET(*c) ? '?' : *c;
		}
	}
	return header;
}

static DpSplitter *
csv_splitter(const DpPipelineSpec *spec, const char *sample, Size len, bool all)
{
	DpCsvOptions options;
	DpCsvDialect dialect;
	DpSplitter *splitter;

	dp_csv_read_options(spec, &options);
	dp_csv_detect(&dialect, &options, wanted_names(spec, options.columns), sample, len, all);
	dialect.header = header_to_server(dialect.header);
	splitter = dp_csv_splitter(&dialect);
	splitter->ops = &dp_format_csv_ops;
	splitter->description = dp_csv_describe(&dialect);
	splitter->layout = dp_csv_layout_write(&dialect);
	splitter->found = dp_csv_found(&options, &dialect);
	return splitter;
}

static void
csv_adopt(DpFormat *base, const char *layout)
{
	CsvFormat  *format = (CsvFormat *) base;
	DpCsvDialect dialect;

	dp_csv_layout_read(layout, &dialect);
	set_dialect(format, dialect.delimiter, dialect.quote, dialect.escape, dialect.trim);
	if (format->columns != NULL)
		return;
	if (dialect.header == NIL)
	{
		dp_csv_need_no_header(base->fields, base->nfields);
		place_fields(format);
		return;
	}
	dp_csv_place_by_header(dialect.header, base->fields, base->nfields, format->ordinal);
	format->expected = list_length(dialect.header);
	format->exact = true;
}

/* ---------- decode ---------- */

/* libcsv: a field has ended.  BYTES is NULL for one that was left empty. */
static void
field_ended(void *bytes, size_t len, void *arg)
{
	CsvFormat  *format = arg;

	if (format->ended)
		format->second = true;
	if (format->second || format->nfields == format->capacity)
	{
		format->nfields = Min(format->nfields + 1, format->capacity);
		return;
	}
	format->fields[format->nfields].s = format->text.data + format->text.len;
	format->fields[format->nfields].len = bytes ? (int) len : -1;
	format->nfields++;
	memcpy(format->text.data + format->text.len, bytes ? bytes : "", bytes ? len : 0);
	format->text.len += bytes ? len : 0;
}

/* libcsv: a record has ended. */
static void
record_ended(int c, void *arg)
{
	((CsvFormat *) arg)->ended = true;
}

static void
grow_fields(CsvFormat *format, int n)
{
	if (n <= format->capacity)
		return;
	format->fields = repalloc_huge(format->fields, sizeof(CsvField) * n);
	format->capacity = n;
}

/* Make room beforehand, so that the callbacks need not allocate. */
static void
reserve(CsvFormat *format, const char *s, int len)
{
	grow_fields(format, dp_scan_count(s, len, format->delimiter) + 2);
	if (format->text.maxlen > BUFFER_KEPT && len < BUFFER_KEPT)
	{
		format->text.data = repalloc(format->text.data, BUFFER_STEP);
		format->text.maxlen = BUFFER_STEP;
		csv_free(&format->parser);
	}
	resetStringInfo(&format->text);
	enlargeStringInfo(&format->text, len + 1);
	format->nfields = 0;
	format->ended = format->second = false;
}

/* Reject after an error of libcsv, and leave the parser fresh for the next record. */
static bool
syntax_reject(CsvFormat *format, DpReject *reject)
{
	struct csv_parser *parser = &format->parser;
	int			error = csv_error(parser);

	(void) csv_set_opts(parser, CSV_STRICT | CSV_EMPTY_IS_NULL);
	(void) csv_fini(parser, NULL, NULL, NULL);
	(void) csv_set_opts(parser, CSV_STRICT | CSV_STRICT_FINI | CSV_EMPTY_IS_NULL);
	if (error == CSV_ENOMEM)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory for a CSV record")));
	return dp_reject(reject, "decode", NULL, ERRCODE_BAD_COPY_FILE_FORMAT,
					 "invalid CSV: %s", error == CSV_EPARSE
					 ? "a quote is missing or misplaced" : csv_strerror(error));
}

static bool
parse_quoted(CsvFormat *format, const char *s, int len, DpReject *reject)
{
	struct csv_parser *parser = &format->parser;

	reserve(format, s, len);
	if (csv_parse(parser, s, len, field_ended, record_ended, format) != len ||
		csv_fini(parser, field_ended, record_ended, format) != 0)
		return syntax_reject(format, reject);
	if (format->second)
		return dp_reject(reject, "decode", NULL, ERRCODE_BAD_COPY_FILE_FORMAT,
						 "message has more than one CSV record");
	return true;
}

static inline bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static inline CsvField *
next_field(CsvFormat *format)
{
	if (format->nfields == format->capacity)
		grow_fields(format, format->capacity * 2);
	return &format->fields[format->nfields++];
}

/* A record that is nothing but fields and delimiters. */
static void
divide(CsvFormat *format, const char *s, const char *end)
{
	const char *last;

	format->nfields = 0;
	if (s == end)
		return;
	do
	{
		CsvField   *field = next_field(format);
		const char *stop;

		last = memchr(s, format->delimiter, end - s);
		stop = last ? last : end;
		while (format->trim && stop > s && is_blank(stop[-1]))
			stop--;
		while (format->trim && s < stop && is_blank(*s))
			s++;
		field->s = s;
		field->len = stop > s ? stop - s : -1;
		s = last + 1;
	} while (last != NULL);
}

/* The same with fields in quotes; false: there is more to it than that. */
static bool
divide_quoted(CsvFormat *format, const char *s, const char *end)
{
	char		quote = format->parser.quote_char;

	format->nfields = 0;
	for (;;)
	{
		CsvField   *field = next_field(format);
		const char *stop;

		if (s < end && *s == quote)
		{
			stop = memchr(s + 1, quote, end - s - 1);
			if (stop == NULL || (stop + 1 < end && stop[1] != format->delimiter))
				return false;
			field->s = s + 1;
			field->len = stop - field->s;
			stop++;
		}
		else
		{
			stop = memchr(s, format->delimiter, end - s);
			stop = stop ? stop : end;
			if (dp_scan(&format->special, s, 0, stop - s) < stop - s)
				return false;
			field->s = s;
			field->len = stop > s ? stop - s : -1;
		}
		if (stop == end)
			return true;
		s = stop + 1;
	}
}

/* Is this byte, behind the escape, one that would mean something without it? */
static inline bool
is_escapable(const CsvFormat *format, char c)
{
	return c == format->delimiter || c == format->escape || c == '\n' || c == '\r' ||
		c == (char) format->parser.quote_char;
}

/*
 * Rewrite one field from I up to its delimiter with quotes that are doubled;
 * returns where it ends.  An escape before any other character is kept, so
 * that \N remains what it is.
 */
static int
rewrite_field(CsvFormat *format, const char *s, int len, int i)
{
	StringInfo	out = &format->rewritten;
	char		quote = format->parser.quote_char;
	bool		quoted = i < len && s[i] == quote;
	bool		wrap = quoted;

	for (int j = i; j < len && !wrap && s[j] != format->delimiter; j++)
		wrap = s[j] == format->escape;
	if (wrap)
		appendStringInfoChar(out, quote);
	for (i += quoted; i < len && (quoted || s[i] != format->delimiter); i++)
	{
		bool		plain = !wrap;

		if (s[i] == format->escape && i + 1 < len && is_escapable(format, s[i + 1]))
			i++;
		else if (quoted && s[i] == quote)
		{
			/* The field ends; what may follow is for libcsv to refuse. */
			quoted = wrap = false;
			plain = true;
		}
		if (!plain && s[i] == quote)
			appendStringInfoChar(out, quote);
		appendStringInfoChar(out, s[i]);
	}
	if (wrap && !quoted)
		appendStringInfoChar(out, quote);
	return i;
}

static void
rewrite(CsvFormat *format, const char *s, int len)
{
	int			i = 0;

	if (format->rewritten.maxlen > BUFFER_KEPT && len < BUFFER_KEPT)
	{
		format->rewritten.data = repalloc(format->rewritten.data, BUFFER_STEP);
		format->rewritten.maxlen = BUFFER_STEP;
	}
	resetStringInfo(&format->rewritten);
	while ((i = rewrite_field(format, s, len, i)) < len)
	{
		appendStringInfoChar(&format->rewritten, format->delimiter);
		i++;
	}
}

static bool
parse_record(CsvFormat *format, const char *s, int len, DpReject *reject)
{
	int			bare = len;

	if (bare > 0 && s[bare - 1] == '\n')
		bare--;
	if (bare > 0 && s[bare - 1] == '\r')
		bare--;
	if (dp_scan(&format->special, s, 0, bare) == bare)
		divide(format, s, s + bare);
	else if (format->escape || format->trim || !divide_quoted(format, s, s + bare))
	{
		if (format->escape)
		{
			rewrite(format, s, len);
			s = format->rewritten.data;
			len = format->rewritten.len;
		}
		if (!parse_quoted(format, s, len, reject))
			return false;
	}
	if (format->nfields == 0)
		return dp_reject(reject, "decode", NULL, ERRCODE_BAD_COPY_FILE_FORMAT,
						 "message is empty, expected a CSV record");
	if (format->expected > 0 && format->nfields > format->expected)
		return dp_reject(reject, "decode", NULL, ERRCODE_BAD_COPY_FILE_FORMAT,
						 "extra data after last expected field: %d fields, expected %d",
						 format->nfields, format->expected);
	if (format->exact && format->nfields < format->expected)
		return dp_reject(reject, "decode", NULL, ERRCODE_BAD_COPY_FILE_FORMAT,
						 "the record has too few fields: %d, the header has %d",
						 format->nfields, format->expected);
	return true;
}

/* NULL as COPY reads it: an empty field without quotes, or a text of option null. */
static inline bool
is_null(const CsvFormat *format, const CsvField *field)
{
	for (int i = 0; i < format->nnulls; i++)
	{
		const CsvNull *null = &format->nulls[i];

		if (null->len == 0 ? field->len < 0
			: field->len == null->len && memcmp(field->s, null->s, null->len) == 0)
			return true;
	}
	return false;
}

/* A number with a decimal comma: exchange comma and point, so that 1.234 is not taken for less. */
static const char *
swap_decimals(const CsvField *field)
{
	char	   *copy = pnstrdup(field->s, field->len);

	for (char *c = copy; *c; c++)
		*c = *c == ',' ? '.' : *c == '.' ? ',' : *c;
	return copy;
}

static bool
csv_decode(DpFormat *base, const DpRecord *rec, Datum *values, bool *isnull, DpReject *reject)
{
	CsvFormat  *format = (CsvFormat *) base;
	const char *s = rec->value;
	int			len = rec->value_len;

	dp_field_begin(base, values, isnull);
	dp_field_skip_bom(&s, &len);
	if (!dp_field_verify(s, len, "message", reject) || !parse_record(format, s, len, reject))
		return false;
	for (int i = 0; i < base->nfields; i++)
	{
		int			ordinal = format->ordinal[i];
		CsvField   *field = &format->fields[Max(ordinal, 0)];

		if (ordinal < 0)
			continue;
		if (ordinal >= format->nfields)
			return dp_reject(reject, "decode", base->fields[i].name,
							 ERRCODE_BAD_COPY_FILE_FORMAT,
							 "missing data for column \"%s\": the record has %d fields",
							 base->fields[i].name, format->nfields);
		if (!is_null(format, field) &&
			!dp_field_store(base, i, format->swap[i] && field->len > 0
							? swap_decimals(field) : field->s, Max(field->len, 0),
							values, isnull, reject))
			return false;
	}
	return dp_field_finish(base, rec, values, isnull, reject);
}
