/*
 * check_load.c
 *	  What only pipelines of files have: params, how dirty a file may be, when
 *	  to look for files; and the rules over these keys.
 */
#include "dynpipe.h"

#include "config/check.h"
#include "config/params.h"
#include "util/cron.h"

#define MAX_PARAMS	64

static void check_only(DpCheck *chk, const json_t *pipeline, bool streams);
static void check_times(DpCheck *chk, DpPipelineSpec *spec);
static void check_replaceable(DpCheck *chk, const json_t *pipeline, DpPipelineSpec *spec);
static void read_params(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void read_param(DpCheck *chk, const json_t *value, char *name, List **params);
static void write_params(StringInfo buf, const DpKey *key, const void *field);
static void read_bad_records(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_bad_records(StringInfo buf, const DpKey *key, const void *field);
static bool parse_share(const char *text, double *share);
static char *share_text(double share);
static const char *schedule_problem(const char *text, const char **hint);
static const char *zone_problem(const char *text, const char **hint);

const DpTextRule dp_rule_schedule = {schedule_problem};
const DpTextRule dp_rule_timezone = {zone_problem};

const DpKind dp_kind_params = {
	DP_JSON_OBJECT, "an object of names and their values", read_params, write_params
};
const DpKind dp_kind_bad_records = {
	DP_JSON_INT | DP_JSON_TEXT, "a whole number or a share like '2.5%'",
	read_bad_records, write_bad_records
};

void
dp_check_load(DpCheck *chk, const json_t *pipeline, DpPipelineSpec *spec)
{
	if (spec->scheme == NULL || !dp_registry_scheme_exists(spec->scheme))
		return;
	if (dp_registry_scheme_streams(spec->scheme))
	{
		check_only(chk, pipeline, true);
		return;
	}
	check_only(chk, pipeline, false);
	check_times(chk, spec);
	check_replaceable(chk, pipeline, spec);
	dp_check_placeholders(chk, "source", spec->path, spec->params);
}

/* Every key that is there is for such a source. */
static void
check_only(DpCheck *chk, const json_t *pipeline, bool streams)
{
	for (const DpKey *key = dp_shape_pipeline.keys; key->name != NULL; key++)
	{
		if (key->only == (streams ? DP_ONLY_FILES : DP_ONLY_STREAMS) &&
			json_object_get(pipeline, key->name) != NULL)
			dp_check_problem_in(chk, key->name,
								streams ? "Leave it out: the source is a stream." :
								"Leave it out: the source is files.",
								"%s is for %s only", key->name, streams ? "files" : "streams");
	}
}

static void
check_times(DpCheck *chk, DpPipelineSpec *spec)
{
	DpCron		cron;
	const char *hint;

	if (spec->schedule != NULL && spec->watch_ms > 0)
		dp_check_problem_in(chk, "watch", "Keep one of them: watch looks for new files all the "
							"time, schedule at given times.",
							"watch and schedule exclude each other");
	if (spec->timezone == NULL)
		return;
	if (spec->schedule == NULL)
		dp_check_problem_in(chk, "timezone", "Add \"schedule\", or leave timezone out.",
							"timezone needs a schedule");
	else if (dp_cron_parse(spec->schedule, &cron, &hint) == NULL && cron.every_ms > 0)
		dp_check_problem_in(chk, "timezone", "Write the schedule as a cron expression, such as "
							"\"0 6 * * *\", or leave timezone out.",
							"timezone says nothing about an interval");
}

/*
 * What an upsert has overwritten can only come back from bronze.  Without a
 * key silver's rows are simply those of the file.
 */
static void
check_replaceable(DpCheck *chk, const json_t *pipeline, DpPipelineSpec *spec)
{
	const char *key;

	if (spec->bronze || spec->key == NIL)
		return;
	if (spec->on_change == DP_ON_CHANGE_REPLACE)
		key = "on_change: replace";
	else if (spec->on_remove == DP_ON_REMOVE_UNLOAD)
		key = "on_remove: unload";
	else
		return;
	dp_check_problem_in(chk, "bronze", "Keep bronze: a row that a file has overwritten comes back "
						"from there. Or write on_change: append or ignore, and on_remove: keep.",
						"silver with a key and %s needs bronze", key);
}

static void
read_params(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	const char *name;
	json_t	   *item;

	if (json_object_size(value) > MAX_PARAMS)
	{
		dp_check_problem(chk, NULL, "params must have at most %d entries, not %zu", MAX_PARAMS,
						 json_object_size(value));
		return;
	}
	json_object_foreach((json_t *) value, name, item)
	{
		char	   *param = dp_tree_text(name, strlen(name));
		int			mark = dp_check_enter(chk, param);

		read_param(chk, item, param, field);
		dp_check_leave(chk, mark);
	}
}

static void
read_param(DpCheck *chk, const json_t *value, char *name, List **params)
{
	const char *hint = NULL;
	const char *problem = dp_params_name_problem(name, &hint);
	char	   *text;

	if (problem != NULL)
		dp_check_problem(chk, hint, "%s: \"%s\"", problem, dp_tree_clip(name, DP_MAX_QUOTED));
	else if (!(dp_check_type(value) & dp_kind_scalar.accepts))
		dp_check_problem(chk, NULL, "a parameter must be %s, not %s",
						 dp_kind_scalar.expected, dp_check_type_name(value));
	else if ((text = dp_scalar_text(chk, value)) != NULL)
	{
		if (dp_name_has_control(text))
			dp_check_problem(chk, NULL, "a parameter must not have control characters");
		*params = dp_setting_add(*params, name, text);
	}
}

static void
write_params(StringInfo buf, const DpKey *key, const void *field)
{
	appendStringInfoChar(buf, '{');
	dp_write_settings(buf, *(List *const *) field, "");
	appendStringInfoChar(buf, '}');
}

static void
read_bad_records(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	DpPipelineSpec *spec = field;

	if (json_is_integer(value) && json_integer_value(value) >= 0)
		spec->max_bad_records = json_integer_value(value);
	else if (json_is_integer(value))
		dp_check_problem(chk, "0 lets no record be bad; leave the key out for no limit.",
						 "max_bad_records must not be negative");
	else if (!parse_share(dp_check_text(value), &spec->max_bad_share))
		dp_check_problem(chk, "Write a number of records, or a share of them in percent: \"2.5%\".",
						 "invalid share \"%s\"",
						 dp_tree_clip(dp_check_text(value), DP_MAX_QUOTED));
}

static void
write_bad_records(StringInfo buf, const DpKey *key, const void *field)
{
	const DpPipelineSpec *spec = field;

	if (spec->max_bad_records >= 0)
		appendStringInfo(buf, "%lld", (long long) spec->max_bad_records);
	else if (spec->max_bad_share >= 0)
		dp_write_text(buf, share_text(spec->max_bad_share));
	else
		appendStringInfoString(buf, "null");
}

/* "2.5%": 0 to 100, with at most six digits behind the point, so that it is kept exactly. */
static bool
parse_share(const char *text, double *share)
{
	int			whole = strspn(text, "0123456789");
	const char *p = text + whole;
	double		percent;

	if (whole < 1 || whole > 3)
		return false;
	if (*p == '.')
	{
		int			digits = strspn(++p, "0123456789");

		if (digits < 1 || digits > 6)
			return false;
		p += digits;
	}
	percent = strtod(text, NULL);
	if (strcmp(p, "%") != 0 || percent > 100)
		return false;
	*share = percent / 100;
	return true;
}

/* The percentage that parse_share reads as SHARE. */
static char *
share_text(double share)
{
	char	   *text = psprintf("%.6f", share * 100);
	int			len = strlen(text);

	while (text[len - 1] == '0')
		len--;
	len -= text[len - 1] == '.';
	return psprintf("%.*s%%", len, text);
}

static const char *
schedule_problem(const char *text, const char **hint)
{
	DpCron		cron;

	return dp_cron_parse(text, &cron, hint);
}

static const char *
zone_problem(const char *text, const char **hint)
{
	return dp_cron_zone(text, hint) == NULL ? "unknown time zone" : NULL;
}
