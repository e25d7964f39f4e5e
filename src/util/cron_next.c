/*
 * cron_next.c
 *	  When a schedule is next due.
 *
 * Local times are counted as seconds that a clock without zone would show
 * ("wall"), in order; each becomes a moment:
 *
 *	  shown once      that moment
 *	  skipped         the moment when the clocks jump forward
 *	  shown twice     the first of the two
 *
 * That mapping never goes backwards, so the next moment is that of the first
 * wall time of the schedule, from the one shown at AFTER on, whose moment lies
 * after AFTER.  Several skipped times give one moment, hence one run.
 *
 * A schedule for every hour means real hours: it makes up for nothing that is
 * skipped, and is due both times that its time is shown.
 */
#include "dynpipe.h"

#include "miscadmin.h"
#include "util/cron.h"
#include "utils/datetime.h"

#define DAY_SECONDS		86400
#define MAX_DAYS		(366 * 9)	/* 29 February may be eight years away */
#define MAX_OVERLAP		180		/* minutes of real time that repeated hours may take */
#define EPOCH_DAYS		UNIX_EPOCH_JDATE
#define MONDAY_MS		INT64CONST(978307200000)	/* 2001-01-01 00:00 UTC, a Monday */

static TimestampTz next_multiple(int64 every_ms, TimestampTz after);
static pg_time_t next_first(const DpCron *cron, pg_time_t after, pg_tz *zone);
static pg_time_t next_on_day(const DpCron *cron, int64 day, int minute, pg_time_t after,
							 pg_tz *zone);
static pg_time_t next_repeated(const DpCron *cron, pg_time_t after, pg_time_t before, pg_tz *zone);
static bool every_hour(const DpCron *cron);
static bool matches_day(const DpCron *cron, int64 day);
static pg_time_t moment_of(int64 wall, pg_tz *zone, bool *skipped);

TimestampTz
dp_cron_next(const DpCron *cron, TimestampTz after, pg_tz *zone)
{
	const pg_time_t last = timestamptz_to_time_t(END_TIMESTAMP - 1);
	pg_time_t	start;
	pg_time_t	next;

	if (TIMESTAMP_NOT_FINITE(after))
		return DT_NOEND;
	if (cron->every_ms > 0)
		return next_multiple(cron->every_ms, after);
	start = timestamptz_to_time_t(after);
	if (time_t_to_timestamptz(start) > after)
		start--;				/* it rounds to zero */
	if (start > last - MAX_DAYS * (int64) DAY_SECONDS)
		return DT_NOEND;
	next = next_first(cron, start, zone);
	if (every_hour(cron))
		next = next_repeated(cron, start, next, zone);
	return time_t_to_timestamptz(next);
}

static TimestampTz
next_multiple(int64 every_ms, TimestampTz after)
{
	const TimestampTz monday =
		(MONDAY_MS - (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) * INT64CONST(86400000)) * 1000;
	int64		every = every_ms * 1000;
	int64		past;

	if (after > END_TIMESTAMP - every)
		return DT_NOEND;
	past = (after - monday) % every;
	return after - past + (past < 0 ? 0 : every);
}

/* The moment after AFTER, of times that are shown twice the first. */
static pg_time_t
next_first(const DpCron *cron, pg_time_t after, pg_tz *zone)
{
	int64		wall = after + pg_localtime(&after, zone)->tm_gmtoff;
	int64		day = wall / DAY_SECONDS - (wall % DAY_SECONDS < 0);
	int			minute = (wall - day * DAY_SECONDS) / 60;

	for (int i = 0; i < MAX_DAYS; i++)
	{
		if (matches_day(cron, day + i))
		{
			pg_time_t	next = next_on_day(cron, day + i, i == 0 ? minute : 0, after, zone);

			if (next > after)
				return next;
		}
		CHECK_FOR_INTERRUPTS();
	}
	elog(ERROR, "schedule is never due");
}

/* The first moment after AFTER on DAY from its MINUTE on; AFTER when there is none. */
static pg_time_t
next_on_day(const DpCron *cron, int64 day, int minute, pg_time_t after, pg_tz *zone)
{
	for (; minute < DAY_SECONDS / 60; minute++)
	{
		pg_time_t	moment;
		bool		skipped;

		if (!(cron->hours >> (minute / 60) & 1) || !(cron->minutes >> (minute % 60) & 1))
			continue;
		moment = moment_of(day * DAY_SECONDS + minute * 60, zone, &skipped);
		if (moment > after && !(skipped && every_hour(cron)))
			return moment;
	}
	return after;
}

/* A moment between AFTER and BEFORE at which the schedule's time is shown again; else BEFORE. */
static pg_time_t
next_repeated(const DpCron *cron, pg_time_t after, pg_time_t before, pg_tz *zone)
{
	pg_time_t	t = after;

	for (int i = 0; i < MAX_OVERLAP; i++)
	{
		struct pg_tm *tm;
		int64		wall;

		t += 60 - pg_localtime(&t, zone)->tm_sec;
		if (t >= before)
			break;
		tm = pg_localtime(&t, zone);
		wall = t + tm->tm_gmtoff;
		if ((cron->minutes >> tm->tm_min & 1) &&
			matches_day(cron, wall / DAY_SECONDS - (wall % DAY_SECONDS < 0)))
			return t;
	}
	return before;
}

static bool
every_hour(const DpCron *cron)
{
	return cron->hours == (UINT64CONST(1) << 24) - 1;
}

/* DAY is counted from 1970-01-01. */
static bool
matches_day(const DpCron *cron, int64 day)
{
	int			year;
	int			month;
	int			monthday;
	bool		by_day;
	bool		by_weekday;

	j2date(day + EPOCH_DAYS, &year, &month, &monthday);
	if (!(cron->months >> month & 1))
		return false;
	by_day = cron->days >> monthday & 1;
	by_weekday = cron->weekdays >> j2day(day + EPOCH_DAYS) & 1;
	if (cron->any_day || cron->any_weekday)
		return by_day && by_weekday;
	return by_day || by_weekday;
}

/* Walk the zone's periods of one offset around WALL, from two days before. */
static pg_time_t
moment_of(int64 wall, pg_tz *zone, bool *skipped)
{
	pg_time_t	from = wall - 2 * DAY_SECONDS;

	*skipped = false;
	for (;;)
	{
		long		offset;
		long		offset_after;
		pg_time_t	boundary;
		int			isdst;
		int			isdst_after;

		if (pg_next_dst_boundary(&from, &offset, &isdst, &boundary, &offset_after, &isdst_after,
								 zone) != 1)
			return wall - pg_localtime(&from, zone)->tm_gmtoff;
		if (wall - offset < boundary)
			return wall - offset;
		if (wall - offset_after < boundary)
		{
			*skipped = true;
			return boundary;
		}
		from = boundary;
	}
}
