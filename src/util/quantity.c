/*
 * quantity.c
 *	  Sizes and durations: text to number and back; pure.
 */
#include "dynpipe.h"

#include "util/quantity.h"

const DpUnit dp_byte_units[] = {
	{"GB", INT64CONST(1) << 30}, {"MB", 1 << 20}, {"kB", 1 << 10}, {"B", 1}, {NULL}
};
const DpUnit dp_time_units[] = {
	{"d", 86400000}, {"h", 3600000}, {"min", 60000}, {"s", 1000}, {"ms", 1}, {NULL}
};

bool
dp_quantity_parse(const char *text, const DpUnit *units, int64 *result)
{
	char	   *end;
	long long	number;

	if (text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	number = strtoll(text, &end, 10);
	if (errno != 0)
		return false;
	while (*end == ' ')
		end++;
	for (; units->name != NULL; units++)
		if (pg_strcasecmp(end, units->name) == 0)
			return !__builtin_mul_overflow((int64) number, units->factor, result);
	return false;
}

char *
dp_quantity_text(int64 value, const DpUnit *units)
{
	if (value == 0)
		return NULL;
	while (value % units->factor != 0)
		units++;
	return psprintf("%lld%s", (long long) (value / units->factor), units->name);
}
