/*
 * store_probe.c
 *	  SQL functions over src/store, for tests: bytes of files and of values
 *	  through the streams, globs, listings, writing.
 *
 * All act as the current user.  Memory is the call's.
 */
#include "dynpipe.h"

#include <fcntl.h>
#include <unistd.h>

#include "fmgr.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "store/store.h"
#include "utils/builtins.h"

#define PROBE(name) \
	PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name)

PROBE(probe_file);
PROBE(probe_changing);
PROBE(probe_value);
PROBE(probe_list);
PROBE(probe_glob);
PROBE(probe_put);
PROBE(probe_remove);
PROBE(probe_server);
PROBE(probe_check);

/* A value as a stream that gives STEP bytes a call. */
typedef struct ValueBytes
{
	DpBytes		base;
	const char *at;
	const char *end;
	Size		step;
} ValueBytes;

static DpStoreSpec
spec_of(bool writing)
{
	DpStoreSpec spec = {
		.pipeline = "probe", .scheme = "file", .authority = "",
		.user = GetUserId(), .writing = writing
	};

	return spec;
}

static DpStore *
open_store(bool writing)
{
	DpStoreSpec spec = spec_of(writing);

	return dp_store_open(&spec);
}

static DpCompression
compression_of(const char *name)
{
	return strcmp(name, "detect") == 0 ? DP_COMPRESSION_DETECT :
		strcmp(name, "gzip") == 0 ? DP_COMPRESSION_GZIP :
		strcmp(name, "zstd") == 0 ? DP_COMPRESSION_ZSTD : DP_COMPRESSION_NONE;
}

/* All of BYTES; with a limit its first bytes and then only their number. */
static bytea *
read_all(DpBytes *bytes, Size step, int64 limit)
{
	StringInfoData buf;
	char	   *piece = palloc(step);
	int64		total = 0;
	Size		n;

	initStringInfo(&buf);
	while ((n = dp_bytes_read(bytes, piece, step)) > 0)
	{
		total += n;
		if (total <= limit)
			appendBinaryStringInfo(&buf, piece, n);
	}
	dp_bytes_close(bytes);
	dp_bytes_close(bytes);
	if (total > limit)
	{
		resetStringInfo(&buf);
		appendStringInfo(&buf, "%lld bytes", (long long) total);
	}
	return DatumGetByteaPP(DirectFunctionCall1(textsend, PointerGetDatum(
							   cstring_to_text_with_len(buf.data, buf.len))));
}

/* probe_file(key, compression, encoding, step): its content, unpacked and recoded. */
Datum
probe_file(PG_FUNCTION_ARGS)
{
	DpStore    *store = open_store(false);
	DpObject	object;
	DpBytes    *bytes;

	if (!store->ops->stat(store, text_to_cstring(PG_GETARG_TEXT_PP(0)), &object))
		PG_RETURN_NULL();
	bytes = store->ops->get(store, &object, 0);
	bytes = dp_bytes_unpack(bytes, compression_of(text_to_cstring(PG_GETARG_TEXT_PP(1))), NULL);
	bytes = dp_bytes_recode(bytes, text_to_cstring(PG_GETARG_TEXT_PP(2)));
	PG_RETURN_BYTEA_P(read_all(bytes, PG_GETARG_INT32(3), 1024 * 1024));
}

/* probe_changing(key): read a byte, let the file grow, read the rest. */
Datum
probe_changing(PG_FUNCTION_ARGS)
{
	DpStore    *store = open_store(false);
	char	   *key = text_to_cstring(PG_GETARG_TEXT_PP(0));
	DpObject	object;
	DpBytes    *bytes;
	char		one;
	int			fd;

	if (!store->ops->stat(store, key, &object))
		PG_RETURN_NULL();
	bytes = store->ops->get(store, &object, 0);
	dp_bytes_read(bytes, &one, 1);
	fd = open(psprintf("/%s", key), O_WRONLY | O_APPEND);
	if (fd < 0 || write(fd, "more", 4) != 4)
		elog(ERROR, "could not change the file: %m");
	close(fd);
	PG_RETURN_BYTEA_P(read_all(bytes, 100, 1024 * 1024));
}

static Size
value_read(DpBytes *base, char *buf, Size len)
{
	ValueBytes *bytes = (ValueBytes *) base;

	len = Min(Min(len, bytes->step), bytes->end - bytes->at);
	memcpy(buf, bytes->at, len);
	bytes->at += len;
	return len;
}

static void
value_close(DpBytes *base)
{
}

/* probe_value(value, compression, encoding, step): the same for a value. */
Datum
probe_value(PG_FUNCTION_ARGS)
{
	bytea	   *value = PG_GETARG_BYTEA_PP(0);
	ValueBytes *below = palloc0(sizeof(ValueBytes));
	DpCompression is = DP_COMPRESSION_DETECT;
	DpBytes    *bytes;
	bytea	   *result;

	below->base.read = value_read;
	below->base.close = value_close;
	below->at = VARDATA_ANY(value);
	below->end = below->at + VARSIZE_ANY_EXHDR(value);
	below->step = PG_GETARG_INT32(3);
	bytes = dp_bytes_unpack(&below->base,
							compression_of(text_to_cstring(PG_GETARG_TEXT_PP(1))), &is);
	bytes = dp_bytes_recode(bytes, text_to_cstring(PG_GETARG_TEXT_PP(2)));
	result = read_all(bytes, PG_GETARG_INT32(3), 1024 * 1024);
	if (is == DP_COMPRESSION_DETECT)
		elog(ERROR, "it was not said what the value is");
	PG_RETURN_BYTEA_P(result);
}

static void
append_object(const DpObject *object, void *arg)
{
	appendStringInfo(arg, "%s %lld\n", object->key, (long long) object->size);
}

/* probe_list(pattern): "key size" lines. */
Datum
probe_list(PG_FUNCTION_ARGS)
{
	DpStore    *store = open_store(false);
	StringInfoData buf;
	int64		n;

	initStringInfo(&buf);
	n = dp_store_glob(store, text_to_cstring(PG_GETARG_TEXT_PP(0)), append_object, &buf);
	appendStringInfo(&buf, "%lld", (long long) n);
	store->ops->close(store);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(buf.data, buf.len));
}

/* probe_glob(pattern, key): "prefix", then whether it is a pattern and matches. */
Datum
probe_glob(PG_FUNCTION_ARGS)
{
	char	   *pattern = text_to_cstring(PG_GETARG_TEXT_PP(0));
	char	   *key = text_to_cstring(PG_GETARG_TEXT_PP(1));

	PG_RETURN_TEXT_P(cstring_to_text(
						 psprintf("%s %s %s", dp_glob_prefix(pattern),
								  dp_glob_is_pattern(pattern) ? "pattern" : "plain",
								  dp_glob_match(pattern, key) ? "yes" : "no")));
}

/* probe_put(key, value, 'finish' | 'abort' | 'fail' | 'wait') */
Datum
probe_put(PG_FUNCTION_ARGS)
{
	DpStore    *store = open_store(true);
	bytea	   *value = PG_GETARG_BYTEA_PP(1);
	char	   *then = text_to_cstring(PG_GETARG_TEXT_PP(2));
	DpPut	   *put = store->ops->put(store, text_to_cstring(PG_GETARG_TEXT_PP(0)), "text/csv");

	put->write(put, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	if (strcmp(then, "fail") == 0)
		elog(ERROR, "failed between write and finish");
	if (strcmp(then, "wait") == 0)
		DirectFunctionCall1(pg_sleep, Float8GetDatum(600.0));
	if (strcmp(then, "finish") == 0)
		put->finish(put);
	put->abort(put);
	PG_RETURN_VOID();
}

Datum
probe_remove(PG_FUNCTION_ARGS)
{
	DpStore    *store = open_store(true);

	store->ops->remove(store, text_to_cstring(PG_GETARG_TEXT_PP(0)));
	PG_RETURN_VOID();
}

/* probe_server(scheme, authority, connection or null): the server's name, or null. */
Datum
probe_server(PG_FUNCTION_ARGS)
{
	Oid			serverid = dp_store_server(text_to_cstring(PG_GETARG_TEXT_PP(0)),
										   text_to_cstring(PG_GETARG_TEXT_PP(1)),
										   PG_ARGISNULL(2) ? NULL :
										   text_to_cstring(PG_GETARG_TEXT_PP(2)), GetUserId());

	if (!OidIsValid(serverid))
		PG_RETURN_NULL();
	PG_RETURN_TEXT_P(cstring_to_text(GetForeignServer(serverid)->servername));
}

/* probe_check(authority, key): the problems that a document would have. */
Datum
probe_check(PG_FUNCTION_ARGS)
{
	DpStoreSpec spec = spec_of(false);
	DpDocument	doc = {0};
	StringInfoData buf;
	ListCell   *lc;

	spec.authority = text_to_cstring(PG_GETARG_TEXT_PP(0));
	dp_store_find("file")->check(&spec, text_to_cstring(PG_GETARG_TEXT_PP(1)), "/source", &doc);
	initStringInfo(&buf);
	foreach(lc, doc.problems)
		appendStringInfo(&buf, "%s\n", ((DpProblem *) lfirst(lc))->message);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(buf.data, buf.len));
}
