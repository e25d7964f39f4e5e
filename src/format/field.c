/*
 * field.c
 *	  One field on its way from text to Datum: verify, clean, cast; then what
 *	  is missing gets its default or is missed.
 */
#include "dynpipe.h"

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "format/field.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/formatting.h"
#include "utils/lsyscache.h"

static bool convert(const char **s, int *len, DpReject *reject);

void
dp_field_begin(DpFormat *format, Datum *values, bool *isnull)
{
	memset(values, 0, sizeof(Datum) * format->nfields);
	memset(isnull, true, sizeof(bool) * format->nfields);
}

/* Are these bytes text?  WHAT names them in the message. */
bool
dp_field_verify(const char *s, int len, const char *what, DpReject *reject)
{
	int			good;

	if (pg_verify_mbstr(PG_UTF8, s, len, true))
		return true;

	/* pg_verify_mbstr_len would count characters; find the first bad byte instead. */
	for (good = 0; good < len;)
	{
		int			n = pg_utf_mblen((const unsigned char *) s + good);

		if (s[good] == '\0' || good + n > len || !pg_verify_mbstr(PG_UTF8, s + good, n, true))
			break;
		good += n;
	}
	return dp_reject(reject, "decode", NULL, ERRCODE_CHARACTER_NOT_IN_REPERTOIRE,
					 "%s is not valid UTF-8: byte 0x%02x at position %d",
					 what, (unsigned char) s[good], good + 1);
}

bool
dp_field_to_server(const char **s, int *len, DpReject *reject)
{
	int			encoding = GetDatabaseEncoding();

	if (encoding == PG_UTF8 || encoding == PG_SQL_ASCII)
		return true;
	for (int i = 0; i < *len; i++)
	{
		if (IS_HIGHBIT_SET((*s)[i]))
			return convert(s, len, reject);
	}
	return true;
}

/* A character that the database's encoding lacks is raised by the server; catch that. */
static bool
convert(const char **s, int *len, DpReject *reject)
{
	MemoryContext caller = CurrentMemoryContext;
	uint32		interrupt_holdoff = InterruptHoldoffCount;
	uint32		cancel_holdoff = QueryCancelHoldoffCount;
	char	   *volatile converted = NULL;

	PG_TRY();
	{
		converted = pg_any_to_server(*s, *len, PG_UTF8);
	}
	PG_CATCH();
	{
		ErrorData  *err;

		if (ERRCODE_TO_CATEGORY(geterrcode()) != ERRCODE_DATA_EXCEPTION)
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		err = CopyErrorData();
		FlushErrorState();

		/* errfinish() zeroed these on behalf of an abort that does not come. */
		InterruptHoldoffCount = interrupt_holdoff;
		QueryCancelHoldoffCount = cancel_holdoff;
		dp_reject(reject, "decode", NULL, err->sqlerrcode, "%s", err->message);
	}
	PG_END_TRY();
	if (converted == NULL)
		return false;
	*s = converted;
	*len = strlen(converted);
	return true;
}

static inline bool
is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static void
trim(const char **s, int *len)
{
	while (*len > 0 && is_blank(**s))
	{
		(*s)++;
		(*len)--;
	}
	while (*len > 0 && is_blank((*s)[*len - 1]))
		(*len)--;
}

/* ASCII changes the same way in every locale; other letters as the database's collation says. */
static void
change_case(const char **s, int *len, bool upper)
{
	bool		ascii = true;
	char	   *result;

	for (int i = 0; i < *len && ascii; i++)
		ascii = !IS_HIGHBIT_SET((*s)[i]);

	if (!ascii)
	{
		result = upper ? str_toupper(*s, *len, DEFAULT_COLLATION_OID)
			: str_tolower(*s, *len, DEFAULT_COLLATION_OID);
		*s = result;
		*len = strlen(result);
		return;
	}
	result = palloc(*len + 1);
	for (int i = 0; i < *len; i++)
		result[i] = upper ? pg_ascii_toupper((*s)[i]) : pg_ascii_tolower((*s)[i]);
	result[*len] = '\0';
	*s = result;
}

/* Runs of white space become one blank; the ends keep theirs. */
static void
collapse(const char **s, int *len)
{
	char	   *result = palloc(*len + 1);
	int			n = 0;

	for (int i = 0; i < *len; i++)
	{
		if (!is_blank((*s)[i]))
			result[n++] = (*s)[i];
		else if (n == 0 || result[n - 1] != ' ')
			result[n++] = ' ';
	}
	result[n] = '\0';
	*s = result;
	*len = n;
}

bool
dp_field_clean(const DpField *field, const char **s, int *len)
{
	for (int i = 0; i < field->nclean; i++)
	{
		switch (field->clean[i])
		{
			case DP_CLEAN_TRIM:
				trim(s, len);
				break;
			case DP_CLEAN_LOWER:
			case DP_CLEAN_UPPER:
				change_case(s, len, field->clean[i] == DP_CLEAN_UPPER);
				break;
			case DP_CLEAN_EMPTY_AS_NULL:
				if (*len == 0)
					return false;
				break;
			case DP_CLEAN_COLLAPSE:
				collapse(s, len);
				break;
		}
	}
	return true;
}

bool
dp_field_store(DpFormat *format, int i, const char *s, int len,
			   Datum *values, bool *isnull, DpReject *reject)
{
	DpField    *field = &format->fields[i];

	if (dp_field_to_server(&s, &len, reject))
	{
		if (field->nclean > 0 && !dp_field_clean(field, &s, &len))
		{
			isnull[i] = true;
			return true;
		}
		if (dp_cast_text(&field->cast, s, len, &values[i], reject))
		{
			isnull[i] = false;
			return true;
		}
	}
	reject->column = field->name;
	return false;
}

/* A field that is still NULL: default, required, domain. */
static bool
settle_null(DpField *field, Datum *value, bool *isnull, DpReject *reject)
{
	if (field->has_default)
	{
		*value = field->default_value;
		*isnull = false;
		return true;
	}
	if (field->required)
		return dp_reject(reject, "required", field->name, ERRCODE_NOT_NULL_VIOLATION,
						 "column \"%s\" is required but the record has no value for it",
						 field->name);
	if (dp_cast_null(&field->cast, reject))
		return true;
	reject->column = field->name;
	return false;
}

bool
dp_field_finish(DpFormat *format, const DpRecord *rec,
				Datum *values, bool *isnull, DpReject *reject)
{
	if (format->key_reader && !dp_key_decode(format, rec, values, isnull, reject))
		return false;
	for (int i = 0; i < format->nfields; i++)
	{
		DpField    *field = &format->fields[i];

		if (field->from != DP_FROM_VALUE &&
			!dp_field_meta(format, i, rec, values, isnull, reject))
			return false;
		if (isnull[i] && !settle_null(field, &values[i], &isnull[i], reject))
			return false;
	}
	return true;
}

bool
dp_field_is_json(const DpField *field)
{
	Oid			base = getBaseType(field->type);

	return base == JSONOID || base == JSONBOID;
}
