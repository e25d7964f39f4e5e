/*
 * headers.c
 *	  A record's headers as jsonb.
 *
 * {"name": "text"}; a name that occurs more than once has an array in order
 * of occurrence; a null header is null; a value that is not text (invalid
 * UTF-8, NUL, or no such character in the database's encoding) is
 * {"base64": "..."}.  Bytes of a name that are not text become "?".
 */
#include "dynpipe.h"

#include "common/base64.h"
#include "format/field.h"
#include "mb/pg_wchar.h"
#include "utils/jsonb.h"

static JsonbValue
string_value(const char *s, int len)
{
	JsonbValue	v = {.type = jbvString};

	v.val.string.val = unconstify(char *, s);
	v.val.string.len = len;
	return v;
}

/* A name usable as a jsonb key in the database's encoding. */
static JsonbValue
header_name(const char *name)
{
	DpReject	ignored;
	int			len = strlen(name);
	char	   *ascii;

	if (dp_field_verify(name, len, "header", &ignored) &&
		dp_field_to_server(&name, &len, &ignored))
		return string_value(name, len);
	ascii = pstrdup(name);
	for (char *p = ascii; *p; p++)
	{
		if (IS_HIGHBIT_SET(*p))
			*p = '?';
	}
	return string_value(ascii, len);
}

static void
push_base64(JsonbParseState **state, const DpHeader *header)
{
	JsonbValue	name = string_value("base64", 6);
	int			room = pg_b64_enc_len(header->len);
	char	   *text = palloc(room);
	JsonbValue	value;

	value = string_value(text, pg_b64_encode((const void *) header->value, header->len,
											 text, room));
	pushJsonbValue(state, WJB_BEGIN_OBJECT, NULL);
	pushJsonbValue(state, WJB_KEY, &name);
	pushJsonbValue(state, WJB_VALUE, &value);
	pushJsonbValue(state, WJB_END_OBJECT, NULL);
}

static void
push_header(JsonbParseState **state, JsonbIteratorToken token, const DpHeader *header)
{
	const char *s = header->value;
	int			len = header->len;
	JsonbValue	value = {.type = jbvNull};
	DpReject	ignored;

	if (s != NULL)
	{
		if (!dp_field_verify(s, len, "header", &ignored) ||
			!dp_field_to_server(&s, &len, &ignored))
		{
			push_base64(state, header);
			return;
		}
		value = string_value(s, len);
	}
	pushJsonbValue(state, token, &value);
}

/* Is there a header of the same name before (step -1) or after (step 1) header H? */
static bool
repeats(const DpRecord *rec, int h, int step)
{
	for (int i = h + step; i >= 0 && i < rec->nheaders; i += step)
	{
		if (strcmp(rec->headers[i].name, rec->headers[h].name) == 0)
			return true;
	}
	return false;
}

Datum
dp_headers_jsonb(const DpRecord *rec)
{
	JsonbParseState *state = NULL;
	JsonbValue *result;

	if (rec->nheaders == 0)
		return (Datum) 0;
	pushJsonbValue(&state, WJB_BEGIN_OBJECT, NULL);
	for (int h = 0; h < rec->nheaders; h++)
	{
		JsonbValue	name;

		if (repeats(rec, h, -1))
			continue;
		name = header_name(rec->headers[h].name);
		pushJsonbValue(&state, WJB_KEY, &name);
		if (!repeats(rec, h, 1))
		{
			push_header(&state, WJB_VALUE, &rec->headers[h]);
			continue;
		}
		pushJsonbValue(&state, WJB_BEGIN_ARRAY, NULL);
		for (int i = h; i < rec->nheaders; i++)
		{
			if (strcmp(rec->headers[i].name, rec->headers[h].name) == 0)
				push_header(&state, WJB_ELEM, &rec->headers[i]);
		}
		pushJsonbValue(&state, WJB_END_ARRAY, NULL);
	}
	result = pushJsonbValue(&state, WJB_END_OBJECT, NULL);
	return JsonbPGetDatum(JsonbValueToJsonb(result));
}
