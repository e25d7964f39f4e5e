/*
 * encode.h
 *	  Silver rows to bytes: the seam between a query and an object.
 *
 *	  query   the statement whose rows are encoded; $1 is the file
 *	  open    once its row type is known, in the memory context of the object
 *	  begin   what stands before the rows
 *	  row     one row, whole, appended to OUT
 *
 * The statement runs as the owner of the pipeline with the settings that
 * util/as_owner.h pins, and so do types' output functions.  The bytes are in
 * the server's encoding; whoever sends them makes UTF-8 of them.  Equal rows
 * give equal bytes.  row is called in a memory context that is reset after it.
 *
 * A new format is one file and one line in encode_list.h.
 */
#ifndef DP_ENCODE_H
#define DP_ENCODE_H

#include "config/spec.h"
#include "executor/tuptable.h"
#include "lib/stringinfo.h"

typedef struct DpEncoder DpEncoder;

typedef struct DpEncoderOps
{
	const char *name;			/* destination.format */
	const char *suffix;			/* of its objects' names */
	const char *content_type;
	/* COLUMNS: char *, those of TABLE that are written. */
	char	   *(*query) (const DpTableName *table, List *columns);
	DpEncoder  *(*open) (const DpDestinationSpec *target, TupleDesc desc);
	void		(*begin) (DpEncoder *encoder, StringInfo out);
	void		(*row) (DpEncoder *encoder, TupleTableSlot *slot, StringInfo out);
} DpEncoderOps;

/* Base of every encoder's private struct, first member. */
struct DpEncoder
{
	const DpEncoderOps *ops;
	TupleDesc	desc;
};

/* The encoder of SPEC's destination: its format, else the source's, else csv. */
extern const DpEncoderOps *dp_encoder_of(const DpPipelineSpec *spec);
/* COLUMNS as a list for SELECT. */
extern char *dp_encoder_columns(List *columns);

#define DP_ENCODER(name) extern const DpEncoderOps dp_encoder_##name##_ops;
#include "output/encode_list.h"
#undef DP_ENCODER

#endif							/* DP_ENCODE_H */
