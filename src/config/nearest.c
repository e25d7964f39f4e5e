/*
 * nearest.c
 *	  The name somebody probably meant.
 */
#include "dynpipe.h"

#include "config/config.h"
#include "utils/formatting.h"
#include "utils/varlena.h"

#define MAX_NAME	64

static int	distance(const char *a, const char *b, int limit);

/* A third of the letters may be wrong; of equally near names the first wins. */
const char *
dp_nearest(const char *name, const char *const *names)
{
	const char *best = NULL;
	int			len = strlen(name);
	int			limit = 1 + len / 3;

	if (len == 0 || len > MAX_NAME)
		return NULL;
	for (; *names != NULL; names++)
	{
		int			d = distance(name, *names, limit);

		if (d <= limit && d < (int) strlen(*names))
		{
			best = *names;
			limit = d - 1;
		}
	}
	return best;
}

/* Edit distance without regard to case; anything above LIMIT may be returned as LIMIT + 1. */
static int
distance(const char *a, const char *b, int limit)
{
	char	   *x = asc_tolower(a, strlen(a));
	char	   *y = asc_tolower(b, strlen(b));

	if (limit < 0)
		return limit + 1;
	return varstr_levenshtein_less_equal(x, strlen(x), y, strlen(y), 1, 1, 1, limit, true);
}
