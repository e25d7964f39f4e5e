/*
 * sink.h
 *	  Rows into a table by the fastest path that treats it correctly.
 *
 *	  dp_sink_begin  chooses: multi-insert, or INSERT when that is refused
 *	  dp_sink_row    one row; its bytes stay valid until end
 *	  dp_sink_end    flush; returns the rows written
 *
 * The table is open and locked by the caller, whose current user must be the
 * one with whose rights it is written.
 */
#ifndef DP_SINK_H
#define DP_SINK_H

#include "sink/append.h"
#include "sink/insert.h"

typedef struct DpSink
{
	DpAppend   *append;			/* one of the two */
	DpInsert   *insert;
} DpSink;

static inline DpSink
dp_sink_begin(Relation rel, const char *const *names, const Oid *types,
			  const int32 *typmods, int n)
{
	DpSink		sink = {NULL, NULL};

	if (dp_append_refusal(rel, names, types, typmods, n) == NULL)
		sink.append = dp_append_begin(rel, names, n);
	else
		sink.insert = dp_insert_begin(rel, names, types, n);
	return sink;
}

static inline void
dp_sink_row(DpSink *sink, const Datum *values, const bool *isnull)
{
	if (sink->append)
		dp_append_row(sink->append, values, isnull);
	else
		dp_insert_row(sink->insert, values, isnull);
}

static inline int64
dp_sink_end(DpSink *sink)
{
	return sink->append ? dp_append_end(sink->append) : dp_insert_end(sink->insert);
}

#endif							/* DP_SINK_H */
