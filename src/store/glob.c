/*
 * glob.c
 *	  Patterns over keys: "*" and "?" within a part, "[a-z]" and "[!a-z]",
 *	  "{a,b}", "**" over parts.  Pure.
 *
 * A pattern becomes a small program, one instruction for each of its
 * characters at most; a key is walked once, character by character, with the
 * set of instructions that are alive.  So the time is bounded by the product
 * of the two lengths, whatever the pattern is: patterns are users' text.
 *
 *	  char c    takes c               any     takes one character but '/'
 *	  set       takes one of a set    star    takes any number but '/'
 *	  deep      takes any number      split   goes on at two places
 *	  jump      goes on elsewhere     match   the end
 *
 * As in a shell, wildcards do not see a name that is hidden (it begins with
 * '.' or '_'): it has to be spelled.  Text is taken as UTF-8; a byte that is
 * not is a character of its own.
 */
#include "dynpipe.h"

#include "store/store.h"

/* Brackets inside brackets; more are taken as text. */
#define MAX_DEPTH	16
/* Not Unicode: a stray byte b is BYTE_BASE + b. */
#define BYTE_BASE	0x110000

typedef enum Op
{
	OP_CHAR,
	OP_ANY,
	OP_SET,
	OP_STAR,
	OP_DEEP,
	OP_SPLIT,
	OP_JUMP,
	OP_MATCH
} Op;

typedef struct Step
{
	Op			op;
	uint32		c;				/* char */
	const char *set;			/* set: the text behind its '[' */
	int			to;				/* split (besides the next one), jump; -1: not known yet */
} Step;

typedef struct Program
{
	Step	   *steps;
	int			n;
} Program;

/* Instructions that are alive, each once, in order of discovery. */
typedef struct Alive
{
	int		   *list;
	int			n;
	int		   *mark;			/* by instruction: the last round it was added in */
} Alive;

static void compile(Program *prog, const char *pattern);
static const char *compile_stars(Program *prog, const char *pattern, const char *at);
static int	emit(Program *prog, Op op);
static const char *set_end(const char *text);
static const char *brace_end(const char *text);
static bool set_has(const char *set, uint32 c);
static bool set_negated(const char *set);
static bool is_hidden(const char *key, const char *at);
static void add(const Program *prog, Alive *alive, int *stack, int first, int round, bool hidden);
static bool takes(const Step *step, uint32 c, bool hidden, bool *stays);
static uint32 next_char(const char **text);

bool
dp_glob_is_pattern(const char *pattern)
{
	const char *p;

	if (*pattern == '\0' || pattern[strlen(pattern) - 1] == '/')
		return true;
	for (p = pattern; *p != '\0'; p++)
		if (*p == '*' || *p == '?' ||
			(*p == '[' && set_end(p + 1) != NULL) ||
			(*p == '{' && brace_end(p + 1) != NULL))
			return true;
	return false;
}

char *
dp_glob_prefix(const char *pattern)
{
	const char *end = pattern;

	for (const char *p = pattern; *p != '\0'; p++)
	{
		if (*p == '*' || *p == '?' ||
			(*p == '[' && set_end(p + 1) != NULL) ||
			(*p == '{' && brace_end(p + 1) != NULL))
			break;
		if (*p == '/')
			end = p + 1;
	}
	return pnstrdup(pattern, end - pattern);
}

bool
dp_glob_match(const char *pattern, const char *key)
{
	Program		prog;
	Alive		now;
	Alive		next;
	int		   *stack;
	int			round = 1;
	bool		matched = false;

	compile(&prog, pattern);
	now.list = palloc(prog.n * 5 * sizeof(int));
	next.list = now.list + prog.n;
	now.mark = next.mark = next.list + prog.n;
	stack = now.mark + prog.n;
	memset(now.mark, 0, prog.n * sizeof(int));
	now.n = 0;
	add(&prog, &now, stack, 0, round, is_hidden(key, key));

	for (const char *p = key; *p != '\0' && now.n > 0;)
	{
		bool		hidden = is_hidden(key, p);
		uint32		c = next_char(&p);
		bool		hidden_next = is_hidden(key, p);
		Alive		swap;

		next.n = 0;
		round++;
		for (int i = 0; i < now.n; i++)
		{
			bool		stays;

			if (takes(&prog.steps[now.list[i]], c, hidden, &stays))
				add(&prog, &next, stack, now.list[i] + (stays ? 0 : 1), round, hidden_next);
		}
		swap = now;
		now = next;
		next = swap;
	}
	for (int i = 0; i < now.n; i++)
		matched |= prog.steps[now.list[i]].op == OP_MATCH;
	pfree(prog.steps);
	pfree(Min(now.list, next.list));
	return matched;
}

/*
 * "{a,b}c":  split 3; a; jump 4; b; c.  A split's other branch is filled in
 * when its comma comes, the jumps when the brace is closed.
 */
static void
compile(Program *prog, const char *pattern)
{
	int			splits[MAX_DEPTH];	/* of the branch at hand */
	int			jumps[MAX_DEPTH];	/* the newest; linked through "to" */
	int			depth = 0;

	/* "**" and a split with its jump are the only ones larger than their text. */
	prog->steps = palloc((strlen(pattern) * 2 + 4) * sizeof(Step));
	prog->n = 0;
	for (const char *p = pattern; *p != '\0';)
	{
		if (*p == '*')
			p = compile_stars(prog, pattern, p);
		else if (*p == '?')
		{
			emit(prog, OP_ANY);
			p++;
		}
		else if (*p == '[' && set_end(p + 1) != NULL)
		{
			int			set = emit(prog, OP_SET);

			prog->steps[set].set = p + 1;
			p = set_end(p + 1) + 1;
		}
		else if (*p == '{' && depth < MAX_DEPTH && brace_end(p + 1) != NULL)
		{
			splits[depth] = emit(prog, OP_SPLIT);
			jumps[depth] = -1;
			depth++;
			p++;
		}
		else if ((*p == ',' || *p == '}') && depth > 0)
		{
			int			jump = emit(prog, OP_JUMP);

			prog->steps[jump].to = jumps[depth - 1];
			jumps[depth - 1] = jump;
			prog->steps[splits[depth - 1]].to = prog->n;
			if (*p == ',')
				splits[depth - 1] = emit(prog, OP_SPLIT);
			else
			{
				/* The last branch has no other: its split goes to itself, that is on. */
				prog->steps[splits[depth - 1]].to = splits[depth - 1] + 1;
				while (jump >= 0)
				{
					int			before = prog->steps[jump].to;

					prog->steps[jump].to = prog->n;
					jump = before;
				}
				depth--;
			}
			p++;
		}
		else
		{
			uint32		c = next_char(&p);

			prog->steps[emit(prog, OP_CHAR)].c = c;
		}
	}
	if (*pattern == '\0' || pattern[strlen(pattern) - 1] == '/')
		emit(prog, OP_DEEP);
	emit(prog, OP_MATCH);
}

/* The stars at AT; two of them that are a whole part go over parts. */
static const char *
compile_stars(Program *prog, const char *pattern, const char *at)
{
	const char *end = at + strspn(at, "*");
	bool		deep = end - at == 2 && (at == pattern || at[-1] == '/');

	if (deep && *end == '\0')
		emit(prog, OP_DEEP);
	else if (deep && *end == '/')
	{
		/* No part at all, or any number of them and a '/'. */
		int			split = emit(prog, OP_SPLIT);
		int			slash;

		emit(prog, OP_DEEP);
		slash = emit(prog, OP_CHAR);
		prog->steps[slash].c = '/';
		prog->steps[split].to = prog->n;
		end++;
	}
	else
		emit(prog, OP_STAR);
	return end;
}

static int
emit(Program *prog, Op op)
{
	Step	   *step = &prog->steps[prog->n];

	step->op = op;
	step->c = 0;
	step->set = NULL;
	step->to = -1;
	return prog->n++;
}

/* The ']' that closes the set whose text begins at TEXT, or NULL; the first may be a member. */
static const char *
set_end(const char *text)
{
	const char *p = text;

	if (*p == '!' || *p == '^')
		p++;
	if (*p == ']')
		p++;
	p += strcspn(p, "]/");
	return *p == ']' ? p : NULL;
}

/* The '}' that closes the brace whose text begins at TEXT, or NULL. */
static const char *
brace_end(const char *text)
{
	int			depth = 1;

	for (const char *p = text; *p != '\0'; p++)
	{
		if (*p == '[' && set_end(p + 1) != NULL)
			p = set_end(p + 1);
		else if (*p == '{' && ++depth > MAX_DEPTH)
			return NULL;
		else if (*p == '}' && --depth == 0)
			return p;
	}
	return NULL;
}

static bool
set_has(const char *set, uint32 c)
{
	const char *end = set_end(set);
	const char *p = set + (set_negated(set) ? 1 : 0);

	while (p < end)
	{
		uint32		low = next_char(&p);
		uint32		high = low;

		if (*p == '-' && p + 1 < end)
		{
			p++;
			high = next_char(&p);
		}
		if (c >= low && c <= high)
			return !set_negated(set);
	}
	return set_negated(set);
}

static bool
set_negated(const char *set)
{
	return *set == '!' || *set == '^';
}

/* Does a name begin at AT that wildcards do not see? */
static bool
is_hidden(const char *key, const char *at)
{
	return (*at == '.' || *at == '_') && (at == key || at[-1] == '/');
}

/* Make FIRST alive, and whatever is reached from it without taking a character. */
static void
add(const Program *prog, Alive *alive, int *stack, int first, int round, bool hidden)
{
	int			n = 0;

	/* The stack holds each instruction once, since it is marked when pushed. */
	if (alive->mark[first] == round)
		return;
	alive->mark[first] = round;
	stack[n++] = first;
	while (n > 0)
	{
		int			at = stack[--n];
		const Step *step = &prog->steps[at];
		int			reach[2] = {-1, -1};

		alive->list[alive->n++] = at;
		if (step->op == OP_SPLIT || step->op == OP_JUMP)
			reach[0] = step->to;
		/* A wildcard may be nothing, but not in front of what it must not see. */
		if (step->op == OP_SPLIT || ((step->op == OP_STAR || step->op == OP_DEEP) && !hidden))
			reach[1] = at + 1;
		for (int i = 0; i < 2; i++)
			if (reach[i] >= 0 && alive->mark[reach[i]] != round)
			{
				alive->mark[reach[i]] = round;
				stack[n++] = reach[i];
			}
	}
}

/* Does STEP take C; and is it still alive behind it? */
static bool
takes(const Step *step, uint32 c, bool hidden, bool *stays)
{
	*stays = step->op == OP_STAR || step->op == OP_DEEP;
	switch (step->op)
	{
		case OP_CHAR:
			return c == step->c;
		case OP_ANY:
		case OP_STAR:
			return c != '/' && !hidden;
		case OP_DEEP:
			return !hidden;
		case OP_SET:
			return c != '/' && set_has(step->set, c) && !(hidden && set_negated(step->set));
		default:
			return false;
	}
}

/* The character at *TEXT, which is moved behind it. */
static uint32
next_char(const char **text)
{
	const unsigned char *p = (const unsigned char *) *text;
	int			len = p[0] < 0x80 ? 1 : p[0] < 0xC2 ? 0 : p[0] < 0xE0 ? 2 : p[0] < 0xF0 ? 3 :
		p[0] < 0xF5 ? 4 : 0;
	uint32		c = len == 1 ? p[0] : p[0] & (0x7F >> len);

	for (int i = 1; i < len; i++)
	{
		if ((p[i] & 0xC0) != 0x80)
		{
			len = 0;
			break;
		}
		c = c << 6 | (p[i] & 0x3F);
	}
	if (len == 0)
	{
		*text += 1;
		return BYTE_BASE + p[0];
	}
	*text += len;
	return c;
}
