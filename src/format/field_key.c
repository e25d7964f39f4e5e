/*
 * field_key.c
 *	  Fields found inside a record's key: @key/pointer, and for tombstones the
 *	  key columns of silver.
 *
 * The key is read by a second JSON decoder over copies of those fields, made
 * once at open; its values are then moved to their places.
 *
 * What a tombstone's key means, in this order:
 *	  a JSON object		each key column is looked up in it as in a message;
 *	  one key column	the whole key is its text (format json: a JSON string
 *						is unquoted, so "A-1" and A-1 are the same key);
 *	  otherwise			the record is refused.
 */
#include "dynpipe.h"

#include "format/field.h"

typedef struct KeyPart
{
	DpFormat   *decoder;		/* NULL: no such fields */
	DpFormat   *scalar;			/* a single field: reads a key that is a JSON scalar */
	int		   *target;			/* place of its fields in the format's */
	Datum	   *values;
	bool	   *isnull;
} KeyPart;

struct DpKeyReader
{
	KeyPart		pointers;		/* @key/pointer fields */
	KeyPart		silver_key;		/* is_key fields that messages carry in the value */
};

static bool
is_pointer(const DpField *field)
{
	return field->from == DP_FROM_KEY && field->path != NULL;
}

static bool
is_silver_key(const DpField *field)
{
	return field->from == DP_FROM_VALUE && field->is_key;
}

static void
open_part(DpFormat *format, KeyPart *part, bool (*wanted) (const DpField *field))
{
	DpField    *fields = palloc0(sizeof(DpField) * format->nfields);
	int			n = 0;

	part->target = palloc(sizeof(int) * format->nfields);
	for (int i = 0; i < format->nfields; i++)
	{
		if (!wanted(&format->fields[i]))
			continue;
		fields[n] = format->fields[i];
		fields[n].from = DP_FROM_VALUE;
		fields[n].required = false;
		fields[n].has_default = false;
		part->target[n++] = i;
	}
	if (n == 0)
		return;
	part->decoder = dp_format_json_reader(fields, n);
	part->values = palloc(sizeof(Datum) * n);
	part->isnull = palloc(sizeof(bool) * n);
	if (n == 1)
	{
		DpField    *whole = palloc(sizeof(DpField));

		*whole = fields[0];
		whole->path = "";
		part->scalar = dp_format_json_reader(whole, 1);
	}
}

void
dp_key_open(DpFormat *format)
{
	bool		any = false;

	format->key_reader = NULL;
	for (int i = 0; i < format->nfields; i++)
		any |= is_pointer(&format->fields[i]) || is_silver_key(&format->fields[i]);
	if (!any)
		return;
	format->key_reader = palloc0(sizeof(struct DpKeyReader));
	open_part(format, &format->key_reader->pointers, is_pointer);
	open_part(format, &format->key_reader->silver_key, is_silver_key);
}

/* Decode the key as a JSON document for PART and hand its values out. */
static bool
decode_part(KeyPart *part, const DpRecord *rec, Datum *values, bool *isnull, DpReject *reject)
{
	DpRecord	key = *rec;

	key.value = rec->key;
	key.value_len = rec->key_len;
	if (!dp_format_decode(part->decoder, &key, part->values, part->isnull, reject))
	{
		if (reject->column == NULL)
			reject->message = psprintf("key of the record: %s", reject->message);
		return false;
	}
	for (int i = 0; i < part->decoder->nfields; i++)
	{
		values[part->target[i]] = part->values[i];
		isnull[part->target[i]] = part->isnull[i];
	}
	return true;
}

bool
dp_key_decode(DpFormat *format, const DpRecord *rec,
			  Datum *values, bool *isnull, DpReject *reject)
{
	KeyPart    *part = &format->key_reader->pointers;

	if (part->decoder == NULL || rec->key_len < 0)
		return true;
	return decode_part(part, rec, values, isnull, reject);
}

/* The whole key as the text of field I. */
static bool
whole_key(DpFormat *format, int i, const DpRecord *rec, Datum *values, bool *isnull,
		  DpReject *reject)
{
	if (dp_field_verify(rec->key, rec->key_len, "key", reject))
		return dp_field_store(format, i, rec->key, rec->key_len, values, isnull, reject);
	reject->column = format->fields[i].name;
	return false;
}

/* A JSON string as key: its content is the text of the one key column. */
static bool
quoted_key(KeyPart *part, const DpRecord *rec, Datum *values, bool *isnull, DpReject *reject)
{
	DpRecord	key = *rec;

	key.value = rec->key;
	key.value_len = rec->key_len;
	return dp_format_decode(part->scalar, &key, &values[part->target[0]],
							&isnull[part->target[0]], reject);
}

static bool
tombstone_key(DpFormat *format, KeyPart *part, const DpRecord *rec,
			  Datum *values, bool *isnull, DpReject *reject)
{
	const char *key = rec->key;
	int			len = rec->key_len;

	if (len < 0)
		return dp_reject(reject, "key", NULL, ERRCODE_NOT_NULL_VIOLATION,
						 "record without value has no key either");
	dp_field_skip_bom(&key, &len);
	while (len > 0 && strchr(" \t\r\n", *key) != NULL && *key != '\0')
	{
		key++;
		len--;
	}
	if (len > 0 && *key == '{')
		return decode_part(part, rec, values, isnull, reject);
	if (part->decoder->nfields > 1)
		return dp_reject(reject, "key", NULL, ERRCODE_INVALID_TEXT_REPRESENTATION,
						 "record without value: its key must be a JSON object with %d columns",
						 part->decoder->nfields);
	if (len > 1 && *key == '"' && strcmp(format->ops->name, "json") == 0)
		return quoted_key(part, rec, values, isnull, reject);
	return whole_key(format, part->target[0], rec, values, isnull, reject);
}

bool
dp_decode_tombstone(DpFormat *format, const DpRecord *rec,
					Datum *values, bool *isnull, DpReject *reject)
{
	struct DpKeyReader *reader = format->key_reader;

	dp_field_begin(format, values, isnull);
	if (reader != NULL && reader->silver_key.decoder != NULL &&
		!tombstone_key(format, &reader->silver_key, rec, values, isnull, reject))
		return false;
	if (reader != NULL && !dp_key_decode(format, rec, values, isnull, reject))
		return false;
	for (int i = 0; i < format->nfields; i++)
	{
		DpField    *field = &format->fields[i];

		if (field->from != DP_FROM_VALUE &&
			!dp_field_meta(format, i, rec, values, isnull, reject))
			return false;
		if (field->is_key && isnull[i])
			return dp_reject(reject, "key", field->name, ERRCODE_NOT_NULL_VIOLATION,
							 "record without value has no key column \"%s\"", field->name);
	}
	return true;
}
