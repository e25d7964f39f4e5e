/*
 * store_s3.c
 *	  Objects in S3 and what is compatible with it: s3://bucket/key.
 *
 * Rights and secrets come from a server of type s3 and the user's mapping on
 * it and from nowhere else: no environment, no files in a home directory, no
 * credentials of the machine.  Without a server requests are anonymous and go
 * to AWS.  ETags of objects uploaded in parts are no hashes; they are taken as
 * names of versions only.
 */
#include "dynpipe.h"

#include "store/s3.h"
#include "utils/memutils.h"

extern const DpStoreOps dp_store_s3_ops;

static void s3_check(const DpStoreSpec *spec, const char *path, const char *pointer,
					 DpDocument *doc);
static DpStore *s3_open(const DpStoreSpec *spec);
static void use_connection(DpS3 *s3, const DpStoreSpec *spec);
static bool s3_stat(DpStore *base, const char *key, DpObject *object);
static void explain_refusal(DpS3 *s3, DpHttpRequest *request, DpHttpResponse *response);
static DpBytes *s3_get(DpStore *base, const DpObject *object, int64 from);
static void s3_remove(DpStore *base, const char *key);
static void s3_close(DpStore *base);
static void forget_secrets(void *arg);

const DpStoreOps dp_store_s3_ops = {
	.name = "s3",
	.lists = true,
	.writes = true,
	.check = s3_check,
	.open = s3_open,
	.list = dp_s3_list,
	.stat = s3_stat,
	.get = s3_get,
	.put = dp_s3_put,
	.remove = s3_remove,
	.close = s3_close,
};

static void
s3_check(const DpStoreSpec *spec, const char *path, const char *pointer, DpDocument *doc)
{
	DpConnection *conn = NULL;
	DpS3Place	place;
	DpRefusal	refusal = {0};

	if (OidIsValid(spec->serverid) &&
		(conn = dp_connection_resolve(spec->serverid, "s3", spec->user, false, &refusal)) == NULL)
		dp_config_add_problem(doc, pointer, refusal.hint, "%s", refusal.message);
	else if (!dp_s3_place(spec->authority, conn, &place, &refusal))
		dp_config_add_problem(doc, pointer, refusal.hint, "%s", refusal.message);
	else if (spec->writing && conn == NULL)
		dp_config_add_problem(doc, pointer,
							  "Make a server of type s3 and a user mapping with credentials.",
							  "writing to s3:// needs a connection");
}

static DpStore *
s3_open(const DpStoreSpec *spec)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "dynpipe s3",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	DpS3	   *s3 = palloc0(sizeof(DpS3));
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	DpRefusal	refusal = {0};

	s3->base.ops = &dp_store_s3_ops;
	s3->base.cxt = cxt;
	callback->func = forget_secrets;
	callback->arg = s3;
	MemoryContextRegisterResetCallback(cxt, callback);
	if (OidIsValid(spec->serverid))
		use_connection(s3, spec);
	s3->bucket = pstrdup(spec->authority);
	if (!dp_s3_place(s3->bucket, s3->conn, &s3->place, &refusal))
		dp_refusal_raise(&refusal);
	s3->sigv4 = psprintf("aws:amz:%s:s3", s3->place.region);
	s3->http = dp_http_create();
	MemoryContextSwitchTo(old);
	return &s3->base;
}

static void
use_connection(DpS3 *s3, const DpStoreSpec *spec)
{
	DpRefusal	refusal = {0};

	s3->conn = dp_connection_resolve(spec->serverid, "s3", spec->user, true, &refusal);
	if (s3->conn == NULL)
		dp_refusal_raise(&refusal);
	s3->ca = dp_connection_get(s3->conn, "ssl.ca.pem");
	s3->secret_key = dp_connection_get(s3->conn, "secret_access_key");
	if (s3->secret_key == NULL)
		return;
	s3->access_key = dp_connection_get(s3->conn, "access_key_id");
	s3->session_token = dp_connection_get(s3->conn, "session_token");
}

static void
s3_close(DpStore *base)
{
	DpS3	   *s3 = (DpS3 *) base;

	dp_http_close(s3->http);
	forget_secrets(s3);
}

static void
forget_secrets(void *arg)
{
	DpS3	   *s3 = arg;

	if (s3->conn != NULL)
		dp_connection_forget(s3->conn);
	s3->conn = NULL;
}

static bool
s3_stat(DpStore *base, const char *key, DpObject *object)
{
	DpS3	   *s3 = (DpS3 *) base;
	DpHttpRequest *request = dp_s3_request(s3, "HEAD", key, NULL);
	DpHttpResponse response;
	const char *size;

	dp_http_call(s3->http, request, &response);
	if (response.status == 404)
		return false;
	if (response.status != 200)
		explain_refusal(s3, request, &response);
	size = dp_http_header(&response, "content-length");
	object->key = pstrdup(key);
	object->size = size != NULL ? strtoll(size, NULL, 10) : -1;
	object->modified_ms = dp_http_time(dp_http_header(&response, "last-modified"));
	object->version = dp_s3_version(dp_http_header(&response, "etag"), object->modified_ms,
									object->size);
	return true;
}

/* An answer to HEAD has no error document: ask for it by GET, and raise what it says. */
static void
explain_refusal(DpS3 *s3, DpHttpRequest *request, DpHttpResponse *response)
{
	DpHttpResponse more;

	request->method = "GET";
	request->headers = list_make1("Range: bytes=0-0");
	if (!dp_http_peek(s3->http, request, &more))
		dp_s3_raise(request, &more);
	dp_s3_raise(request, response);
}

static DpBytes *
s3_get(DpStore *base, const DpObject *object, int64 from)
{
	DpS3	   *s3 = (DpS3 *) base;
	DpHttpRequest *request = dp_s3_request(s3, "GET", object->key, NULL);
	const char *etag = NULL;
	DpHttpResponse response;
	DpBytes    *bytes;

	if (object->version != NULL && strncmp(object->version, "modified ", 9) != 0)
		etag = psprintf("\"%s\"", object->version);
	bytes = dp_http_get(s3->http, request, from, object->size, etag, &response);
	if (bytes == NULL)
		dp_s3_raise(request, &response);
	return bytes;
}

static void
s3_remove(DpStore *base, const char *key)
{
	DpS3	   *s3 = (DpS3 *) base;
	DpHttpRequest *request = dp_s3_request(s3, "DELETE", key, NULL);
	DpHttpResponse response;

	dp_http_call(s3->http, request, &response);
	if (response.status != 200 && response.status != 204 && response.status != 404)
		dp_s3_raise(request, &response);
}
