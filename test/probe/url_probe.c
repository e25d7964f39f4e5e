/*
 * url_probe.c
 *	  SQL functions over the stores of any URL, for tests: what no public
 *	  function does by itself (read from an offset or a version, look while an
 *	  upload is under way, remove).
 *
 * All act as the current user, with the server named.  Memory is the call's.
 */
#include "dynpipe.h"

#include "common/cryptohash.h"
#include "common/md5.h"
#include "fmgr.h"
#include "foreign/foreign.h"
#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "store/store.h"
#include "utils/builtins.h"

#define PROBE(name) \
	PGDLLEXPORT Datum name(PG_FUNCTION_ARGS); \
	PG_FUNCTION_INFO_V1(name)

#define TEXT_ARG(n) text_to_cstring(PG_GETARG_TEXT_PP(n))

PROBE(probe_url_get);
PROBE(probe_url_stats);
PROBE(probe_url_put);
PROBE(probe_url_remove);
PROBE(probe_url_check);

/* SCHEME://AUTHORITY/KEY and a server's name, "" for none. */
static DpStoreSpec
spec_of(const char *url, const char *connection, bool writing, char **key)
{
	const char *authority = strstr(url, "://") + 3;
	const char *slash = strchr(authority, '/');
	DpStoreSpec spec = {
		.pipeline = "probe", .scheme = pnstrdup(url, authority - 3 - url),
		.authority = pnstrdup(authority, slash - authority),
		.serverid = *connection != '\0' ? get_foreign_server_oid(connection, false) : InvalidOid,
		.user = GetUserId(), .writing = writing
	};

	*key = pstrdup(slash + 1);
	return spec;
}

static DpStore *
open_url(const char *url, const char *connection, bool writing, char **key)
{
	DpStoreSpec spec = spec_of(url, connection, writing, key);

	return dp_store_open(&spec);
}

/* probe_url_get(url, server, from, version or ""): "BYTES MD5", NULL when it does not exist */
Datum
probe_url_get(PG_FUNCTION_ARGS)
{
	char	   *key;
	DpStore    *store = open_url(TEXT_ARG(0), TEXT_ARG(1), false, &key);
	char	   *version = TEXT_ARG(3);
	pg_cryptohash_ctx *hash = pg_cryptohash_create(PG_MD5);
	DpObject	object;
	DpBytes    *bytes;
	StringInfoData buf;
	char		chunk[65536];
	uint8		digest[MD5_DIGEST_LENGTH];
	int64		total = 0;
	Size		n;

	if (!store->ops->stat(store, key, &object))
		PG_RETURN_NULL();
	if (*version != '\0')
		object.version = version;
	bytes = store->ops->get(store, &object, PG_GETARG_INT64(2));
	pg_cryptohash_init(hash);
	while ((n = dp_bytes_read(bytes, chunk, sizeof(chunk))) > 0)
	{
		pg_cryptohash_update(hash, (uint8 *) chunk, n);
		total += n;
	}
	pg_cryptohash_final(hash, digest, sizeof(digest));
	pg_cryptohash_free(hash);
	dp_bytes_close(bytes);
	store->ops->close(store);
	initStringInfo(&buf);
	appendStringInfo(&buf, "%lld ", (long long) total);
	for (int i = 0; i < sizeof(digest); i++)
		appendStringInfo(&buf, "%02x", digest[i]);
	PG_RETURN_TEXT_P(cstring_to_text(buf.data));
}

/* probe_url_stats(url, server, times): how often it was there, all by one store */
Datum
probe_url_stats(PG_FUNCTION_ARGS)
{
	char	   *key;
	DpStore    *store = open_url(TEXT_ARG(0), TEXT_ARG(1), false, &key);
	int			found = 0;

	for (int i = 0; i < PG_GETARG_INT32(2); i++)
	{
		DpObject	object;

		found += store->ops->stat(store, key, &object) ? 1 : 0;
	}
	store->ops->close(store);
	PG_RETURN_INT32(found);
}

/*
 * probe_url_put(url, server, value, times, 'finish' | 'abort' | 'fail'): was
 * something there just before the end?
 */
Datum
probe_url_put(PG_FUNCTION_ARGS)
{
	char	   *key;
	DpStore    *store = open_url(TEXT_ARG(0), TEXT_ARG(1), true, &key);
	char	   *value = TEXT_ARG(2);
	char	   *then = TEXT_ARG(4);
	DpPut	   *put = store->ops->put(store, key, "text/csv");
	DpObject	object;
	bool		visible;

	for (int i = 0; i < PG_GETARG_INT32(3); i++)
		put->write(put, value, strlen(value));
	visible = store->ops->stat(store, key, &object);
	if (strcmp(then, "fail") == 0)
		elog(ERROR, "failed between write and finish");
	if (strcmp(then, "finish") == 0)
		put->finish(put);
	put->abort(put);
	store->ops->close(store);
	PG_RETURN_BOOL(visible);
}

/* probe_url_remove(url, server) */
Datum
probe_url_remove(PG_FUNCTION_ARGS)
{
	char	   *key;
	DpStore    *store = open_url(TEXT_ARG(0), TEXT_ARG(1), true, &key);

	store->ops->remove(store, key);
	store->ops->close(store);
	PG_RETURN_VOID();
}

/* probe_url_check(url, server, writing): the problems that a document would have */
Datum
probe_url_check(PG_FUNCTION_ARGS)
{
	char	   *key;
	DpStoreSpec spec = spec_of(TEXT_ARG(0), TEXT_ARG(1), PG_GETARG_BOOL(2), &key);
	DpDocument	doc = {0};
	StringInfoData buf;
	ListCell   *lc;

	dp_store_find(spec.scheme)->check(&spec, key, "/source", &doc);
	initStringInfo(&buf);
	foreach(lc, doc.problems)
		appendStringInfo(&buf, "%s\n", ((DpProblem *) lfirst(lc))->message);
	PG_RETURN_TEXT_P(cstring_to_text_with_len(buf.data, buf.len));
}
