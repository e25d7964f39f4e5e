/*
 * format_csv.c
 *	  A message is one CSV record.  The only file that knows libcsv.
 *
 * Which field of the record a column gets:
 *	  from: "3"			the third;
 *	  columns: "a,b,c"	(option) the one that stands where its name, or its
 *						from:, stands in that list;
 *	  else				the one at the column's own position in the schema.
 *
 * As with COPY, a record with fewer or more fields than expected is refused,
 * since a missing or extra delimiter shifts everything behind it.  Only where
 * every column names its ordinal may there be more.
 *
 * libcsv calls back for each field; the callbacks only collect bytes and ends
 * in buffers of the format.  Its buffer is malloc's and freed with the
 * format's memory context.
 */
#include "dynpipe.h"

#include <csv.h>

#include "format/field.h"
#include "lib/stringinfo.h"

#define MAX_ORDINAL 100000
#define BUFFER_STEP (64 * 1024) /* libcsv's default of 128 bytes would realloc all day */
#define BUFFER_KEPT (1024 * 1024)	/* more is given back after the record */

typedef struct CsvField
{
	int			start;			/* in text */
	int			len;			/* -1: nothing between two delimiters, not even quotes */
} CsvField;

typedef struct CsvFormat
{
	DpFormat	base;
	struct csv_parser parser;
	MemoryContextCallback free_parser;
	int		   *ordinal;		/* per field: its place in the record from 0; -1: none */
	int			expected;		/* fields in a record; 0: at least as many as are used */
	const char *null;			/* text that means NULL; "": nothing between two delimiters */

	/* The current record. */
	StringInfoData text;
	CsvField   *fields;
	int			nfields;
	int			capacity;
	bool		ended;			/* the record's end was seen */
	bool		second;			/* and something after it */
} CsvFormat;

static void csv_check(const DpPipelineSpec *spec, DpDocument *doc);
static DpFormat *csv_open(const DpPipelineSpec *spec, DpField *fields, int nfields,
						  const char *topic);
static bool csv_decode(DpFormat *format, const DpRecord *rec,
					   Datum *values, bool *isnull, DpReject *reject);

static const char *const csv_options[] = {"delimiter", "quote", "null", "columns", NULL};

const DpFormatOps dp_format_csv_ops = {
	.name = "csv",
	.options = csv_options,
	.check = csv_check,
	.open = csv_open,
	.decode = csv_decode,
};

/* ---------- options ---------- */

static const char *
option(const DpPipelineSpec *spec, const char *name, const char *absent)
{
	ListCell   *lc;

	foreach(lc, spec->format_options)
	{
		DpSetting  *setting = lfirst(lc);

		if (strcmp(setting->name, name) == 0)
			return setting->value;
	}
	return absent;
}

/* The delimiter's byte; "tab" and "\t" may stand for a tab. */
static char
delimiter_of(const DpPipelineSpec *spec)
{
	const char *value = option(spec, "delimiter", ",");

	return strcmp(value, "tab") == 0 || strcmp(value, "\\t") == 0 ? '\t' : *value;
}

/* The place of NAME in a comma-separated list, blanks around names ignored; -1: not there. */
static int
list_position(const char *list, const char *name)
{
	int			len = strlen(name);

	for (int n = 0; list != NULL; n++)
	{
		const char *end = strchrnul(list, ',');
		const char *last = end;

		list += strspn(list, " ");
		while (last > list && last[-1] == ' ')
			last--;
		if (last - list == len && memcmp(list, name, len) == 0)
			return n;
		list = *end ? end + 1 : NULL;
	}
	return -1;
}

static int
count_names(const char *list)
{
	int			n = 1;

	for (; *list; list++)
		n += *list == ',';
	return n;
}

/* A 1-based ordinal, or 0. */
static int
ordinal_of(const char *from)
{
	if (from == NULL || *from == '\0' || strspn(from, "0123456789") != strlen(from) ||
		strlen(from) > 6 || atoi(from) > MAX_ORDINAL)
		return 0;
	return atoi(from);
}

static void
check_byte(const DpPipelineSpec *spec, DpDocument *doc, const char *name)
{
	const char *value = option(spec, name, "x");
	const char *pointer = psprintf("%s/format/%s", spec->pointer, name);

	if (strcmp(name, "delimiter") == 0 && (strcmp(value, "tab") == 0 || strcmp(value, "\\t") == 0))
		return;
	if (strlen(value) != 1 || IS_HIGHBIT_SET(*value))
		dp_config_add_problem(doc, pointer, "Give one ASCII character.",
							  "%s must be a single character, not \"%s\"", name, value);
	else if (*value == '\n' || *value == '\r')
		dp_config_add_problem(doc, pointer, "Choose another character.",
							  "%s cannot be a line break", name);
}

static void
csv_check(const DpPipelineSpec *spec, DpDocument *doc)
{
	const char *columns = option(spec, "columns", NULL);
	ListCell   *lc;

	check_byte(spec, doc, "delimiter");
	check_byte(spec, doc, "quote");
	if (delimiter_of(spec) == *option(spec, "quote", "\""))
		dp_config_add_problem(doc, psprintf("%s/format/quote", spec->pointer),
							  "Choose another character for one of them.",
							  "quote and delimiter must differ");
	foreach(lc, spec->columns)
	{
		DpColumnSpec *column = lfirst(lc);
		const char *path;
		const char *wanted = column->from ? column->from : column->name;

		if (dp_field_from(column->from, &path) != DP_FROM_VALUE || ordinal_of(path) > 0)
			continue;
		if (columns != NULL && list_position(columns, wanted) < 0)
			dp_config_add_problem(doc, psprintf("%s/format/columns", spec->pointer),
								  "List the names of all fields of a record in their order.",
								  "columns does not list \"%s\"", wanted);
		else if (columns == NULL && path != NULL)
			dp_config_add_problem(doc, psprintf("%s/schema/%d/from", spec->pointer,
												foreach_current_index(lc)),
								  "Give its number, such as \"3\", or set the option columns.",
								  "messages have no header line to find \"%s\" in", path);
	}
}

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

/* Give each field its place; a name that cannot be found was a problem of csv_check. */
static void
place_fields(CsvFormat *format, const char *columns)
{
	bool		all_ordinals = true;
	int			position = 0;

	format->ordinal = palloc(sizeof(int) * Max(format->base.nfields, 1));
	for (int i = 0; i < format->base.nfields; i++)
	{
		const DpField *field = &format->base.fields[i];
		int			ordinal = ordinal_of(dp_field_path(field));

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
		format->ordinal[i] = columns ?
			list_position(columns, field->path ? field->path : field->name) : position - 1;
		if (format->ordinal[i] < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("option \"columns\" does not list column \"%s\"", field->name)));
	}
	format->expected = columns ? count_names(columns) : all_ordinals ? 0 : position;
}

static DpFormat *
csv_open(const DpPipelineSpec *spec, DpField *fields, int nfields, const char *topic)
{
	CsvFormat  *format = palloc0(sizeof(CsvFormat));

	dp_format_init(&format->base, &dp_format_csv_ops, fields, nfields, topic);
	place_fields(format, option(spec, "columns", NULL));
	format->null = pstrdup(option(spec, "null", ""));
	initStringInfo(&format->text);
	format->capacity = 64;
	format->fields = palloc(sizeof(CsvField) * format->capacity);

	if (csv_init(&format->parser, CSV_STRICT | CSV_STRICT_FINI | CSV_EMPTY_IS_NULL) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY), errmsg("could not create a CSV parser")));
	format->free_parser.func = free_parser;
	format->free_parser.arg = &format->parser;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &format->free_parser);
	csv_set_delim(&format->parser, delimiter_of(spec));
	csv_set_quote(&format->parser, *option(spec, "quote", "\""));
	csv_set_blk_size(&format->parser, BUFFER_STEP);
	csv_set_space_func(&format->parser, keep_blanks);
	return &format->base;
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
	format->fields[format->nfields].start = format->text.len;
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

/* Make room beforehand, so that the callbacks need not allocate. */
static void
reserve(CsvFormat *format, const char *s, int len)
{
	int			fields = 2;

	for (int i = 0; i < len; i++)
		fields += s[i] == (char) format->parser.delim_char;
	if (fields > format->capacity)
	{
		format->fields = repalloc_huge(format->fields, sizeof(CsvField) * fields);
		format->capacity = fields;
	}
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
parse_record(CsvFormat *format, const char *s, int len, DpReject *reject)
{
	struct csv_parser *parser = &format->parser;

	reserve(format, s, len);
	if (csv_parse(parser, s, len, field_ended, record_ended, format) != len ||
		csv_fini(parser, field_ended, record_ended, format) != 0)
		return syntax_reject(format, reject);
	if (format->second)
		return dp_reject(reject, "decode", NULL, ERRCODE_BAD_COPY_FILE_FORMAT,
						 "message has more than one CSV record");
	if (format->nfields == 0)
		return dp_reject(reject, "decode", NULL, ERRCODE_BAD_COPY_FILE_FORMAT,
						 "message is empty, expected a CSV record");
	if (format->expected > 0 && format->nfields > format->expected)
		return dp_reject(reject, "decode", NULL, ERRCODE_BAD_COPY_FILE_FORMAT,
						 "extra data after last expected field: %d fields, expected %d",
						 format->nfields, format->expected);
	return true;
}

/* NULL as COPY reads it: an empty field without quotes, or the text of option null. */
static bool
is_null(const CsvFormat *format, const CsvField *field)
{
	const char *text = format->text.data + field->start;

	if (*format->null == '\0')
		return field->len < 0;
	return field->len == strlen(format->null) && memcmp(text, format->null, field->len) == 0;
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
			!dp_field_store(base, i, format->text.data + field->start, Max(field->len, 0),
							values, isnull, reject))
			return false;
	}
	return dp_field_finish(base, rec, values, isnull, reject);
}
