/*
 * sample.h
 *	  Pieces of text from across a pipeline's files.
 *
 * A piece can be read by itself: it begins with the beginning of its file, so
 * that the format finds the header and what else it goes by, and goes on with
 * whole lines from there or from further behind.
 */
#ifndef DP_SAMPLE_H
#define DP_SAMPLE_H

#include "load/reader.h"
#include "store/store.h"

typedef struct DpSampleText
{
	const char *file;			/* its URL */
	char	   *text;			/* UTF-8 */
	Size		len;
	bool		first;			/* of its file */
} DpSampleText;

/*
 * Read, as OWNER, from the files that KEY, a key or glob of SPEC's place,
 * names: DpSampleText * in order of the files' names, NIL when there is none.
 * Bounded in time and memory, whatever there is.  In the current context.
 */
extern List *dp_sample_read(const DpPipelineSpec *spec, const char *key, Oid owner);

/* A reader over a piece.  In the current context. */
extern DpReader *dp_sample_reader(const DpPipelineSpec *spec, const DpSampleText *text);

#endif							/* DP_SAMPLE_H */
