/*
 * check_start.c
 *	  Where a pipeline without checkpoint begins: earliest, latest, or a moment.
 *
 * A moment without zone is UTC, never the session's: a worker's TimeZone must
 * not decide what is read.
 */
#include "dynpipe.h"

#include "config/check.h"

static void read_start(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_start(StringInfo buf, const DpKey *key, const void *field);
static char *normal_timestamp(const char *text);
static bool parse_date(const char **text);
static bool parse_time(const char **text);
static bool parse_zone(const char **text);
static bool parse_digits(const char **text, int n, int min, int max, int *result);

static const char *const words[] = {"earliest", "latest", NULL};

const DpKind dp_kind_start = {
	DP_JSON_TEXT, "earliest, latest or a timestamp", read_start, write_start
};

static void
read_start(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	DpPipelineSpec *spec = field;
	char	   *text = dp_check_text(value);
	const char *nearest;

	for (int i = 0; words[i] != NULL; i++)
		if (strcmp(words[i], text) == 0)
		{
			spec->start = (DpStart) i;
			return;
		}
	spec->start = DP_START_TIMESTAMP;
	spec->start_timestamp = normal_timestamp(text);
	if (spec->start_timestamp != NULL)
		return;
	nearest = dp_nearest(text, words);
	dp_check_problem(chk, psprintf("%s%s%sWrite earliest, latest or an ISO 8601 timestamp like "
								   "2026-01-31T12:00:00Z.", nearest ? "Perhaps you meant \"" : "",
								   nearest ? nearest : "", nearest ? "\". " : ""),
					 "invalid start \"%s\"", dp_tree_clip(text, DP_MAX_QUOTED));
}

static void
write_start(StringInfo buf, const DpKey *key, const void *field)
{
	const DpPipelineSpec *spec = field;

	dp_write_text(buf, spec->start == DP_START_TIMESTAMP ? spec->start_timestamp :
				  words[spec->start]);
}

/* TEXT with time and zone written out, or NULL when it is no ISO 8601 timestamp. */
static char *
normal_timestamp(const char *text)
{
	const char *p = text;
	char	   *result;

	if (!parse_date(&p))
		return NULL;
	if (*p == '\0')
		return psprintf("%sT00:00:00Z", text);
	if (*p != 'T' && *p != ' ')
		return NULL;
	p++;
	if (!parse_time(&p))
		return NULL;
	result = psprintf("%s%s", text, *p == '\0' ? "Z" : "");
	result[10] = 'T';
	return *p == '\0' || (parse_zone(&p) && *p == '\0') ? result : NULL;
}

static bool
parse_date(const char **text)
{
	static const int days[] = {31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	int			year;
	int			month;
	int			day;
	bool		leap;

	if (!parse_digits(text, 4, 1970, 9999, &year) || *(*text)++ != '-' ||
		!parse_digits(text, 2, 1, 12, &month) || *(*text)++ != '-' ||
		!parse_digits(text, 2, 1, days[month - 1], &day))
		return false;
	leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
	return month != 2 || day < 29 || leap;
}

static bool
parse_time(const char **text)
{
	int			part;

	if (!parse_digits(text, 2, 0, 23, &part) || *(*text)++ != ':' ||
		!parse_digits(text, 2, 0, 59, &part))
		return false;
	if (**text != ':')
		return true;
	(*text)++;
	if (!parse_digits(text, 2, 0, 59, &part))
		return false;
	if (**text == '.')
	{
		int			n = strspn(*text + 1, "0123456789");

		*text += 1 + n;
		return n >= 1 && n <= 6;
	}
	return true;
}

static bool
parse_zone(const char **text)
{
	int			part;

	if (**text == 'Z')
	{
		(*text)++;
		return true;
	}
	if (**text != '+' && **text != '-')
		return false;
	(*text)++;
	if (!parse_digits(text, 2, 0, 15, &part))
		return false;
	if (**text == ':')
		(*text)++;
	else if (**text == '\0')
		return true;
	return parse_digits(text, 2, 0, 59, &part);
}

/* Exactly N digits that make a number from MIN to MAX. */
static bool
parse_digits(const char **text, int n, int min, int max, int *result)
{
	*result = 0;
	for (; n > 0; n--, (*text)++)
	{
		if (**text < '0' || **text > '9')
			return false;
		*result = *result * 10 + (**text - '0');
	}
	return *result >= min && *result <= max;
}
