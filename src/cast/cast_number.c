/*
 * cast_number.c
 *	  bool, int2/4/8, float4/8, numeric from text.
 *
 * Each parser decides plain decimal spellings by itself and exactly:
 *	  integers	digits that fit;
 *	  floats	a mantissa and a power of ten that are both exact in the type,
 *				so that one multiplication or division rounds once, as strtod
 *				does;
 *	  numeric	up to 18 digits as a scaled int64, rounded half away from zero
 *				to the typmod's scale, as numeric_in does.
 * All else (spaces, NaN, Infinity, hex, overflow, garbage) goes to the type's
 * input function.
 */
#include "dynpipe.h"

#include <ctype.h>

#include "cast/parsers.h"
#include "common/int.h"
#include "utils/builtins.h"
#include "utils/numeric.h"

#define MAX_SCALED_DIGITS 18	/* 10^18 < 2^63 */

/* A plain decimal number: +-mantissa * 10^exponent; nfrac digits stood after the point. */
typedef struct Decimal
{
	uint64		mantissa;
	int			ndigits;		/* without leading zeros */
	int			nfrac;
	int			exponent;
	bool		negative;
	bool		has_exponent;
} Decimal;

static const int64 pow10_int64[MAX_SCALED_DIGITS + 1] = {
	INT64CONST(1), INT64CONST(10), INT64CONST(100), INT64CONST(1000), INT64CONST(10000),
	INT64CONST(100000), INT64CONST(1000000), INT64CONST(10000000), INT64CONST(100000000),
	INT64CONST(1000000000), INT64CONST(10000000000), INT64CONST(100000000000),
	INT64CONST(1000000000000), INT64CONST(10000000000000), INT64CONST(100000000000000),
	INT64CONST(1000000000000000), INT64CONST(10000000000000000),
	INT64CONST(100000000000000000), INT64CONST(1000000000000000000)
};

static const double pow10_double[] = {
	1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
	1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22
};

static const float pow10_float[] = {
	1e0f, 1e1f, 1e2f, 1e3f, 1e4f, 1e5f, 1e6f, 1e7f, 1e8f, 1e9f, 1e10f
};

bool
dp_cast_bool(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	bool		value;

	/* of no characters all would match: parse_bool looks at the first before the length */
	if (len == 0 || !parse_bool_with_len(s, len, &value))
		return dp_cast_input(cast, s, len, out, reject);
	*out = BoolGetDatum(value);
	return true;
}

/* Optional sign and up to 19 digits that fit into int64. */
static inline bool
parse_int(const char *s, int len, int64 *out)
{
	const char *end = s + len;
	bool		negative = false;
	uint64		value = 0;

	if (len > 0 && (*s == '-' || *s == '+'))
		negative = *s++ == '-';
	if (s == end || end - s > 19)
		return false;
	for (; s < end; s++)
	{
		unsigned	digit = (unsigned char) *s - '0';

		if (digit > 9)
			return false;
		value = value * 10 + digit;
	}
	if (value > (uint64) PG_INT64_MAX)
		return false;
	*out = negative ? -(int64) value : (int64) value;
	return true;
}

bool
dp_cast_int2(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	int64		value;

	if (!parse_int(s, len, &value) || value < PG_INT16_MIN || value > PG_INT16_MAX)
		return dp_cast_input(cast, s, len, out, reject);
	*out = Int16GetDatum((int16) value);
	return true;
}

bool
dp_cast_int4(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	int64		value;

	if (!parse_int(s, len, &value) || value < PG_INT32_MIN || value > PG_INT32_MAX)
		return dp_cast_input(cast, s, len, out, reject);
	*out = Int32GetDatum((int32) value);
	return true;
}

bool
dp_cast_int8(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	int64		value;

	if (!parse_int(s, len, &value))
		return dp_cast_input(cast, s, len, out, reject);
	*out = Int64GetDatum(value);
	return true;
}

/* [eE][+-]digits up to END; four digits are more than any exact case needs. */
static bool
parse_exponent(const char *s, const char *end, Decimal *d)
{
	bool		negative = false;
	int			value = 0;

	if (s < end && (*s == '-' || *s == '+'))
		negative = *s++ == '-';
	if (s == end || end - s > 4)
		return false;
	for (; s < end; s++)
	{
		if (!isdigit((unsigned char) *s))
			return false;
		value = value * 10 + (*s - '0');
	}
	d->exponent += negative ? -value : value;
	d->has_exponent = true;
	return true;
}

/* A whole plain decimal of at most 18 significant digits. */
static bool
parse_decimal(const char *s, int len, Decimal *d)
{
	const char *end = s + len;
	const char *point = NULL;
	bool		any = false;

	memset(d, 0, sizeof(*d));
	if (len > 0 && (*s == '-' || *s == '+'))
		d->negative = *s++ == '-';
	for (; s < end; s++)
	{
		unsigned	digit = (unsigned char) *s - '0';

		if (digit <= 9)
		{
			any = true;
			d->mantissa = d->mantissa * 10 + digit;
			if (d->mantissa != 0 && ++d->ndigits > MAX_SCALED_DIGITS)
				return false;
		}
		else if (*s == '.' && point == NULL)
			point = s;
		else
			break;
	}
	if (!any)
		return false;
	d->nfrac = point ? s - point - 1 : 0;
	d->exponent = -d->nfrac;
	if (s == end)
		return true;
	return (*s == 'e' || *s == 'E') && parse_exponent(s + 1, end, d);
}

bool
dp_cast_float8(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	Decimal		d;
	double		value;

	if (!parse_decimal(s, len, &d) || d.ndigits > 15 || abs(d.exponent) > 22)
		return dp_cast_input(cast, s, len, out, reject);
	value = (double) d.mantissa;
	if (d.exponent < 0)
		value /= pow10_double[-d.exponent];
	else
		value *= pow10_double[d.exponent];
	*out = Float8GetDatum(d.negative ? -value : value);
	return true;
}

bool
dp_cast_float4(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	Decimal		d;
	float		value;

	if (!parse_decimal(s, len, &d) || d.ndigits > 7 || abs(d.exponent) > 10)
		return dp_cast_input(cast, s, len, out, reject);
	value = (float) d.mantissa;
	if (d.exponent < 0)
		value /= pow10_float[-d.exponent];
	else
		value *= pow10_float[d.exponent];
	*out = Float4GetDatum(d.negative ? -value : value);
	return true;
}

/*
 * Bring a mantissa with NFRAC decimals to the scale of TYPMOD.  False when
 * it leaves int64 or the declared precision.
 */
static bool
apply_typmod(int64 *value, int *nfrac, int32 typmod)
{
	int			precision = ((typmod - VARHDRSZ) >> 16) & 0xffff;
	int			scale = (((typmod - VARHDRSZ) & 0x7ff) ^ 1024) - 1024;

	if (scale < 0 || scale > precision || scale > MAX_SCALED_DIGITS)
		return false;
	if (*nfrac <= scale)
	{
		if (pg_mul_s64_overflow(*value, pow10_int64[scale - *nfrac], value))
			return false;
	}
	else
	{
		int64		unit = pow10_int64[*nfrac - scale];
		int64		rest = *value % unit;

		*value = *value / unit + (rest >= unit - rest ? 1 : 0);
	}
	*nfrac = scale;
	return precision > MAX_SCALED_DIGITS || *value < pow10_int64[precision];
}

bool
dp_cast_numeric(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	Decimal		d;
	int64		value;

	if (!parse_decimal(s, len, &d) || d.has_exponent || d.nfrac > MAX_SCALED_DIGITS)
		return dp_cast_input(cast, s, len, out, reject);
	value = (int64) d.mantissa;
	if (cast->typmod >= (int32) VARHDRSZ && !apply_typmod(&value, &d.nfrac, cast->typmod))
		return dp_cast_input(cast, s, len, out, reject);
	*out = NumericGetDatum(int64_div_fast_to_numeric(d.negative ? -value : value, d.nfrac));
	return true;
}
