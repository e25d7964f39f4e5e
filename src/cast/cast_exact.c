/*
 * cast_exact.c
 *	  Casts that refuse what the server's own would cut off without a word, and
 *	  which type takes over from one that is too narrow.
 *
 * To PostgreSQL '2024-05-01 10:30' is a good date and '2024-05-01 10:30+02' a
 * good timestamp: the rest is dropped.  That is right where a person chose the
 * type, and loses data where the type was chosen from a sample.
 */
#include "dynpipe.h"

#include <ctype.h>

#include "cast/parsers.h"
#include "catalog/pg_type.h"

#define SHOWN_BYTES 64

/* What may become what without loss, beside everything text. */
static const struct
{
	Oid			from;
	Oid			to;
} wider[] = {
	{INT8OID, NUMERICOID},
	{DATEOID, TIMESTAMPOID},
	{DATEOID, TIMESTAMPTZOID},
	{TIMESTAMPOID, TIMESTAMPTZOID},
};

static bool exact_date(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject);
static bool exact_timestamp(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject);
static const char *time_of_day(const char *s, int len);
static const char *zone(const char *s, int len);

void
dp_cast_exact(DpCast *cast)
{
	if (cast->fn == dp_cast_date)
		cast->fn = exact_date;
	else if (cast->fn == dp_cast_timestamp)
		cast->fn = exact_timestamp;
}

bool
dp_cast_widens(Oid from, Oid to)
{
	if (from == to || to == TEXTOID)
		return from != to;
	for (int i = 0; i < lengthof(wider); i++)
		if (wider[i].from == from && wider[i].to == to)
			return true;
	return false;
}

static bool
exact_date(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	if (time_of_day(s, len) != NULL)
		return dp_reject(reject, "cast", NULL, ERRCODE_INVALID_DATETIME_FORMAT,
						 "type date would lose the time of day of \"%.*s\"",
						 Min(len, SHOWN_BYTES), s);
	return dp_cast_date(cast, s, len, out, reject);
}

static bool
exact_timestamp(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	if (zone(s, len) != NULL)
		return dp_reject(reject, "cast", NULL, ERRCODE_INVALID_DATETIME_FORMAT,
						 "type timestamp would lose the time zone of \"%.*s\"",
						 Min(len, SHOWN_BYTES), s);
	return dp_cast_timestamp(cast, s, len, out, reject);
}

/* Where a colon, or a T before a digit, shows that a time of day stands; or NULL. */
static const char *
time_of_day(const char *s, int len)
{
	for (int i = 1; i < len; i++)
	{
		if (s[i] == ':' ||
			((s[i] == 'T' || s[i] == 't') && isdigit((unsigned char) s[i - 1]) &&
			 i + 1 < len && isdigit((unsigned char) s[i + 1])))
			return s + i;
	}
	return NULL;
}

/* What follows a time of day and is neither part of it nor AM or PM; or NULL. */
static const char *
zone(const char *s, int len)
{
	const char *end = s + len;
	const char *p = time_of_day(s, len);

	if (p == NULL)
		return NULL;
	while (++p < end)
	{
		if (*p == '+' || *p == '-')
			return p;
		if (!isalpha((unsigned char) *p))
			continue;
		if (p + 1 >= end || (p[1] | 0x20) != 'm' || ((*p | 0x20) != 'a' && (*p | 0x20) != 'p'))
			return p;
		p++;
	}
	return NULL;
}
