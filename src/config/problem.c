/*
 * problem.c
 *	  The list of what is wrong with a document, and the one error it becomes.
 *
 * Problems are kept in the order in which they were found: syntax first, then
 * the walk through the tree, then what later stages add.  The list is bounded,
 * since a document of 16 MB can hold a million mistakes.
 */
#include "dynpipe.h"

#include "config/tree.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"

static DpProblem *add(DpDocument *doc, const char *pointer, const char *hint, char *message);
static void append_problem(StringInfo buf, const DpProblem *problem);
static bool is_syntax(const DpProblem *problem);

/* Add a problem that is known by its pointer; beyond the limit it is forgotten. */
void
dp_config_add_problem(DpDocument *doc, const char *pointer, const char *hint,
					  const char *fmt,...)
{
	va_list		args;

	va_start(args, fmt);
	add(doc, pointer, hint, dp_problem_format(fmt, args));
	va_end(args);
}

/* Add a problem of the text itself. */
void
dp_problem_add_at(DpDocument *doc, int line, int column, const char *hint,
				  const char *fmt,...)
{
	va_list		args;
	DpProblem  *problem;

	va_start(args, fmt);
	problem = add(doc, "", hint, dp_problem_format(fmt, args));
	va_end(args);
	if (problem != NULL)
	{
		problem->line = Max(line, 0);
		problem->column = Max(column, 0);
	}
}

/* Raise one error that names every problem; syntax and meaning differ in SQLSTATE. */
void
dp_config_raise(const DpDocument *doc)
{
	int			n = list_length(doc->problems);
	const DpProblem *first;
	StringInfoData detail;
	ListCell   *lc;

	if (n == 0)
		return;
	first = linitial(doc->problems);
	initStringInfo(&detail);
	foreach(lc, doc->problems)
	{
		if (detail.len > 0)
			appendStringInfoChar(&detail, '\n');
		append_problem(&detail, lfirst(lc));
	}
	ereport(ERROR,
			(errcode(is_syntax(first) ? ERRCODE_INVALID_TEXT_REPRESENTATION :
					 ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg_plural("invalid pipeline document: %d problem, %s: %s",
						   "invalid pipeline document: %d problems, first %s: %s",
						   n, n,
						   first->pointer[0] != '\0' ? psprintf("at %s", first->pointer) :
						   first->line > 0 ? psprintf("at line %d, column %d",
													  first->line, first->column) :
						   "at its top",
						   first->message),
			 errdetail_internal("%s", detail.data),
			 errhint("dynpipe.validate() gives the problems as rows; "
					 "docs/configuration.md describes every key.")));
}

/* psprintf for a va_list. */
char *
dp_problem_format(const char *fmt, va_list args)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (;;)
	{
		va_list		copy;
		int			needed;

		va_copy(copy, args);
		needed = appendStringInfoVA(&buf, fmt, copy);
		va_end(copy);
		if (needed == 0)
			return buf.data;
		enlargeStringInfo(&buf, needed);
	}
}

static DpProblem *
add(DpDocument *doc, const char *pointer, const char *hint, char *message)
{
	DpProblem  *problem;

	if (list_length(doc->problems) > DP_MAX_PROBLEMS)
		return NULL;
	problem = palloc0(sizeof(DpProblem));
	if (list_length(doc->problems) == DP_MAX_PROBLEMS)
	{
		pointer = "";
		message = psprintf("more than %d problems, the others are not shown", DP_MAX_PROBLEMS);
		hint = "Repair these first.";
	}
	problem->pointer = pstrdup(pointer);
	problem->message = message;
	problem->hint = hint != NULL ? pstrdup(hint) : NULL;
	doc->problems = lappend(doc->problems, problem);
	return problem;
}

/* "pointer (line x column y): message; hint", leaving out what is not known. */
static void
append_problem(StringInfo buf, const DpProblem *problem)
{
	appendStringInfoString(buf, problem->pointer[0] != '\0' ? problem->pointer : "document");
	if (problem->line > 0)
		appendStringInfo(buf, " (line %d column %d)", problem->line, problem->column);
	appendStringInfo(buf, ": %s", problem->message);
	if (problem->hint != NULL)
		appendStringInfo(buf, "; %s", problem->hint);
}

/* Only problems of the text know a line. */
static bool
is_syntax(const DpProblem *problem)
{
	return problem->line > 0;
}
