/*
 * split_json.c
 *	  The text of a JSON file into values: one a line (NDJSON), one after the
 *	  other with or without white space, or the elements of an array, which is
 *	  never held as a whole.  Commas between values are passed over.
 *
 * Only brackets and strings are looked at; whether a value is JSON the decoder
 * says.  Brackets are counted, so depth costs nothing; of the outermost 64 the
 * kind is known too.
 *
 * What a broken value costs:
 *	- Where each value has its line (as most lines of the sample show), a line
 *	  that ends inside a value is broken if the next one begins with the same
 *	  bracket, or none does; so is one with more behind the value.
 *	- Elsewhere a value ends where its brackets balance.  One that goes on
 *	  where no value can stand, at the beginning of a line that is not indented
 *	  more than its own first line, is broken before that.
 *	- A string may hold a line end (the decoder will refuse it).  But if what
 *	  follows its closing quote cannot follow a string, that quote opened
 *	  another: the string ended, without one, with its first line.
 *	- A closing bracket of the wrong kind closes up to the next open one of
 *	  its kind.
 *	- What begins no value is broken up to the line's end, or to where a
 *	  value or element may begin.
 *
 * What has been seen of an unfinished value is kept as a few numbers; bytes
 * are looked at twice only behind the first line end of such a string, once.
 */
#include "dynpipe.h"

#include "format/field.h"
#include "format/json_split.h"
#include "format/scan.h"

#define VOTES 100				/* lines of the sample that say whether values have lines */

static DpSplit between(JsonSplitter *splitter, const char *s, Size len, bool at_end,
					   DpSpan *span);
static DpSplit begin(JsonSplitter *splitter, const char *s, Size len, bool at_end, DpSpan *span);
static DpSplit scan_garbage(JsonSplitter *splitter, const char *s, Size len, bool at_end,
							DpSpan *span);
static DpSplit scan_value(JsonSplitter *splitter, const char *s, Size len, bool at_end,
						  DpSpan *span);

/* ---------- what the sample shows ---------- */

static inline Size
skip_blanks(const char *s, Size i, Size len)
{
	while (i < len && dp_json_is_blank(s[i]))
		i++;
	return i;
}

/* Behind the bracket that closes what opens at I; 0: it is not in S. */
static Size
find_balance(const char *s, Size i, Size len)
{
	DpScanSet	in_string = {{'"', '\\', '\n', '"'}};
	bool		string = false;
	int			depth = 0;

	while ((i = string ? dp_scan(&in_string, s, i, len) : dp_scan_json(s, i, len)) < len)
	{
		if (s[i] == '"')
			string = !string;
		else if (string && s[i] == '\\')
			i++;
		else if (!string && s[i] != '\n')
			depth += (s[i] | 0x20) == '{' ? 1 : -1;
		i++;
		if (depth <= 0 && !string)
			return i;
	}
	return 0;
}

/* Does every value have a line of its own?  The lines of the outermost values are asked. */
static bool
values_have_lines(const char *s, Size i, Size len, bool all)
{
	int			balanced = 0;
	int			open = 0;
	Size		column = 0;

	while (i < len && balanced + open < VOTES)
	{
		Size		value = i;
		const char *end = memchr(s + i, '\n', len - i);

		while (value < len && (s[value] == ' ' || s[value] == '\t'))
			value++;
		if (end == NULL && !all)
			break;
		if (value < len && (s[value] == '{' || s[value] == '[') &&
			(balanced + open == 0 || value - i == column))
		{
			column = value - i;
			if (find_balance(s, value, end ? end - s : len) > 0)
				balanced++;
			else
				open++;
		}
		i = end ? end - s + 1 : len;
	}
	return balanced > open;
}

/* An array at the top, followed by another whose rows they are: values, not a stream. */
static bool
arrays_are_rows(const char *s, Size i, Size len)
{
	Size		inside = skip_blanks(s, i + 1, len);
	Size		behind = find_balance(s, i, len);
	Size		next = skip_blanks(s, behind, len);

	return behind > 0 && next < len && s[next] == '[' && s[inside] != '{';
}

DpSplitter *
dp_json_splitter(const DpPipelineSpec *spec, const char *sample, Size len, bool all)
{
	JsonSplitter *splitter = palloc0(sizeof(JsonSplitter));
	const char *pointer = dp_format_option(spec, "records");
	Size		i = skip_blanks(sample, 0, len);

	splitter->base.ops = &dp_format_json_ops;
	splitter->base.layout = "";
	splitter->phase = JSON_VALUES;
	if (pointer != NULL)
	{
		dp_json_seek_open(splitter, pointer);
		splitter->base.description = psprintf("array at %s", pointer);
		return &splitter->base;
	}
	splitter->stream = i < len && sample[i] == '[' && !arrays_are_rows(sample, i, len);
	splitter->by_line = values_have_lines(sample, splitter->stream ? i + 1 : i, len, all);
	splitter->base.description = splitter->stream ? "array" :
		splitter->by_line ? "one value a line" : "values one after the other";
	return &splitter->base;
}

DpSplit
dp_json_split(DpSplitter *base, const char *s, Size len, bool at_end, DpSpan *span)
{
	JsonSplitter *splitter = (JsonSplitter *) base;

	memset(span, 0, sizeof(DpSpan));
	splitter->cut |= base->seen < splitter->seen;
	if (splitter->phase == JSON_SEEK)
		return dp_json_seek(splitter, s, len, at_end, span);
	if (splitter->garbage)
		return scan_garbage(splitter, s, len, at_end, span);
	if (splitter->begun)
		return scan_value(splitter, s, len, at_end, span);
	return between(splitter, s, len, at_end, span);
}

/* ---------- ends ---------- */

/* Keep what was seen up to I until there are more bytes. */
static DpSplit
want_more(JsonSplitter *splitter, Size i)
{
	splitter->base.seen = splitter->seen = i;
	return DP_SPLIT_MORE;
}

/* The value or what was taken for it ends at I. */
static DpSplit
finish(JsonSplitter *splitter, Size i, const char *problem, DpSpan *span)
{
	span->len = span->used = i;
	span->lines = splitter->lines;
	span->problem = problem;
	splitter->base.seen = splitter->seen = 0;
	splitter->cut = splitter->begun = splitter->garbage = splitter->in_string = false;
	splitter->depth = 0;
	splitter->kinds = 0;
	splitter->lines = 0;
	splitter->string_line = 0;
	splitter->column = -1;
	return problem ? DP_SPLIT_BROKEN : DP_SPLIT_RECORD;
}

/* The same, where a line ends at I, which goes with it. */
static DpSplit
finish_line(JsonSplitter *splitter, const char *s, Size i, const char *problem, DpSpan *span)
{
	DpSplit		result = finish(splitter, i, problem, span);

	if (span->len > 0 && s[span->len - 1] == '\r')
		span->len--;
	span->used++;
	span->lines++;
	splitter->column = 0;
	return result;
}

/* ---------- between values ---------- */

/* Blanks, commas, the brackets of the array: no record. */
static DpSplit
between(JsonSplitter *splitter, const char *s, Size len, bool at_end, DpSpan *span)
{
	Size		i = 0;

	if (splitter->phase == JSON_REST)
		splitter->in_array = false;
	for (; i < len; i++)
	{
		if (s[i] == '\n')
		{
			span->lines++;
			splitter->column = 0;
		}
		else if (dp_json_is_blank(s[i]))
			splitter->column += splitter->column >= 0;
		else if (s[i] == '[' && splitter->stream && !splitter->in_array)
			splitter->in_array = true;
		else if (s[i] == ']' && splitter->in_array)
		{
			splitter->in_array = false;
			if (splitter->pointer != NULL)
				splitter->phase = JSON_REST;
		}
		else if (s[i] != ',' && splitter->phase != JSON_REST)
			break;
	}
	span->used = i;
	if (i > 0)
		return DP_SPLIT_NOTHING;
	if (i < len)
		return begin(splitter, s, len, at_end, span);
	if (!at_end)
		return DP_SPLIT_MORE;
	if (!splitter->in_array)
		return DP_SPLIT_END;
	splitter->in_array = false;
	return finish(splitter, 0, "the file ends before the array does: it seems to be cut off", span);
}

static inline bool
is_word(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
		c == '-' || c == '+' || c == '.';
}

static bool
is_scalar(const char *s, Size len)
{
	return *s == '-' || (*s >= '0' && *s <= '9') ||
		(len == 4 && (memcmp(s, "true", 4) == 0 || memcmp(s, "null", 4) == 0)) ||
		(len == 5 && memcmp(s, "false", 5) == 0);
}

/* A value begins here, or what stands where one should. */
static DpSplit
begin(JsonSplitter *splitter, const char *s, Size len, bool at_end, DpSpan *span)
{
	Size		i = 0;

	if (*s == '{' || *s == '[' || *s == '"')
	{
		splitter->begun = true;
		splitter->opener = *s;
		return scan_value(splitter, s, len, at_end, span);
	}
	while (i < len && i < DP_SPLIT_LOOKAHEAD && is_word(s[i]))
		i++;
	if (i == len && !at_end)
		return DP_SPLIT_MORE;
	if (i > 0 && i < DP_SPLIT_LOOKAHEAD && is_scalar(s, i))
		return finish(splitter, i, NULL, span);
	splitter->garbage = true;
	return scan_garbage(splitter, s, len, at_end, span);
}

/* Garbage ends with the line, or before something that may begin or end a value. */
static DpSplit
scan_garbage(JsonSplitter *splitter, const char *s, Size len, bool at_end, DpSpan *span)
{
	const char *problem = "this is no JSON value";
	Size		i = splitter->base.seen;

	for (; i < len; i++)
	{
		if (s[i] == '\n')
			return finish_line(splitter, s, i, problem, span);
		if (splitter->by_line && !splitter->in_array)
			continue;
		if ((i > 0 || splitter->cut) &&
			(s[i] == '{' || s[i] == '[' ||
			 (splitter->in_array && (s[i] == ',' || s[i] == ']'))))
			return finish(splitter, i, problem, span);
	}
	return at_end ? finish(splitter, len, problem, span) : want_more(splitter, len);
}

/* ---------- one value ---------- */

/*
 * The first byte from I on that is no blank, or a line end where LINE: its
 * place in *AT, LEN at the end, that of a blank when there are very many.
 * False: more bytes are needed to tell.
 */
static bool
look_ahead(const char *s, Size i, Size len, bool at_end, bool line, Size *at)
{
	Size		limit = Min(len, i + DP_SPLIT_LOOKAHEAD);

	while (i < limit && dp_json_is_blank(s[i]) && !(line && s[i] == '\n'))
		i++;
	*at = i;
	return i < len || at_end;
}

/* Where each value has its line: is the one that goes on behind the line end at I broken? */
static bool
look_behind_line(const JsonSplitter *splitter, const char *s, Size i, Size len, bool at_end,
				 bool *broken)
{
	Size		next;

	if (!look_ahead(s, i + 1, len, at_end, false, &next))
		return false;
	*broken = next < len ? s[next] == splitter->opener : at_end;
	return true;
}

/* Is the bracket at I the first on its line, no further in than the value, and out of place? */
static bool
is_misplaced(const JsonSplitter *splitter, const char *s, Size i)
{
	Size		first = i > DP_SPLIT_LOOKAHEAD ? i - DP_SPLIT_LOOKAHEAD : 0;
	Size		at = i;

	if (splitter->cut || splitter->depth == 0)
		return false;
	while (at > first && s[at - 1] != '\n' && dp_json_is_blank(s[at - 1]))
		at--;
	if (at == first || s[at - 1] != '\n' || i - at > Max(splitter->column, 0))
		return false;
	while (at > first && dp_json_is_blank(s[at - 1]))
		at--;
	if (at == first)
		return false;
	if (splitter->depth <= 64 && !(splitter->kinds >> (splitter->depth - 1) & 1))
		return s[at - 1] != ':';
	return s[at - 1] != ':' && s[at - 1] != ',' && s[at - 1] != '[';
}

static void
open_bracket(JsonSplitter *splitter, char bracket)
{
	if (splitter->depth < 64)
	{
		splitter->kinds &= ~(UINT64CONST(1) << splitter->depth);
		splitter->kinds |= (uint64) (bracket == '[') << splitter->depth;
	}
	splitter->depth++;
}

/* Close as BRACKET says; false: it closes nothing in this value but the array around it. */
static bool
close_bracket(JsonSplitter *splitter, char bracket)
{
	int64		depth = splitter->depth;

	if (depth > 64)
	{
		splitter->depth--;
		return true;
	}
	while (depth > 0 && (splitter->kinds >> (depth - 1) & 1) != (bracket == ']'))
		depth--;
	if (depth == 0 && bracket == ']' && splitter->in_array)
		return false;
	splitter->depth = depth > 0 ? depth - 1 : splitter->depth - 1;
	return true;
}

/*
 * The closing quote at I of a string with line ends in it.  *REAL: it is one;
 * else it opened the next string.  False: more bytes are needed to tell.
 */
static bool
check_quote(const JsonSplitter *splitter, const char *s, Size i, Size len, bool at_end,
			bool *real)
{
	Size		next;

	*real = true;
	if (splitter->cut)
		return true;
	if (!look_ahead(s, i + 1, len, at_end, false, &next))
		return false;
	*real = next == len || dp_json_is_blank(s[next]) || strchr(",:}]", s[next]) != NULL;
	return true;
}

/* The value's brackets are closed before I. */
static DpSplit
end_value(JsonSplitter *splitter, const char *s, Size i, Size len, bool at_end, DpSpan *span)
{
	Size		next;

	if (!splitter->by_line || splitter->in_array || splitter->cut)
		return finish(splitter, i, NULL, span);
	if (!look_ahead(s, i, len, at_end, true, &next))
		return want_more(splitter, i);
	if (next < len && s[next] == ',' && !look_ahead(s, next + 1, len, at_end, true, &next))
		return want_more(splitter, i);
	if (next == len || dp_json_is_blank(s[next]) || s[next] == '{' || s[next] == '[')
		return finish(splitter, i, NULL, span);
	splitter->garbage = true;
	splitter->base.seen = splitter->seen = i;
	return scan_garbage(splitter, s, len, at_end, span);
}

/* The file ends inside the value. */
static DpSplit
end_inside(JsonSplitter *splitter, Size len, DpSpan *span)
{
	if (splitter->in_array)
	{
		splitter->in_array = false;
		return finish(splitter, len, "the file ends inside an element of the array", span);
	}
	return finish(splitter, len, "the file ends inside a JSON value", span);
}

/* A step of scan_value inside of a string, at a byte of its set.  False: more bytes needed. */
static bool
string_step(JsonSplitter *splitter, const char *s, Size *at, Size len, bool at_end)
{
	Size		i = *at;
	bool		real = true;

	if (s[i] == '\\')
	{
		if (i + 1 == len && !at_end)
			return false;
		/* A line end is still one. */
		*at = i + 1 < len && s[i + 1] != '\n' ? i + 2 : i + 1;
		return true;
	}
	if (s[i] == '\n')
	{
		splitter->lines++;
		*at = i + 1;
		if (splitter->string_line == 0)
		{
			splitter->string_line = i + 1;
			splitter->string_lines = splitter->lines;
		}
		return true;
	}
	if (splitter->string_line > 0 && !check_quote(splitter, s, i, len, at_end, &real))
		return false;
	splitter->in_string = false;
	*at = i + 1;
	if (!real)
	{
		*at = splitter->string_line;
		splitter->lines = splitter->string_lines;
	}
	return true;
}

static DpSplit
scan_value(JsonSplitter *splitter, const char *s, Size len, bool at_end, DpSpan *span)
{
	DpScanSet	in_string = {{'"', '\\', '\n', '"'}};
	Size		i = splitter->base.seen;

	if ((i > 0 || splitter->cut) && splitter->depth == 0 && !splitter->in_string)
		return end_value(splitter, s, i, len, at_end, span);
	while ((i = splitter->in_string ? dp_scan(&in_string, s, i, len)
			: dp_scan_json(s, i, len)) < len)
	{
		if (s[i] == '\n' && splitter->by_line)
		{
			bool		broken;

			if (!look_behind_line(splitter, s, i, len, at_end, &broken))
				return want_more(splitter, i);
			if (broken)
				return finish_line(splitter, s, i, "the line ends inside a JSON value", span);
		}
		if (splitter->in_string)
		{
			if (!string_step(splitter, s, &i, len, at_end))
				return want_more(splitter, i);
			if (!splitter->in_string && splitter->depth == 0)
				return end_value(splitter, s, i, len, at_end, span);
			continue;
		}
		switch (s[i])
		{
			case '"':
				splitter->in_string = true;
				splitter->string_line = 0;
				break;
			case '\n':
				splitter->lines++;
				break;
			case '{':
			case '[':
				if (is_misplaced(splitter, s, i))
					return finish(splitter, i, "a JSON value is not closed before the next begins",
								  span);
				open_bracket(splitter, s[i]);
				break;
			default:
				if (!close_bracket(splitter, s[i]))
					return finish(splitter, i, "the array ends inside an element", span);
				if (splitter->depth == 0)
					return end_value(splitter, s, i + 1, len, at_end, span);
		}
		i++;
	}
	if (!at_end)
		return want_more(splitter, len);
	return end_inside(splitter, len, span);
}
