/*
 * params.c
 *	  Putting values into paths.
 *
 * A value is put in as it stands, so it may hold "/" and the characters of a
 * glob; what it must not do is lead out of the place that the document names:
 * placeholders stand in the path only, and no part of the result is "..".
 */
#include "dynpipe.h"

#include "config/check.h"
#include "config/params.h"
#include "utils/datetime.h"

#define NAME_START	"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_"
#define NAME_INNER	NAME_START "0123456789"

static const char *value_of(const char *name, List *params, TimestampTz now, pg_tz *zone);
static const char *const *known_names(List *params);
static bool leads_up(const char *path);

/* What the time gives; formats of pg_strftime. */
static const struct
{
	const char *name;
	const char *format;
}			times[] = {
	{"date", "%Y-%m-%d"},
	{"year", "%Y"},
	{"month", "%m"},
	{"day", "%d"},
	{"hour", "%H"},
};

char *
dp_params_put(const char *text, List *params, TimestampTz now, pg_tz *zone,
			  const char **problem, const char **hint)
{
	StringInfoData buf;

	*problem = NULL;
	*hint = NULL;
	initStringInfo(&buf);
	for (const char *p = text; *p != '\0' && *problem == NULL;)
	{
		int			len = strspn(p, "$") >= 2 && p[2] == '{' ? 3 : strncmp(p, "${", 2) == 0 ? 2 : 1;
		char	   *name;
		const char *value;
		const char *end;

		if (len != 2)
		{
			appendBinaryStringInfo(&buf, len == 3 ? "${" : p, len == 3 ? 2 : 1);
			p += len;
			continue;
		}
		end = strchr(p, '}');
		if (end == NULL)
		{
			*problem = "\"${\" without \"}\"";
			*hint = "Write ${name}; $${ stands for ${ itself.";
			return NULL;
		}
		name = pnstrdup(p + 2, end - p - 2);
		p = end + 1;
		value = value_of(name, params, now, zone);
		if (value == NULL)
		{
			*problem = psprintf("unknown parameter \"%s\"", dp_tree_clip(name, DP_MAX_QUOTED));
			*hint = dp_check_hint(name, known_names(params), "Declare it in \"params\". Known are");
		}
		else if (dp_name_has_control(value))
			*problem = psprintf("value of parameter \"%s\" has control characters", name);
		else
			appendStringInfoString(&buf, value);
	}
	if (*problem == NULL && leads_up(buf.data))
	{
		*problem = "path has a part \"..\"";
		*hint = "Write the path without it.";
	}
	return *problem == NULL ? buf.data : NULL;
}

bool
dp_params_any(const char *text)
{
	return strstr(text, "${") != NULL;
}

const char *
dp_params_name_problem(const char *name, const char **hint)
{
	if (name[0] != '\0' && strchr(NAME_START, name[0]) != NULL &&
		name[strspn(name, NAME_INNER)] == '\0' && strlen(name) <= DP_MAX_NAME)
		return NULL;
	*hint = "Use letters, digits and underscores, no digit first, at most 63.";
	return "invalid name of a parameter";
}

/* The value of NAME; NULL when there is none. */
static const char *
value_of(const char *name, List *params, TimestampTz now, pg_tz *zone)
{
	for (int i = list_length(params) - 1; i >= 0; i--)
	{
		const DpSetting *param = list_nth(params, i);

		if (strcmp(param->name, name) == 0)
			return param->value;
	}
	for (int i = 0; i < lengthof(times); i++)
	{
		pg_time_t	t = timestamptz_to_time_t(now);
		char	   *text;

		if (strcmp(times[i].name, name) != 0)
			continue;
		text = palloc(MAXDATELEN + 1);
		pg_strftime(text, MAXDATELEN, times[i].format, pg_localtime(&t, zone));
		return text;
	}
	return NULL;
}

const char *
dp_params_unknown(const char *name, List *declared)
{
	const char *const *known = known_names(declared);

	for (int i = 0; known[i] != NULL; i++)
		if (strcmp(known[i], name) == 0)
			return NULL;
	return dp_check_hint(name, known, "Declare it in \"params\". Known are");
}

/* NULL-terminated, each name once. */
static const char *const *
known_names(List *params)
{
	const char **names = palloc0((list_length(params) + lengthof(times) + 1) * sizeof(char *));
	int			n = 0;
	ListCell   *lc;

	for (int i = 0; i < lengthof(times); i++)
		names[n++] = times[i].name;
	foreach(lc, params)
	{
		const char *name = ((const DpSetting *) lfirst(lc))->name;
		int			i = 0;

		while (i < n && strcmp(names[i], name) != 0)
			i++;
		if (i == n)
			names[n++] = name;
	}
	return names;
}

/* Is one of PATH's parts ".."? */
static bool
leads_up(const char *path)
{
	for (const char *part = path; part != NULL; part = strchr(part, '/'))
	{
		part += *part == '/';
		if (strncmp(part, "..", 2) == 0 && (part[2] == '/' || part[2] == '\0'))
			return true;
	}
	return false;
}
