/*
 * check_value.c
 *	  Kinds of single values: text, numbers, sizes, durations, choices, names
 *	  of tables.  Each reads itself from the tree and writes itself as JSON.
 */
#include "dynpipe.h"

#include "common/shortest_dec.h"
#include "config/check.h"
#include "util/quantity.h"

static void read_text(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_text(StringInfo buf, const DpKey *key, const void *field);
static void read_ignored(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_ignored(StringInfo buf, const DpKey *key, const void *field);
static void read_scalar(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void read_boolean(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_boolean(StringInfo buf, const DpKey *key, const void *field);
static void read_count(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_count(StringInfo buf, const DpKey *key, const void *field);
static void read_bytes(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_bytes(StringInfo buf, const DpKey *key, const void *field);
static void read_duration(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_duration(StringInfo buf, const DpKey *key, const void *field);
static void read_choice(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_choice(StringInfo buf, const DpKey *key, const void *field);
static char *choice_allowed(const DpKey *key);
static void read_word(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static char *word_allowed(const DpKey *key);
static void read_table(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_table(StringInfo buf, const DpKey *key, const void *field);
static char *range_text(const DpRange *range, const DpUnit *units);

const DpKind dp_kind_text = {DP_JSON_TEXT, "text", read_text, write_text};
const DpKind dp_kind_ignored = {DP_JSON_TEXT, "text", read_ignored, write_ignored};
const DpKind dp_kind_scalar = {
	DP_JSON_TEXT | DP_JSON_INT | DP_JSON_REAL | DP_JSON_BOOL,
	"text, a number, true or false", read_scalar, write_text
};
const DpKind dp_kind_boolean = {DP_JSON_BOOL, "true or false", read_boolean, write_boolean};
const DpKind dp_kind_count = {
	DP_JSON_INT, "a whole number", read_count, write_count
};
const DpKind dp_kind_bytes = {
	DP_JSON_INT | DP_JSON_TEXT, "a number of bytes or text like '16MB'", read_bytes, write_bytes
};
const DpKind dp_kind_duration = {
	DP_JSON_TEXT, "a duration like '30s', '5min' or '1h'", read_duration, write_duration
};
const DpKind dp_kind_choice = {
	DP_JSON_TEXT, "one of the allowed words", read_choice, write_choice, choice_allowed
};
const DpKind dp_kind_word = {
	DP_JSON_TEXT, "one of the allowed words", read_word, write_text, word_allowed
};
const DpKind dp_kind_table = {
	DP_JSON_TEXT, "a table name like 'schema.table'", read_table, write_table
};

/* The text of a scalar; NULL after adding a problem when it would lose digits. */
char *
dp_scalar_text(DpCheck *chk, const json_t *value)
{
	char		buf[DOUBLE_SHORTEST_DECIMAL_LEN];

	if (json_is_string(value))
		return dp_check_text(value);
	if (json_is_boolean(value))
		return pstrdup(json_is_true(value) ? "true" : "false");
	if (json_is_integer(value))
		return psprintf("%lld", (long long) json_integer_value(value));

	/* Fifteen digits survive a double; with more the text may have had others. */
	snprintf(buf, sizeof(buf), "%.15g", json_real_value(value));
	if (strtod(buf, NULL) != json_real_value(value))
	{
		dp_check_problem(chk, "Put it in quotes, then every digit is kept.",
						 "number has more digits than can be kept");
		return NULL;
	}
	double_to_shortest_decimal_buf(json_real_value(value), buf);
	return pstrdup(buf);
}

/* SETTINGS by name, those of one name in the order in which they came. */
List *
dp_setting_add(List *settings, char *name, char *value)
{
	DpSetting  *setting = palloc(sizeof(DpSetting));
	int			i = list_length(settings);

	setting->name = name;
	setting->value = value;
	while (i > 0 && strcmp(((DpSetting *) list_nth(settings, i - 1))->name, name) > 0)
		i--;
	return list_insert_nth(settings, i, setting);
}

/* Read TEXT as the name of a table; used where a text may be something else as well. */
void
dp_read_table(DpCheck *chk, const char *text, DpTableName *table)
{
	const char *hint = NULL;
	const char *problem = dp_name_table_parse(text, table, &hint);

	if (problem != NULL)
		dp_check_problem(chk, hint, "%s: \"%s\"", problem, dp_tree_clip(text, DP_MAX_QUOTED));
}

static void
read_text(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	const DpTextRule *rule = key->arg;
	char	   *text = dp_check_text(value);
	const char *hint = NULL;
	const char *problem;

	*(char **) field = text;
	if (text[strspn(text, " \t\r\n")] == '\0')
		dp_check_problem(chk, NULL, "%s must not be empty", key->name);
	else if (rule != NULL && (problem = rule->problem(text, &hint)) != NULL)
		dp_check_problem(chk, hint, "%s: \"%s\"", problem, dp_tree_clip(text, DP_MAX_QUOTED));
}

static void
write_text(StringInfo buf, const DpKey *key, const void *field)
{
	dp_write_text(buf, *(char *const *) field);
}

static void
read_ignored(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
}

static void
write_ignored(StringInfo buf, const DpKey *key, const void *field)
{
	appendStringInfoString(buf, "null");
}

static void
read_scalar(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	*(char **) field = dp_scalar_text(chk, value);
}

static void
read_boolean(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	*(bool *) field = json_is_true(value);
}

static void
write_boolean(StringInfo buf, const DpKey *key, const void *field)
{
	appendStringInfoString(buf, *(const bool *) field ? "true" : "false");
}

static void
read_count(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	const DpRange *range = key->arg;
	int64		number = json_integer_value(value);

	if (number < range->min || number > range->max)
		dp_check_problem(chk, NULL, "%s must be %lld to %lld, not %lld", key->name,
						 (long long) range->min, (long long) range->max, (long long) number);
	else
		*(int *) field = (int) number;
}

static void
write_count(StringInfo buf, const DpKey *key, const void *field)
{
	appendStringInfo(buf, "%d", *(const int *) field);
}

static void
read_bytes(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	const DpRange *range = key->arg;
	int64		bytes = 0;

	if (json_is_integer(value))
		bytes = json_integer_value(value);
	else if (!dp_quantity_parse(dp_check_text(value), dp_byte_units, &bytes))
	{
		dp_check_problem(chk, "Write a whole number and a unit: B, kB, MB or GB.",
						 "invalid size \"%s\"",
						 dp_tree_clip(dp_check_text(value), DP_MAX_QUOTED));
		return;
	}
	if (bytes < range->min || bytes > range->max)
		dp_check_problem(chk, NULL, "%s must be %s", key->name, range_text(range, dp_byte_units));
	else
		*(int64 *) field = bytes;
}

static void
write_bytes(StringInfo buf, const DpKey *key, const void *field)
{
	dp_write_text(buf, dp_quantity_text(*(const int64 *) field, dp_byte_units));
}

static void
read_duration(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	const DpRange *range = key->arg;
	char	   *text = dp_check_text(value);
	int64		ms;

	if (!dp_quantity_parse(text, dp_time_units, &ms))
		dp_check_problem(chk, "Write a whole number and a unit: ms, s, min, h or d.",
						 "invalid duration \"%s\"", dp_tree_clip(text, DP_MAX_QUOTED));
	else if (ms < range->min || ms > range->max)
		dp_check_problem(chk, NULL, "%s must be %s", key->name, range_text(range, dp_time_units));
	else
		*(int64 *) field = ms;
}

static void
write_duration(StringInfo buf, const DpKey *key, const void *field)
{
	dp_write_text(buf, dp_quantity_text(*(const int64 *) field, dp_time_units));
}

/* The spec's enums number their words as the table does. */
static void
read_choice(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	const char *const *names = key->arg;
	char	   *text = dp_check_text(value);

	for (int i = 0; names[i] != NULL; i++)
		if (strcmp(names[i], text) == 0)
		{
			*(int *) field = i;
			return;
		}
	dp_check_problem(chk, dp_check_hint(text, names, "Allowed values"),
					 "unknown value \"%s\" for %s", dp_tree_clip(text, DP_MAX_QUOTED), key->name);
}

static void
write_choice(StringInfo buf, const DpKey *key, const void *field)
{
	const char *const *names = key->arg;

	dp_write_text(buf, names[*(const int *) field]);
}

static char *
choice_allowed(const DpKey *key)
{
	return dp_check_hint("", key->arg, "Allowed values");
}

/* Kept as text, since what reads it has words of its own for them. */
static void
read_word(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	const DpWords *words = key->arg;
	char	   *text = dp_check_text(value);
	int			i = 0;

	while (words->words[i] != NULL && strcmp(words->words[i], text) != 0)
		i++;
	if (words->words[i] == NULL)
		dp_check_problem(chk, dp_check_hint(text, words->words, "Allowed values"),
						 "unknown value \"%s\" for %s", dp_tree_clip(text, DP_MAX_QUOTED),
						 key->name);
	else if (words->default_word == NULL || strcmp(words->default_word, text) != 0)
		*(char **) field = text;
}

static char *
word_allowed(const DpKey *key)
{
	return dp_check_hint("", ((const DpWords *) key->arg)->words, "Allowed values");
}

static void
read_table(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	dp_read_table(chk, dp_check_text(value), field);
}

static void
write_table(StringInfo buf, const DpKey *key, const void *field)
{
	const DpTableName *table = field;

	dp_write_text(buf, table->table != NULL ? dp_name_table_text(table) : NULL);
}

static char *
range_text(const DpRange *range, const DpUnit *units)
{
	return psprintf("%s to %s", dp_quantity_text(range->min, units), dp_quantity_text(range->max, units));
}
