/*
 * json_seek.c
 *	  The way to the array that option records names by a JSON pointer.
 *
 * The text is read token by token and passed over; of a key only what the
 * step looked for could be as long as is needed at once.  Values beside the
 * way are skipped by counting brackets, whatever their size.  If the array is
 * not there, the file is one broken record that says so.
 */
#include "dynpipe.h"

#include "format/json_split.h"

static DpSplit seek_step(JsonSplitter *splitter, const char *s, Size len, bool at_end,
						 DpSpan *span);
static DpSplit at_value(JsonSplitter *splitter, const char *s, DpSpan *span);
static DpSplit at_key(JsonSplitter *splitter, const char *s, Size len, bool at_end,
					  DpSpan *span);
static DpSplit skip_key(JsonSplitter *splitter, const char *s, Size len, DpSpan *span);
static DpSplit at_element(JsonSplitter *splitter, const char *s, DpSpan *span);
static DpSplit skip_value(JsonSplitter *splitter, const char *s, Size len, DpSpan *span);

/* A step of the pointer, without its escapes. */
static char *
read_step(const char *s, Size len)
{
	char	   *step = palloc(len + 1);
	Size		n = 0;

	for (Size i = 0; i < len; i++)
	{
		if (s[i] == '~' && i + 1 < len && (s[i + 1] == '0' || s[i + 1] == '1'))
			step[n++] = s[++i] == '0' ? '~' : '/';
		else
			step[n++] = s[i];
	}
	step[n] = '\0';
	return step;
}

void
dp_json_seek_open(JsonSplitter *splitter, const char *pointer)
{
	splitter->phase = JSON_SEEK;
	splitter->seek = SEEK_VALUE;
	splitter->pointer = pstrdup(pointer);
	splitter->steps = palloc(sizeof(char *) * (strlen(pointer) + 1));
	while (*pointer == '/')
	{
		Size		len = strcspn(++pointer, "/");

		splitter->steps[splitter->nsteps++] = read_step(pointer, len);
		pointer += len;
	}
}

static DpSplit
not_found(JsonSplitter *splitter, const char *problem, DpSpan *span)
{
	splitter->phase = JSON_REST;
	span->used = span->len = 0;
	span->problem = problem;
	return DP_SPLIT_BROKEN;
}

/* The first byte of S is passed over. */
static DpSplit
pass(DpSpan *span)
{
	span->used = 1;
	return DP_SPLIT_NOTHING;
}

DpSplit
dp_json_seek(JsonSplitter *splitter, const char *s, Size len, bool at_end, DpSpan *span)
{
	DpSplit		result;

	do
	{
		result = seek_step(splitter, s, len, at_end, span);
	} while (result == DP_SPLIT_NOTHING && span->used == 0);
	return result;
}

/* One token; it may be empty, when what follows is to be read in another way. */
static DpSplit
seek_step(JsonSplitter *splitter, const char *s, Size len, bool at_end, DpSpan *span)
{
	Size		i = 0;

	if (splitter->seek == SEEK_SKIP && len > 0)
		return skip_value(splitter, s, len, span);
	if (splitter->seek == SEEK_REST_OF_KEY && len > 0)
		return skip_key(splitter, s, len, span);
	while (i < len && (dp_json_is_blank(s[i]) ||
					   (s[i] == ',' && splitter->seek != SEEK_VALUE)))
		span->lines += s[i++] == '\n';
	span->used = i;
	if (i > 0)
		return DP_SPLIT_NOTHING;
	if (len == 0)
		return at_end ? not_found(splitter, "the file ends before the array that option "
								  "records names", span) : DP_SPLIT_MORE;
	switch (splitter->seek)
	{
		case SEEK_VALUE:
			return at_value(splitter, s, span);
		case SEEK_KEY:
			return at_key(splitter, s, len, at_end, span);
		case SEEK_ELEMENT:
			return at_element(splitter, s, span);
		default:
			if (*s != ':')
				return not_found(splitter, "the file is no JSON on the way to the array that "
								 "option records names", span);
			splitter->seek = splitter->on_the_way ? SEEK_VALUE : SEEK_SKIP;
			splitter->matched += splitter->on_the_way;
			return pass(span);
	}
}

/* The value that the steps so far lead to. */
static DpSplit
at_value(JsonSplitter *splitter, const char *s, DpSpan *span)
{
	if (splitter->matched == splitter->nsteps)
	{
		if (*s != '[')
			return not_found(splitter, "what option records names is no array", span);
		splitter->phase = JSON_VALUES;
		splitter->in_array = true;
		splitter->column = -1;
		return pass(span);
	}
	if (*s != '{' && *s != '[')
		return not_found(splitter, "the file has no array where option records names it", span);
	splitter->opener = *s;
	splitter->seek = *s == '{' ? SEEK_KEY : SEEK_ELEMENT;
	splitter->element = 0;
	return pass(span);
}

/* ---------- objects ---------- */

static int
hex_value(const char *s)
{
	int			value = 0;

	for (int i = 0; i < 4; i++)
	{
		int			digit = s[i] >= '0' && s[i] <= '9' ? s[i] - '0'
			: (s[i] | 0x20) >= 'a' && (s[i] | 0x20) <= 'f' ? (s[i] | 0x20) - 'a' + 10 : -1;

		if (digit < 0)
			return -1;
		value = value * 16 + digit;
	}
	return value;
}

/* A code unit as UTF-8; surrogates never match, which is well enough for a member's name. */
static int
put_utf8(char *out, int c)
{
	if (c < 0x80)
	{
		out[0] = c;
		return 1;
	}
	if (c < 0x800)
	{
		out[0] = 0xC0 | c >> 6;
		out[1] = 0x80 | (c & 0x3F);
		return 2;
	}
	out[0] = 0xE0 | c >> 12;
	out[1] = 0x80 | (c >> 6 & 0x3F);
	out[2] = 0x80 | (c & 0x3F);
	return 3;
}

/* Is the string S[0..LEN), between its quotes, NAME? */
static bool
key_is(const char *s, Size len, const char *name)
{
	static const char plain[] = "\"\\/bfnrt";
	static const char meant[] = "\"\\/\b\f\n\r\t";
	Size		size = strlen(name);
	Size		n = 0;

	for (Size i = 0; i < len;)
	{
		char		c[3] = {s[i]};
		int			used = 1;
		int			width = 1;

		if (s[i] == '\\' && i + 1 < len)
		{
			const char *which = s[i + 1] ? strchr(plain, s[i + 1]) : NULL;

			used = 2;
			if (which != NULL)
				c[0] = meant[which - plain];
			else if (s[i + 1] == 'u' && i + 6 <= len && hex_value(s + i + 2) >= 0)
			{
				width = put_utf8(c, hex_value(s + i + 2));
				used = 6;
			}
			else
				return false;
		}
		if (n + width > size || memcmp(name + n, c, width) != 0)
			return false;
		n += width;
		i += used;
	}
	return n == size;
}

/* Pass over the rest of a key. */
static DpSplit
skip_key(JsonSplitter *splitter, const char *s, Size len, DpSpan *span)
{
	Size		i = 0;
	bool		ended = false;

	for (; i < len && !ended; i++)
	{
		span->lines += s[i] == '\n';
		ended = s[i] == '"' && !splitter->escaped;
		splitter->escaped = s[i] == '\\' && !splitter->escaped;
	}
	if (ended)
		splitter->seek = SEEK_COLON;
	span->used = i;
	return DP_SPLIT_NOTHING;
}

/*
 * A key is needed as a whole to be compared, but only so much of it as the
 * step can be long when every byte of it is escaped.
 */
static DpSplit
at_key(JsonSplitter *splitter, const char *s, Size len, bool at_end, DpSpan *span)
{
	const char *step = splitter->steps[splitter->matched];
	Size		limit = 6 * strlen(step) + 2;
	Size		i = 1;

	if (*s == '}')
		return not_found(splitter, "the file has no array where option records names it", span);
	if (*s != '"')
		return not_found(splitter, "the file is no JSON on the way to the array that "
						 "option records names", span);
	while (i < len && i < limit && s[i] != '"')
		i += s[i] == '\\' ? 2 : 1;
	if (i >= len && i < limit && !at_end)
		return DP_SPLIT_MORE;
	splitter->on_the_way = i < len && i < limit && key_is(s + 1, i - 1, step);
	splitter->seek = SEEK_REST_OF_KEY;
	span->used = 1;
	return DP_SPLIT_NOTHING;
}

/* ---------- arrays ---------- */

static DpSplit
at_element(JsonSplitter *splitter, const char *s, DpSpan *span)
{
	const char *step = splitter->steps[splitter->matched];

	if (*s == ']' || strspn(step, "0123456789") != strlen(step) || *step == '\0' ||
		strlen(step) > 18)
		return not_found(splitter, "the file has no array where option records names it", span);
	if (splitter->element == atoll(step))
	{
		splitter->matched++;
		splitter->seek = SEEK_VALUE;
		return at_value(splitter, s, span);
	}
	splitter->element++;
	splitter->seek = SEEK_SKIP;
	return DP_SPLIT_NOTHING;
}

/* ---------- beside the way ---------- */

/* Pass over a value; where it ends is where a comma or closing bracket at depth 0 stands. */
static DpSplit
skip_value(JsonSplitter *splitter, const char *s, Size len, DpSpan *span)
{
	Size		i = 0;

	for (; i < len; i++)
	{
		span->lines += s[i] == '\n';
		if (splitter->escaped)
			splitter->escaped = false;
		else if (splitter->in_string)
		{
			splitter->escaped = s[i] == '\\';
			splitter->in_string = s[i] != '"';
		}
		else if (s[i] == '"')
			splitter->in_string = true;
		else if (s[i] == '{' || s[i] == '[')
			splitter->depth++;
		else if (splitter->depth > 0)
			splitter->depth -= s[i] == '}' || s[i] == ']';
		else if (s[i] == ',' || s[i] == '}' || s[i] == ']')
		{
			splitter->seek = splitter->opener == '[' ? SEEK_ELEMENT : SEEK_KEY;
			break;
		}
	}
	span->used = i;
	return DP_SPLIT_NOTHING;
}
