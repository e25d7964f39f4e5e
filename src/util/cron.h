/*
 * cron.h
 *	  Schedules: a cron expression or an interval, and when they are next due.
 *
 *	  "0 6 * * mon-fri"    minute hour day month weekday, as in cron
 *	  "@daily"             a name for one
 *	  "15min"              every whole multiple of it since Monday 2001-01-01 UTC,
 *	                       so that "1h" is due on the hour, "7d" on Mondays
 *
 * Fields are lists of values, ranges, "*" and steps; months and weekdays also
 * have their English names.  Where both day and weekday are given, either is
 * enough; a field that begins with "*" counts as not given.
 *
 * Pure: the only thing looked at outside is the time zone's own table.
 */
#ifndef DP_CRON_H
#define DP_CRON_H

#include "pgtime.h"
#include "utils/timestamp.h"

typedef struct DpCron
{
	int64		every_ms;		/* an interval; 0: the fields count */
	uint64		minutes;		/* sets of bits */
	uint64		hours;
	uint64		days;			/* 1 to 31 */
	uint64		months;			/* 1 to 12 */
	uint64		weekdays;		/* 0 to 6, Sunday is 0 */
	bool		any_day;		/* the field began with "*" */
	bool		any_weekday;
} DpCron;

/* Read TEXT; the problem in words, with a hint, or NULL. */
extern const char *dp_cron_parse(const char *text, DpCron *cron, const char **hint);

/*
 * The first moment after AFTER at which CRON is due by the clocks of ZONE;
 * DT_NOEND when there is none any more.  A time that clocks skip is due at the
 * moment when they jump, once.  A time that they show twice is due the first
 * time.  A schedule for every hour (hour is "*") goes by real time instead.
 */
extern TimestampTz dp_cron_next(const DpCron *cron, TimestampTz after, pg_tz *zone);

/* The zone of that name; NULL, with a hint, when it is not one of the tz database. */
extern pg_tz *dp_cron_zone(const char *name, const char **hint);

#endif							/* DP_CRON_H */
