/*
 * want.c
 *	  What a load wants of its destination, noted in its own transaction: see
 *	  output.h.
 *
 * A file whose name gives the key of another file's object ("a.csv" and
 * "a.json") gets its number into the name, and keeps that name.
 */
#include "dynpipe.h"

#include "catalog/file.h"
#include "catalog/output.h"
#include "miscadmin.h"
#include "output/encode.h"
#include "output/output.h"

static char *source_url(const DpPipelineSpec *spec, const char *source_key);
static bool want(const DpPlan *plan, int32 file_id, const char *source_key, const char *key);
static bool same(const char *a, const char *b);

void
dp_output_write(const DpPlan *plan, int32 file_id, const char *source_key, const char *folder)
{
	const DpPipelineSpec *spec = plan->spec;
	char	   *number = psprintf("-%d", file_id);
	char	   *key = NULL;

	if (spec->target.url == NULL)
		return;
	if (folder == NULL)
		folder = spec->target.path;
	if (spec->on_change == DP_ON_CHANGE_APPEND)
		key = dp_output_key(spec, folder, source_key, number);
	else
		key = dp_catalog_output_key(plan->pipeline_id, source_url(spec, source_key));
	if (key == NULL)
		key = dp_output_key(spec, folder, source_key, NULL);
	if (!want(plan, file_id, source_key, key) &&
		!want(plan, file_id, source_key, dp_output_key(spec, folder, source_key, number)))
		ereport(ERROR,
				(errcode(ERRCODE_DUPLICATE_OBJECT),
				 errmsg("no name is left for the rows of \"%s\" at the destination", source_key),
				 errdetail("Two other files have taken the names that it could get."),
				 errhint("Give one of the files another name.")));
}

void
dp_output_remove(const DpPlan *plan, int32 file_id)
{
	if (plan->spec->target.url != NULL)
		dp_catalog_output_unwant(plan->pipeline_id, file_id);
}

void
dp_output_write_all(const DpPlan *plan, const char *folder)
{
	ListCell   *lc;

	if (plan->spec->target.url == NULL)
		return;
	foreach(lc, dp_catalog_output_loaded(plan->pipeline_id))
	{
		DpFileRow  *file = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		dp_output_write(plan, file->id, dp_file_key(file->url), folder);
	}
}

bool
dp_output_same_target(const DpPipelineSpec *a, const DpPipelineSpec *b)
{
	return same(a->target.url, b->target.url) && dp_encoder_of(a) == dp_encoder_of(b) &&
		same(a->target.compression, b->target.compression) &&
		a->target.header == b->target.header;
}

static char *
source_url(const DpPipelineSpec *spec, const char *source_key)
{
	return psprintf("%s://%s/%s", spec->scheme, spec->authority, source_key);
}

/* An object must never take the place of a file that the source reads. */
static bool
want(const DpPlan *plan, int32 file_id, const char *source_key, const char *key)
{
	const DpPipelineSpec *spec = plan->spec;

	if (strcmp(key, source_key) == 0 && same(spec->scheme, spec->target.scheme) &&
		same(spec->authority, spec->target.authority))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("the destination of pipeline \"%s\" would replace its source \"%s\"",
						spec->name, source_key),
				 errhint("Give the destination a folder of its own.")));
	return dp_catalog_output_want(plan->pipeline_id, key, dp_output_url(spec, key),
								  source_url(spec, source_key), file_id);
}

static bool
same(const char *a, const char *b)
{
	return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}
