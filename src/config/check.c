/*
 * check.c
 *	  Walking a document by its tables, and the document's own table.
 *
 * The walk follows the document, so problems come out in its order; what is
 * missing comes after what is there, and rules over several keys last.  The
 * place is one growing and shrinking pointer: enter, look, leave.
 */
#include "dynpipe.h"

#include "config/check.h"
#include "miscadmin.h"

static void document_finish(DpCheck *chk, const json_t *object, void *target);
static const DpKey *find_key(const DpShape *shape, const char *name);
static void check_member(DpCheck *chk, const json_t *value, const DpShape *shape,
						 const DpKey *key, void *target);
static void unknown_key(DpCheck *chk, const DpShape *shape, const char *name);

static const DpListOf pipelines = {&dp_shape_pipeline, 10000};

static const DpKey document_keys[] = {
	{"$schema", &dp_kind_ignored, 0},
	{"prune", &dp_kind_boolean, offsetof(DpDocument, prune)},
	{"pipelines", &dp_kind_list, offsetof(DpDocument, pipelines), &pipelines, true},
	{NULL}
};

static const DpShape document_shape = {
	.what = "the document",
	.keys = document_keys,
	.finish = document_finish
};

/* Check the tree under ROOT; fills DOC's pipelines and problems. */
void
dp_check_document(const json_t *root, DpDocument *doc)
{
	DpCheck		chk = {.doc = doc};

	initStringInfo(&chk.pointer);
	if (json_is_object(root))
		dp_check_object(&chk, root, &document_shape, doc);
	else
		dp_check_problem(&chk, "Write {\"pipelines\": [...]}.",
						 "document must be an object, not %s", dp_check_type_name(root));
}

/* A fresh struct of SHAPE with its defaults. */
void *
dp_check_new(const DpShape *shape)
{
	void	   *target = palloc0(shape->size);

	if (shape->init != NULL)
		shape->init(target);
	return target;
}

/* Check OBJECT against SHAPE and fill TARGET from it. */
void
dp_check_object(DpCheck *chk, const json_t *object, const DpShape *shape, void *target)
{
	const char *name;
	json_t	   *value;

	json_object_foreach((json_t *) object, name, value)
	{
		char	   *text = dp_tree_text(name, strlen(name));
		const DpKey *key = find_key(shape, text);
		int			mark;

		if (dp_check_full(chk))
			return;
		mark = dp_check_enter(chk, text);
		if (key == NULL)
			unknown_key(chk, shape, text);
		else
			check_member(chk, value, shape, key, target);
		dp_check_leave(chk, mark);
	}
	for (const DpKey *key = shape->keys; key->name != NULL; key++)
		if (key->required && json_object_get(object, key->name) == NULL)
			dp_check_problem(chk, psprintf("Add \"%s\": %s.", key->name, key->kind->expected),
							 "key \"%s\" is missing from %s", key->name, shape->what);
	if (shape->finish != NULL)
		shape->finish(chk, object, target);
}

/* Go down to member NAME; returns what dp_check_leave needs. */
int
dp_check_enter(DpCheck *chk, const char *name)
{
	int			mark = chk->pointer.len;

	appendStringInfoChar(&chk->pointer, '/');
	for (const char *p = dp_tree_clip(name, DP_MAX_QUOTED); *p != '\0'; p++)
	{
		if (*p == '~')
			appendStringInfoString(&chk->pointer, "~0");
		else if (*p == '/')
			appendStringInfoString(&chk->pointer, "~1");
		else
			appendStringInfoCharMacro(&chk->pointer, *p);
	}
	return mark;
}

int
dp_check_enter_item(DpCheck *chk, size_t index)
{
	int			mark = chk->pointer.len;

	appendStringInfo(&chk->pointer, "/%zu", index);
	return mark;
}

void
dp_check_leave(DpCheck *chk, int mark)
{
	chk->pointer.len = mark;
	chk->pointer.data[mark] = '\0';
}

/* Add a problem at the current place. */
void
dp_check_problem(DpCheck *chk, const char *hint, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	dp_config_add_problem(chk->doc, chk->pointer.data, hint, "%s", dp_problem_format(fmt, args));
	va_end(args);
}

/* Add a problem at PLACE below the current one: "silver/key/0". */
void
dp_check_problem_in(DpCheck *chk, const char *place, const char *hint, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	dp_config_add_problem(chk->doc, psprintf("%s/%s", chk->pointer.data, place), hint,
						  "%s", dp_problem_format(fmt, args));
	va_end(args);
}

/* No use to go on looking? */
bool
dp_check_full(const DpCheck *chk)
{
	return list_length(chk->doc->problems) > DP_MAX_PROBLEMS;
}

/* The text of a JSON string, in the database's encoding. */
char *
dp_check_text(const json_t *value)
{
	return dp_tree_text(json_string_value(value), json_string_length(value));
}

/* "Perhaps you meant "x". INTRO: a, b, c." */
char *
dp_check_hint(const char *name, const char *const *names, const char *intro)
{
	const char *nearest = dp_nearest(name, names);
	StringInfoData buf;

	initStringInfo(&buf);
	if (nearest != NULL)
		appendStringInfo(&buf, "Perhaps you meant \"%s\". ", nearest);
	appendStringInfo(&buf, "%s: ", intro);
	for (int i = 0; names[i] != NULL; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", names[i]);
	appendStringInfoChar(&buf, '.');
	return buf.data;
}

/* What VALUE is, in words. */
const char *
dp_check_type_name(const json_t *value)
{
	switch (json_typeof(value))
	{
		case JSON_OBJECT:
			return "an object";
		case JSON_ARRAY:
			return "a list";
		case JSON_STRING:
			return "text";
		case JSON_INTEGER:
		case JSON_REAL:
			return "a number";
		case JSON_TRUE:
			return "true";
		case JSON_FALSE:
			return "false";
		case JSON_NULL:
			break;
	}
	return "null";
}

/* Names and slugs are what pipelines are told apart by. */
static void
document_finish(DpCheck *chk, const json_t *object, void *target)
{
	List	   *specs = ((DpDocument *) target)->pipelines;

	for (int i = 0; i < list_length(specs) && !dp_check_full(chk); i++)
	{
		DpPipelineSpec *spec = list_nth(specs, i);

		CHECK_FOR_INTERRUPTS();
		for (int j = 0; j < i && spec->slug != NULL; j++)
		{
			DpPipelineSpec *other = list_nth(specs, j);

			if (other->slug == NULL || strcmp(spec->slug, other->slug) != 0)
				continue;
			dp_config_add_problem(chk->doc, psprintf("%s/name", spec->pointer),
								  psprintf("Both names become \"%s\".", spec->slug),
								  "pipeline name \"%s\" is %s that of %s",
								  dp_tree_clip(spec->name, DP_MAX_QUOTED),
								  strcmp(spec->name, other->name) == 0 ? "the same as" : "too like",
								  other->pointer);
			break;
		}
	}
}

static const DpKey *
find_key(const DpShape *shape, const char *name)
{
	for (const DpKey *key = shape->keys; key->name != NULL; key++)
		if (strcmp(key->name, name) == 0)
			return key;
	return NULL;
}

static void
check_member(DpCheck *chk, const json_t *value, const DpShape *shape,
			 const DpKey *key, void *target)
{
	const char *hint = NULL;

	if (dp_check_type(value) & key->kind->accepts)
	{
		key->kind->read(chk, value, key, (char *) target + key->offset);
		return;
	}
	if (key->kind->allowed != NULL)
		hint = key->kind->allowed(key);
	else if (json_is_null(value) && !key->required)
		hint = "Leave the key out to get its default.";
	dp_check_problem(chk, hint, "%s must be %s, not %s", key->name, key->kind->expected,
					 dp_check_type_name(value));
}

static void
unknown_key(DpCheck *chk, const DpShape *shape, const char *name)
{
	const char *names[64];
	int			n = 0;
	int			len = strlen(name);

	for (const DpKey *key = shape->keys; key->name != NULL; key++)
		names[n++] = key->name;
	Assert(n < lengthof(names));
	names[n] = NULL;
	dp_check_problem(chk, len > 0 && name[len - 1] == ')' ?
					 "In YAML's braces a value with a comma needs quotes: \"numeric(12,2)\"." :
					 dp_check_hint(name, names, "Allowed keys"),
					 "unknown key \"%s\" in %s", dp_tree_clip(name, DP_MAX_QUOTED), shape->what);
}

/* The type of VALUE, one of DP_JSON_*; 0 for null. */
int
dp_check_type(const json_t *value)
{
	switch (json_typeof(value))
	{
		case JSON_OBJECT:
			return DP_JSON_OBJECT;
		case JSON_ARRAY:
			return DP_JSON_LIST;
		case JSON_STRING:
			return DP_JSON_TEXT;
		case JSON_INTEGER:
			return DP_JSON_INT;
		case JSON_REAL:
			return DP_JSON_REAL;
		case JSON_TRUE:
		case JSON_FALSE:
			return DP_JSON_BOOL;
		case JSON_NULL:
			break;
	}
	return 0;
}
