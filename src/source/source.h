/*
 * source.h
 *	  The seam between the run loop and a place that records come from.
 *
 * Life of a source, all calls from the one PostgreSQL thread:
 *
 *	  check      when a document is applied: is this URL and this server usable
 *	             by this build?  No I/O.  Adds problems, never raises for them.
 *	  open       builds the client.  No blocking I/O: connecting goes on behind.
 *	  discover   asks which partitions exist and how far they reach.  Returns
 *	             false at once while the answer is still under way; the wake fd
 *	             becomes readable when it is worth asking again.
 *	  assign     from which offset to read which partitions (replaces the
 *	             former assignment).
 *	  poll       moves what has arrived into the batch, never waits.
 *	  release    the records of the last polls are no longer needed.
 *	  changed    in a transaction: is the connection another one than at open
 *	             (server, mapping, secret file)?  Raises when it may no longer
 *	             be used.
 *	  lag        newest known end of each partition; free, never blocks.
 *	  close      gives everything back; bounded to about a second.  Also called
 *	             by a memory context reset callback, so an ERROR anywhere leaks
 *	             nothing.
 *
 * A source never saves a position: batch.c does, in the rows' transaction.
 * A failure of the remote side is raised by ereport(ERROR) from the call in
 * progress (never from a library callback), with SQLSTATE class 08 when
 * waiting may help, 28 for credentials, 42 for a thing that does not exist,
 * and with a hint that says what to do.  After any ERROR the source is closed.
 */
#ifndef DP_SOURCE_H
#define DP_SOURCE_H

#include "config/config.h"
#include "source/record.h"

/* What to open.  Options are those of server and user mapping, secrets resolved. */
typedef struct DpSourceSpec
{
	const char *pipeline;		/* for messages and the client id */
	const char *scheme;
	const char *authority;
	const char *path;			/* topic, hub */
	Oid			serverid;		/* InvalidOid: none */
	Oid			owner;			/* whose user mapping is used */
	int			shard_index;	/* this reader takes partitions with */
	int			shard_count;	/* partition % shard_count == shard_index */
	Size		memory_limit;	/* bytes that may be buffered ahead */
	int			wake_fd;		/* eventfd or pipe to write to when data is ready; -1: none */
	DpStart		start;			/* where a partition without a position begins */
	int64		start_ms;		/* for DP_START_TIMESTAMP */
} DpSourceSpec;

typedef struct DpPartition
{
	int32		id;
	int64		low;			/* oldest offset that still exists */
	int64		high;			/* offset that the next record will get */
	int64		start;			/* start policy resolved to an offset in [low, high] */
} DpPartition;

typedef struct DpPosition
{
	int32		partition;
	int64		offset;			/* next to read */
} DpPosition;

/* Raised to the caller by poll as a result, since policy is not the source's. */
typedef enum DpPollResult
{
	DP_POLL_EMPTY,				/* nothing there; wait on wake_fd */
	DP_POLL_RECORDS,			/* records were added */
	DP_POLL_OUT_OF_RANGE,		/* the broker refused an offset: discover again */
	DP_POLL_PARTITIONS_CHANGED	/* more partitions than before: discover again */
} DpPollResult;

typedef struct DpSource DpSource;

typedef struct DpSourceOps
{
	const char *name;			/* URL scheme */
	bool		stream;			/* endless, read by workers? */
	void		(*check) (const DpPipelineSpec *spec, Oid serverid, Oid owner, DpDocument *doc);
	DpSource   *(*open) (const DpSourceSpec *spec);
	bool		(*discover) (DpSource *source, DpPartition **partitions, int *n);
	void		(*assign) (DpSource *source, const DpPosition *positions, int n);
	DpPollResult (*poll) (DpSource *source, DpRecords *batch, int max_rows, Size max_bytes);
	void		(*release) (DpSource *source);
	bool		(*lag) (DpSource *source, int32 partition, int64 *high);
	bool		(*changed) (DpSource *source);
	void		(*close) (DpSource *source);
} DpSourceOps;

/* Base of every source's private struct, first member. */
struct DpSource
{
	const DpSourceOps *ops;
	MemoryContext cxt;			/* owns everything of this source */
};

/* The registry; NULL when no source has that scheme. */
extern const DpSourceOps *dp_source_find(const char *scheme);
/* "eventhubs, kafka": for hints. */
extern const char *dp_source_names(void);

#endif							/* DP_SOURCE_H */
