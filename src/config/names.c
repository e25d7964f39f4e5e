/*
 * names.c
 *	  What may be called what: pipelines and the identifiers made from their
 *	  names, tables written with SQL's quoting, columns, rules.
 *
 * The rules return the problem in words, or NULL; nothing is looked up.
 */
#include "dynpipe.h"

#include "config/check.h"
#include "mb/pg_wchar.h"
#include "parser/scansup.h"

static const char *parse_part(const char **text, char **part);
static const char *parse_quoted(const char **text, char **part);
static void append_identifier(StringInfo buf, const char *name);
static bool is_start(unsigned char c);
static bool is_inner(unsigned char c);

/*
 * The identifier made from a pipeline's name: lower case, everything that is
 * no letter or digit as one underscore, none at the ends, "p_" before a digit.
 * Empty when the name has neither letter nor digit of ASCII.
 */
char *
dp_name_slug(const char *name)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const unsigned char *p = (const unsigned char *) name; *p != '\0'; p++)
	{
		unsigned char c = *p >= 'A' && *p <= 'Z' ? *p + 'a' - 'A' : *p;

		if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'))
		{
			if (buf.len == 0 && c <= '9')
				appendStringInfoString(&buf, "p_");
			appendStringInfoCharMacro(&buf, c);
		}
		else if (buf.len > 0 && buf.data[buf.len - 1] != '_')
			appendStringInfoCharMacro(&buf, '_');
	}
	if (buf.len > 0 && buf.data[buf.len - 1] == '_')
		buf.data[--buf.len] = '\0';
	return buf.data;
}

const char *
dp_name_pipeline_problem(const char *name, const char **hint)
{
	char	   *slug;

	if (pg_mbstrlen(name) > DP_MAX_NAME)
	{
		*hint = "Use at most 63 characters; a longer text belongs in description.";
		return "pipeline name is too long";
	}
	if (dp_name_has_control(name) || name[0] == ' ' || name[strlen(name) - 1] == ' ')
	{
		*hint = "Use printable characters, with no space at the ends.";
		return "pipeline name is not plain text";
	}
	slug = dp_name_slug(name);
	if (slug[0] == '\0' || strlen(slug) > DP_MAX_NAME)
	{
		*hint = "Its tables are named after the letters a to z and the digits in it: "
			"it needs at least one, and no more than fit in 63 bytes.";
		return "pipeline name gives no identifier";
	}
	return NULL;
}

const char *
dp_name_column_problem(const char *name, const char **hint)
{
	static const char *const system[] = {"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"};

	if (strlen(name) > DP_MAX_NAME)
	{
		*hint = "PostgreSQL keeps 63 bytes of a name; use \"from\" for a field with a longer one.";
		return "column name is too long";
	}
	if (name[0] == '_')
	{
		*hint = "Names that start with an underscore are those of metadata columns; "
			"use \"from\" for a field with such a name.";
		return "column name is reserved";
	}
	for (int i = 0; i < lengthof(system); i++)
		if (strcmp(name, system[i]) == 0)
		{
			*hint = "Every PostgreSQL table has a system column of that name; "
				"use \"from\" for a field with such a name.";
			return "column name is reserved";
		}
	if (dp_name_has_control(name))
		return "column name has control characters";
	return NULL;
}

const char *
dp_name_rule_problem(const char *name, const char **hint)
{
	if (strlen(name) > DP_MAX_NAME)
	{
		*hint = "Use at most 63 bytes.";
		return "name is too long";
	}
	return dp_name_has_control(name) ? "name has control characters" : NULL;
}

/* 'table' or 'schema.table' with SQL's rules for quotes and case -> TABLE. */
const char *
dp_name_table_parse(const char *text, DpTableName *table, const char **hint)
{
	char	   *first = NULL;
	char	   *second = NULL;
	const char *problem = parse_part(&text, &first);

	if (problem == NULL && *text == '.')
	{
		text++;
		problem = parse_part(&text, &second);
	}
	if (problem == NULL && *text != '\0')
		problem = *text == '.' ? "table name has too many parts" : "invalid table name";
	if (problem != NULL)
	{
		*hint = "Write table, schema.table or \"Any Schema\".\"Any Table\", "
			"with at most 63 bytes in each part.";
		return problem;
	}
	table->schema = second != NULL ? first : NULL;
	table->table = second != NULL ? second : first;
	if (second != NULL && (strncmp(first, "pg_", 3) == 0 || strcmp(first, "dynpipe") == 0 ||
						   strcmp(first, "information_schema") == 0))
	{
		*hint = "Choose a schema of your own.";
		return "table name is in a system schema";
	}
	return NULL;
}

/* The text that dp_name_table_parse reads as TABLE. */
char *
dp_name_table_text(const DpTableName *table)
{
	StringInfoData buf;

	initStringInfo(&buf);
	if (table->schema != NULL)
	{
		append_identifier(&buf, table->schema);
		appendStringInfoChar(&buf, '.');
	}
	append_identifier(&buf, table->table);
	return buf.data;
}

/* Surely the same table?  Names without schema are not resolved here. */
bool
dp_name_table_equal(const DpTableName *a, const DpTableName *b)
{
	if (a->table == NULL || b->table == NULL || strcmp(a->table, b->table) != 0)
		return false;
	if (a->schema == NULL || b->schema == NULL)
		return a->schema == b->schema;
	return strcmp(a->schema, b->schema) == 0;
}

/* Characters that break a line or a terminal? */
bool
dp_name_has_control(const char *text)
{
	for (; *text != '\0'; text++)
		if ((unsigned char) *text < ' ' || *text == 0x7f)
			return true;
	return false;
}

/* Read one identifier at *TEXT and move behind it. */
static const char *
parse_part(const char **text, char **part)
{
	const char *start = *text;

	if (*start == '"')
		return parse_quoted(text, part);
	if (!is_start(*start))
		return "invalid table name";
	while (is_inner(**text))
		(*text)++;
	*part = downcase_identifier(start, *text - start, false, false);
	return strlen(*part) > DP_MAX_NAME ? "table name is too long" : NULL;
}

static const char *
parse_quoted(const char **text, char **part)
{
	StringInfoData buf;
	const char *p = *text + 1;

	initStringInfo(&buf);
	for (; *p != '\0' && (*p != '"' || p[1] == '"'); p++)
	{
		p += *p == '"';
		appendStringInfoChar(&buf, *p);
	}
	if (*p != '"' || buf.len == 0 || dp_name_has_control(buf.data))
		return "invalid table name";
	*text = p + 1;
	*part = buf.data;
	return buf.len > DP_MAX_NAME ? "table name is too long" : NULL;
}

/* Quoted only where the case or a character asks for it, whatever the settings say. */
static void
append_identifier(StringInfo buf, const char *name)
{
	const char *p = name;

	if (is_start(*p))
		while (is_inner(*p) && (*p < 'A' || *p > 'Z') && !IS_HIGHBIT_SET(*p))
			p++;
	if (*p == '\0' && *name != '\0')
	{
		appendStringInfoString(buf, name);
		return;
	}
	appendStringInfoChar(buf, '"');
	for (p = name; *p != '\0'; p++)
	{
		if (*p == '"')
			appendStringInfoChar(buf, '"');
		appendStringInfoChar(buf, *p);
	}
	appendStringInfoChar(buf, '"');
}

static bool
is_start(unsigned char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || IS_HIGHBIT_SET(c);
}

static bool
is_inner(unsigned char c)
{
	return is_start(c) || (c >= '0' && c <= '9') || c == '$';
}
