/*
 * source.c
 *	  The registry of sources: see source.h for what one has to do.
 */
#include "dynpipe.h"

#include "source/source.h"

#define DP_SOURCE(scheme) extern const DpSourceOps dp_source_##scheme##_ops;
#include "source/source_list.h"
#undef DP_SOURCE

static const DpSourceOps *const sources[] = {
#define DP_SOURCE(scheme) &dp_source_##scheme##_ops,
#include "source/source_list.h"
#undef DP_SOURCE
};

#define DP_SOURCE(scheme) ", " #scheme
static const char names[] =
#include "source/source_list.h"
;
#undef DP_SOURCE

const DpSourceOps *
dp_source_find(const char *scheme)
{
	for (int i = 0; i < lengthof(sources); i++)
		if (strcmp(sources[i]->name, scheme) == 0)
			return sources[i];
	return NULL;
}

const char *
dp_source_names(void)
{
	return names + strlen(", ");
}
