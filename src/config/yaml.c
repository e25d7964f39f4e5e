/*
 * yaml.c
 *	  YAML text -> the same tree that JSON gives.
 *
 *	  libyaml events --> read_node --> json_t, attached to its parent before
 *	                                   it is filled, so nothing can leak
 *
 * The language is kept to what JSON can say too.  A plain scalar is null,
 * true, false or a number exactly where JSON would read one; yes, no, on, off,
 * 0x10, 010, 1_000 and dates are text.  Tags, several documents, merge keys
 * and keys that are no scalars are refused.  An alias shares its anchor's
 * node, which costs no memory; what it costs the walk is bounded by counting
 * the nodes that aliases stand for.
 *
 * Parser and event are libyaml's and freed before dp_yaml_read returns.
 */
#include "dynpipe.h"

#include <yaml.h>

#include "config/tree.h"
#include "miscadmin.h"

#define MAX_ANCHORS			1000
#define MAX_ALIAS_NODES		100000

/* What a node holds, aliases taken as what they stand for. */
typedef struct Extent
{
	int			nodes;
	int			height;
} Extent;

typedef struct Anchor
{
	char	   *name;
	json_t	   *node;			/* borrowed: the tree keeps it */
	bool		open;			/* its node is still being read */
	Extent		extent;
} Anchor;

typedef struct Reader
{
	yaml_parser_t parser;
	yaml_event_t event;			/* the current one */
	bool		has_event;
	DpDocument *doc;
	DpTree	   *tree;
	const char *text;
	List	   *anchors;		/* Anchor * */
	int			alias_nodes;
} Reader;

/* Where a new node goes: the root, a list, or a member of an object. */
typedef struct Place
{
	json_t	   *parent;
	const char *key;
} Place;

static void read_stream(Reader *reader);
static bool read_node(Reader *reader, Place place, int depth, Extent *extent);
static bool read_alias(Reader *reader, Place place, int depth, Extent *extent);
static bool read_scalar(Reader *reader, Place place);
static bool read_sequence(Reader *reader, json_t *list, int depth, Extent *extent);
static bool read_mapping(Reader *reader, json_t *object, int depth, Extent *extent);
static bool read_key(Reader *reader, json_t *object, char **key);
static json_t *scalar_value(Reader *reader, const char *text, size_t len);
static bool is_number(const char *text, bool *real);
static bool attach(Reader *reader, Place place, json_t *node);
static Anchor *open_anchor(Reader *reader, json_t *node);
static void refuse_tag(Reader *reader);
static const char *event_anchor(const yaml_event_t *event);
static const char *event_tag(const yaml_event_t *event);
static bool next_event(Reader *reader);
static void syntax_problem(Reader *reader);
static bool is_indented_by_tab(const char *text, size_t line);
static bool fail_at(Reader *reader, const char *hint, const char *fmt,...)
			pg_attribute_printf(3, 4);

/* Read YAML into TREE; what was read before a syntax error stays there. */
void
dp_yaml_read(DpTree *tree, const char *text, size_t len, DpDocument *doc)
{
	Reader	   *reader = palloc0(sizeof(Reader));

	reader->doc = doc;
	reader->tree = tree;
	reader->text = text;
	if (!yaml_parser_initialize(&reader->parser))
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	PG_TRY();
	{
		yaml_parser_set_encoding(&reader->parser, YAML_UTF8_ENCODING);
		yaml_parser_set_input_string(&reader->parser, (const unsigned char *) text, len);
		read_stream(reader);
	}
	PG_FINALLY();
	{
		if (reader->has_event)
			yaml_event_delete(&reader->event);
		yaml_parser_delete(&reader->parser);
	}
	PG_END_TRY();
}

/* One document and nothing after it. */
static void
read_stream(Reader *reader)
{
	Place		root = {NULL, NULL};
	Extent		extent;

	if (!next_event(reader) || !next_event(reader))
		return;
	if (reader->event.type == YAML_STREAM_END_EVENT)
	{
		dp_config_add_problem(reader->doc, "", "The smallest document is {\"pipelines\": []}.",
							  "document is empty");
		return;
	}
	if (!next_event(reader) || !read_node(reader, root, 1, &extent) ||
		!next_event(reader) || !next_event(reader))
		return;
	if (reader->event.type != YAML_STREAM_END_EVENT)
		fail_at(reader, "Put all pipelines into one list, or apply the documents one by one.",
				"more than one document");
}

/* Read the node that the current event begins; false stops the reading. */
static bool
read_node(Reader *reader, Place place, int depth, Extent *extent)
{
	bool		is_list = reader->event.type == YAML_SEQUENCE_START_EVENT;
	json_t	   *node;
	Anchor	   *anchor;
	bool		ok;

	CHECK_FOR_INTERRUPTS();
	extent->nodes = 1;
	extent->height = 1;
	if (depth > DP_MAX_DEPTH)
		return fail_at(reader, NULL, "nested deeper than %d levels", DP_MAX_DEPTH);
	if (reader->event.type == YAML_ALIAS_EVENT)
		return read_alias(reader, place, depth, extent);
	refuse_tag(reader);
	if (reader->event.type == YAML_SCALAR_EVENT)
		return read_scalar(reader, place);

	node = is_list ? json_array() : dp_tree_object();
	if (!attach(reader, place, node))
		return false;
	anchor = open_anchor(reader, node);
	ok = is_list ? read_sequence(reader, node, depth, extent) :
		read_mapping(reader, node, depth, extent);
	if (anchor != NULL)
	{
		anchor->open = false;
		anchor->extent = *extent;
	}
	return ok && list_length(reader->anchors) <= MAX_ANCHORS;
}

/* Share the anchor's node, counting what it stands for. */
static bool
read_alias(Reader *reader, Place place, int depth, Extent *extent)
{
	const char *name = (const char *) reader->event.data.alias.anchor;
	Anchor	   *anchor = NULL;

	/* A name may be given again: the last one counts. */
	for (int i = list_length(reader->anchors) - 1; i >= 0 && anchor == NULL; i--)
		if (strcmp(((Anchor *) list_nth(reader->anchors, i))->name, name) == 0)
			anchor = list_nth(reader->anchors, i);
	if (anchor == NULL)
		return fail_at(reader, "An anchor must stand before its aliases.",
					   "unknown anchor \"%s\"", dp_tree_clip(name, DP_MAX_QUOTED));
	if (anchor->open)
		return fail_at(reader, NULL, "alias \"%s\" stands inside its own anchor",
					   dp_tree_clip(name, DP_MAX_QUOTED));
	*extent = anchor->extent;
	if (depth + extent->height - 1 > DP_MAX_DEPTH)
		return fail_at(reader, NULL, "nested deeper than %d levels", DP_MAX_DEPTH);
	reader->alias_nodes += extent->nodes;
	if (reader->alias_nodes > MAX_ALIAS_NODES)
		return fail_at(reader, "Write fewer aliases of large values.",
					   "aliases stand for more than %d values", MAX_ALIAS_NODES);
	return attach(reader, place, json_incref(anchor->node));
}

static bool
read_scalar(Reader *reader, Place place)
{
	const char *text = (const char *) reader->event.data.scalar.value;
	size_t		len = reader->event.data.scalar.length;
	json_t	   *node;
	Anchor	   *anchor;

	if (memchr(text, '\0', len) != NULL)
		return fail_at(reader, NULL, "text has a NUL character");
	node = scalar_value(reader, text, len);
	if (node == NULL)
		return fail_at(reader, "Put it in quotes.", "invalid scalar \"%s\"",
					   dp_tree_clip(dp_tree_text(text, len), DP_MAX_QUOTED));
	if (!attach(reader, place, node))
		return false;
	anchor = open_anchor(reader, node);
	if (anchor != NULL)
	{
		anchor->open = false;
		anchor->extent.nodes = anchor->extent.height = 1;
	}
	return list_length(reader->anchors) <= MAX_ANCHORS;
}

static bool
read_sequence(Reader *reader, json_t *list, int depth, Extent *extent)
{
	Place		place = {list, NULL};

	while (next_event(reader))
	{
		Extent		item;

		if (reader->event.type == YAML_SEQUENCE_END_EVENT)
			return true;
		if (!read_node(reader, place, depth + 1, &item))
			return false;
		extent->nodes += item.nodes;
		extent->height = Max(extent->height, item.height + 1);
	}
	return false;
}

/* A key that was there before is a problem; its second value is read and left out. */
static bool
read_mapping(Reader *reader, json_t *object, int depth, Extent *extent)
{
	while (next_event(reader))
	{
		Extent		item;
		char	   *key = NULL;
		Place		place = {object, NULL};

		if (reader->event.type == YAML_MAPPING_END_EVENT)
			return true;
		if (!read_key(reader, object, &key))
			return false;
		place.key = key;
		if (!next_event(reader) || !read_node(reader, place, depth + 1, &item))
			return false;
		extent->nodes += item.nodes;
		extent->height = Max(extent->height, item.height + 1);
		pfree(key);
	}
	return false;
}

/* A duplicate gets another name, so that its value has a place; the tree is refused anyway. */
static bool
read_key(Reader *reader, json_t *object, char **key)
{
	const char *text = (const char *) reader->event.data.scalar.value;
	size_t		len = reader->event.data.scalar.length;

	if (reader->event.type != YAML_SCALAR_EVENT)
		return fail_at(reader, NULL, "a key must be text");
	refuse_tag(reader);
	if (event_anchor(&reader->event) != NULL)
		return fail_at(reader, "Anchor the value instead.", "a key must not be an anchor");
	if (memchr(text, '\0', len) != NULL)
		return fail_at(reader, NULL, "text has a NUL character");
	if (strcmp(text, "<<") == 0)
		return fail_at(reader, "Repeat the keys, or let an alias stand for a whole value.",
					   "merge keys are not supported");
	*key = pnstrdup(text, len);
	if (json_object_get(object, *key) == NULL)
		return true;
	fail_at(reader, NULL, "duplicate key \"%s\"",
			dp_tree_clip(dp_tree_text(text, len), DP_MAX_QUOTED));
	*key = psprintf("%s#%zu", text, json_object_size(object));
	return true;
}

/* A new node for a scalar; NULL when it is a number out of range or no UTF-8. */
static json_t *
scalar_value(Reader *reader, const char *text, size_t len)
{
	bool		real;
	double		number;

	if (reader->event.data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
		return json_stringn(text, len);
	if (len == 0 || strcmp(text, "~") == 0 || strcmp(text, "null") == 0 ||
		strcmp(text, "Null") == 0 || strcmp(text, "NULL") == 0)
		return json_null();
	if (strcmp(text, "true") == 0 || strcmp(text, "True") == 0 || strcmp(text, "TRUE") == 0)
		return json_true();
	if (strcmp(text, "false") == 0 || strcmp(text, "False") == 0 || strcmp(text, "FALSE") == 0)
		return json_false();
	if (!is_number(text, &real))
		return json_stringn(text, len);
	errno = 0;
	if (!real)
	{
		long long	integer = strtoll(text, NULL, 10);

		return errno == 0 ? json_integer(integer) : NULL;
	}
	number = strtod(text, NULL);
	return errno == 0 ? json_real(number) : NULL;	/* NULL as well when not finite */
}

/* Is TEXT a number by JSON's grammar?  *REAL: with fraction or exponent. */
static bool
is_number(const char *text, bool *real)
{
	const char *p = text + (*text == '-');
	int			n = strspn(p, "0123456789");

	*real = false;
	if (n == 0 || (n > 1 && *p == '0'))
		return false;
	p += n;
	if (*p == '.')
	{
		*real = true;
		n = strspn(++p, "0123456789");
		if (n == 0)
			return false;
		p += n;
	}
	if (*p == 'e' || *p == 'E')
	{
		*real = true;
		p++;
		p += *p == '+' || *p == '-';
		n = strspn(p, "0123456789");
		if (n == 0)
			return false;
		p += n;
	}
	return *p == '\0';
}

/* Hang NODE, whose reference is given away, into the tree. */
static bool
attach(Reader *reader, Place place, json_t *node)
{
	bool		ok;

	if (place.parent == NULL)
	{
		reader->tree->root = node;
		ok = node != NULL;
	}
	else if (place.key != NULL)
		ok = json_object_set_new(place.parent, place.key, node) == 0;
	else
		ok = json_array_append_new(place.parent, node) == 0;
	if (!ok)
		return fail_at(reader, NULL, "cannot store a value");
	return true;
}

/* Remember NODE under the current event's anchor, if it has one. */
static Anchor *
open_anchor(Reader *reader, json_t *node)
{
	const char *name = event_anchor(&reader->event);
	Anchor	   *anchor;

	if (name == NULL)
		return NULL;
	if (list_length(reader->anchors) >= MAX_ANCHORS)
		fail_at(reader, NULL, "more than %d anchors", MAX_ANCHORS);
	anchor = palloc0(sizeof(Anchor));
	anchor->name = pstrdup(name);
	anchor->node = node;
	anchor->open = true;
	reader->anchors = lappend(reader->anchors, anchor);
	return anchor;
}

static void
refuse_tag(Reader *reader)
{
	const char *tag = event_tag(&reader->event);

	if (tag != NULL)
		fail_at(reader, "Quote a value to make it text.", "tag \"%s\" is not supported",
				dp_tree_clip(tag, DP_MAX_QUOTED));
}

static const char *
event_anchor(const yaml_event_t *event)
{
	if (event->type == YAML_SCALAR_EVENT)
		return (const char *) event->data.scalar.anchor;
	if (event->type == YAML_SEQUENCE_START_EVENT)
		return (const char *) event->data.sequence_start.anchor;
	return (const char *) event->data.mapping_start.anchor;
}

static const char *
event_tag(const yaml_event_t *event)
{
	if (event->type == YAML_SCALAR_EVENT)
		return (const char *) event->data.scalar.tag;
	if (event->type == YAML_SEQUENCE_START_EVENT)
		return (const char *) event->data.sequence_start.tag;
	return (const char *) event->data.mapping_start.tag;
}

/* Step to the next event; false after adding the parser's problem. */
static bool
next_event(Reader *reader)
{
	if (reader->has_event)
		yaml_event_delete(&reader->event);
	reader->has_event = yaml_parser_parse(&reader->parser, &reader->event);
	if (!reader->has_event)
		syntax_problem(reader);
	return reader->has_event;
}

/* The reader of bytes knows only an offset, scanner and parser know the mark. */
static void
syntax_problem(Reader *reader)
{
	yaml_parser_t *parser = &reader->parser;
	size_t		line = parser->problem_mark.line;
	size_t		column = parser->problem_mark.column;

	if (parser->error == YAML_MEMORY_ERROR)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	if (parser->error == YAML_READER_ERROR)
	{
		line = column = 0;
		for (size_t i = 0; i < parser->problem_offset && reader->text[i] != '\0'; i++)
		{
			column = reader->text[i] == '\n' ? 0 : column + 1;
			line += reader->text[i] == '\n';
		}
	}
	dp_problem_add_at(reader->doc, line + 1, column + 1,
					  is_indented_by_tab(reader->text, line) ?
					  "The line is indented by a tab; YAML is indented by spaces." : NULL,
					  "invalid YAML: %s%s%s",
					  parser->problem, parser->context != NULL ? ", " : "",
					  parser->context != NULL ? parser->context : "");
}

static bool
is_indented_by_tab(const char *text, size_t line)
{
	while (line > 0 && (text = strchr(text, '\n')) != NULL)
	{
		text++;
		line--;
	}
	return text != NULL && text[strspn(text, " ")] == '\t';
}

/* Add a problem at the current event; always false, so that callers can return it. */
static bool
fail_at(Reader *reader, const char *hint, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	dp_problem_add_at(reader->doc, reader->event.start_mark.line + 1,
					  reader->event.start_mark.column + 1, hint, "%s",
					  dp_problem_format(fmt, args));
	va_end(args);
	return false;
}
