/*
 * gold_text.c
 *	  Where the parts of a gold query are in its text.
 *
 * The server's scanner cuts the text into tokens; clauses are found by their
 * reserved words outside parentheses.  The caller has parsed the text before,
 * so it is known to be well formed.
 */
#include "dynpipe.h"

#include "common/keywords.h"
#include "parser/scanner.h"
#include "plan/gold.h"
#include "utils/builtins.h"

typedef struct Token
{
	int			start;
	int			depth;			/* of parentheses around it */
} Token;

typedef struct Tokens
{
	const char *text;
	Token	   *token;
	int			n;
} Tokens;

static Tokens scan(const char *text);
static int	token_at(const Tokens *t, int start);
static bool is_word(const Tokens *t, int i, const char *word);
static bool is_char(const Tokens *t, int i, char c);
static int	find_clause(const Tokens *t, int from, const char *const *words);
static DpSlice between(const Tokens *t, int first, int end);
static bool slice_items(DpGoldQuery *q, const Tokens *t, int first, int end);
static int	by_position(const ListCell *a, const ListCell *b);

/* The words that end a clause, in the order in which clauses come. */
static const char *const from_word[] = {"from", NULL};
static const char *const where_word[] = {"where", NULL};
static const char *const after_from[] = {"where", "group", "having", "window", "order", "limit",
"offset", "fetch", "for", NULL};

/*
 * Note the places where TABLES (RangeVar *: silver) and COLUMNS (ColumnRef *:
 * with the schema of silver) stand.
 */
void
dp_gold_find_edits(DpGoldQuery *q, List *tables, List *columns)
{
	Tokens		t = scan(q->text);
	ListCell   *lc;

	foreach(lc, tables)
	{
		RangeVar   *table = lfirst(lc);
		DpEdit	   *edit = palloc0(sizeof(DpEdit));
		int			i = token_at(&t, table->location);

		edit->is_table = true;
		edit->has_alias = table->alias != NULL;
		edit->at.start = table->location;
		edit->at.end = t.token[i + 3].start;	/* schema . table */
		q->edits = lappend(q->edits, edit);
	}
	foreach(lc, columns)
	{
		ColumnRef  *column = lfirst(lc);
		DpEdit	   *edit = palloc0(sizeof(DpEdit));
		int			i = token_at(&t, column->location);

		edit->at.start = column->location;
		edit->at.end = t.token[i + 2].start;	/* schema . */
		q->edits = lappend(q->edits, edit);
	}
	list_sort(q->edits, by_position);
}

/*
 * Find the clauses and the items of a plain SELECT.  False when the text has
 * another shape (TABLE, VALUES, parentheses, "*" among the items).
 */
bool
dp_gold_slice(DpGoldQuery *q)
{
	Tokens		t = scan(q->text);
	int			first = 1;
	int			from;
	int			end;

	if (t.n == 0 || !is_word(&t, 0, "select"))
		return false;
	if (is_word(&t, 1, "all") || is_word(&t, 1, "distinct"))
		first = 2;
	from = find_clause(&t, first, from_word);
	if (from == t.n || !slice_items(q, &t, first, from))
		return false;
	end = find_clause(&t, from + 1, after_from);
	q->from = between(&t, from + 1, end);
	q->where.start = -1;
	if (end < t.n && is_word(&t, end, where_word[0]))
		q->where = between(&t, end + 1, find_clause(&t, end + 1, after_from + 1));
	q->sliced = true;
	return true;
}

/* Find argument and filter of ITEM, which is "name(arg) [FILTER (WHERE condition)]". */
bool
dp_gold_slice_call(DpGoldQuery *q, DpGoldItem *item)
{
	Tokens		t = scan(q->text);
	int			open = token_at(&t, item->text.start);
	int			close;
	int			depth = t.token[open].depth;

	while (open < t.n && t.token[open].start < item->text.end && !is_char(&t, open, '('))
		open++;
	for (close = open + 1; close < t.n && t.token[close].depth > depth; close++)
		;
	if (close >= t.n || t.token[close].start >= item->text.end || open + 1 == close)
		return false;
	item->arg = between(&t, open + 1, close);
	item->filter.start = -1;
	item->text.end = t.token[close].start + 1;
	if (close + 1 >= t.n || !is_word(&t, close + 1, "filter"))
		return true;
	open = close + 2;			/* ( WHERE condition ) */
	for (close = open + 1; close < t.n && t.token[close].depth > depth; close++)
		;
	item->filter = between(&t, open + 2, close);
	item->text.end = t.token[close].start + 1;
	return true;
}

/* SLICE of the text, with RELATION for silver unless that is NULL. */
char *
dp_gold_render(const DpGoldQuery *q, DpSlice slice, const char *relation)
{
	StringInfoData buf;
	int			at = slice.start;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, q->edits)
	{
		DpEdit	   *edit = lfirst(lc);

		if (!relation || edit->at.start < slice.start || edit->at.start >= slice.end)
			continue;
		appendBinaryStringInfo(&buf, q->text + at, edit->at.start - at);
		if (edit->is_table && edit->has_alias)
			appendStringInfo(&buf, "%s ", relation);
		else if (edit->is_table)
			appendStringInfo(&buf, "%s AS %s ", relation, quote_identifier(q->silver->table));
		at = Min(edit->at.end, slice.end);
	}
	appendBinaryStringInfo(&buf, q->text + at, slice.end - at);
	while (buf.len > 0 && isspace((unsigned char) buf.data[buf.len - 1]))
		buf.data[--buf.len] = '\0';
	/* It may end in a comment, which ends with the line. */
	if (strstr(buf.data, "--"))
		appendStringInfoChar(&buf, '\n');
	return buf.data;
}

/* All of the text, without a closing semicolon. */
char *
dp_gold_text(const DpGoldQuery *q, const char *relation)
{
	Tokens		t = scan(q->text);
	int			n = t.n;

	while (n > 0 && is_char(&t, n - 1, ';'))
		n--;
	return dp_gold_render(q, between(&t, 0, n), relation);
}

static Tokens
scan(const char *text)
{
	core_yy_extra_type extra;
	core_YYSTYPE value;
	core_yyscan_t scanner = scanner_init(text, &extra, &ScanKeywords, ScanKeywordTokens);
	Tokens		t = {.text = text};
	YYLTYPE		start;
	int			depth = 0;

	/* No token is empty; one more marks the end. */
	t.token = palloc(sizeof(Token) * (strlen(text) + 1));
	while (core_yylex(&value, &start, scanner) != 0)
	{
		if (text[start] == ')' || text[start] == ']')
			depth--;
		t.token[t.n++] = (Token) {.start = start,.depth = depth};
		if (text[start] == '(' || text[start] == '[')
			depth++;
	}
	t.token[t.n] = (Token) {.start = strlen(text)};
	scanner_finish(scanner);
	return t;
}

static int
token_at(const Tokens *t, int start)
{
	int			i = 0;

	while (i < t->n && t->token[i].start < start)
		i++;
	return i;
}

static bool
is_word(const Tokens *t, int i, const char *word)
{
	int			len = strlen(word);
	const char *s = t->text + t->token[i].start;

	return i < t->n && pg_strncasecmp(s, word, len) == 0 &&
		!(isalnum((unsigned char) s[len]) || s[len] == '_' || s[len] == '$' ||
		  IS_HIGHBIT_SET(s[len]));
}

static bool
is_char(const Tokens *t, int i, char c)
{
	return i >= 0 && i < t->n && t->text[t->token[i].start] == c;
}

/*
 * The first token from FROM on that is one of WORDS and begins a clause: not a
 * name ("t.order", "AS limit"), nor part of IS DISTINCT FROM or WITHIN GROUP.
 */
static int
find_clause(const Tokens *t, int from, const char *const *words)
{
	for (int i = from; i < t->n; i++)
	{
		if (is_char(t, i, ';'))
			return i;
		if (t->token[i].depth > 0 || is_char(t, i - 1, '.') || is_word(t, i - 1, "as") ||
			is_word(t, i - 1, "distinct") || is_word(t, i - 1, "within"))
			continue;
		for (const char *const *word = words; *word; word++)
			if (is_word(t, i, *word))
				return i;
	}
	return t->n;
}

/* The text of the tokens from FIRST up to END, without white space behind it. */
static DpSlice
between(const Tokens *t, int first, int end)
{
	DpSlice		slice = {.start = t->token[first].start,.end = t->token[end].start};

	while (slice.end > slice.start && isspace((unsigned char) t->text[slice.end - 1]))
		slice.end--;
	return slice;
}

/* Cut the select list at its commas and leave out the names. */
static bool
slice_items(DpGoldQuery *q, const Tokens *t, int first, int end)
{
	int			n = 0;
	ListCell   *lc;

	if (list_length(q->raw->targetList) != q->nitems)
		return false;			/* "*" */
	foreach(lc, q->raw->targetList)
	{
		ResTarget  *target = lfirst_node(ResTarget, lc);
		int			stop = first;
		int			last;

		while (stop < end && !(t->token[stop].depth == 0 && is_char(t, stop, ',')))
			stop++;
		last = stop;
		if (target->name)
			last -= is_word(t, stop - 2, "as") ? 2 : 1;
		if (last <= first)
			return false;
		q->items[n++].text = between(t, first, last);
		first = stop + 1;
	}
	return first == end + 1;
}

static int
by_position(const ListCell *a, const ListCell *b)
{
	return ((DpEdit *) lfirst(a))->at.start - ((DpEdit *) lfirst(b))->at.start;
}
