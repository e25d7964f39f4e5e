/*
 * spec.h
 *	  A pipeline as the user described it: the document's tree in C, after
 *	  the checker has filled in defaults and names, before anything has been
 *	  looked up in the database.
 *
 * A spec is plain data: it holds text, never Oids, so it can be written back
 * as a document (dp_spec_to_json) and read again with the same result.  All
 * of it lives in the memory context that was current when it was parsed.
 * Optional text is NULL when absent.
 */
#ifndef DP_SPEC_H
#define DP_SPEC_H

#include "postgres.h"
#include "nodes/pg_list.h"

typedef enum DpStart
{
	DP_START_EARLIEST,			/* default */
	DP_START_LATEST,
	DP_START_TIMESTAMP
} DpStart;

typedef enum DpOnGap
{
	DP_ON_GAP_STOP,				/* default: records lost to retention stop the pipeline */
	DP_ON_GAP_SKIP				/* record the gap and go on at the oldest record */
} DpOnGap;

typedef enum DpAction
{
	DP_ACTION_WARN,				/* keep the record, count it */
	DP_ACTION_DROP,				/* dropped by rule, counted */
	DP_ACTION_QUARANTINE,		/* default */
	DP_ACTION_FAIL				/* the batch fails and the pipeline retries */
} DpAction;

/* What becomes of the rows of a file that is there again with other content. */
typedef enum DpOnChange
{
	DP_ON_CHANGE_REPLACE,		/* default: its old rows leave silver and gold, the new come */
	DP_ON_CHANGE_APPEND,		/* the new ones are added */
	DP_ON_CHANGE_IGNORE			/* only its first version is loaded */
} DpOnChange;

/* And of a file that is not there any more. */
typedef enum DpOnRemove
{
	DP_ON_REMOVE_KEEP,			/* default: loaded is loaded */
	DP_ON_REMOVE_UNLOAD			/* its rows leave silver and gold */
} DpOnRemove;

/* A value that does not fit a type which was inferred from a sample. */
typedef enum DpOnMisfit
{
	DP_ON_MISFIT_QUARANTINE,	/* default: like any value that does not fit */
	DP_ON_MISFIT_WIDEN			/* the column gets the next wider type, the file loads again */
} DpOnMisfit;

/* What is done to a field's text before it is cast; applied in the order given. */
typedef enum DpClean
{
	DP_CLEAN_TRIM,				/* white space at both ends */
	DP_CLEAN_LOWER,
	DP_CLEAN_UPPER,
	DP_CLEAN_EMPTY_AS_NULL,
	DP_CLEAN_COLLAPSE			/* runs of white space to one space */
} DpClean;

/* schema: one declared column. */
typedef struct DpColumnSpec
{
	char	   *name;
	char	   *type;			/* SQL type name; NULL: not given (plan takes text for streams) */
	bool		required;		/* null or absent = quarantined */
	char	   *from;			/* NULL: field of the same name. JSON: RFC 6901 pointer (starts
								 * with '/') or a plain member name; CSV: header name or 1-based
								 * ordinal; any format: @key, @key/pointer, @value, @timestamp,
								 * @partition, @offset, @topic, @headers, @headers/name */
	List	   *clean;			/* int list of DpClean */
	char	   *default_value;	/* text, cast to type; used when absent or null; NULL: none */
	char	   *description;	/* becomes COMMENT ON COLUMN */
	bool		inferred;		/* type was found in a sample; written as "inferred": true */
} DpColumnSpec;

typedef struct DpExpectSpec
{
	char	   *name;
	char	   *check;			/* SQL boolean expression; anything but true fails */
	DpAction	otherwise;
} DpExpectSpec;

typedef struct DpDeriveSpec
{
	char	   *name;			/* may be the name of a schema column: replaces it */
	char	   *expr;
} DpDeriveSpec;

typedef struct DpTableName
{
	char	   *schema;			/* NULL: not qualified; apply resolves it */
	char	   *table;
} DpTableName;

typedef struct DpGoldSpec
{
	DpTableName table;
	char	   *query;
	int64		refresh_ms;		/* full refresh interval; 0: none */
	char	   *description;
} DpGoldSpec;

/* One name = text setting of the format (csv: delimiter, quote, header, null ...). */
typedef struct DpSetting
{
	char	   *name;
	char	   *value;
} DpSetting;

/* destination: as a URL; NULL url: none, or a table. */
typedef struct DpDestinationSpec
{
	char	   *url;			/* a folder: one object for each file loaded */
	char	   *scheme;
	char	   *authority;
	char	   *path;
	char	   *connection;
	char	   *format;			/* csv, json (one object a line); NULL: the source's */
	char	   *compression;	/* none, gzip; NULL: none */
	bool		header;			/* CSV: names in the first line; default true */
} DpDestinationSpec;

typedef struct DpPipelineSpec
{
	char	   *pointer;		/* place in the document, e.g. "/pipelines/0" */
	char	   *name;			/* as written: "Process Sales Data" */
	char	   *slug;			/* identifier made of it: process_sales_data */
	char	   *description;
	bool		enabled;		/* default true */

	/* source */
	char	   *source;			/* the URL as written */
	char	   *scheme;			/* eventhubs, kafka, file, s3, ... lower case */
	char	   *authority;		/* server (eventhubs, kafka), bucket, host; may be "" */
	char	   *path;			/* hub or topic, key; without the leading slash */
	bool		streams;		/* the scheme is one of endless sources; derived, not written */
	char	   *connection;		/* server name given by connection: */
	DpStart		start;
	char	   *start_timestamp;	/* when start = timestamp */
	DpOnGap		on_gap;

	/* format */
	char	   *format;			/* json, csv, text */
	List	   *format_options; /* DpSetting * */

	List	   *columns;		/* DpColumnSpec *, may be NIL */

	/* bronze */
	bool		bronze;			/* false = keep none */
	DpTableName bronze_table;

	/* silver */
	bool		silver;			/* false = bronze only */
	DpTableName silver_table;
	List	   *derive;			/* DpDeriveSpec * */
	char	   *where;
	List	   *key;			/* char *, column names */
	List	   *sequence_by;	/* char * */
	char	   *delete_when;
	List	   *expect;			/* DpExpectSpec * */

	List	   *gold;			/* DpGoldSpec * */

	char	   *destination;	/* URL or table name as written */
	DpDestinationSpec target;	/* when it is a URL */

	/* files only */
	char	   *compression;	/* detect, none, gzip, zstd; NULL: detect */
	List	   *params;			/* DpSetting *: defaults of ${name} in source */
	DpOnChange	on_change;
	DpOnRemove	on_remove;
	DpOnMisfit	on_misfit;
	int64		max_bad_records;	/* of one file; -1: no limit */
	double		max_bad_share;	/* of one file, 0..1; -1: no limit */
	char	   *schedule;		/* cron expression or interval; NULL: none */
	char	   *timezone;		/* of the cron expression; NULL: UTC */
	int64		watch_ms;		/* look for new files this often; 0: no */

	int			batch_max_rows; /* default 10000 */
	int64		batch_max_bytes;	/* default 16 MB */
	int			workers;		/* default 1 */
} DpPipelineSpec;

#endif							/* DP_SPEC_H */
