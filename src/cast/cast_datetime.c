/*
 * cast_datetime.c
 *	  date, timestamp, timestamptz from ISO 8601 text.
 *
 * Decided here: YYYY-MM-DD, alone or followed by T or a blank, HH:MM[:SS[.f]]
 * and Z or +-HH[[:]MM].  These mean the same under every DateStyle.  Anything
 * else (names of months, BC, infinity, 24:00, a named zone, garbage) goes to
 * the type's input function.  As in PostgreSQL, timestamp and date ignore a
 * zone that is given, and timestamptz takes the session's when none is.
 */
#include "dynpipe.h"

#include <math.h>

#include "cast/parsers.h"
#include "pgtime.h"
#include "utils/builtins.h"
#include "utils/date.h"
#include "utils/datetime.h"
#include "utils/timestamp.h"

typedef struct Moment
{
	int			year,
				month,
				day,
				hour,
				minute,
				second;
	int			usec;
	bool		has_zone;
	int			zone;			/* seconds east of UTC */
} Moment;

/* Two digits at S, or -1. */
static inline int
two_digits(const char *s)
{
	unsigned	tens = (unsigned char) s[0] - '0';
	unsigned	ones = (unsigned char) s[1] - '0';

	return tens <= 9 && ones <= 9 ? (int) (tens * 10 + ones) : -1;
}

static bool
parse_day(const char *s, int len, Moment *m)
{
	int			century,
				years;

	if (len < 10 || s[4] != '-' || s[7] != '-')
		return false;
	century = two_digits(s);
	years = two_digits(s + 2);
	m->month = two_digits(s + 5);
	m->day = two_digits(s + 8);
	if (century < 0 || years < 0)
		return false;
	m->year = century * 100 + years;
	return m->year > 0 && m->month >= 1 && m->month <= 12 && m->day >= 1 &&
		m->day <= day_tab[isleap(m->year)][m->month - 1];
}

/* Digits after the point; up to 15, rounded to microseconds as the server rounds. */
static const char *
parse_fraction(const char *s, const char *end, Moment *m)
{
	static const double unit[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9,
	1e10, 1e11, 1e12, 1e13, 1e14, 1e15};
	const char *start = s;
	int64		digits = 0;
	int			n;

	for (; s < end && *s >= '0' && *s <= '9'; s++)
	{
		if (s - start >= 15)
			return NULL;
		digits = digits * 10 + (*s - '0');
	}
	n = s - start;
	if (n == 0)
		return NULL;
	m->usec = (int) rint((double) digits / unit[n] * 1000000);
	return s;
}

/* Z, +HH, +HHMM, +HH:MM up to END. */
static bool
parse_zone(const char *s, const char *end, Moment *m)
{
	int			len = end - s;
	int			hours,
				minutes = 0;

	m->has_zone = true;
	if (len == 1 && *s == 'Z')
		return true;
	if (len < 3 || (*s != '+' && *s != '-'))
		return false;
	hours = two_digits(s + 1);
	if (len == 5)
		minutes = two_digits(s + 3);
	else if (len == 6 && s[3] == ':')
		minutes = two_digits(s + 4);
	else if (len != 3)
		return false;
	if (hours < 0 || hours > 14 || minutes < 0 || minutes > 59)
		return false;
	m->zone = (hours * 60 + minutes) * 60 * (*s == '-' ? -1 : 1);
	return true;
}

static bool
parse_time(const char *s, const char *end, Moment *m)
{
	if (end - s < 5 || s[2] != ':')
		return false;
	m->hour = two_digits(s);
	m->minute = two_digits(s + 3);
	if (m->hour < 0 || m->hour > 23 || m->minute < 0 || m->minute > 59)
		return false;
	s += 5;
	if (end - s >= 3 && *s == ':')
	{
		m->second = two_digits(s + 1);
		if (m->second < 0 || m->second > 59)
			return false;
		s += 3;
		if (s < end && *s == '.' && (s = parse_fraction(s + 1, end, m)) == NULL)
			return false;
	}
	return s == end || parse_zone(s, end, m);
}

static bool
parse_moment(const char *s, int len, Moment *m)
{
	memset(m, 0, sizeof(*m));
	if (!parse_day(s, len, m))
		return false;
	if (len == 10)
		return true;
	return (s[10] == 'T' || s[10] == ' ') && parse_time(s + 11, s + len, m);
}

/* Days since 2000-01-01. */
static inline int
days_of(const Moment *m)
{
	return date2j(m->year, m->month, m->day) - POSTGRES_EPOCH_JDATE;
}

static inline Timestamp
local_timestamp(const Moment *m)
{
	return days_of(m) * USECS_PER_DAY +
		((m->hour * 60 + m->minute) * 60 + m->second) * USECS_PER_SEC + m->usec;
}

static int
session_zone(const Moment *m)
{
	struct pg_tm tm = {.tm_year = m->year, .tm_mon = m->month, .tm_mday = m->day,
	.tm_hour = m->hour, .tm_min = m->minute, .tm_sec = m->second, .tm_isdst = -1};

	return -DetermineTimeZoneOffset(&tm, session_timezone);
}

bool
dp_cast_date(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	Moment		m;

	if (!parse_moment(s, len, &m))
		return dp_cast_input(cast, s, len, out, reject);
	*out = DateADTGetDatum(days_of(&m));
	return true;
}

bool
dp_cast_timestamp(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	Moment		m;

	if (!parse_moment(s, len, &m))
		return dp_cast_input(cast, s, len, out, reject);
	*out = TimestampGetDatum(local_timestamp(&m));
	if (cast->typmod >= 0)
		*out = DirectFunctionCall2(timestamp_scale, *out, Int32GetDatum(cast->typmod));
	return true;
}

bool
dp_cast_timestamptz(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	Moment		m;
	int			zone;

	if (!parse_moment(s, len, &m))
		return dp_cast_input(cast, s, len, out, reject);
	zone = m.has_zone ? m.zone : session_zone(&m);
	*out = TimestampTzGetDatum(local_timestamp(&m) - zone * USECS_PER_SEC);
	if (cast->typmod >= 0)
		*out = DirectFunctionCall2(timestamptz_scale, *out, Int32GetDatum(cast->typmod));
	return true;
}
