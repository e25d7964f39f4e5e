/*
 * cast_text.c
 *	  text, varchar, bpchar, bytea, uuid, json and jsonb from text.
 *
 * The input is valid in the database encoding and free of NUL: whoever read
 * the bytes has verified them.  A length limit is decided here only where
 * counting bytes proves it kept; otherwise by the type's input function,
 * which also knows when trailing blanks may be cut.
 */
#include "dynpipe.h"

#include "cast/parsers.h"
#include "catalog/pg_type.h"
#include "utils/builtins.h"
#include "utils/uuid.h"

/*
 * Deeper documents are refused: json's parser recurses when the value is used
 * again, so a value near the stack limit could be stored and never read back.
 */
#define MAX_JSON_DEPTH 6400

static const int8 hex_value[256] = {
	['0'] = 1, ['1'] = 2, ['2'] = 3, ['3'] = 4, ['4'] = 5, ['5'] = 6, ['6'] = 7, ['7'] = 8,
	['8'] = 9, ['9'] = 10, ['a'] = 11, ['b'] = 12, ['c'] = 13, ['d'] = 14, ['e'] = 15,
	['f'] = 16, ['A'] = 11, ['B'] = 12, ['C'] = 13, ['D'] = 14, ['E'] = 15, ['F'] = 16
};

/* The byte written as two hex digits at S, or -1. */
static inline int
hex_byte(const char *s)
{
	int			high = hex_value[(unsigned char) s[0]] - 1;
	int			low = hex_value[(unsigned char) s[1]] - 1;

	return high < 0 || low < 0 ? -1 : high << 4 | low;
}

/* text, and varchar when its limit is kept even if every byte is a character. */
bool
dp_cast_string(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	if (cast->typmod >= (int32) VARHDRSZ && len > cast->typmod - (int32) VARHDRSZ)
		return dp_cast_input(cast, s, len, out, reject);
	*out = PointerGetDatum(cstring_to_text_with_len(s, len));
	return true;
}

/* bpchar: of the limited ones, ASCII that needs only padding. */
bool
dp_cast_bpchar(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	int			width = cast->typmod - (int32) VARHDRSZ;
	text	   *padded;

	if (cast->typmod < (int32) VARHDRSZ)
		return dp_cast_string(cast, s, len, out, reject);
	if (len > width)
		return dp_cast_input(cast, s, len, out, reject);
	for (int i = 0; i < len; i++)
	{
		if (IS_HIGHBIT_SET(s[i]))
			return dp_cast_input(cast, s, len, out, reject);
	}
	padded = palloc(width + VARHDRSZ);
	SET_VARSIZE(padded, width + VARHDRSZ);
	memcpy(VARDATA(padded), s, len);
	memset(VARDATA(padded) + len, ' ', width - len);
	*out = PointerGetDatum(padded);
	return true;
}

/* \x followed by pairs of digits; blanks between them and escapes are the server's. */
bool
dp_cast_bytea(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	bytea	   *bytes;
	char	   *p;

	if (len < 2 || len % 2 != 0 || s[0] != '\\' || s[1] != 'x')
		return dp_cast_input(cast, s, len, out, reject);
	bytes = palloc(VARHDRSZ + len / 2 - 1);
	SET_VARSIZE(bytes, VARHDRSZ + len / 2 - 1);
	p = VARDATA(bytes);
	for (int i = 2; i < len; i += 2)
	{
		int			byte = hex_byte(s + i);

		if (byte < 0)
		{
			pfree(bytes);
			return dp_cast_input(cast, s, len, out, reject);
		}
		*p++ = (char) byte;
	}
	*out = PointerGetDatum(bytes);
	return true;
}

/* 8-4-4-4-12 with hyphens; braces and other groupings are the server's. */
bool
dp_cast_uuid(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	static const uint8 places[UUID_LEN] = {0, 2, 4, 6, 9, 11, 14, 16, 19, 21,
	24, 26, 28, 30, 32, 34};
	pg_uuid_t  *uuid;

	if (len != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-')
		return dp_cast_input(cast, s, len, out, reject);
	uuid = palloc(sizeof(pg_uuid_t));
	for (int i = 0; i < UUID_LEN; i++)
	{
		int			byte = hex_byte(s + places[i]);

		if (byte < 0)
		{
			pfree(uuid);
			return dp_cast_input(cast, s, len, out, reject);
		}
		uuid->data[i] = (unsigned char) byte;
	}
	*out = UUIDPGetDatum(uuid);
	return true;
}

/* Nesting of brackets outside strings; exact for valid JSON, harmless for other text. */
static int
json_depth(const char *s, int len)
{
	int			depth = 0;
	int			deepest = 0;
	bool		in_string = false;

	for (const char *end = s + len; s < end; s++)
	{
		if (in_string)
		{
			if (*s == '\\')
				s++;
			else if (*s == '"')
				in_string = false;
		}
		else if (*s == '"')
			in_string = true;
		else if (*s == '{' || *s == '[')
		{
			depth++;
			deepest = Max(deepest, depth);
		}
		else if (*s == '}' || *s == ']')
			depth--;
	}
	return deepest;
}

bool
dp_cast_json(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	if (len > MAX_JSON_DEPTH && json_depth(s, len) > MAX_JSON_DEPTH)
		return dp_reject(reject, "cast", NULL, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
						 "JSON nested deeper than %d levels", MAX_JSON_DEPTH);
	return dp_cast_input(cast, s, len, out, reject);
}
