/*
 * field_meta.c
 *	  Fields that come from the record itself: @value, @key, @timestamp,
 *	  @partition, @offset, @topic, @headers.
 *
 * Each has a natural type; a column of that type gets it directly, a column
 * of another type gets its text, cleaned and cast like any other field.
 */
#include "dynpipe.h"

#include "catalog/pg_type.h"
#include "format/field.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/timestamp.h"

/* Bytes as they are into bytea, as text into anything else. */
static bool
store_bytes(DpFormat *format, int i, const char *s, int len, const char *what,
			Datum *values, bool *isnull, DpReject *reject)
{
	if (s == NULL || len < 0)
		return true;
	if (format->fields[i].type == BYTEAOID)
	{
		values[i] = PointerGetDatum(cstring_to_text_with_len(s, len));
		isnull[i] = false;
		return true;
	}
	if (dp_field_verify(s, len, what, reject))
		return dp_field_store(format, i, s, len, values, isnull, reject);
	reject->column = format->fields[i].name;
	return false;
}

static bool
store_int(DpFormat *format, int i, int64 value, Datum *values, bool *isnull, DpReject *reject)
{
	char		buf[24];
	int			len = pg_lltoa(value, buf);

	return dp_field_store(format, i, buf, len, values, isnull, reject);
}

/* timestamptz; as a number, milliseconds of the Unix epoch; else the text of timestamptz. */
static bool
store_timestamp(DpFormat *format, int i, int64 ms, Datum *values, bool *isnull,
				DpReject *reject)
{
	Oid			type = format->fields[i].type;
	int64		epoch_usec = (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * USECS_PER_DAY;
	TimestampTz moment;
	char	   *text;

	if (ms < 0)
		return true;
	if (type == INT8OID || type == NUMERICOID)
		return store_int(format, i, ms, values, isnull, reject);
	if (ms > PG_INT64_MAX / 1000)
		return dp_reject(reject, "decode", format->fields[i].name,
						 ERRCODE_DATETIME_FIELD_OVERFLOW,
						 "timestamp of the record is out of range: %lld ms", (long long) ms);
	moment = ms * 1000 - epoch_usec;
	if (type == TIMESTAMPTZOID && format->fields[i].typmod < 0)
	{
		values[i] = TimestampTzGetDatum(moment);
		isnull[i] = false;
		return true;
	}
	text = DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(moment)));
	return dp_field_store(format, i, text, strlen(text), values, isnull, reject);
}

/* One header by name; of repeated ones the last, as Kafka clients do. */
static bool
store_header(DpFormat *format, int i, const DpRecord *rec, Datum *values, bool *isnull,
			 DpReject *reject)
{
	for (int h = rec->nheaders - 1; h >= 0; h--)
	{
		const DpHeader *header = &rec->headers[h];

		if (strcmp(header->name, format->fields[i].path) == 0)
			return header->value == NULL ||
				store_bytes(format, i, header->value, header->len, "header", values, isnull,
							reject);
	}
	return true;
}

static bool
store_headers(DpFormat *format, int i, const DpRecord *rec, Datum *values, bool *isnull,
			  DpReject *reject)
{
	Datum		all = dp_headers_jsonb(rec);
	char	   *text;

	if (all == (Datum) 0)
		return true;
	if (format->fields[i].type == JSONBOID)
	{
		values[i] = all;
		isnull[i] = false;
		return true;
	}
	text = DatumGetCString(DirectFunctionCall1(jsonb_out, all));
	if (dp_cast_text(&format->fields[i].cast, text, strlen(text), &values[i], reject))
	{
		isnull[i] = false;
		return true;
	}
	reject->column = format->fields[i].name;
	return false;
}

bool
dp_field_meta(DpFormat *format, int i, const DpRecord *rec,
			  Datum *values, bool *isnull, DpReject *reject)
{
	const DpField *field = &format->fields[i];

	switch (field->from)
	{
		case DP_FROM_VALUE:
			break;
		case DP_FROM_RAW:
			return store_bytes(format, i, rec->value, rec->value_len, "message",
							   values, isnull, reject);
		case DP_FROM_KEY:
			return field->path != NULL ||	/* the key reader's */
				store_bytes(format, i, rec->key, rec->key_len, "key", values, isnull, reject);
		case DP_FROM_TIMESTAMP:
			return store_timestamp(format, i, rec->timestamp_ms, values, isnull, reject);
		case DP_FROM_PARTITION:
			return store_int(format, i, rec->partition, values, isnull, reject);
		case DP_FROM_OFFSET:
			return store_int(format, i, rec->offset, values, isnull, reject);
		case DP_FROM_TOPIC:
			return format->topic == NULL ||
				store_bytes(format, i, format->topic, strlen(format->topic), "topic",
							values, isnull, reject);
		case DP_FROM_HEADERS:
			return field->path != NULL
				? store_header(format, i, rec, values, isnull, reject)
				: store_headers(format, i, rec, values, isnull, reject);
	}
	return true;
}
