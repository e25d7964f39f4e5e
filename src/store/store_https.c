/*
 * store_https.c
 *	  Files on a web server: https://host[:port]/path.
 *
 * A key is the rest of the URL as it was written, query included; what cannot
 * stand in a URL is percent-encoded on the way out.  There is no listing and
 * no writing, and there are no credentials: what needs them has a store and a
 * connection of its own, and a URL that carries some is refused, for it would
 * stand in the catalog for everyone to read.
 *
 * The version is the ETag, else time of modification and size.
 */
#include "dynpipe.h"

#include "store/http_private.h"
#include "store/store.h"
#include "utils/memutils.h"

typedef struct HttpsStore
{
	DpStore		base;
	DpHttp	   *http;
	char	   *authority;
} HttpsStore;

extern const DpStoreOps dp_store_https_ops;

static void https_check(const DpStoreSpec *spec, const char *path, const char *pointer,
						DpDocument *doc);
static DpStore *https_open(const DpStoreSpec *spec);
static bool https_stat(DpStore *base, const char *key, DpObject *object);
static DpBytes *https_get(DpStore *base, const DpObject *object, int64 from);
static void https_close(DpStore *base);
static const char *wrong_url(const char *authority, const char *path, const char **hint);
static bool has_secret(const char *path);
static bool secret_name(const char *name, Size len);
static void require_sound(const char *authority, const char *path);
static DpHttpRequest *make_request(HttpsStore *store, const char *method, const char *key);
static char *shown(const HttpsStore *store, const char *key);
static char *encode(const char *key);
static bool exists(const DpHttpRequest *request, const DpHttpResponse *response);
static void describe(const DpHttpResponse *response, DpObject *object);
static char *version_of(const DpHttpResponse *response, int64 size);
static int64 size_of(const DpHttpResponse *response);

const DpStoreOps dp_store_https_ops = {
	.name = "https",
	.lists = false,
	.writes = false,
	.check = https_check,
	.open = https_open,
	.stat = https_stat,
	.get = https_get,
	.close = https_close,
};

static void
https_check(const DpStoreSpec *spec, const char *path, const char *pointer, DpDocument *doc)
{
	const char *hint = NULL;
	const char *wrong = wrong_url(spec->authority, path, &hint);

	if (wrong != NULL)
		dp_config_add_problem(doc, pointer, hint, "%s", wrong);
	else if (spec->writing)
		dp_config_add_problem(doc, pointer, "Write to s3://, abfss://, az:// or file://.",
							  "https:// cannot be written to");
}

/* What is wrong with the URL, and what to do; NULL: nothing.  Never repeats more than the host. */
static const char *
wrong_url(const char *authority, const char *path, const char **hint)
{
	DpUrl		url;

	if (strchr(authority, '@') != NULL)
	{
		*hint = "Data that needs credentials is read by s3:// or abfss://, with a user mapping.";
		return "the URL carries a user name or a password";
	}
	if (has_secret(path))
	{
		*hint = "It would stand in the catalog, and expire. Use s3:// or abfss:// with a user "
			"mapping.";
		return "the URL carries a signature, a key or a token";
	}
	if (!dp_url_parse(psprintf("https://%s/", authority), &url))
	{
		*hint = "Write https://host/path.";
		return "the URL names no host that can be used";
	}
	if (!dp_guard_host(dp_allowed_hosts, url.host, url.port))
	{
		*hint = "Have a superuser add it to the setting dynpipe.allowed_hosts.";
		return psprintf("host \"%.100s\" is not allowed", url.host);
	}
	return NULL;
}

/* Does the query look like that of a signed URL? */
static bool
has_secret(const char *path)
{
	const char *at = strchr(path, '?');

	while (at != NULL)
	{
		const char *name = at + 1;

		if (secret_name(name, strcspn(name, "=&;")))
			return true;
		at = strpbrk(name, "&;");
	}
	return false;
}

static bool
secret_name(const char *name, Size len)
{
	static const char *const whole[] = {"sig", "se", "sv", "key", "code", "auth", "pwd", "pass",
	"policy", "awsaccesskeyid", "googleaccessid"};
	static const char *const parts[] = {"signature", "token", "secret", "credential", "password",
	"apikey", "api_key", "api-key", "access_key", "accesskey", "subscription-key", "sas"};
	char	   *lower = pnstrdup(name, len);

	for (char *at = lower; *at != '\0'; at++)
		*at = pg_ascii_tolower((unsigned char) *at);
	for (int i = 0; i < lengthof(whole); i++)
		if (strcmp(lower, whole[i]) == 0)
			return true;
	for (int i = 0; i < lengthof(parts); i++)
		if (strstr(lower, parts[i]) != NULL)
			return true;
	return false;
}

static DpStore *
https_open(const DpStoreSpec *spec)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "dynpipe https",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	HttpsStore *store = palloc0(sizeof(HttpsStore));

	require_sound(spec->authority, "");
	store->base.ops = &dp_store_https_ops;
	store->base.cxt = cxt;
	store->authority = pstrdup(spec->authority);
	store->http = dp_http_create();
	MemoryContextSwitchTo(old);
	return &store->base;
}

/* The setting, and parameters in the path, may have changed since the check. */
static void
require_sound(const char *authority, const char *path)
{
	const char *hint = NULL;
	const char *wrong = wrong_url(authority, path, &hint);

	if (wrong != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg_internal("%s", wrong),
				 errhint("%s", hint)));
}

/* By HEAD; a server that does not know it is asked for the first byte. */
static bool
https_stat(DpStore *base, const char *key, DpObject *object)
{
	HttpsStore *store = (HttpsStore *) base;
	DpHttpRequest *request = make_request(store, "HEAD", key);
	DpHttpResponse response;

	dp_http_call(store->http, request, &response);
	if (response.status != 200 && response.status != 404 && response.status != 410)
	{
		request->method = "GET";
		request->headers = list_make1("Range: bytes=0-0");
		if (!dp_http_peek(store->http, request, &response))
			dp_http_raise(request, &response, NULL, NULL, NULL);
	}
	if (!exists(request, &response))
		return false;
	object->key = pstrdup(key);
	describe(&response, object);
	return true;
}

static bool
exists(const DpHttpRequest *request, const DpHttpResponse *response)
{
	if (response->status == 404 || response->status == 410)
		return false;
	if (response->status != 200 && response->status != 206)
		dp_http_raise(request, response, NULL, NULL, NULL);
	return true;
}

static DpHttpRequest *
make_request(HttpsStore *store, const char *method, const char *key)
{
	DpHttpRequest *request = palloc0(sizeof(DpHttpRequest));

	require_sound(store->authority, key);
	request->method = method;
	request->url = psprintf("https://%s/%s", store->authority, encode(key));
	request->what = shown(store, key);
	return request;
}

/* For messages: without the query. */
static char *
shown(const HttpsStore *store, const char *key)
{
	return psprintf("https://%s/%.*s", store->authority, (int) strcspn(key, "?#"), key);
}

/* What no URL may hold, percent-encoded; the rest as it was written. */
static char *
encode(const char *key)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const unsigned char *at = (const unsigned char *) key; *at != '\0'; at++)
	{
		if (*at <= 0x20 || *at >= 0x7f || strchr("\"<>\\^`{|}", *at) != NULL)
			appendStringInfo(&buf, "%%%02X", *at);
		else
			appendStringInfoChar(&buf, *at);
	}
	return buf.data;
}

static void
describe(const DpHttpResponse *response, DpObject *object)
{
	object->size = size_of(response);
	object->version = version_of(response, object->size);
	object->modified_ms = dp_http_time(dp_http_header(response, "last-modified"));
}

/* An ETag as it was sent, with its quotes; else what else tells versions apart. */
static char *
version_of(const DpHttpResponse *response, int64 size)
{
	const char *etag = dp_http_header(response, "etag");
	const char *modified = dp_http_header(response, "last-modified");

	if (etag != NULL)
		return pstrdup(etag);
	return psprintf("%s; " INT64_FORMAT, modified != NULL ? modified : "-", size);
}

static int64
size_of(const DpHttpResponse *response)
{
	const char *length = dp_http_header(response, "content-length");
	const char *range = dp_http_header(response, "content-range");

	if (response->status == 206)
	{
		length = range != NULL ? strchr(range, '/') : NULL;
		if (length != NULL)
			length++;
	}
	return length != NULL && *length >= '0' && *length <= '9' ?
		strtoll(length, NULL, 10) : -1;
}

static DpBytes *
https_get(DpStore *base, const DpObject *object, int64 from)
{
	HttpsStore *store = (HttpsStore *) base;
	DpHttpRequest *request = make_request(store, "GET", object->key);
	bool		has_etag = object->version != NULL && strchr(object->version, '"') != NULL;
	DpHttpResponse response;
	DpBytes    *bytes = dp_http_get(store->http, request, from, object->size,
									has_etag ? object->version : NULL, &response);

	if (bytes == NULL)
		dp_http_raise(request, &response, NULL, NULL, NULL);
	if (object->version != NULL && response.headers != NIL &&
		strcmp(object->version, version_of(&response, object->size)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_IN_USE),
				 errmsg("\"%s\" changed since it was found", request->what),
				 errhint("It is read anew with the next run.")));
	return bytes;
}

static void
https_close(DpStore *base)
{
	dp_http_close(((HttpsStore *) base)->http);
}
