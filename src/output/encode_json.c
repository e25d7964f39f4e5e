/*
 * encode_json.c
 *	  Rows as NDJSON: one object a line, made by the server's row_to_json, so
 *	  numbers are numbers, json is embedded, times are ISO 8601, and NaN and
 *	  the infinities, which JSON lacks, are strings.
 */
#include "dynpipe.h"

#include "output/encode.h"
#include "util/sqlbuf.h"
#include "utils/builtins.h"

static char *json_query(const DpTableName *table, List *columns);
static DpEncoder *json_open(const DpDestinationSpec *target, TupleDesc desc);
static void json_begin(DpEncoder *encoder, StringInfo out);
static void json_row(DpEncoder *encoder, TupleTableSlot *slot, StringInfo out);

const DpEncoderOps dp_encoder_json_ops = {
	.name = "json",
	.suffix = ".ndjson",
	.content_type = "application/x-ndjson",
	.query = json_query,
	.open = json_open,
	.begin = json_begin,
	.row = json_row
};

/* No column that is written begins with "_", so _row means the whole row. */
static char *
json_query(const DpTableName *table, List *columns)
{
	return dp_sql("SELECT row_to_json(_row)::text FROM (SELECT %s FROM %T"
				  " WHERE _partition = $1 ORDER BY _offset) AS _row",
				  dp_encoder_columns(columns), table);
}

static DpEncoder *
json_open(const DpDestinationSpec *target, TupleDesc desc)
{
	DpEncoder  *encoder = palloc0(sizeof(DpEncoder));

	encoder->ops = &dp_encoder_json_ops;
	encoder->desc = desc;
	return encoder;
}

static void
json_begin(DpEncoder *encoder, StringInfo out)
{
}

/* Line ends in JSON are white space between tokens: a json value may have them. */
static void
json_row(DpEncoder *encoder, TupleTableSlot *slot, StringInfo out)
{
	bool		isnull;
	char	   *line = TextDatumGetCString(slot_getattr(slot, 1, &isnull));
	Size		len = strlen(line);

	for (char *p = strpbrk(line, "\r\n"); p != NULL; p = strpbrk(p, "\r\n"))
		*p = ' ';
	appendBinaryStringInfo(out, line, len);
	appendStringInfoChar(out, '\n');
}
