/*
 * check_list.c
 *	  Kinds of values that hold others: lists of objects, lists of names, and
 *	  objects whose members belong to the struct around them.
 */
#include "dynpipe.h"

#include "config/check.h"

#define NAMES_EXPECTED	"text or a list of texts"

static void read_list(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void read_item(DpCheck *chk, const json_t *item, const DpShape *shape, void *target);
static void write_list(StringInfo buf, const DpKey *key, const void *field);
static void read_names(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_names(StringInfo buf, const DpKey *key, const void *field);
static void read_choices(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_choices(StringInfo buf, const DpKey *key, const void *field);
static List *texts_of(DpCheck *chk, const json_t *value, const DpKey *key);
static char *one_text(DpCheck *chk, const json_t *item, const DpKey *key, List *earlier);
static void read_group(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_group(StringInfo buf, const DpKey *key, const void *field);
static void read_layer(DpCheck *chk, const json_t *value, const DpKey *key, void *field);
static void write_layer(StringInfo buf, const DpKey *key, const void *field);
static bool too_many(DpCheck *chk, const json_t *list, const DpKey *key, int max);

const DpKind dp_kind_list = {DP_JSON_LIST, "a list", read_list, write_list};
const DpKind dp_kind_names = {
	DP_JSON_LIST | DP_JSON_TEXT, NAMES_EXPECTED, read_names, write_names
};
const DpKind dp_kind_choices = {
	DP_JSON_LIST | DP_JSON_TEXT, NAMES_EXPECTED, read_choices, write_choices
};
const DpKind dp_kind_group = {DP_JSON_OBJECT, "an object", read_group, write_group};
const DpKind dp_kind_layer = {
	DP_JSON_OBJECT | DP_JSON_BOOL, "an object, true or false", read_layer, write_layer
};

static void
read_list(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	const DpListOf *of = key->arg;
	size_t		i;
	json_t	   *item;

	if (too_many(chk, value, key, of->max))
		return;
	json_array_foreach((json_t *) value, i, item)
	{
		int			mark = dp_check_enter_item(chk, i);
		void	   *target = dp_check_new(of->shape);

		read_item(chk, item, of->shape, target);
		*(List **) field = lappend(*(List **) field, target);
		dp_check_leave(chk, mark);
	}
}

/* An object, or the shorthand for one: a text that stands for its main key. */
static void
read_item(DpCheck *chk, const json_t *item, const DpShape *shape, void *target)
{
	if (json_is_object(item))
		dp_check_object(chk, item, shape, target);
	else if (json_is_string(item) && shape->shorthand != NULL)
	{
		const DpKey *key = shape->keys;

		while (strcmp(key->name, shape->shorthand) != 0)
			key++;
		key->kind->read(chk, item, key, (char *) target + key->offset);
	}
	else
		dp_check_problem(chk, NULL, "%s must be %s, not %s", shape->what,
						 shape->shorthand != NULL ? "text or an object" : "an object",
						 dp_check_type_name(item));
}

static void
write_list(StringInfo buf, const DpKey *key, const void *field)
{
	const DpListOf *of = key->arg;
	const char *comma = "";
	ListCell   *lc;

	appendStringInfoChar(buf, '[');
	foreach(lc, *(List *const *) field)
	{
		appendStringInfoString(buf, comma);
		dp_write_members(buf, of->shape, lfirst(lc));
		comma = ", ";
	}
	appendStringInfoChar(buf, ']');
}

static void
read_names(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	*(List **) field = texts_of(chk, value, key);
}

static void
write_names(StringInfo buf, const DpKey *key, const void *field)
{
	const char *comma = "";
	ListCell   *lc;

	appendStringInfoChar(buf, '[');
	foreach(lc, *(List *const *) field)
	{
		appendStringInfoString(buf, comma);
		dp_write_text(buf, lfirst(lc));
		comma = ", ";
	}
	appendStringInfoChar(buf, ']');
}

static void
read_choices(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	const DpNamesOf *of = key->arg;
	ListCell   *lc;

	foreach(lc, texts_of(chk, value, key))
		for (int i = 0; of->names[i] != NULL; i++)
			if (strcmp(of->names[i], lfirst(lc)) == 0)
				*(List **) field = lappend_int(*(List **) field, i);
}

static void
write_choices(StringInfo buf, const DpKey *key, const void *field)
{
	const DpNamesOf *of = key->arg;
	const char *comma = "";
	ListCell   *lc;

	appendStringInfoChar(buf, '[');
	foreach(lc, *(List *const *) field)
	{
		appendStringInfoString(buf, comma);
		dp_write_text(buf, of->names[lfirst_int(lc)]);
		comma = ", ";
	}
	appendStringInfoChar(buf, ']');
}

/* The texts of a list, or the single text, each allowed and there once. */
static List *
texts_of(DpCheck *chk, const json_t *value, const DpKey *key)
{
	const DpNamesOf *of = key->arg;
	List	   *texts = NIL;
	size_t		i;
	json_t	   *item;

	if (json_is_string(value))
		return list_make1(one_text(chk, value, key, NIL));
	if (too_many(chk, value, key, of->max))
		return NIL;
	json_array_foreach((json_t *) value, i, item)
	{
		int			mark = dp_check_enter_item(chk, i);
		char	   *text = one_text(chk, item, key, texts);

		if (text != NULL)
			texts = lappend(texts, text);
		dp_check_leave(chk, mark);
	}
	return texts;
}

static char *
one_text(DpCheck *chk, const json_t *item, const DpKey *key, List *earlier)
{
	const DpNamesOf *of = key->arg;
	char	   *text;
	ListCell   *lc;
	bool		known = of->names == NULL;

	if (!json_is_string(item))
	{
		dp_check_problem(chk, NULL, "each of %s must be text, not %s", key->name,
						 dp_check_type_name(item));
		return NULL;
	}
	text = dp_check_text(item);
	for (int i = 0; !known && of->names[i] != NULL; i++)
		known = strcmp(of->names[i], text) == 0;
	if (!known)
		dp_check_problem(chk, dp_check_hint(text, of->names, "Allowed values"),
						 "unknown value \"%s\" for %s", dp_tree_clip(text, DP_MAX_QUOTED),
						 key->name);
	foreach(lc, earlier)
		if (strcmp(lfirst(lc), text) == 0)
		{
			dp_check_problem(chk, NULL, "\"%s\" is there twice",
							 dp_tree_clip(text, DP_MAX_QUOTED));
			return NULL;
		}
	return text;
}

/* The members are fields of the struct that holds the key: FIELD is its start. */
static void
read_group(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	dp_check_object(chk, value, key->arg, field);
}

static void
write_group(StringInfo buf, const DpKey *key, const void *field)
{
	dp_write_members(buf, key->arg, field);
}

static void
read_layer(DpCheck *chk, const json_t *value, const DpKey *key, void *field)
{
	const DpLayer *layer = key->arg;

	*(bool *) ((char *) field + layer->flag) = !json_is_false(value);
	if (json_is_object(value))
		dp_check_object(chk, value, layer->shape, field);
}

static void
write_layer(StringInfo buf, const DpKey *key, const void *field)
{
	const DpLayer *layer = key->arg;

	if (*((const bool *) ((const char *) field + layer->flag)))
		dp_write_members(buf, layer->shape, field);
	else
		appendStringInfoString(buf, "false");
}

static bool
too_many(DpCheck *chk, const json_t *list, const DpKey *key, int max)
{
	if (json_array_size(list) <= (size_t) max)
		return false;
	dp_check_problem(chk, NULL, "%s must have at most %d entries, not %zu", key->name, max,
					 json_array_size(list));
	return true;
}
