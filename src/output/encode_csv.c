/*
 * encode_csv.c
 *	  Rows as CSV: RFC 4180 with line feeds, as COPY ... CSV reads it.
 *
 * NULL is nothing at all, the empty string is "".  Values are what their
 * types' output functions say, but booleans are true and false: not everybody
 * who reads CSV takes t and f for them.
 */
#include "dynpipe.h"

#include "catalog/pg_type.h"
#include "output/encode.h"
#include "util/sqlbuf.h"
#include "utils/lsyscache.h"

typedef struct CsvEncoder
{
	DpEncoder	base;
	bool		header;
	bool	   *is_bool;
	FmgrInfo   *out;			/* per column */
} CsvEncoder;

static char *csv_query(const DpTableName *table, List *columns);
static DpEncoder *csv_open(const DpDestinationSpec *target, TupleDesc desc);
static void csv_begin(DpEncoder *encoder, StringInfo out);
static void csv_row(DpEncoder *encoder, TupleTableSlot *slot, StringInfo out);
static void append_field(StringInfo out, const char *text);

const DpEncoderOps dp_encoder_csv_ops = {
	.name = "csv",
	.suffix = ".csv",
	.content_type = "text/csv; charset=utf-8",
	.query = csv_query,
	.open = csv_open,
	.begin = csv_begin,
	.row = csv_row
};

static char *
csv_query(const DpTableName *table, List *columns)
{
	return dp_sql("SELECT %s FROM %T WHERE _partition = $1 ORDER BY _offset",
				  dp_encoder_columns(columns), table);
}

static DpEncoder *
csv_open(const DpDestinationSpec *target, TupleDesc desc)
{
	CsvEncoder *csv = palloc0(sizeof(CsvEncoder));

	csv->base.ops = &dp_encoder_csv_ops;
	csv->base.desc = desc;
	csv->header = target->header;
	csv->is_bool = palloc0(sizeof(bool) * Max(desc->natts, 1));
	csv->out = palloc0(sizeof(FmgrInfo) * Max(desc->natts, 1));
	for (int i = 0; i < desc->natts; i++)
	{
		Oid			type = TupleDescAttr(desc, i)->atttypid;
		Oid			function;
		bool		varlena;

		csv->is_bool[i] = getBaseType(type) == BOOLOID;
		getTypeOutputInfo(type, &function, &varlena);
		fmgr_info(function, &csv->out[i]);
	}
	return &csv->base;
}

static void
csv_begin(DpEncoder *encoder, StringInfo out)
{
	TupleDesc	desc = encoder->desc;

	if (!((CsvEncoder *) encoder)->header)
		return;
	for (int i = 0; i < desc->natts; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		append_field(out, NameStr(TupleDescAttr(desc, i)->attname));
	}
	appendStringInfoChar(out, '\n');
}

static void
csv_row(DpEncoder *encoder, TupleTableSlot *slot, StringInfo out)
{
	CsvEncoder *csv = (CsvEncoder *) encoder;

	slot_getallattrs(slot);
	for (int i = 0; i < encoder->desc->natts; i++)
	{
		if (i > 0)
			appendStringInfoChar(out, ',');
		if (slot->tts_isnull[i])
			continue;
		if (csv->is_bool[i])
			appendStringInfoString(out, DatumGetBool(slot->tts_values[i]) ? "true" : "false");
		else
			append_field(out, OutputFunctionCall(&csv->out[i], slot->tts_values[i]));
	}
	appendStringInfoChar(out, '\n');
}

/*
 * Quoted where a reader would take the plain text for something else: blanks
 * at the ends are cut off by some, \. alone ends COPY's data.
 */
static void
append_field(StringInfo out, const char *text)
{
	Size		len = strlen(text);

	if (len > 0 && strpbrk(text, ",\"\r\n\\") == NULL &&
		text[0] != ' ' && text[0] != '\t' && text[0] != '#' &&
		text[len - 1] != ' ' && text[len - 1] != '\t')
	{
		appendBinaryStringInfo(out, text, len);
		return;
	}
	appendStringInfoChar(out, '"');
	while (*text != '\0')
	{
		Size		plain = strcspn(text, "\"");

		appendBinaryStringInfo(out, text, plain);
		text += plain;
		if (*text == '"')
		{
			appendStringInfoString(out, "\"\"");
			text++;
		}
	}
	appendStringInfoChar(out, '"');
}
