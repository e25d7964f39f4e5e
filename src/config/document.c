/*
 * document.c
 *	  A document's text -> tree -> checked specs, and the reading of JSON.
 *
 *	  text --(database encoding to UTF-8)--> dp_json_read | dp_yaml_read
 *	       --> DpTree --> dp_check_document --> DpDocument (specs + problems)
 *
 * The tree belongs to jansson's heap and lives only while dp_config_parse
 * runs; everything that is returned was copied into the caller's context.
 */
#include "dynpipe.h"

#include "config/check.h"
#include "config/tree.h"
#include "mb/pg_wchar.h"

static void read_text(DpTree *tree, const char *text, DpDocument *doc);
static const char *skip_bom(const char *text);
static bool looks_like_json(const char *text);
static bool json_depth_ok(const char *text, size_t len, DpDocument *doc);

/* Parse and check TEXT; every problem lands in the list of the result. */
DpDocument *
dp_config_parse(const char *text)
{
	DpDocument *doc = palloc0(sizeof(DpDocument));
	DpTree		tree = {NULL};

	PG_TRY();
	{
		read_text(&tree, text, doc);
		if (doc->problems == NIL)
			dp_check_document(tree.root, doc);
	}
	PG_FINALLY();
	{
		json_decref(tree.root);
	}
	PG_END_TRY();
	return doc;
}

/* Read JSON into TREE, which stays empty when the text is not JSON. */
void
dp_json_read(DpTree *tree, const char *text, size_t len, DpDocument *doc)
{
	json_error_t error;

	if (!json_depth_ok(text, len, doc))
		return;
	tree->root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &error);
	if (tree->root != NULL)
		return;
	if (json_error_code(&error) == json_error_null_character ||
		json_error_code(&error) == json_error_null_byte_in_key)
		dp_problem_add_at(doc, error.line, error.column, NULL, "text has a NUL character");
	else
		dp_problem_add_at(doc, error.line, error.column, NULL, "invalid JSON: %s",
						  dp_tree_clip(dp_tree_text(error.text, strlen(error.text)),
									   DP_MAX_MESSAGE));
}

/* The library cuts its messages at a byte, so only the valid part is taken. */
char *
dp_tree_text(const char *utf8, size_t len)
{
	int			valid = pg_encoding_verifymbstr(PG_UTF8, utf8, len);
	char	   *copy = pnstrdup(utf8, valid);

	return pg_any_to_server(copy, valid, PG_UTF8);
}

char *
dp_tree_clip(const char *text, int max)
{
	int			len = strlen(text);
	int			cut = pg_mbcliplen(text, len, max);
	char	   *copy = psprintf("%.*s%s", cut, text, cut < len ? "..." : "");

	for (char *p = copy; *p != '\0'; p++)
		if ((unsigned char) *p < ' ' || *p == 0x7f)
			*p = ' ';
	return copy;
}

static void
read_text(DpTree *tree, const char *text, DpDocument *doc)
{
	size_t		len = strlen(text);
	const char *utf8;

	if (len > DP_MAX_DOCUMENT)
	{
		dp_config_add_problem(doc, "", "Split the document; each part can be applied alone.",
							  "document is larger than %d MB", DP_MAX_DOCUMENT / 1024 / 1024);
		return;
	}
	utf8 = skip_bom(pg_server_to_any(text, len, PG_UTF8));
	if (utf8[strspn(utf8, " \t\r\n")] == '\0')
		dp_config_add_problem(doc, "", "The smallest document is {\"pipelines\": []}.",
							  "document is empty");
	else if (looks_like_json(utf8))
		dp_json_read(tree, utf8, strlen(utf8), doc);
	else
		dp_yaml_read(tree, utf8, strlen(utf8), doc);
}

static const char *
skip_bom(const char *text)
{
	return strncmp(text, "\xEF\xBB\xBF", 3) == 0 ? text + 3 : text;
}

static bool
looks_like_json(const char *text)
{
	char		first = text[strspn(text, " \t\r\n")];

	return first == '{' || first == '[';
}

/*
 * Find too deep nesting before the parser recurses into it.  Brackets inside
 * strings do not count; in a text that is no JSON the scan may err, but then
 * the parser finds the error.
 */
static bool
json_depth_ok(const char *text, size_t len, DpDocument *doc)
{
	int			depth = 0;
	int			line = 1;
	const char *bol = text;
	bool		in_string = false;

	for (const char *p = text; p < text + len; p++)
	{
		if (*p == '\n')
		{
			line++;
			bol = p + 1;
		}
		else if (*p == '"')
			in_string = !in_string;
		else if (in_string)
			p += (*p == '\\' && p[1] != '\0' && p[1] != '\n');
		else if (*p == ']' || *p == '}')
			depth--;
		else if ((*p == '[' || *p == '{') && ++depth > DP_MAX_DEPTH)
		{
			dp_problem_add_at(doc, line, p - bol + 1, NULL,
							  "nested deeper than %d levels", DP_MAX_DEPTH);
			return false;
		}
	}
	return true;
}
