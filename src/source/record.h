/*
 * record.h
 *	  One record as it came from a source, and a batch of them.
 *
 * The bytes belong to the source and stay valid until dp_source_release();
 * a consumer that keeps them copies them.  The array and the headers belong
 * to the batch memory context.
 */
#ifndef DP_RECORD_H
#define DP_RECORD_H

#include "postgres.h"

typedef struct DpHeader
{
	const char *name;			/* NUL-terminated */
	const char *value;			/* NULL = null header */
	Size		len;
} DpHeader;

typedef struct DpRecord
{
	int32		partition;
	int32		key_len;		/* -1: no key */
	int32		value_len;		/* -1: no value (a tombstone) */
	int32		nheaders;
	int64		offset;
	int64		timestamp_ms;	/* since the Unix epoch; -1: none */
	const char *key;
	const char *value;
	DpHeader   *headers;
	int64		line;			/* of a file, from 1; 0: no file */
	const char *problem;		/* why it could not be read whole; value is what there is of it */
} DpRecord;

typedef struct DpRecords
{
	DpRecord   *rec;
	int			n;
	int			capacity;
	Size		bytes;			/* keys + values */
} DpRecords;

#endif							/* DP_RECORD_H */
