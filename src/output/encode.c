/*
 * encode.c
 *	  The registry of destinations' formats.
 */
#include "dynpipe.h"

#include "output/encode.h"
#include "util/sqlbuf.h"

static const DpEncoderOps *const encoders[] = {
#define DP_ENCODER(name) &dp_encoder_##name##_ops,
#include "output/encode_list.h"
#undef DP_ENCODER
};

const DpEncoderOps *
dp_encoder_of(const DpPipelineSpec *spec)
{
	const char *name = spec->target.format ? spec->target.format : spec->format;

	for (int i = 0; name != NULL && i < lengthof(encoders); i++)
		if (strcmp(encoders[i]->name, name) == 0)
			return encoders[i];
	return &dp_encoder_csv_ops;
}

char *
dp_encoder_columns(List *columns)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	foreach(lc, columns)
		dp_sql_append(&buf, "%s%I", foreach_current_index(lc) > 0 ? ", " : "", lfirst(lc));
	return buf.data;
}
