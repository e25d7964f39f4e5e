/*
 * cron.c
 *	  Reading schedules.  When they are due is cron_next.c's.
 *
 *	  text ── interval? ──> every_ms
 *	       ── "@name" ──> the five fields it stands for ──┐
 *	       ── five fields <──────────────────────────────┘
 *	            └─ list of items "a", "a-b", "*", each with "/step" ──> set of bits
 *
 * What a field may hold is a table; problems name the field.
 */
#include "dynpipe.h"

#include "util/cron.h"
#include "util/quantity.h"

#define MIN_INTERVAL	INT64CONST(1000)
#define MAX_INTERVAL	(INT64CONST(366) * 86400000)
#define NFIELDS			5
#define SUNDAY			7		/* besides 0 */

typedef struct Field
{
	const char *name;
	int			min;
	int			max;
	const char *const *words;	/* in order, from MIN on; or NULL */
} Field;

static const char *const month_words[] = {
	"jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec", NULL
};
static const char *const weekday_words[] = {
	"sun", "mon", "tue", "wed", "thu", "fri", "sat", NULL
};
static const Field fields[NFIELDS] = {
	{"minute", 0, 59}, {"hour", 0, 23}, {"day", 1, 31},
	{"month", 1, 12, month_words}, {"weekday", 0, SUNDAY, weekday_words}
};
static const struct
{
	const char *name;
	const char *fields;
}			macros[] = {
	{"@hourly", "0 * * * *"},
	{"@daily", "0 0 * * *"},
	{"@midnight", "0 0 * * *"},
	{"@weekly", "0 0 * * 0"},
	{"@monthly", "0 0 1 * *"},
	{"@yearly", "0 0 1 1 *"},
	{"@annually", "0 0 1 1 *"},
};

static const char *parse_interval(int64 ms, DpCron *cron);
static const char *expand_macro(const char *text);
static const char *parse_fields(const char *text, DpCron *cron, const char **hint);
static int	split_fields(char *text, char **words);
static const char *parse_field(const Field *field, char *text, uint64 *set);
static const char *parse_item(const Field *field, char *item, uint64 *set);
static bool parse_value(const Field *field, const char *text, int *value);
static bool parse_number(const char *text, int *value);
static const char *bad_value(const Field *field, const char *text);
static bool day_exists(const DpCron *cron);

const char *
dp_cron_parse(const char *text, DpCron *cron, const char **hint)
{
	int64		ms;

	memset(cron, 0, sizeof(*cron));
	*hint = "Write minute hour day month weekday, as in \"0 6 * * mon-fri\", or @hourly, @daily, "
		"@weekly, @monthly, @yearly, or an interval such as \"15min\".";
	if (dp_quantity_parse(text, dp_time_units, &ms))
		return parse_interval(ms, cron);
	text += strspn(text, " \t");
	if (text[0] == '@' && (text = expand_macro(text)) == NULL)
		return "unknown name of a schedule";
	return parse_fields(text, cron, hint);
}

pg_tz *
dp_cron_zone(const char *name, const char **hint)
{
	pg_tz	   *zone;

	*hint = "Write a name of the tz database, as in pg_timezone_names: \"Europe/Berlin\", \"UTC\".";
	if (strlen(name) > TZ_STRLEN_MAX)
		return NULL;
	/* "UTC+3" would be POSIX's way to say three hours west: nobody means that. */
	if (strchr(name, '/') == NULL && strpbrk(name, "0123456789") != NULL)
		return NULL;
	zone = pg_tzset(name);
	return zone != NULL && pg_tz_acceptable(zone) ? zone : NULL;
}

static const char *
parse_interval(int64 ms, DpCron *cron)
{
	if (ms < MIN_INTERVAL || ms > MAX_INTERVAL)
		return "interval must be 1s to 366d";
	cron->every_ms = ms;
	return NULL;
}

static const char *
expand_macro(const char *text)
{
	int			len = strcspn(text, " \t");

	for (int i = 0; i < lengthof(macros); i++)
		if (strlen(macros[i].name) == len && pg_strncasecmp(text, macros[i].name, len) == 0 &&
			text[len + strspn(text + len, " \t")] == '\0')
			return macros[i].fields;
	return NULL;
}

static const char *
parse_fields(const char *text, DpCron *cron, const char **hint)
{
	uint64	   *const sets[NFIELDS] = {
		&cron->minutes, &cron->hours, &cron->days, &cron->months, &cron->weekdays
	};
	char	   *words[NFIELDS];
	int			n = split_fields(pstrdup(text), words);

	if (n < 2)
		return "invalid schedule";
	if (n != NFIELDS)
		return psprintf("schedule must have 5 fields, not %d", n);
	cron->any_day = words[2][0] == '*';
	cron->any_weekday = words[4][0] == '*';
	for (int i = 0; i < NFIELDS; i++)
	{
		const char *problem = parse_field(&fields[i], words[i], sets[i]);

		if (problem != NULL)
			return problem;
	}
	if (cron->weekdays & (UINT64CONST(1) << SUNDAY))
		cron->weekdays = (cron->weekdays | 1) & ~(UINT64CONST(1) << SUNDAY);
	if (day_exists(cron))
		return NULL;
	*hint = "None of its months has such a day.";
	return "schedule is never due";
}

/* How many words TEXT has; the first NFIELDS of them are put into WORDS. */
static int
split_fields(char *text, char **words)
{
	int			n = 0;
	char	   *word;

	while ((word = strsep(&text, " \t")) != NULL)
	{
		if (word[0] == '\0')
			continue;
		if (n < NFIELDS)
			words[n] = word;
		n++;
	}
	return n;
}

static const char *
parse_field(const Field *field, char *text, uint64 *set)
{
	char	   *item;

	while ((item = strsep(&text, ",")) != NULL)
	{
		const char *problem = parse_item(field, item, set);

		if (problem != NULL)
			return problem;
	}
	return NULL;
}

/* "*", "a", "a-b", with "/step" behind; a single value with a step goes up to the end. */
static const char *
parse_item(const Field *field, char *item, uint64 *set)
{
	char	   *step_text = strchr(item, '/');
	char	   *to_text;
	int			step = 1;
	int			from = field->min;
	int			to = field->words == weekday_words ? SUNDAY - 1 : field->max;

	if (step_text != NULL)
	{
		*step_text++ = '\0';
		if (!parse_number(step_text, &step) || step < 1 || step > field->max)
			return psprintf("step of %s must be 1 to %d", field->name, field->max);
	}
	if (strcmp(item, "*") != 0)
	{
		to_text = strchr(item, '-');
		if (to_text != NULL)
			*to_text++ = '\0';
		if (!parse_value(field, item, &from))
			return bad_value(field, item);
		if (to_text != NULL && !parse_value(field, to_text, &to))
			return bad_value(field, to_text);
		if (to_text == NULL && step_text == NULL)
			to = from;
		if (to_text != NULL && to == 0 && field->max == SUNDAY)
			to = from == 0 ? 0 : SUNDAY;	/* "fri-sun" */
		if (to < from)
			return psprintf("range of %s runs backwards", field->name);
	}
	for (int i = from; i <= to; i += step)
		*set |= UINT64CONST(1) << i;
	return NULL;
}

static bool
parse_value(const Field *field, const char *text, int *value)
{
	for (int i = 0; field->words != NULL && field->words[i] != NULL; i++)
		if (pg_strcasecmp(text, field->words[i]) == 0)
		{
			*value = field->min + i;
			return true;
		}
	return parse_number(text, value) && *value >= field->min && *value <= field->max;
}

/* One or two digits: all that a field can need. */
static bool
parse_number(const char *text, int *value)
{
	int			len = strspn(text, "0123456789");

	if (len < 1 || len > 2 || text[len] != '\0')
		return false;
	*value = atoi(text);
	return true;
}

static const char *
bad_value(const Field *field, const char *text)
{
	if (text[0] == '\0')
		return psprintf("%s of schedule lacks a value", field->name);
	return psprintf("%s of schedule must be %d to %d%s", field->name, field->min, field->max,
					field->words == NULL ? "" :
					psprintf(" or %s to %s", field->words[0],
							 field->words[field->max - field->min] != NULL ?
							 field->words[field->max - field->min] : "sat"));
}

/* Has one of the months such a day?  With a weekday any month will do. */
static bool
day_exists(const DpCron *cron)
{
	static const int lengths[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

	if (cron->any_day || !cron->any_weekday)
		return true;
	for (int month = 1; month <= 12; month++)
		for (int day = 1; day <= lengths[month - 1]; day++)
			if ((cron->months >> month & 1) && (cron->days >> day & 1))
				return true;
	return false;
}
