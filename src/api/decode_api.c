/*
 * decode_api.c
 *	  dynpipe.decode: what would a pipeline make of this message?
 *
 *	  columns jsonb, options jsonb -> a spec and its fields -> the format that
 *	  a worker would open -> one row per column, or one row with the reason
 *
 * Nothing is read from or written to any table, and it runs with the caller's
 * rights.  Everything lives in the call's memory context.
 */
#include "dynpipe.h"

#include "catalog/pg_type.h"
#include "fmgr.h"
#include "format/format.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "parser/parse_type.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/lsyscache.h"

#define RESULT_COLUMNS 6

PGDLLEXPORT Datum dynpipe_decode(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(dynpipe_decode);

static const char *const clean_names[] = {
	[DP_CLEAN_TRIM] = "trim",
	[DP_CLEAN_LOWER] = "lower",
	[DP_CLEAN_UPPER] = "upper",
	[DP_CLEAN_EMPTY_AS_NULL] = "empty_as_null",
	[DP_CLEAN_COLLAPSE] = "collapse",
};

static void
bad_argument(const char *message, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s", message), errhint("%s", hint)));
}

/* ---------- jsonb to spec ---------- */

/* A scalar's text; NULL for null. */
static char *
scalar_text(const JsonbValue *v, const char *what)
{
	switch (v->type)
	{
		case jbvNull:
			return NULL;
		case jbvString:
			return pnstrdup(v->val.string.val, v->val.string.len);
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out,
													   NumericGetDatum(v->val.numeric)));
		case jbvBool:
			return pstrdup(v->val.boolean ? "true" : "false");
		default:
			bad_argument(psprintf("\"%s\" must be a single value", what),
						 "Give a string, a number, true, false or null.");
			return NULL;
	}
}

static bool
scalar_bool(const JsonbValue *v, const char *what)
{
	if (v->type != jbvBool)
		bad_argument(psprintf("\"%s\" must be true or false", what), "Leave out the quotes.");
	return v->val.boolean;
}

/* The elements of an array, as JsonbValue *. */
static List *
elements(const JsonbValue *v, const char *what)
{
	List	   *list = NIL;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	element;

	if (v->type != jbvBinary || !JsonContainerIsArray(v->val.binary.data) ||
		JsonContainerIsScalar(v->val.binary.data))
		bad_argument(psprintf("\"%s\" must be an array", what), "Write it in brackets.");
	it = JsonbIteratorInit(v->val.binary.data);
	(void) JsonbIteratorNext(&it, &element, true);
	while ((token = JsonbIteratorNext(&it, &element, true)) == WJB_ELEM)
	{
		JsonbValue *copy = palloc(sizeof(JsonbValue));

		*copy = element;
		list = lappend(list, copy);
	}
	return list;
}

static List *
clean_steps(const JsonbValue *v)
{
	List	   *steps = NIL;
	ListCell   *lc;

	foreach(lc, elements(v, "clean"))
	{
		char	   *name = scalar_text(lfirst(lc), "clean");
		int			step = 0;

		while (step < lengthof(clean_names) && (!name || strcmp(clean_names[step], name) != 0))
			step++;
		if (step == lengthof(clean_names))
			bad_argument(psprintf("unknown clean step \"%s\"", name ? name : "null"),
						 "Valid steps are trim, lower, upper, empty_as_null, collapse.");
		steps = lappend_int(steps, step);
	}
	return steps;
}

static void
set_member(DpColumnSpec *column, DpField *field, const char *name, const JsonbValue *v)
{
	if (strcmp(name, "name") == 0)
		column->name = scalar_text(v, name);
	else if (strcmp(name, "type") == 0)
		column->type = scalar_text(v, name);
	else if (strcmp(name, "from") == 0)
		column->from = scalar_text(v, name);
	else if (strcmp(name, "default") == 0)
		column->default_value = scalar_text(v, name);
	else if (strcmp(name, "description") == 0)
		column->description = scalar_text(v, name);
	else if (strcmp(name, "required") == 0)
		column->required = scalar_bool(v, name);
	else if (strcmp(name, "key") == 0)
		field->is_key = scalar_bool(v, name);
	else if (strcmp(name, "clean") == 0)
		column->clean = clean_steps(v);
	else
		bad_argument(psprintf("unknown column property \"%s\"", name),
					 "Valid properties are name, type, required, from, clean, default, "
					 "description, key.");
}

/* One element of the columns argument: a name, or an object. */
static DpColumnSpec *
read_column(const JsonbValue *v, DpField *field)
{
	DpColumnSpec *column = palloc0(sizeof(DpColumnSpec));
	JsonbIterator *it;
	JsonbValue	key,
				value;

	if (v->type == jbvString)
		column->name = scalar_text(v, "name");
	else if (v->type == jbvBinary && JsonContainerIsObject(v->val.binary.data))
	{
		it = JsonbIteratorInit(v->val.binary.data);
		(void) JsonbIteratorNext(&it, &key, true);
		while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
		{
			(void) JsonbIteratorNext(&it, &value, true);
			set_member(column, field, scalar_text(&key, "name"), &value);
		}
	}
	if (column->name == NULL)
		bad_argument("a column must be a name or an object with a name",
					 "For example \"id\" or {\"name\": \"id\", \"type\": \"bigint\"}.");
	return column;
}

static List *
read_options(Jsonb *options, const DpFormatOps *ops)
{
	List	   *list = NIL;
	JsonbIterator *it = JsonbIteratorInit(&options->root);
	JsonbValue	key,
				value;

	if (!JB_ROOT_IS_OBJECT(options))
		bad_argument("options must be a JSON object", "For example {\"delimiter\": \";\"}.");
	(void) JsonbIteratorNext(&it, &key, true);
	while (JsonbIteratorNext(&it, &key, true) == WJB_KEY)
	{
		DpSetting  *setting = palloc0(sizeof(DpSetting));
		const char *const *known = ops->options;

		(void) JsonbIteratorNext(&it, &value, true);
		setting->name = scalar_text(&key, "option");
		setting->value = scalar_text(&value, setting->name);
		while (*known && strcmp(*known, setting->name) != 0)
			known++;
		if (*known == NULL || setting->value == NULL)
			bad_argument(psprintf("invalid option \"%s\" for format %s", setting->name, ops->name),
						 "See the format's options in the configuration reference.");
		list = lappend(list, setting);
	}
	return list;
}

/* ---------- spec to fields ---------- */

static void
make_field(DpField *field, const DpColumnSpec *column)
{
	DpReject	reject;
	ListCell   *lc;

	field->name = column->name;
	field->type = TEXTOID;
	field->typmod = -1;
	if (column->type)
		dp_parse_type(column->type, &field->type, &field->typmod);
	field->path = column->name;
	if (column->from)
		field->from = dp_field_from(column->from, &field->path);
	field->required = column->required;
	field->clean = palloc(sizeof(DpClean) * (list_length(column->clean) + 1));
	foreach(lc, column->clean)
		field->clean[field->nclean++] = lfirst_int(lc);
	dp_cast_init(&field->cast, field->type, field->typmod, CurrentMemoryContext);
	if (column->default_value == NULL)
		return;
	field->has_default = true;
	if (!dp_cast_text(&field->cast, column->default_value, strlen(column->default_value),
					  &field->default_value, &reject))
		ereport(ERROR,
				(errcode(reject.sqlerrcode), errmsg("%s", reject.message),
				 errdetail("This is the default of column \"%s\".", column->name)));
}

static DpPipelineSpec *
read_spec(FunctionCallInfo fcinfo, const DpFormatOps *ops, DpField **fields)
{
	DpPipelineSpec *spec = palloc0(sizeof(DpPipelineSpec));
	Jsonb	   *columns = PG_GETARG_JSONB_P(1);
	JsonbValue	root = {.type = jbvBinary};
	DpDocument	doc = {0};
	List	   *list;
	ListCell   *lc;

	root.val.binary.data = &columns->root;
	root.val.binary.len = VARSIZE(columns);
	list = elements(&root, "columns");
	*fields = palloc0(sizeof(DpField) * (list_length(list) + 1));
	foreach(lc, list)
	{
		DpField    *field = &(*fields)[foreach_current_index(lc)];
		DpColumnSpec *column = read_column(lfirst(lc), field);

		spec->columns = lappend(spec->columns, column);
		make_field(field, column);
	}

	spec->pointer = "";
	spec->format = unconstify(char *, ops->name);
	spec->format_options = read_options(PG_GETARG_JSONB_P(4), ops);
	ops->check(spec, &doc);
	if (doc.problems != NIL)
	{
		DpProblem  *problem = linitial(doc.problems);

		bad_argument(problem->message, problem->hint ? problem->hint : "Correct the argument.");
	}
	return spec;
}

/* ---------- result ---------- */

static void
put_row(ReturnSetInfo *rsi, const DpField *field, const char *value, const DpReject *reject)
{
	Datum		values[RESULT_COLUMNS] = {0};
	bool		nulls[RESULT_COLUMNS] = {true, true, true, true, true, true};
	const char *texts[RESULT_COLUMNS] = {0};

	if (field)
	{
		texts[0] = field->name;
		texts[1] = format_type_with_typemod(field->type, field->typmod);
		texts[2] = value;
	}
	if (reject)
	{
		texts[3] = reject->stage;
		texts[4] = unpack_sql_state(reject->sqlerrcode);
		texts[5] = reject->message;
	}
	for (int i = 0; i < RESULT_COLUMNS; i++)
	{
		if (texts[i] == NULL)
			continue;
		values[i] = CStringGetTextDatum(texts[i]);
		nulls[i] = false;
	}
	tuplestore_putvalues(rsi->setResult, rsi->setDesc, values, nulls);
}

/* The refused column's row, or one without column when the whole message is at fault. */
static void
put_reject(ReturnSetInfo *rsi, const DpFormat *format, const DpReject *reject)
{
	const DpField *field = NULL;

	for (int i = 0; reject->column && i < format->nfields; i++)
	{
		if (strcmp(format->fields[i].name, reject->column) == 0)
			field = &format->fields[i];
	}
	put_row(rsi, field, NULL, reject);
}

static void
put_values(ReturnSetInfo *rsi, const DpFormat *format, const Datum *values, const bool *isnull)
{
	for (int i = 0; i < format->nfields; i++)
	{
		const DpField *field = &format->fields[i];
		Oid			out;
		bool		is_varlena;

		getTypeOutputInfo(field->type, &out, &is_varlena);
		put_row(rsi, field, isnull[i] ? NULL : OidOutputFunctionCall(out, values[i]), NULL);
	}
}

static void
read_record(FunctionCallInfo fcinfo, DpRecord *rec)
{
	memset(rec, 0, sizeof(*rec));
	rec->value_len = rec->key_len = -1;
	rec->timestamp_ms = -1;
	if (!PG_ARGISNULL(2))
	{
		bytea	   *value = PG_GETARG_BYTEA_PP(2);

		rec->value = VARDATA_ANY(value);
		rec->value_len = VARSIZE_ANY_EXHDR(value);
	}
	if (!PG_ARGISNULL(3))
	{
		bytea	   *key = PG_GETARG_BYTEA_PP(3);

		rec->key = VARDATA_ANY(key);
		rec->key_len = VARSIZE_ANY_EXHDR(key);
	}
}

/* decode(format text, columns jsonb, value bytea, key bytea, options jsonb) */
Datum
dynpipe_decode(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsi = (ReturnSetInfo *) fcinfo->resultinfo;
	const DpFormatOps *ops;
	DpField    *fields;
	DpFormat   *format;
	DpPipelineSpec *spec;
	DpRecord	rec;
	DpReject	reject = {0};
	Datum	   *values;
	bool	   *isnull;

	InitMaterializedSRF(fcinfo, 0);
	if (PG_ARGISNULL(0) || PG_ARGISNULL(1) || PG_ARGISNULL(4))
		bad_argument("format, columns and options must not be null",
					 "Only value and key may be null.");
	ops = dp_format_find(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	if (ops == NULL)
		bad_argument(psprintf("unknown format \"%s\"", text_to_cstring(PG_GETARG_TEXT_PP(0))),
					 psprintf("Valid formats are %s.", dp_format_names()));

	spec = read_spec(fcinfo, ops, &fields);
	format = ops->open(spec, fields, list_length(spec->columns), NULL);
	values = palloc0(sizeof(Datum) * (format->nfields + 1));
	isnull = palloc0(sizeof(bool) * (format->nfields + 1));
	read_record(fcinfo, &rec);

	if (rec.value == NULL ? dp_decode_tombstone(format, &rec, values, isnull, &reject)
		: dp_format_decode(format, &rec, values, isnull, &reject))
		put_values(rsi, format, values, isnull);
	else
		put_reject(rsi, format, &reject);
	return (Datum) 0;
}

#ifdef DYNPIPE_BENCH
#include "portability/instr_time.h"
#include "utils/memutils.h"

PGDLLEXPORT Datum dynpipe_decode_bench(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(dynpipe_decode_bench);

/* Damage up to N bytes of a copy of VALUE, mostly with bytes that mean something. */
static void
mutate(DpRecord *rec, const DpRecord *original, char *copy, int n, uint64 *seed)
{
	static const char bytes[] = "{}[]\",:\\u0dc 1e.-+\n\0\377\303\244";

	memcpy(copy, original->value, original->value_len);
	rec->value = copy;
	rec->value_len = original->value_len;
	for (int i = 0; i < n && rec->value_len > 0; i++)
	{
		*seed = *seed * UINT64CONST(6364136223846793005) + UINT64CONST(1442695040888963407);
		copy[(*seed >> 33) % rec->value_len] = bytes[(*seed >> 20) % sizeof(bytes)];
		if ((*seed >> 50) % 16 == 0)
			rec->value_len = (*seed >> 40) % rec->value_len;
	}
}

/*
 * decode_bench(format, columns, value, key, options, loops, damage):
 * nanoseconds per record.  As in a worker, results live in a batch context
 * that is reset every 1000 records.  With damage, each record has up to that
 * many bytes changed, and the part of records that was accepted is returned.
 * Built by "make COPT=-DDYNPIPE_BENCH"; see bench/decode.sql.
 */
Datum
dynpipe_decode_bench(PG_FUNCTION_ARGS)
{
	const DpFormatOps *ops = dp_format_find(text_to_cstring(PG_GETARG_TEXT_PP(0)));
	int			loops = PG_GETARG_INT32(5);
	MemoryContext batch = AllocSetContextCreate(CurrentMemoryContext, "bench batch",
												ALLOCSET_DEFAULT_SIZES);
	DpField    *fields;
	DpPipelineSpec *spec = read_spec(fcinfo, ops, &fields);
	DpFormat   *format = ops->open(spec, fields, list_length(spec->columns), "bench");
	Datum	   *values = palloc0(sizeof(Datum) * (format->nfields + 1));
	bool	   *isnull = palloc0(sizeof(bool) * (format->nfields + 1));
	int			damage = PG_GETARG_INT32(6);
	DpRecord	original;
	DpRecord	rec;
	DpHeader	header = {"h"};
	DpReject	reject;
	instr_time	start,
				end;
	char	   *copy;
	uint64		seed = 42;
	int			accepted = 0;

	read_record(fcinfo, &original);
	rec = original;
	copy = palloc(original.value_len + 1);
	MemoryContextSwitchTo(batch);
	INSTR_TIME_SET_CURRENT(start);
	for (int i = 0; i < loops; i++)
	{
		if (i % 1000 == 0)
			MemoryContextReset(batch);
		if (damage > 0)
		{
			mutate(&rec, &original, copy, i % (damage + 1), &seed);
			rec.key = header.value = rec.value;
			rec.key_len = header.len = rec.value_len;
			rec.headers = &header;
			rec.nheaders = 1;
		}
		accepted += dp_format_decode(format, &rec, values, isnull, &reject);
		if (damage > 0)
			(void) dp_decode_tombstone(format, &rec, values, isnull, &reject);
	}
	INSTR_TIME_SET_CURRENT(end);
	INSTR_TIME_SUBTRACT(end, start);
	PG_RETURN_FLOAT8(damage > 0 ? (double) accepted / loops
					 : INSTR_TIME_GET_DOUBLE(end) * 1e9 / loops);
}
#endif							/* DYNPIPE_BENCH */
