/*
 * s3_request.c
 *	  Requests to S3, signed, and what its error documents mean.
 *
 * libcurl makes the signature (SigV4) at every try.  It takes path and query
 * as they are, so both are percent-encoded here once, as the service does it:
 * everything but unreserved characters, the query's parts in order of their
 * names.  The hash of the body is given as a header, which versions of libcurl
 * treat alike; a session's token is a header like any other and signed too.
 */
#include "dynpipe.h"

#include "common/cryptohash.h"
#include "common/sha2.h"
#include "mb/pg_wchar.h"
#include "store/s3.h"

static void add_headers(DpHttpRequest *request, void *arg);
static char *payload_hash(const char *body, Size len);
static char *to_service(const char *text);
static const char *first_text(const DpHttpResponse *response, const char *tag);
static const char *hint_for(const char *code, const char *region);

DpHttpRequest *
dp_s3_request(DpS3 *s3, const char *method, const char *key, const char *query)
{
	DpHttpRequest *request = palloc0(sizeof(DpHttpRequest));

	request->method = method;
	request->url = psprintf("%s/%s%s%s", s3->place.url,
							key != NULL ? dp_http_escape(to_service(key), true) : "",
							query != NULL ? "?" : "", query != NULL ? query : "");
	request->what = psprintf("s3://%s/%s", s3->bucket, key != NULL ? key : "");
	request->plain = s3->place.plain;
	request->ca = s3->ca;
	/* Also for anonymous ones: who signs is not sent elsewhere by a redirect. */
	request->sign = add_headers;
	request->sign_arg = s3;
	if (s3->access_key != NULL)
	{
		request->sigv4 = s3->sigv4;
		request->access_key = s3->access_key;
		request->secret_key = s3->secret_key;
	}
	return request;
}

/* Keys are UTF-8 there, whatever the database's encoding. */
static char *
to_service(const char *text)
{
	return GetDatabaseEncoding() == PG_UTF8 ? pstrdup(text) :
		pg_server_to_any(text, strlen(text), PG_UTF8);
}

static void
add_headers(DpHttpRequest *request, void *arg)
{
	DpS3	   *s3 = arg;

	if (s3->access_key == NULL)
		return;
	request->attempt_headers =
		lappend(request->attempt_headers,
				psprintf("x-amz-content-sha256: %s",
						 payload_hash(request->body, request->body_len)));
	if (s3->session_token != NULL)
		request->attempt_headers =
			lappend(request->attempt_headers,
					psprintf("x-amz-security-token: %s", s3->session_token));
}

static char *
payload_hash(const char *body, Size len)
{
	pg_cryptohash_ctx *ctx = pg_cryptohash_create(PG_SHA256);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	char	   *hex = palloc(2 * sizeof(digest) + 1);
	bool		done = ctx != NULL && pg_cryptohash_init(ctx) >= 0 &&
		(len == 0 || pg_cryptohash_update(ctx, (const uint8 *) body, len) >= 0) &&
		pg_cryptohash_final(ctx, digest, sizeof(digest)) >= 0;

	pg_cryptohash_free(ctx);
	if (!done)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute a hash for a request")));
	for (int i = 0; i < sizeof(digest); i++)
		sprintf(hex + 2 * i, "%02x", digest[i]);
	return hex;
}

char *
dp_s3_etag(const char *etag)
{
	Size		len = etag != NULL ? strlen(etag) : 0;

	if (len >= 2 && etag[0] == '"' && etag[len - 1] == '"')
		return pnstrdup(etag + 1, len - 2);
	return etag != NULL ? pstrdup(etag) : NULL;
}

char *
dp_s3_version(const char *etag, int64 modified_ms, int64 size)
{
	if (etag != NULL && *etag != '\0')
		return dp_s3_etag(etag);
	/* A listing has fractions of a second, a header has none. */
	return psprintf("modified " INT64_FORMAT "; " INT64_FORMAT, modified_ms / 1000, size);
}

const char *
dp_s3_error_code(const DpHttpResponse *response)
{
	return first_text(response, "Code");
}

static const char *
first_text(const DpHttpResponse *response, const char *tag)
{
	List	   *texts = dp_xml_texts(response->body.data, response->body.len, tag);

	return texts != NIL ? linitial(texts) : NULL;
}

void
dp_s3_raise(const DpHttpRequest *request, const DpHttpResponse *response)
{
	const char *code = dp_s3_error_code(response);
	const char *region = dp_http_header(response, "x-amz-bucket-region");
	DpHttpResponse meant = *response;

	if (region == NULL)
		region = first_text(response, "Region");
	/* Some refusals of credentials come with status 400. */
	if (code != NULL && (strcmp(code, "ExpiredToken") == 0 || strcmp(code, "InvalidToken") == 0 ||
						 strcmp(code, "TokenRefreshRequired") == 0 ||
						 strcmp(code, "RequestExpired") == 0))
		meant.status = 403;
	dp_http_raise(request, &meant, code, first_text(response, "Message"), hint_for(code, region));
}

/* NULL: the usual one for the status. */
static const char *
hint_for(const char *code, const char *region)
{
	static const struct
	{
		const char *code;
		const char *hint;
	}			hints[] = {
		{"SignatureDoesNotMatch", "Check secret_access_key in the user mapping."},
		{"InvalidAccessKeyId", "Check access_key_id in the user mapping."},
		{"ExpiredToken", "The session has expired: renew the keys and session_token in the user mapping."},
		{"InvalidToken", "Check session_token in the user mapping."},
		{"RequestTimeTooSkewed", "Set the clock of the database server."},
		{"NoSuchBucket", "Check the name of the bucket, and the server's option endpoint."},
		{"AllAccessDisabled", "The bucket is closed for everybody."},
	};

	for (int i = 0; code != NULL && i < lengthof(hints); i++)
		if (strcmp(code, hints[i].code) == 0)
			return hints[i].hint;
	if (region != NULL && strlen(region) < 40 &&
		(code == NULL || strcmp(code, "PermanentRedirect") == 0 ||
		 strcmp(code, "TemporaryRedirect") == 0 || strcmp(code, "IllegalLocationConstraint") == 0 ||
		 strcmp(code, "AuthorizationHeaderMalformed") == 0))
		return psprintf("The bucket is in region \"%s\": set the option region of a server of "
						"type s3 to it.", region);
	return NULL;
}
