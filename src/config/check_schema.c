/*
 * check_schema.c
 *	  The columns of a pipeline's schema.
 *
 * Types are only text here: plan.c looks them up, with the owner's rights.
 */
#include "dynpipe.h"

#include "config/check.h"
#include "miscadmin.h"

static void column_finish(DpCheck *chk, const json_t *object, void *target);
static void read_from(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_from(StringInfo buf, const DpKey *key, const void *field);
static const char *from_problem(const char *from, const char **hint);
static bool is_pointer(const char *text);

/* The words of "from" that name something other than a field of the value. */
static const char *const meta_names[] = {
	"@key", "@value", "@timestamp", "@partition", "@offset", "@topic", "@headers", NULL
};
static const char *const clean_words[] = {
	"trim", "lower", "upper", "empty_as_null", "collapse", NULL
};
static const DpNamesOf clean_names = {clean_words, lengthof(clean_words) - 1};
static const DpTextRule column_rule = {dp_name_column_problem};
static const DpKind from_kind = {
	DP_JSON_TEXT | DP_JSON_INT, "a field's name, a pointer like '/a/b' or a CSV column's number",
	read_from, write_from
};

static const DpKey column_keys[] = {
	{"name", &dp_kind_text, offsetof(DpColumnSpec, name), &column_rule, true},
	{"type", &dp_kind_text, offsetof(DpColumnSpec, type)},
	{"required", &dp_kind_boolean, offsetof(DpColumnSpec, required)},
	{"from", &from_kind, offsetof(DpColumnSpec, from)},
	{"clean", &dp_kind_choices, offsetof(DpColumnSpec, clean), &clean_names},
	{"default", &dp_kind_scalar, offsetof(DpColumnSpec, default_value)},
	{"description", &dp_kind_text, offsetof(DpColumnSpec, description)},
	{"inferred", &dp_kind_boolean, offsetof(DpColumnSpec, inferred)},
	{NULL}
};

const DpShape dp_shape_column = {
	"a column", sizeof(DpColumnSpec), column_keys, .shorthand = "name", .finish = column_finish
};

/* No two columns have one name. */
void
dp_check_columns(DpCheck *chk, DpPipelineSpec *spec)
{
	int			n = list_length(spec->columns);

	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < n && !dp_check_full(chk); i++)
	{
		DpColumnSpec *column = list_nth(spec->columns, i);

		for (int j = 0; j < i && column->name != NULL; j++)
		{
			DpColumnSpec *other = list_nth(spec->columns, j);

			if (other->name == NULL || strcmp(column->name, other->name) != 0)
				continue;
			dp_check_problem_in(chk, psprintf("schema/%d", i), NULL,
								"column \"%s\" is there twice, first at schema/%d",
								dp_tree_clip(column->name, DP_MAX_QUOTED), j);
			break;
		}
	}
}

static void
column_finish(DpCheck *chk, const json_t *object, void *target)
{
	if (((DpColumnSpec *) target)->inferred && json_object_get(object, "type") == NULL)
		dp_check_problem_in(chk, "inferred", "Add the type that was found, or leave inferred out.",
							"inferred needs a type");
}

static void
read_from(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	const char *hint = NULL;
	char	   *from = dp_scalar_text(chk, value);	/* never NULL: no fractions here */
	const char *problem = from_problem(from, &hint);

	if (json_is_integer(value) && json_integer_value(value) < 1)
		problem = "columns are counted from 1";
	if (from[0] == '\0')
		dp_check_problem(chk, hint, "from must not be empty");
	else if (problem != NULL)
		dp_check_problem(chk, hint, "%s: \"%s\"", problem, dp_tree_clip(from, DP_MAX_QUOTED));
	else
		*(char **) field = from;
}

static void
write_from(StringInfo buf, const DpKey *key, const void *field)
{
	dp_write_text(buf, *(char *const *) field);
}

static const char *
from_problem(const char *from, const char **hint)
{
	int			len = strcspn(from, "/");

	if (from[0] == '/' && !is_pointer(from))
	{
		*hint = "In an RFC 6901 pointer ~0 stands for ~ and ~1 for /.";
		return "invalid JSON pointer";
	}
	if (from[0] != '@')
		return NULL;
	if (strncmp(from, "@key/", 5) == 0 && is_pointer(from + 4))
		return NULL;
	if (strncmp(from, "@headers/", 9) == 0 && from[9] != '\0')
		return NULL;
	for (int i = 0; from[len] == '\0' && meta_names[i] != NULL; i++)
		if (strcmp(from, meta_names[i]) == 0)
			return NULL;
	*hint = psprintf("%s Also @key/pointer and @headers/name.",
					 dp_check_hint(pnstrdup(from, len), meta_names, "Allowed are"));
	return "unknown place for from";
}

/* Is every ~ of TEXT one of the two escapes? */
static bool
is_pointer(const char *text)
{
	for (; *text != '\0'; text++)
		if (*text == '~' && text[1] != '0' && text[1] != '1')
			return false;
	return true;
}
