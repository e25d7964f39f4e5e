/*
 * format_json.c
 *	  A message is one JSON document.  The only file that knows yyjson.
 *
 *	  bytes -> yyjson tree -> members of the root, matched once to slots
 *	                              slot -> fields: the value itself, or what a
 *	                              pointer finds below it -> text -> cast
 *
 * A slot is a distinct first step of the fields' paths.  The members of the
 * root are walked once; each is compared with the slot after the last match
 * first (messages of one producer repeat their order) and only then looked up
 * in a small hash table.  Of duplicate members the last one wins, at every
 * level, as in jsonb.  Numbers stay text until the column's parser reads
 * them, so no digit is lost.
 *
 * Into a json or jsonb column goes the JSON value as it stands, a string
 * included; into a text column a string's content, or the JSON text of
 * anything else.  An object or array fits no other type.
 *
 * yyjson reads without recursion and calls nothing of ours but the allocator.
 * Trees of ordinary messages live in a pool that belongs to the format and is
 * overwritten by the next message; those of large ones in a memory context
 * that is reset after use, so that one large message does not stay in memory.
 *
 * Measured in process by bench/decode.sql (one thread of a 2-core virtual
 * machine, gcc -O2, PostgreSQL 15, yyjson 0.10; best of 9 runs of 200,000): a
 * 185-byte event of 8 members into bigint, timestamptz, 3 text, int and
 * numeric(12,2) takes 0.37 us, of which yyjson's reading is 0.17 us.  One
 * column alone: int 57 ns, text 67, bigint 69, timestamptz 76, numeric(12,2)
 * 102, jsonb of 25 bytes 1650 (jsonb_in).
 */
#include "dynpipe.h"

#include <yyjson.h>

#include "format/field.h"
#include "format/json_paths.h"
#include "lib/stringinfo.h"
#include "port/pg_bitutils.h"
#include "utils/builtins.h"
#include "utils/json.h"
#include "utils/memutils.h"

#define POOL_MIN	(16 * 1024)
#define POOL_MAX	(8 * 1024 * 1024)

/* Memory for a large message's tree. */
typedef struct LargeTree
{
	MemoryContext cxt;			/* NULL: none was needed yet */
	Size		limit;			/* of one allocation */
} LargeTree;

typedef struct JsonReader
{
	DpFormat	base;
	JsonPaths	paths;
	yyjson_val **found;			/* per slot, for the current message */
	MemoryContext owner;		/* of the pool */
	char	   *pool;
	Size		pool_size;
	LargeTree	large;			/* trees that would need a pool above POOL_MAX */
} JsonReader;

static void json_check(const DpPipelineSpec *spec, DpDocument *doc);
static DpFormat *json_open(const DpPipelineSpec *spec, DpField *fields, int nfields,
						   const char *topic);
static bool json_decode(DpFormat *format, const DpRecord *rec,
						Datum *values, bool *isnull, DpReject *reject);
static bool decode_root(JsonReader *format, const DpRecord *rec, yyjson_val *root,
						const char *s, int len, Datum *values, bool *isnull, DpReject *reject);

static void json_adopt(DpFormat *format, const char *layout);

static const char *const json_options[] = {"records", "encoding", NULL};

const DpFormatOps dp_format_json_ops = {
	.name = "json",
	.options = json_options,
	.check = json_check,
	.open = json_open,
	.decode = json_decode,
	.splitter = dp_json_splitter,
	.split = dp_json_split,
	.adopt = json_adopt,
};

static void
json_check(const DpPipelineSpec *spec, DpDocument *doc)
{
	const char *records = dp_format_option(spec, "records");
	const char *pointer = psprintf("%s/format/records", spec->pointer);

	dp_format_check_encoding(spec, doc);
	dp_format_check_files_only(spec, doc, "records");
	if (records != NULL && *records != '/')
		dp_config_add_problem(doc, pointer, "Give a JSON pointer, such as \"/data/items\".",
							  "records must begin with a slash, not \"%s\"", records);
}

/* Every file is like any other. */
static void
json_adopt(DpFormat *format, const char *layout)
{
}

/* ---------- open ---------- */

DpFormat *
dp_format_json_reader(DpField *fields, int nfields)
{
	JsonReader *format = palloc0(sizeof(JsonReader));

	format->base.ops = &dp_format_json_ops;
	format->base.fields = fields;
	format->base.nfields = nfields;
	format->owner = CurrentMemoryContext;
	dp_json_open_paths(&format->paths, fields, nfields);
	format->found = palloc0(sizeof(yyjson_val *) * (nfields + 1));
	return &format->base;
}

static DpFormat *
json_open(const DpPipelineSpec *spec, DpField *fields, int nfields, const char *topic)
{
	DpFormat   *format = dp_format_json_reader(fields, nfields);

	dp_format_init(format, &dp_format_json_ops, fields, nfields, topic);
	return format;
}

/* ---------- memory for yyjson ---------- */

/*
 * yyjson's allocator over a memory context.  Out of memory raises: yyjson has
 * nothing to clean up, and it must not look like a fault of the message.
 */
static void *
context_malloc(void *cxt, size_t size)
{
	return MemoryContextAllocHuge(cxt, size);
}

static void *
context_realloc(void *cxt, void *ptr, size_t old_size, size_t size)
{
	return repalloc_huge(ptr, size);
}

static void *
large_malloc(void *arg, size_t size)
{
	LargeTree  *tree = arg;

	return size > tree->limit ? NULL : MemoryContextAllocHuge(tree->cxt, size);
}

static void *
large_realloc(void *arg, void *ptr, size_t old_size, size_t size)
{
	LargeTree  *tree = arg;

	return size > tree->limit ? NULL : repalloc_huge(ptr, size);
}

static void
context_free(void *cxt, void *ptr)
{
	pfree(ptr);
}

static yyjson_alc
context_allocator(MemoryContext cxt)
{
	return (yyjson_alc) {context_malloc, context_realloc, context_free, cxt};
}

/* The allocator for a message of LEN bytes. */
static yyjson_alc
message_allocator(JsonReader *format, int len)
{
	Size		need = yyjson_read_max_memory_usage(len, YYJSON_READ_NUMBER_AS_RAW);
	yyjson_alc	alc;

	if (need > POOL_MAX)
	{
		if (format->large.cxt == NULL)
			format->large.cxt = AllocSetContextCreate(format->owner, "dynpipe large JSON message",
													  ALLOCSET_DEFAULT_SIZES);
		MemoryContextReset(format->large.cxt);
		format->large.limit = Min(need, dp_worker_memory * (Size) 1024 / 2);
		return (yyjson_alc) {large_malloc, large_realloc, context_free, &format->large};
	}
	if (need > format->pool_size)
	{
		if (format->pool)
			pfree(format->pool);
		format->pool = NULL;
		format->pool_size = 0;
		need = Max(need, POOL_MIN);
		format->pool = MemoryContextAlloc(format->owner, pg_nextpower2_size_t(need));
		format->pool_size = pg_nextpower2_size_t(need);
	}
	yyjson_alc_pool_init(&alc, format->pool, format->pool_size);
	return alc;
}

/* ---------- decode ---------- */

/* Why yyjson refused the message; text that is no UTF-8 is its own kind of wrong. */
static bool
syntax_reject(JsonReader *format, const char *s, int len, const yyjson_read_err *err,
			  DpReject *reject)
{
	Size		need = yyjson_read_max_memory_usage(len, YYJSON_READ_NUMBER_AS_RAW);

	if (err->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION && need > POOL_MAX &&
		need > format->large.limit)
		return dp_reject(reject, "decode", NULL, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
						 "JSON message of %d bytes needs too much memory", len);
	/* No valid message of that length needs more than NEED, but "[[[[" does. */
	if (err->code == YYJSON_READ_ERROR_MEMORY_ALLOCATION)
		return dp_reject(reject, "decode", NULL, ERRCODE_INVALID_TEXT_REPRESENTATION,
						 "invalid JSON: more brackets are opened than closed");
	if (!dp_field_verify(s, len, "message", reject))
		return false;
	return dp_reject(reject, "decode", NULL, ERRCODE_INVALID_TEXT_REPRESENTATION,
					 "invalid JSON at byte %zu: %s", err->pos + 1, err->msg);
}

static bool
json_decode(DpFormat *base, const DpRecord *rec, Datum *values, bool *isnull, DpReject *reject)
{
	JsonReader *format = (JsonReader *) base;
	const char *s = rec->value;
	int			len = rec->value_len;
	yyjson_alc	alc;
	yyjson_read_err err;
	yyjson_doc *doc;
	bool		ok;

	dp_field_begin(base, values, isnull);
	dp_field_skip_bom(&s, &len);
	if (len == 0)
		return dp_reject(reject, "decode", NULL, ERRCODE_INVALID_TEXT_REPRESENTATION,
						 "message is empty: it must be a JSON object");
	alc = message_allocator(format, len);
	doc = yyjson_read_opts(unconstify(char *, s), len, YYJSON_READ_NUMBER_AS_RAW, &alc, &err);
	ok = doc ? decode_root(format, rec, yyjson_doc_get_root(doc), s, len, values, isnull, reject)
		: syntax_reject(format, s, len, &err, reject);
	if (format->large.cxt)
		MemoryContextReset(format->large.cxt);
	return ok;
}

/* Note for each slot the member of ROOT that has its name, the last if several do. */
static void
match_members(JsonReader *format, yyjson_val *root)
{
	yyjson_obj_iter iter = yyjson_obj_iter_with(root);
	int			guess = 0;
	yyjson_val *key;

	memset(format->found, 0, sizeof(yyjson_val *) * format->paths.nslots);
	if (format->paths.nslots == 0)
		return;
	while ((key = yyjson_obj_iter_next(&iter)) != NULL)
	{
		const char *name = unsafe_yyjson_get_str(key);
		int			len = unsafe_yyjson_get_len(key);
		int			slot = guess;

		if (!dp_json_step_is(&format->paths.slots[slot].step, name, len))
			slot = dp_json_find_slot(&format->paths, name, len);
		if (slot < 0)
			continue;
		format->found[slot] = yyjson_obj_iter_get_val(key);
		guess = slot + 1 < format->paths.nslots ? slot + 1 : 0;
	}
}

/* One step down: a member (the last of that name) or an element; NULL: not there. */
static yyjson_val *
descend(yyjson_val *value, const JsonStep *step)
{
	yyjson_obj_iter iter;
	yyjson_val *key;
	yyjson_val *result = NULL;

	if (yyjson_is_arr(value))
		return step->index >= 0 ? yyjson_arr_get(value, step->index) : NULL;
	if (!yyjson_is_obj(value))
		return NULL;
	iter = yyjson_obj_iter_with(value);
	while ((key = yyjson_obj_iter_next(&iter)) != NULL)
	{
		if (dp_json_step_is(step, unsafe_yyjson_get_str(key), unsafe_yyjson_get_len(key)))
			result = yyjson_obj_iter_get_val(key);
	}
	return result;
}

/* A value's own JSON text, as it goes into a json or text column. */
static bool
store_json_text(JsonReader *format, int i, yyjson_val *value, Datum *values, bool *isnull,
				DpReject *reject)
{
	yyjson_alc	alc = context_allocator(CurrentMemoryContext);
	size_t		len;
	char	   *text = yyjson_val_write_opts(value, YYJSON_WRITE_NOFLAG, &alc, &len, NULL);
	bool		ok;

	if (text == NULL)
		return dp_reject(reject, "decode", format->base.fields[i].name,
						 ERRCODE_PROGRAM_LIMIT_EXCEEDED, "JSON value is too large");
	ok = dp_field_store(&format->base, i, text, len, values, isnull, reject);
	pfree(text);
	return ok;
}

/* A number in a notation that integer types do not read, such as 5.0 or 1e3, as digits. */
static bool
integer_text(const char *raw, int len, char *out, int *out_len)
{
	const char *end = raw + len;
	bool		negative = *raw == '-';
	uint64		mantissa = 0;
	int			exponent = 0;
	bool		fraction = false;

	for (raw += negative; raw < end && *raw != 'e' && *raw != 'E'; raw++)
	{
		if (*raw == '.')
		{
			fraction = true;
			continue;
		}
		if (mantissa > PG_UINT64_MAX / 10 - 1)
			return false;
		mantissa = mantissa * 10 + (*raw - '0');
		exponent -= fraction;
	}
	if (raw < end)
	{
		if (end - raw > 6)
			return false;
		exponent += atoi(pnstrdup(raw + 1, end - raw - 1));
	}
	for (; exponent < 0 && mantissa % 10 == 0 && mantissa != 0; exponent++)
		mantissa /= 10;
	if (mantissa == 0)
		exponent = 0;
	if (exponent < 0 || exponent > 19)
		return false;
	for (; exponent > 0; exponent--)
	{
		if (mantissa > PG_UINT64_MAX / 10)
			return false;
		mantissa *= 10;
	}
	*out_len = snprintf(out, 32, "%s" UINT64_FORMAT, negative ? "-" : "", mantissa);
	return true;
}

static inline bool
has_notation(const char *raw, int len)
{
	for (int i = 0; i < len; i++)
	{
		if (raw[i] == '.' || (raw[i] | 0x20) == 'e')
			return true;
	}
	return false;
}

static bool
store_number(JsonReader *format, int i, yyjson_val *value, Datum *values, bool *isnull,
			 DpReject *reject)
{
	const char *raw = unsafe_yyjson_get_raw(value);
	int			len = unsafe_yyjson_get_len(value);
	char		digits[32];
	int			ndigits;

	if (format->paths.fields[i].taker == TAKE_INTEGER && has_notation(raw, len) &&
		integer_text(raw, len, digits, &ndigits))
		return dp_field_store(&format->base, i, digits, ndigits, values, isnull, reject);
	return dp_field_store(&format->base, i, raw, len, values, isnull, reject);
}

/* A string into a json column stays a JSON string. */
static bool
store_json_string(JsonReader *format, int i, const char *s, int len, Datum *values,
				  bool *isnull, DpReject *reject)
{
	DpField    *field = &format->base.fields[i];
	StringInfoData buf;
	char	   *string;
	bool		ok;

	if (!dp_field_to_server(&s, &len, reject))
	{
		reject->column = field->name;
		return false;
	}
	if (!dp_field_clean(field, &s, &len))
		return true;
	initStringInfo(&buf);
	string = pnstrdup(s, len);
	escape_json(&buf, string);
	ok = dp_cast_text(&field->cast, buf.data, buf.len, &values[i], reject);
	pfree(string);
	pfree(buf.data);
	isnull[i] = !ok;
	if (!ok)
		reject->column = field->name;
	return ok;
}

static bool
store_string(JsonReader *format, int i, yyjson_val *value, Datum *values, bool *isnull,
			 DpReject *reject)
{
	const char *s = unsafe_yyjson_get_str(value);
	int			len = unsafe_yyjson_get_len(value);

	if (memchr(s, '\0', len) != NULL)
		return dp_reject(reject, "decode", format->base.fields[i].name,
						 ERRCODE_UNTRANSLATABLE_CHARACTER,
						 "unsupported Unicode escape sequence: \\u0000 cannot be text");
	if (format->paths.fields[i].taker == TAKE_JSON)
		return store_json_string(format, i, s, len, values, isnull, reject);
	return dp_field_store(&format->base, i, s, len, values, isnull, reject);
}

static bool
store_value(JsonReader *format, int i, yyjson_val *value, Datum *values, bool *isnull,
			DpReject *reject)
{
	switch (yyjson_get_type(value))
	{
		case YYJSON_TYPE_STR:
			return store_string(format, i, value, values, isnull, reject);
		case YYJSON_TYPE_RAW:
			return store_number(format, i, value, values, isnull, reject);
		case YYJSON_TYPE_BOOL:
			if (yyjson_is_true(value))
				return dp_field_store(&format->base, i, "true", 4, values, isnull, reject);
			return dp_field_store(&format->base, i, "false", 5, values, isnull, reject);
		case YYJSON_TYPE_ARR:
		case YYJSON_TYPE_OBJ:
			if (format->paths.fields[i].taker >= TAKE_TEXT)
				return store_json_text(format, i, value, values, isnull, reject);
			return dp_reject(reject, "cast", format->base.fields[i].name,
							 ERRCODE_INVALID_PARAMETER_VALUE, "cannot cast %s to type %s",
							 yyjson_is_arr(value) ? "an array" : "an object",
							 format_type_be(format->base.fields[i].type));
		default:
			return true;		/* null */
	}
}

static bool
decode_root(JsonReader *format, const DpRecord *rec, yyjson_val *root,
			const char *s, int len, Datum *values, bool *isnull, DpReject *reject)
{
	if (!yyjson_is_obj(root) && !format->paths.any_root)
		return dp_reject(reject, "decode", NULL, ERRCODE_INVALID_TEXT_REPRESENTATION,
						 "message must be a JSON object, found %s",
						 yyjson_is_raw(root) ? "number" : yyjson_get_type_desc(root));
	match_members(format, root);
	for (int i = 0; i < format->base.nfields; i++)
	{
		const JsonPath *path = &format->paths.fields[i];
		yyjson_val *value;

		if (path->slot == JSON_NOWHERE)
			continue;
		if (path->slot == JSON_ROOT && path->taker >= TAKE_TEXT && yyjson_is_ctn(root))
		{
			/* The whole document goes in as it was written. */
			if (!dp_field_store(&format->base, i, s, len, values, isnull, reject))
				return false;
			continue;
		}
		value = path->slot == JSON_ROOT ? root : format->found[path->slot];
		for (int n = 0; n < path->nsteps && value != NULL; n++)
			value = descend(value, &path->steps[n]);
		if (value != NULL && !store_value(format, i, value, values, isnull, reject))
			return false;
	}
	return dp_field_finish(&format->base, rec, values, isnull, reject);
}
