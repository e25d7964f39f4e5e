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
