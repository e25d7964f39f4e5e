/*
 * infer_names.c
 *	  Columns for a pipeline that names none.
 *
 *	  a header line      its names
 *	  JSON               the members of the records, in order of appearance
 *	  neither            column_1 ... column_n, n being what most records have
 *
 * A name stays as it is in the file where a column may be called so; where it
 * may not, or is there twice, the column gets another one and from: the place.
 */
#include "dynpipe.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "load/infer_names.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"

#define MAX_COLUMNS		1500	/* what a document may have */
#define COUNTED_RECORDS	20
#define NAMED_RECORDS	10000

static List *members(const DpPipelineSpec *spec, List *texts);
static void members_of(const DpPipelineSpec *spec, const DpSampleText *text, SPIPlanPtr plan,
					   List **names);
static DpFormat *open_whole(const DpPipelineSpec *spec, DpReader *reader);
static void add_members(SPIPlanPtr plan, Datum json, MemoryContext cxt, List **names);
static bool has(const List *names, const char *name);
static List *numbered(const DpPipelineSpec *spec, const DpSampleText *text);
static int	count_fields(const DpPipelineSpec *spec, DpReader *reader, const DpRecord *rec);
static bool has_field(const DpPipelineSpec *spec, DpReader *reader, const DpRecord *rec, int n);
static DpColumnSpec *make_column(const List *columns, const List *fields, const char *field,
								 const char *place);
static char *safe_name(const char *field, int ordinal);
static char *unique_name(const List *columns, const char *name);
static bool is_taken(const List *columns, const char *name);
static char *cut(const char *name, int bytes);
static char *pointer_to(const char *member);

List *
dp_infer_names(const DpPipelineSpec *spec, List *texts, MemoryContext cxt)
{
	bool		json = strcmp(spec->format, "json") == 0;
	DpReader   *reader = dp_sample_reader(spec, linitial(texts));
	List	   *fields = dp_reader_splitter(reader)->header;
	MemoryContext old;
	List	   *columns = NIL;
	ListCell   *lc;

	if (json)
		fields = members(spec, texts);
	else if (fields == NIL)
		fields = numbered(spec, linitial(texts));
	if (fields == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("file \"%s\" has no record to take columns from",
						((DpSampleText *) linitial(texts))->file)));
	if (list_length(fields) > MAX_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_EXCEPTION),
				 errmsg("the records have more than %d fields, which cannot all be columns",
						MAX_COLUMNS),
				 errhint("Name the columns to load in schema.")));
	old = MemoryContextSwitchTo(cxt);
	foreach(lc, fields)
	{
		const char *field = lfirst(lc);
		const char *place = json ? pointer_to(field) :
			psprintf("%d", foreach_current_index(lc) + 1);

		columns = lappend(columns, make_column(columns, fields, field, place));
	}
	MemoryContextSwitchTo(old);
	return columns;
}

/* The names of the members that the records of TEXTS have. */
static List *
members(const DpPipelineSpec *spec, List *texts)
{
	static Oid	types[] = {JSONOID};
	MemoryContext cxt = CurrentMemoryContext;
	List	   *names = NIL;
	SPIPlanPtr	plan;
	ListCell   *lc;

	SPI_connect();
	plan = SPI_prepare("SELECT pg_catalog.json_object_keys($1)", 1, types);
	if (plan == NULL)
		elog(ERROR, "cannot prepare: %s", SPI_result_code_string(SPI_result));
	MemoryContextSwitchTo(cxt);
	foreach(lc, texts)
		members_of(spec, lfirst(lc), plan, &names);
	SPI_finish();
	MemoryContextSwitchTo(cxt);
	return names;
}

static void
members_of(const DpPipelineSpec *spec, const DpSampleText *text, SPIPlanPtr plan, List **names)
{
	MemoryContext cxt = CurrentMemoryContext;
	MemoryContext row = AllocSetContextCreate(cxt, "dynpipe member names",
											  ALLOCSET_DEFAULT_SIZES);
	DpReader   *reader = dp_sample_reader(spec, text);
	DpFormat   *format = open_whole(spec, reader);
	DpRecords	records = {0};
	int			seen = 0;

	while (seen < NAMED_RECORDS && list_length(*names) <= MAX_COLUMNS &&
		   dp_reader_next(reader, 0, &records, 1000, 1024 * 1024))
	{
		for (int i = 0; i < records.n; i++)
		{
			Datum		values[2];
			bool		isnull[2];
			DpReject	reject;

			MemoryContextSwitchTo(row);
			if (records.rec[i].problem == NULL &&
				dp_format_decode(format, &records.rec[i], values, isnull, &reject) && !isnull[0])
				add_members(plan, values[0], cxt, names);
			MemoryContextSwitchTo(cxt);
			MemoryContextReset(row);
			CHECK_FOR_INTERRUPTS();
		}
		seen += records.n;
	}
	MemoryContextDelete(row);
}

/* A decoder that gives the whole record, as json, and proves that jsonb takes it too. */
static DpFormat *
open_whole(const DpPipelineSpec *spec, DpReader *reader)
{
	const DpFormatOps *ops = dp_format_find(spec->format);
	DpField    *fields = palloc0(sizeof(DpField) * 2);
	DpFormat   *format;

	for (int i = 0; i < 2; i++)
	{
		fields[i].name = "record";
		fields[i].type = i == 0 ? JSONOID : JSONBOID;
		fields[i].typmod = -1;
		fields[i].from = DP_FROM_RAW;
		dp_cast_init(&fields[i].cast, fields[i].type, -1, CurrentMemoryContext);
	}
	format = ops->open(spec, fields, 2, NULL);
	ops->adopt(format, dp_reader_splitter(reader)->layout);
	return format;
}

/* Names that are new are copied to CXT. */
static void
add_members(SPIPlanPtr plan, Datum json, MemoryContext cxt, List **names)
{
	text	   *value = DatumGetTextPP(json);
	const char *s = VARDATA_ANY(value);
	const char *end = s + VARSIZE_ANY_EXHDR(value);
	MemoryContext old = CurrentMemoryContext;

	while (s < end && (*s == ' ' || (*s >= '\t' && *s <= '\r')))
		s++;
	if (s == end || *s != '{')
		return;
	if (SPI_execute_plan(plan, &json, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "cannot read the members of a record");
	MemoryContextSwitchTo(cxt);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *name = SPI_getvalue(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1);

		if (name != NULL && !has(*names, name) && list_length(*names) <= MAX_COLUMNS)
			*names = lappend(*names, pstrdup(name));
	}
	SPI_freetuptable(SPI_tuptable);
	MemoryContextSwitchTo(old);
}

static bool
has(const List *names, const char *name)
{
	ListCell   *lc;

	foreach(lc, names)
		if (strcmp(lfirst(lc), name) == 0)
			return true;
	return false;
}

/* As many empty names as most of the first records have fields. */
static List *
numbered(const DpPipelineSpec *spec, const DpSampleText *text)
{
	DpReader   *reader = dp_sample_reader(spec, text);
	DpRecords	records = {0};
	int			counts[COUNTED_RECORDS] = {0};
	int			best = 0;
	int			votes = 0;
	List	   *names = NIL;

	(void) dp_reader_next(reader, 0, &records, COUNTED_RECORDS, 1024 * 1024);
	for (int i = 0; i < records.n; i++)
	{
		int			same = 0;

		if (records.rec[i].problem == NULL)
			counts[i] = count_fields(spec, reader, &records.rec[i]);
		for (int j = 0; j <= i; j++)
			same += counts[j] == counts[i];
		if (counts[i] > 0 && same > votes)
		{
			best = counts[i];
			votes = same;
		}
	}
	for (int i = 0; i < best; i++)
		names = lappend(names, "");
	return names;
}

/* Only the decoder knows how a record is divided: ask it for the n-th field. */
static int
count_fields(const DpPipelineSpec *spec, DpReader *reader, const DpRecord *rec)
{
	int			low = 0;		/* there are so many */
	int			high = 1;		/* but perhaps not so many */

	while (high <= MAX_COLUMNS + 1 && has_field(spec, reader, rec, high))
	{
		low = high;
		high *= 2;
	}
	while (high - low > 1)
	{
		int			middle = (low + high) / 2;

		if (has_field(spec, reader, rec, middle))
			low = middle;
		else
			high = middle;
	}
	return low;
}

static bool
has_field(const DpPipelineSpec *spec, DpReader *reader, const DpRecord *rec, int n)
{
	const DpFormatOps *ops = dp_format_find(spec->format);
	DpField		field = {.name = "field",.type = TEXTOID,.typmod = -1,.from = DP_FROM_VALUE};
	DpFormat   *format;
	DpReject	reject;
	Datum		value;
	bool		isnull;

	field.path = psprintf("%d", n);
	dp_cast_init(&field.cast, TEXTOID, -1, CurrentMemoryContext);
	format = ops->open(spec, &field, 1, NULL);
	ops->adopt(format, dp_reader_splitter(reader)->layout);
	return dp_format_decode(format, rec, &value, &isnull, &reject);
}

/* A column for FIELD, one of FIELDS, which is also found at PLACE. */
static DpColumnSpec *
make_column(const List *columns, const List *fields, const char *field, const char *place)
{
	DpColumnSpec *column = palloc0(sizeof(DpColumnSpec));
	int			same = 0;
	ListCell   *lc;

	foreach(lc, fields)
		same += strcmp(lfirst(lc), field) == 0;

	column->name = unique_name(columns, safe_name(field, list_length(columns) + 1));
	if (same > 1 || strcmp(column->name, field) != 0)
		column->from = pstrdup(place);
	return column;
}

/* FIELD as a column may be called: see dp_name_column_problem. */
static char *
safe_name(const char *field, int ordinal)
{
	char	   *name = pstrdup(field + strspn(field, " \t_"));
	int			len = strlen(name);
	const char *hint;

	for (char *p = name; *p != '\0'; p++)
		if ((unsigned char) *p < ' ' || *p == 0x7f)
			*p = '_';
	while (len > 0 && name[len - 1] == ' ')
		name[--len] = '\0';
	if (len == 0)
		return psprintf("column_%d", ordinal);
	name = cut(name, NAMEDATALEN - 1);
	return dp_name_column_problem(name, &hint) == NULL ? name :
		psprintf("%s_", cut(name, NAMEDATALEN - 2));
}

/* NAME, or NAME_2 ... when a column has it. */
static char *
unique_name(const List *columns, const char *name)
{
	char	   *result = pstrdup(name);

	for (int n = 2; is_taken(columns, result); n++)
	{
		char	   *suffix = psprintf("_%d", n);

		result = psprintf("%s%s", cut(name, NAMEDATALEN - 1 - strlen(suffix)), suffix);
	}
	return result;
}

static bool
is_taken(const List *columns, const char *name)
{
	ListCell   *lc;

	foreach(lc, columns)
		if (strcmp(((DpColumnSpec *) lfirst(lc))->name, name) == 0)
			return true;
	return false;
}

/* At most BYTES of NAME, whole characters. */
static char *
cut(const char *name, int bytes)
{
	int			len = strlen(name);

	return pnstrdup(name, len <= bytes ? len : pg_mbcliplen(name, len, bytes));
}

/* RFC 6901. */
static char *
pointer_to(const char *member)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoChar(&buf, '/');
	for (; *member != '\0'; member++)
	{
		if (*member == '~')
			appendStringInfoString(&buf, "~0");
		else if (*member == '/')
			appendStringInfoString(&buf, "~1");
		else
			appendStringInfoChar(&buf, *member);
	}
	return buf.data;
}
