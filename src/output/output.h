/*
 * output.h
 *	  Destinations: what a load wants written, and under which name.
 *
 *	  load, unload ──want──> dynpipe.output_object      in their transaction
 *	  publisher (publish.h) ──> object in a store       after it
 *
 * An object holds the rows of silver that came from one file.  Its name
 * follows from the file's alone, so it is written again under the same name,
 * whoever does it and however often.
 */
#ifndef DP_OUTPUT_OUTPUT_H
#define DP_OUTPUT_OUTPUT_H

#include "catalog/catalog.h"
#include "plan/plan.h"

/*
 * [in the transaction that changed the rows of FILE_ID] Want them written, or
 * the object that holds them removed.  SOURCE_KEY is the file's key in the
 * source's store, FOLDER the destination's path with parameters put in, NULL
 * when it has none.  Nothing where the pipeline has no destination.
 */
extern void dp_output_write(const DpPlan *plan, int32 file_id, const char *source_key,
							const char *folder);
extern void dp_output_remove(const DpPlan *plan, int32 file_id);

/*
 * [in a transaction] Want all that is loaded written again, each file where it
 * is already, others to FOLDER: silver was made anew, or the destination.
 */
extern void dp_output_write_all(const DpPlan *plan, const char *folder);

/* Do A and B write the same bytes to the same places? */
extern bool dp_output_same_target(const DpPipelineSpec *a, const DpPipelineSpec *b);

/* name.c, pure.  Keys are as the store spells them. */

/* The key in FOLDER of the object for SOURCE_KEY; NUMBER (may be NULL) ends its own name. */
extern char *dp_output_key(const DpPipelineSpec *spec, const char *folder,
						   const char *source_key, const char *number);
extern char *dp_output_url(const DpPipelineSpec *spec, const char *key);
/* Would the pipeline's source find what it wrote, both being in one place (place.h)? */
extern bool dp_output_feeds_itself(const DpPipelineSpec *spec);

#endif							/* DP_OUTPUT_OUTPUT_H */
