/*
 * format.h
 *	  The seam between bytes and typed values.
 *
 * A format is opened once per plan with the fields to find, then asked for
 * one record at a time.  decode fills values[0..nfields) and isnull for the
 * fields of this record, applying per field: find, clean, default, cast,
 * required.  Bad data never raises: decode returns false with the reason.
 * Values are allocated in the current memory context (the batch's).
 *
 * The record's value may be anything: empty, not UTF-8, 1 MB, nested 100,000
 * deep.  A record without value (tombstone) is not given to decode: the caller
 * uses dp_decode_tombstone, which fills the fields that come from the key and
 * from metadata and leaves the others NULL.
 */
#ifndef DP_FORMAT_H
#define DP_FORMAT_H

#include "cast/cast.h"
#include "config/spec.h"
#include "config/config.h"
#include "source/record.h"

typedef enum DpFieldFrom
{
	DP_FROM_VALUE,				/* found by the format */
	DP_FROM_RAW,				/* @value: the whole payload */
	DP_FROM_KEY,				/* @key or @key/pointer */
	DP_FROM_TIMESTAMP,
	DP_FROM_PARTITION,
	DP_FROM_OFFSET,
	DP_FROM_TOPIC,
	DP_FROM_HEADERS				/* @headers (all, as jsonb) or @headers/name */
} DpFieldFrom;

/* How much of a file's beginning a splitter is made from. */
#define DP_SAMPLE_SIZE	(256 * 1024)

/* One field to fill, made by the plan from a DpColumnSpec. */
typedef struct DpField
{
	const char *name;
	Oid			type;
	int32		typmod;
	DpFieldFrom from;
	const char *path;			/* pointer, member name, CSV header or ordinal, header name;
								 * NULL or name itself: the field of that very name */
	bool		required;
	bool		is_key;			/* part of silver.key: must not be NULL; found in tombstones */
	int			nclean;
	DpClean    *clean;
	bool		has_default;
	Datum		default_value;
	DpCast		cast;
} DpField;

typedef struct DpFormat DpFormat;

/*
 * Splitting a file's text (UTF-8) into records.  A splitter is made from the
 * first bytes of the file: it finds out what the options leave open (the CSV
 * delimiter, whether there is a header, where an array begins).  split is then
 * given a window of the text that begins where the last one ended.  It keeps
 * what it has seen of an unfinished record, so it is given the same start with
 * more bytes and does not look at any byte twice.  It never raises for bad
 * data and allocates nothing per record.
 */
typedef enum DpSplit
{
	DP_SPLIT_RECORD,			/* span is a record */
	DP_SPLIT_NOTHING,			/* span->used bytes are no record: header, comment, blank */
	DP_SPLIT_BROKEN,			/* span is what cannot be split into records; span->problem */
	DP_SPLIT_MORE,				/* more bytes are needed */
	DP_SPLIT_END				/* nothing but white space is left (only with at_end) */
} DpSplit;

typedef struct DpSpan
{
	Size		start;			/* of the record in the window */
	Size		len;			/* without its terminator */
	Size		used;			/* the next record begins here */
	int64		lines;			/* line ends in the used bytes */
	const char *problem;		/* a constant sentence */
} DpSpan;

typedef struct DpSplitter
{
	const struct DpFormatOps *ops;
	/* CSV: names of the header line in order, NIL when there is none; for the decoder, infer */
	List	   *header;			/* char * */
	const char *description;	/* "delimiter ;, header, quote \"": for explain and the log */
	/* What was found out, as options of the format that the document leaves open. */
	List	   *found;			/* DpSetting * */
	/* How this file's records are to be decoded, as text for adopt; "" when all are alike. */
	const char *layout;
	/*
	 * Bytes of the unfinished record that were looked at.  The caller may drop
	 * so many from the window's start, setting this to 0: the end of a record
	 * is found without keeping it.
	 */
	Size		seen;
} DpSplitter;

typedef struct DpFormatOps
{
	const char *name;
	/* NULL-terminated list of valid option names, for the checker. */
	const char *const *options;
	/* Check the options' values; adds problems at pointer/format/<option>. */
	void		(*check) (const DpPipelineSpec *spec, DpDocument *doc);
	/* Everything in the current memory context; freed with it. */
	DpFormat   *(*open) (const DpPipelineSpec *spec, DpField *fields, int nfields,
						 const char *topic);
	bool		(*decode) (DpFormat *format, const DpRecord *rec,
						   Datum *values, bool *isnull, DpReject *reject);

	/* Files.  In the current memory context; ALL: the sample is the whole file. */
	DpSplitter *(*splitter) (const DpPipelineSpec *spec, const char *sample, Size len, bool all);
	DpSplit		(*split) (DpSplitter *splitter, const char *s, Size len, bool at_end,
						  DpSpan *span);
	/*
	 * Decode records as LAYOUT says from now on (header, delimiter); it may
	 * come from another process or time.  Raises ERRCODE_BAD_COPY_FILE_FORMAT
	 * when the file lacks a column that the schema wants.
	 */
	void		(*adopt) (DpFormat *format, const char *layout);
} DpFormatOps;

/* Base of every format's private struct, first member. */
struct DpFormat
{
	const DpFormatOps *ops;
	DpField    *fields;
	int			nfields;
	const char *topic;
	struct DpKeyReader *key_reader; /* fields found in the record's key; or NULL */
};

/* Is it a stream of messages, and not of files to be split? */
extern bool dp_format_of_messages(const DpPipelineSpec *spec);
/* The value of a format option, the first one if it is repeated; NULL: absent. */
extern const char *dp_format_option(const DpPipelineSpec *spec, const char *name);

extern const DpFormatOps *dp_format_find(const char *name);
extern const char *dp_format_names(void);

static inline bool
dp_format_decode(DpFormat *format, const DpRecord *rec,
				 Datum *values, bool *isnull, DpReject *reject)
{
	return format->ops->decode(format, rec, values, isnull, reject);
}

/*
 * Fill the fields of a record without value: metadata as usual, key fields
 * from the record's key (see docs/configuration.md, "Tombstones"), others
 * NULL.  False with a reason when a key field cannot be found.
 */
extern bool dp_decode_tombstone(DpFormat *format, const DpRecord *rec,
								Datum *values, bool *isnull, DpReject *reject);

/* How a column's from: is to be read; used by the checker and the plan. */
extern DpFieldFrom dp_field_from(const char *from, const char **path);

/* The record's headers as jsonb: {"name": "text"}, repeated names as array, bytes that are no
 * UTF-8 as {"base64": "..."}; NULL Datum (0) when there are none. */
extern Datum dp_headers_jsonb(const DpRecord *rec);

#endif							/* DP_FORMAT_H */
