/*
 * check_silver.c
 *	  What silver makes of the columns: derive, where, key, sequence_by,
 *	  delete_when, expect.
 *
 * SQL expressions are only text here; plan.c has the server's parser look at
 * them.  Names of columns are checked, since the document declares them all.
 */
#include "dynpipe.h"

#include "config/check.h"

static void read_derive(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static List *read_derive_map(DpCheck *chk, const json_t *object);
static void write_derive(StringInfo buf, const DpKey *key, const void *field);
static void expect_init(void *target);
static void check_derive(DpCheck *chk, DpPipelineSpec *spec);
static void check_names(DpCheck *chk, const json_t *silver, const char *key,
						List *names, const char *const *columns);
static void check_expect(DpCheck *chk, DpPipelineSpec *spec);
static const char *const *column_names(const DpPipelineSpec *spec);

#define MAX_COLUMNS		1500	/* a table holds 1600, some are ours */
#define MAX_KEY			32		/* columns of an index */
#define MAX_EXPECT		63		/* bits of a record's verdict */

static const char *const action_words[] = {"warn", "drop", "quarantine", "fail", NULL};
static const DpTextRule column_rule = {dp_name_column_problem};
static const DpTextRule rule_rule = {dp_name_rule_problem};
static const DpNamesOf key_names = {NULL, MAX_KEY};

static const DpKey derive_keys[] = {
	{"name", &dp_kind_text, offsetof(DpDeriveSpec, name), &column_rule, true},
	{"expr", &dp_kind_text, offsetof(DpDeriveSpec, expr), NULL, true},
	{NULL}
};
static const DpShape derive_shape = {"a derived column", sizeof(DpDeriveSpec), derive_keys};
static const DpListOf derives = {&derive_shape, MAX_COLUMNS};
static const DpKey derive_list = {"derive", &dp_kind_list, 0, &derives};
static const DpKind derive_kind = {
	DP_JSON_OBJECT | DP_JSON_LIST, "an object of column name and SQL expression",
	read_derive, write_derive
};

static const DpKey expect_keys[] = {
	{"name", &dp_kind_text, offsetof(DpExpectSpec, name), &rule_rule, true},
	{"check", &dp_kind_text, offsetof(DpExpectSpec, check), NULL, true},
	{"otherwise", &dp_kind_choice, offsetof(DpExpectSpec, otherwise), action_words},
	{NULL}
};
static const DpShape expect_shape = {
	"an expectation", sizeof(DpExpectSpec), expect_keys, .init = expect_init
};
static const DpListOf expects = {&expect_shape, MAX_EXPECT};

const DpKey dp_silver_keys[] = {
	{"table", &dp_kind_table, offsetof(DpPipelineSpec, silver_table)},
	{"derive", &derive_kind, offsetof(DpPipelineSpec, derive)},
	{"where", &dp_kind_text, offsetof(DpPipelineSpec, where)},
	{"key", &dp_kind_names, offsetof(DpPipelineSpec, key), &key_names},
	{"sequence_by", &dp_kind_names, offsetof(DpPipelineSpec, sequence_by), &key_names},
	{"delete_when", &dp_kind_text, offsetof(DpPipelineSpec, delete_when)},
	{"expect", &dp_kind_list, offsetof(DpPipelineSpec, expect), &expects},
	{NULL}
};

/* Rules over silver's keys and the schema. */
void
dp_check_silver(DpCheck *chk, const json_t *pipeline, DpPipelineSpec *spec)
{
	const json_t *silver = json_object_get(pipeline, "silver");
	const json_t *key = json_object_get(silver, "key");
	bool		keyless = key == NULL || (json_is_array(key) && json_array_size(key) == 0);
	const char *const *columns;

	if (!spec->silver)
		return;
	if (spec->columns == NIL && !dp_check_may_infer(spec))
	{
		if (json_array_size(json_object_get(pipeline, "schema")) == 0)
			dp_check_problem_in(chk, "silver", "Declare the columns in \"schema\".",
								"silver needs a schema");
		return;
	}
	check_derive(chk, spec);
	if (spec->columns != NIL)
	{
		columns = column_names(spec);
		check_names(chk, silver, "key", spec->key, columns);
		check_names(chk, silver, "sequence_by", spec->sequence_by, columns);
	}
	if (spec->sequence_by != NIL && keyless)
		dp_check_problem_in(chk, "silver/sequence_by", "Add \"key\", or leave sequence_by out.",
							"sequence_by needs a key");
	if (spec->delete_when != NULL && keyless)
		dp_check_problem_in(chk, "silver/delete_when", "Add \"key\", or use \"where\".",
							"delete_when needs a key");
	check_expect(chk, spec);
	if (spec->bronze && dp_name_table_equal(&spec->silver_table, &spec->bronze_table))
		dp_check_problem_in(chk, "silver/table", "Each layer has a table of its own.",
							"silver and bronze are the same table");
}

/*
 * {name: expression}, or as a list of {name, expr}: the order of columns
 * survives in a list even where objects lose theirs, as in jsonb.
 */
static void
read_derive(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	if (json_is_array(value))
		dp_kind_list.read(chk, value, &derive_list, field);
	else if (json_object_size(value) > MAX_COLUMNS)
		dp_check_problem(chk, NULL, "derive must have at most %d entries, not %zu", MAX_COLUMNS,
						 json_object_size(value));
	else
		*(List **) field = read_derive_map(chk, value);
}

static List *
read_derive_map(DpCheck *chk, const json_t *object)
{
	List	   *list = NIL;
	const char *name;
	json_t	   *value;

	json_object_foreach((json_t *) object, name, value)
	{
		DpDeriveSpec *derive = palloc0(sizeof(DpDeriveSpec));
		const char *hint = NULL;
		const char *problem;
		int			mark;

		derive->name = dp_tree_text(name, strlen(name));
		mark = dp_check_enter(chk, derive->name);
		problem = derive->name[0] == '\0' ? "column name must not be empty" :
			dp_name_column_problem(derive->name, &hint);
		if (problem != NULL)
			dp_check_problem(chk, hint, "%s: \"%s\"", problem,
							 dp_tree_clip(derive->name, DP_MAX_QUOTED));
		if (json_is_string(value))
			derive_keys[1].kind->read(chk, value, &derive_keys[1], &derive->expr);
		else
			dp_check_problem(chk, NULL, "a derived column must be an SQL expression as text, not %s",
							 dp_check_type_name(value));
		list = lappend(list, derive);
		dp_check_leave(chk, mark);
	}
	return list;
}

/* A single column reads best as an object, more need the list's order. */
static void
write_derive(StringInfo buf, const DpKey *key, const void *field)
{
	List	   *list = *(List *const *) field;

	if (list_length(list) == 1)
	{
		const DpDeriveSpec *derive = linitial(list);

		appendStringInfoChar(buf, '{');
		dp_write_text(buf, derive->name);
		appendStringInfoString(buf, ": ");
		dp_write_text(buf, derive->expr);
		appendStringInfoChar(buf, '}');
	}
	else
		dp_kind_list.write(buf, &derive_list, field);
}

static void
expect_init(void *target)
{
	((DpExpectSpec *) target)->otherwise = DP_ACTION_QUARANTINE;
}

/* In a list a name may be there twice; an object cannot have that. */
static void
check_derive(DpCheck *chk, DpPipelineSpec *spec)
{
	for (int i = 0; i < list_length(spec->derive); i++)
	{
		const char *name = ((DpDeriveSpec *) list_nth(spec->derive, i))->name;

		for (int j = 0; j < i && name != NULL; j++)
		{
			const char *other = ((DpDeriveSpec *) list_nth(spec->derive, j))->name;

			if (other == NULL || strcmp(name, other) != 0)
				continue;
			dp_check_problem_in(chk, psprintf("silver/derive/%d", i), NULL,
								"derived column \"%s\" is there twice",
								dp_tree_clip(name, DP_MAX_QUOTED));
			break;
		}
	}
	if (list_length(spec->columns) + list_length(spec->derive) > MAX_COLUMNS)
		dp_check_problem_in(chk, "silver/derive", NULL,
							"silver must have at most %d columns", MAX_COLUMNS);
}

/* Every one of NAMES, given by silver's KEY, is one of COLUMNS. */
static void
check_names(DpCheck *chk, const json_t *silver, const char *key,
			List *names, const char *const *columns)
{
	bool		is_list = json_is_array(json_object_get(silver, key));

	for (int i = 0; i < list_length(names); i++)
	{
		const char *name = list_nth(names, i);
		int			c = 0;

		while (columns[c] != NULL && strcmp(columns[c], name) != 0)
			c++;
		if (columns[c] == NULL)
			dp_check_problem_in(chk, is_list ? psprintf("silver/%s/%d", key, i) :
								psprintf("silver/%s", key),
								dp_check_hint(name, columns, "Columns of silver"),
								"%s names an unknown column \"%s\"", key,
								dp_tree_clip(name, DP_MAX_QUOTED));
	}
}

static void
check_expect(DpCheck *chk, DpPipelineSpec *spec)
{
	for (int i = 0; i < list_length(spec->expect); i++)
	{
		const char *name = ((DpExpectSpec *) list_nth(spec->expect, i))->name;

		for (int j = 0; j < i && name != NULL; j++)
		{
			const char *other = ((DpExpectSpec *) list_nth(spec->expect, j))->name;

			if (other == NULL || strcmp(name, other) != 0)
				continue;
			dp_check_problem_in(chk, psprintf("silver/expect/%d/name", i), NULL,
								"expectation \"%s\" is there twice",
								dp_tree_clip(name, DP_MAX_QUOTED));
			break;
		}
	}
}

/* The names of silver's columns, NULL-terminated. */
static const char *const *
column_names(const DpPipelineSpec *spec)
{
	const char **names = palloc0((list_length(spec->columns) + list_length(spec->derive) + 1) *
								 sizeof(char *));
	int			n = 0;
	ListCell   *lc;

	foreach(lc, spec->columns)
		if (((DpColumnSpec *) lfirst(lc))->name != NULL)
			names[n++] = ((DpColumnSpec *) lfirst(lc))->name;
	foreach(lc, spec->derive)
		if (((DpDeriveSpec *) lfirst(lc))->name != NULL)
			names[n++] = ((DpDeriveSpec *) lfirst(lc))->name;
	return names;
}
