/*
 * azure.c
 *	  Azure storage: opening, single objects, closing.
 *
 * Everything goes through the REST API of the blob service, also where the
 * account has a hierarchical namespace (ADLS Gen2): such an account serves the
 * same files under both APIs, and only this one has uploads that stay
 * invisible until they are committed, listings that carry ETags, and an
 * emulator to test against.  What the other API adds (renames, ACLs) is not
 * needed here.
 *
 *	  DpStore call --> dp_azure_request (URL, headers) --> http.c
 *	                        ^ before each attempt: dp_azure_sign
 *
 * The store owns a memory context of its own with the connection, its secrets
 * and the HTTP handles in it; the secrets are overwritten when it goes away.
 * Requests and answers live in the caller's context.
 */
#include "dynpipe.h"

#include "store/azure.h"
#include "utils/datetime.h"
#include "utils/memutils.h"

#define API_VERSION "2023-11-03"

static void forget(void *arg);
static bool is_folder(const DpHttpResponse *response);

DpStore *
dp_azure_open(const DpStoreSpec *spec, const DpStoreOps *ops)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "dynpipe azure store",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	MemoryContextCallback *callback = palloc0(sizeof(MemoryContextCallback));
	DpAzure    *azure = palloc0(sizeof(DpAzure));
	DpRefusal	refusal = {0};

	azure->base.ops = ops;
	azure->base.cxt = cxt;
	azure->root = psprintf("%s://%s", ops->name, spec->authority);
	callback->func = forget;
	callback->arg = azure;
	MemoryContextRegisterResetCallback(cxt, callback);
	if (OidIsValid(spec->serverid))
	{
		azure->conn = dp_connection_resolve(spec->serverid, "adls", spec->user, true, &refusal);
		if (azure->conn == NULL)
			dp_refusal_raise(&refusal);
	}
	if (!dp_azure_place(spec, azure->conn, &azure->place, &refusal))
		dp_refusal_raise(&refusal);
	dp_azure_take_secrets(azure);
	azure->http = dp_http_create();
	MemoryContextSwitchTo(old);
	return &azure->base;
}

void
dp_azure_close(DpStore *store)
{
	MemoryContextDelete(store->cxt);
}

/* Reset callback of the store's context. */
static void
forget(void *arg)
{
	DpAzure    *azure = arg;

	if (azure->conn != NULL)
		dp_connection_forget(azure->conn);
	if (azure->key != NULL)
		explicit_bzero(azure->key, azure->key_len);
	if (azure->sas != NULL)
		dp_secret_wipe(azure->sas);
	if (azure->token != NULL)
		dp_secret_wipe(azure->token);
}

DpHttpRequest *
dp_azure_request(DpAzure *azure, const char *method, const char *key, const char *query)
{
	DpHttpRequest *request = palloc0(sizeof(DpHttpRequest));
	StringInfoData url;
	char		sep = '?';

	initStringInfo(&url);
	appendStringInfo(&url, "%s/%s", azure->place.base, azure->place.container);
	if (key != NULL)
		appendStringInfo(&url, "/%s", dp_http_escape(key, true));
	if (query != NULL)
	{
		appendStringInfo(&url, "%c%s", sep, query);
		sep = '&';
	}
	if (azure->sas != NULL)
		appendStringInfo(&url, "%c%s", sep, azure->sas);
	request->method = method;
	request->url = url.data;
	request->what = psprintf("%s/%s", azure->root, key != NULL ? key : "");
	request->headers = list_make1("x-ms-version: " API_VERSION);
	request->sign = dp_azure_sign;
	request->sign_arg = azure;
	request->plain = azure->place.plain;
	request->ca = azure->conn != NULL ? dp_connection_get(azure->conn, "ssl.ca.pem") : NULL;
	return request;
}

void
dp_azure_call(DpAzure *azure, DpHttpRequest *request, DpHttpResponse *response)
{
	dp_http_call(azure->http, request, response);
	if (response->status != 401 || !dp_azure_uses_tokens(azure))
		return;
	dp_azure_forget_token(azure);
	dp_http_call(azure->http, request, response);
}

bool
dp_azure_stat(DpStore *store, const char *key, DpObject *object)
{
	DpAzure    *azure = (DpAzure *) store;
	DpHttpRequest *request = dp_azure_request(azure, "HEAD", key, NULL);
	DpHttpResponse response;
	const char *code;
	const char *size;
	const char *modified;

	dp_azure_call(azure, request, &response);
	code = dp_azure_error_code(&response);
	if (response.status == 404 && (code == NULL || strcmp(code, "BlobNotFound") == 0))
		return false;
	if (response.status != 200)
		dp_azure_raise(azure, request, &response);
	if (is_folder(&response))
		return false;
	size = dp_http_header(&response, "content-length");
	modified = dp_http_header(&response, "last-modified");
	object->key = pstrdup(key);
	object->size = size != NULL ? strtoll(size, NULL, 10) : -1;
	object->version = dp_azure_etag(dp_http_header(&response, "etag"));
	object->modified_ms = dp_azure_time(modified);
	return true;
}

/* Folders of a hierarchical namespace answer as empty blobs with a mark. */
static bool
is_folder(const DpHttpResponse *response)
{
	const char *type = dp_http_header(response, "x-ms-resource-type");
	const char *mark = dp_http_header(response, "x-ms-meta-hdi_isfolder");

	return (type != NULL && pg_strcasecmp(type, "directory") == 0) ||
		(mark != NULL && pg_strcasecmp(mark, "true") == 0);
}

DpBytes *
dp_azure_get(DpStore *store, const DpObject *object, int64 from)
{
	DpAzure    *azure = (DpAzure *) store;
	DpHttpRequest *request = dp_azure_request(azure, "GET", object->key, NULL);
	DpHttpResponse *response = palloc0(sizeof(DpHttpResponse));
	char	   *etag = object->version != NULL && object->version[0] != '\0' ?
		psprintf("\"%s\"", object->version) : NULL;
	DpBytes    *bytes = dp_http_get(azure->http, request, from, object->size, etag, response);

	if (bytes == NULL && response->status == 401 && dp_azure_uses_tokens(azure))
	{
		dp_azure_forget_token(azure);
		bytes = dp_http_get(azure->http, request, from, object->size, etag, response);
	}
	if (bytes == NULL)
		dp_azure_raise(azure, request, response);
	return bytes;
}

void
dp_azure_remove(DpStore *store, const char *key)
{
	DpAzure    *azure = (DpAzure *) store;
	DpHttpRequest *request = dp_azure_request(azure, "DELETE", key, NULL);
	DpHttpResponse response;
	const char *code;

	request->headers = lappend(request->headers, "x-ms-delete-snapshots: include");
	dp_azure_call(azure, request, &response);
	if (response.status == 202)
		return;
	code = dp_azure_error_code(&response);
	if (response.status != 404 || (code != NULL && strcmp(code, "BlobNotFound") != 0))
		dp_azure_raise(azure, request, &response);
}

int64
dp_azure_time(const char *text)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char		name[4];
	const char *found;
	int			day;
	int			year;
	int			h;
	int			m;
	int			s;

	if (text == NULL ||
		sscanf(text, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &day, name, &year, &h, &m, &s) != 6 ||
		strlen(name) != 3 || (found = strstr(months, name)) == NULL || (found - months) % 3 != 0)
		return -1;
	return ((int64) (date2j(year, (found - months) / 3 + 1, day) - UNIX_EPOCH_JDATE) *
			SECS_PER_DAY + h * SECS_PER_HOUR + m * SECS_PER_MINUTE + s) * 1000;
}

char *
dp_azure_etag(const char *text)
{
	Size		len;

	if (text == NULL)
		return NULL;
	len = strlen(text);
	if (len >= 2 && text[0] == '"' && text[len - 1] == '"')
		return pnstrdup(text + 1, len - 2);
	return pstrdup(text);
}
