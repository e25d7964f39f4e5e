/*
 * sqlbuf.c
 *	  Names, values and expressions become SQL text here and nowhere else; see
 *	  sqlbuf.h for the format letters.
 *
 * Text grows in the caller's StringInfo, so its memory context is the
 * caller's too.  dp_sql_check_expr is the gate for the one kind of text that
 * is not quoted: it must have accepted an expression before %E may embed it.
 */
#include "dynpipe.h"

#include "mb/pg_wchar.h"
#include "nodes/parsenodes.h"
#include "parser/parser.h"
#include "util/sqlbuf.h"
#include "utils/builtins.h"

static void append_va(StringInfo buf, const char *fmt, va_list args);
static void append_table(StringInfo buf, const DpTableName *name);
static void append_expr(StringInfo buf, const char *expr);
static const char *whole_expression(List *parsed);
static bool is_star(Node *node);

/* Append FMT with its letters replaced; see sqlbuf.h. */
void
dp_sql_append(StringInfo buf, const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	append_va(buf, fmt, args);
	va_end(args);
}

/* The same as a new string in the current memory context. */
char *
dp_sql(const char *fmt,...)
{
	va_list		args;
	char	   *sql;

	va_start(args, fmt);
	sql = dp_sql_va(fmt, args);
	va_end(args);
	return sql;
}

char *
dp_sql_va(const char *fmt, va_list args)
{
	StringInfoData buf;

	initStringInfo(&buf);
	append_va(&buf, fmt, args);
	return buf.data;
}

/*
 * Tell whether EXPR is one expression and nothing else.  The raw parser holds
 * no resources but memory, so catching its error needs no subtransaction.
 */
char *
dp_sql_check_expr(const char *expr, int *position)
{
	MemoryContext caller = CurrentMemoryContext;
	const char *volatile message = NULL;

	*position = 0;
	PG_TRY();
	{
		message = whole_expression(raw_parser(expr, RAW_PARSE_PLPGSQL_EXPR));
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		*position = error->cursorpos;
		message = error->message;
	}
	PG_END_TRY();
	return message ? pstrdup(message) : NULL;
}

static void
append_va(StringInfo buf, const char *fmt, va_list args)
{
	for (const char *p = fmt; *p; p++)
	{
		if (*p != '%')
		{
			appendStringInfoChar(buf, *p);
			continue;
		}
		switch (*++p)
		{
			case 'I':
				appendStringInfoString(buf, quote_identifier(va_arg(args, char *)));
				break;
			case 'L':
				appendStringInfoString(buf, quote_literal_cstr(va_arg(args, char *)));
				break;
			case 'T':
				append_table(buf, va_arg(args, DpTableName *));
				break;
			case 's':
				appendStringInfoString(buf, va_arg(args, char *));
				break;
			case 'E':
				append_expr(buf, va_arg(args, char *));
				break;
			case 'd':
				appendStringInfo(buf, "%d", va_arg(args, int));
				break;
			case 'l':
				Assert(p[1] == 'd');
				p++;
				appendStringInfo(buf, INT64_FORMAT, va_arg(args, int64));
				break;
			case '%':
				appendStringInfoChar(buf, '%');
				break;
			default:
				elog(ERROR, "unknown letter \"%c\" in SQL format", *p);
		}
	}
}

static void
append_table(StringInfo buf, const DpTableName *name)
{
	if (name->schema)
		appendStringInfo(buf, "%s.", quote_identifier(name->schema));
	appendStringInfoString(buf, quote_identifier(name->table));
}

/* A line end closes a comment that the expression may end in. */
static void
append_expr(StringInfo buf, const char *expr)
{
	appendStringInfo(buf, "(%s%s)", expr, strstr(expr, "--") ? "\n" : "");
}

/* NULL if PARSED is exactly one unnamed expression, else what is wrong. */
static const char *
whole_expression(List *parsed)
{
	SelectStmt *select;
	ResTarget  *target;

	if (list_length(parsed) != 1)
		return "more than one expression";
	select = castNode(SelectStmt, linitial_node(RawStmt, parsed)->stmt);
	if (select->op != SETOP_NONE || select->valuesLists || select->withClause)
		return "a query is not an expression";
	if (select->distinctClause || select->intoClause || select->fromClause ||
		select->whereClause || select->groupClause || select->havingClause ||
		select->windowClause || select->sortClause || select->limitOffset ||
		select->limitCount || select->lockingClause)
		return "an expression cannot have clauses of a query";
	if (list_length(select->targetList) != 1)
		return list_length(select->targetList) == 0 ? "the expression is empty" :
			"more than one expression";
	target = linitial_node(ResTarget, select->targetList);
	if (target->name)
		return "an expression cannot have a name";
	if (is_star(target->val))
		return "\"*\" is not one expression";
	return NULL;
}

static bool
is_star(Node *node)
{
	List	   *parts = NIL;

	if (IsA(node, ColumnRef))
		parts = castNode(ColumnRef, node)->fields;
	else if (IsA(node, A_Indirection))
		parts = castNode(A_Indirection, node)->indirection;
	return parts != NIL && IsA(llast(parts), A_Star);
}
