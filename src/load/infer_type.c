/*
 * infer_type.c
 *	  The types that all values of a column can be loaded into.
 *
 *	  boolean   bigint   double   uuid   date        jsonb
 *	     |        |      /  |      |      |            |
 *	     |     numeric--'   |      |   timestamp       |
 *	     |        |         |      |      |            |
 *	     |        |         |      |   timestamptz     |
 *	     '--------'---------'--text'------'------------'
 *
 * A column keeps the set of types that fit, and each value takes from it those
 * whose parser refuses it; the first that is left is the column's.  A value's
 * spelling can only exclude a type, never admit it: the parsers take more than
 * is meant ('today' is a date to them, 007 a number, no a boolean), but what
 * they refuse would not load.
 *
 * Pure: no I/O, no catalogs but those dp_cast_init looks at.
 */
#include "dynpipe.h"

#include <ctype.h>

#include "catalog/pg_type.h"
#include "load/infer.h"

#define BIT(type)		(1u << (type))
#define NUMBERS			(BIT(DP_INFER_BIGINT) | BIT(DP_INFER_NUMERIC) | BIT(DP_INFER_DOUBLE))
#define TIMES			(BIT(DP_INFER_DATE) | BIT(DP_INFER_TIMESTAMP) | BIT(DP_INFER_TIMESTAMPTZ))
#define ANY_JSON		(BIT(DP_INFER_TEXT) | BIT(DP_INFER_JSONB))

#define MAX_INT_DIGITS	18		/* all such numbers fit into bigint */
#define MAX_DOUBLE_DIGITS	15	/* all such numbers come back as they went in */
#define MAX_NUMBER		400		/* bytes; longer digits are no number anyone counts with */
#define UUID_BYTES		36

static const struct
{
	const char *name;
	Oid			type;
} types[DP_INFER_NTYPES] = {
	[DP_INFER_BOOLEAN] = {"boolean", BOOLOID},
	[DP_INFER_BIGINT] = {"bigint", INT8OID},
	[DP_INFER_DOUBLE] = {"double precision", FLOAT8OID},
	[DP_INFER_NUMERIC] = {"numeric", NUMERICOID},
	[DP_INFER_UUID] = {"uuid", UUIDOID},
	[DP_INFER_DATE] = {"date", DATEOID},
	[DP_INFER_TIMESTAMP] = {"timestamp", TIMESTAMPOID},
	[DP_INFER_TIMESTAMPTZ] = {"timestamptz", TIMESTAMPTZOID},
	[DP_INFER_JSONB] = {"jsonb", JSONBOID},
	[DP_INFER_TEXT] = {"text", TEXTOID},
};

/* Words that may be booleans; a kind is trusted when all of a column's are of it. */
static const struct
{
	const char *word;
	uint32		bit;
} words[] = {
	{"true", 0x01}, {"false", 0x02},
	{"t", 0x04}, {"f", 0x08},
	{"yes", 0x10}, {"no", 0x20},
};

/* A number's spelling. */
typedef struct Number
{
	int			digits;			/* without leading zeros */
	bool		whole;			/* nothing but digits and a sign */
	bool		exponent;
} Number;

static uint32 possible(DpInferColumn *column, const DpInferCasts *casts, DpInferKind kind,
					   const char *s, int len);
static uint32 possible_number(DpInferColumn *column, bool comma, const char *s, int len);
static bool read_number(const char *s, int len, char point, Number *number);
static bool read_digits(const char **s, const char *end, int *digits);
static uint32 possible_word(DpInferColumn *column, const char *s, int len);
static bool looks_like_date(const char *s, int len);
static bool loads(DpInferCasts *casts, DpInferType type, const char *s, int len);
static bool is_boolean(uint32 words_seen);
static void trim(const char **s, int *len);

void
dp_infer_prepare(DpInferCasts *casts, bool decimal_comma, MemoryContext cxt)
{
	casts->decimal_comma = decimal_comma;
	for (int i = 0; i < DP_INFER_NTYPES; i++)
	{
		dp_cast_init(&casts->cast[i], types[i].type, -1, cxt);
		dp_cast_exact(&casts->cast[i]);
	}
}

void
dp_infer_begin(DpInferColumn *column)
{
	memset(column, 0, sizeof(*column));
	column->fits = BIT(DP_INFER_NTYPES) - 1;
}

void
dp_infer_see(DpInferColumn *column, DpInferCasts *casts, DpInferKind kind, const char *s, int len)
{
	uint32		left;

	if (len == 0 && (kind == DP_INFER_FIELD || kind == DP_INFER_STRING))
	{
		column->empty++;
		return;
	}
	column->values++;
	left = column->fits & possible(column, casts, kind, s, len);
	for (int i = 0; i < DP_INFER_TEXT && kind != DP_INFER_CONTAINER; i++)
	{
		/* a JSON column takes any value of a JSON file */
		if (i != DP_INFER_JSONB && (left & BIT(i)) != 0 && !loads(casts, i, s, len))
			left &= ~BIT(i);
	}
	column->fits = left;
}

/* Nothing but nulls, or nothing that says what it is: text, which takes all that may follow. */
DpInferType
dp_infer_result(const DpInferColumn *column)
{
	uint32		fits = column->fits;

	if (column->values == 0 || !column->definite)
		return DP_INFER_TEXT;
	if (!is_boolean(column->words))
		fits &= ~BIT(DP_INFER_BOOLEAN);
	if (!column->exponent)
		fits &= ~BIT(DP_INFER_DOUBLE);
	if (!column->container)
		fits &= ~BIT(DP_INFER_JSONB);
	for (int i = 0; i < DP_INFER_TEXT; i++)
		if ((fits & BIT(i)) != 0)
			return i;
	return DP_INFER_TEXT;
}

const char *
dp_infer_type_name(DpInferType type)
{
	return types[type].name;
}

DpInferType
dp_infer_type_of(Oid type)
{
	int			i = 0;

	while (i < DP_INFER_NTYPES && types[i].type != type)
		i++;
	return i;
}

bool
dp_infer_is_narrower(const char *old, const char *type)
{
	Oid			from = InvalidOid;
	Oid			to = InvalidOid;

	for (int i = 0; i < DP_INFER_NTYPES; i++)
	{
		if (strcmp(types[i].name, old) == 0)
			from = types[i].type;
		if (strcmp(types[i].name, type) == 0)
			to = types[i].type;
	}
	return OidIsValid(from) && OidIsValid(to) && dp_cast_widens(from, to);
}

DpInferType
dp_infer_join(DpInferCasts *casts, DpInferType old, const char *s, int len)
{
	DpInferColumn column;

	dp_infer_begin(&column);
	dp_infer_see(&column, casts, DP_INFER_FIELD, s, len);
	for (int i = 0; i < DP_INFER_TEXT; i++)
		if ((column.fits & BIT(i)) != 0 && dp_cast_widens(types[old].type, types[i].type))
			return i;
	return DP_INFER_TEXT;
}

bool
dp_infer_widen(const DpPlan *plan, const char *column, const char *value, int len,
			   const char **wider)
{
	ListCell   *lc;

	foreach(lc, plan->spec->columns)
	{
		DpColumnSpec *spec = lfirst(lc);
		DpInferType old = dp_infer_type_of(plan->fields[foreach_current_index(lc)].type);
		DpInferCasts casts;

		if (strcmp(spec->name, column) != 0)
			continue;
		if (!spec->inferred || old >= DP_INFER_TEXT)
			return false;
		dp_infer_prepare(&casts, dp_infer_comma(plan->spec), CurrentMemoryContext);
		*wider = types[dp_infer_join(&casts, old, value, len)].name;
		return true;
	}
	return false;
}

bool
dp_infer_comma(const DpPipelineSpec *spec)
{
	const char *decimal = dp_format_option(spec, "decimal");

	return decimal != NULL && (strcmp(decimal, ",") == 0 || strcmp(decimal, "comma") == 0);
}

/* The types that a value's spelling leaves open. */
static uint32
possible(DpInferColumn *column, const DpInferCasts *casts, DpInferKind kind,
		 const char *s, int len)
{
	uint32		result = kind == DP_INFER_FIELD ? BIT(DP_INFER_TEXT) : ANY_JSON;

	trim(&s, &len);
	if (kind == DP_INFER_FIELD && len == 3 && pg_strncasecmp(s, "nan", 3) == 0)
		return result | BIT(DP_INFER_NUMERIC) | BIT(DP_INFER_DOUBLE);
	column->definite = true;
	column->container |= kind == DP_INFER_CONTAINER;
	if (kind == DP_INFER_FIELD || kind == DP_INFER_NUMBER)
		result |= possible_number(column, casts->decimal_comma, s, len);
	if (kind == DP_INFER_FIELD || kind == DP_INFER_WORD)
		result |= possible_word(column, s, len);
	if (kind == DP_INFER_FIELD || kind == DP_INFER_STRING)
	{
		if (len == UUID_BYTES && s[8] == '-')
			result |= BIT(DP_INFER_UUID);
		if (looks_like_date(s, len))
			result |= TIMES;
	}
	return result;
}

static uint32
possible_number(DpInferColumn *column, bool comma, const char *s, int len)
{
	Number		number;
	uint32		result = BIT(DP_INFER_NUMERIC);

	if (len > MAX_NUMBER || !read_number(s, len, comma ? ',' : '.', &number))
		return 0;
	if (number.whole && number.digits <= MAX_INT_DIGITS)
		result |= BIT(DP_INFER_BIGINT);
	if (number.digits <= MAX_DOUBLE_DIGITS)
		result |= BIT(DP_INFER_DOUBLE);
	column->exponent |= number.exponent;
	return result;
}

/* -123.45e6; not 007, +49 or .5.6 */
static bool
read_number(const char *s, int len, char point, Number *number)
{
	const char *end = s + len;
	int			before = 0;

	memset(number, 0, sizeof(*number));
	if (s < end && *s == '-')
		s++;
	if (end - s > 1 && s[0] == '0' && isdigit((unsigned char) s[1]))
		return false;
	number->whole = true;
	if (!read_digits(&s, end, &before))
		number->whole = false;
	number->digits = before;
	if (s < end && *s == point)
	{
		int			after = 0;

		s++;
		if (!read_digits(&s, end, &after) && !number->whole)
			return false;
		number->digits += after;
		number->whole = false;
	}
	else if (!number->whole)
		return false;
	if (s < end && (*s == 'e' || *s == 'E'))
	{
		int			exponent = 0;

		s++;
		if (s < end && (*s == '-' || *s == '+'))
			s++;
		if (!read_digits(&s, end, &exponent))
			return false;
		number->exponent = true;
		number->whole = false;
	}
	return s == end;
}

/* Count digits; false when there are none. */
static bool
read_digits(const char **s, const char *end, int *digits)
{
	const char *start = *s;

	while (*s < end && isdigit((unsigned char) **s))
		(*s)++;
	*digits = *s - start;
	return *digits > 0;
}

static uint32
possible_word(DpInferColumn *column, const char *s, int len)
{
	for (int i = 0; i < lengthof(words); i++)
	{
		if (strlen(words[i].word) != len || pg_strncasecmp(words[i].word, s, len) != 0)
			continue;
		column->words |= words[i].bit;
		return BIT(DP_INFER_BOOLEAN);
	}
	return 0;
}

/* YYYY-MM-DD or YYYY/MM/DD at the start, or YYYYMMDDT: the same under every DateStyle. */
static bool
looks_like_date(const char *s, int len)
{
	static const char forms[][11] = {"dddd-dd-dd", "dddd/dd/dd", "ddddddddTd"};

	for (int form = 0; form < lengthof(forms) && len >= 10; form++)
	{
		int			i = 0;

		while (i < 10 && (forms[form][i] == 'd' ? isdigit((unsigned char) s[i]) != 0 :
						  s[i] == forms[form][i]))
			i++;
		if (i == 10 && (len == 10 || !isdigit((unsigned char) s[10]) || form == 2))
			return true;
	}
	return false;
}

static bool
loads(DpInferCasts *casts, DpInferType type, const char *s, int len)
{
	DpReject	reject;
	Datum		datum;
	char		point[MAX_NUMBER];

	if (casts->decimal_comma && (BIT(type) & NUMBERS) != 0)
	{
		const char *comma = memchr(s, ',', len);

		/* what the decoder hands on where the comma is the decimal point */
		if (comma != NULL && len <= MAX_NUMBER)
		{
			memcpy(point, s, len);
			point[comma - s] = '.';
			s = point;
		}
	}
	return dp_cast_text(&casts->cast[type], s, len, &datum, &reject);
}

/*
 * One kind of word, and both of it: a column of only "no" may be of Norwegian
 * places, one of only "t" of tons.
 */
static bool
is_boolean(uint32 seen)
{
	return seen == 0x01 || seen == 0x02 || seen == 0x03 || seen == 0x0c || seen == 0x30;
}

static void
trim(const char **s, int *len)
{
	while (*len > 0 && isspace((unsigned char) **s))
	{
		(*s)++;
		(*len)--;
	}
	while (*len > 0 && isspace((unsigned char) (*s)[*len - 1]))
		(*len)--;
}
