/*
 * s3_place.c
 *	  From a connection and a bucket's name to the bucket's address.  Pure.
 *
 *	  no endpoint   https://BUCKET.s3.REGION.amazonaws.com
 *	  endpoint      ENDPOINT/BUCKET, or BUCKET in front of its host when
 *	                path_style is false
 */
#include "dynpipe.h"

#include "foreign/foreign.h"
#include "store/http_private.h"
#include "store/s3.h"
#include "utils/builtins.h"

extern bool dp_s3_check_connection(const DpConnection *conn, DpRefusal *refusal);

static bool check_bucket(const char *bucket, const DpConnection *conn, DpRefusal *refusal);
static bool only_of(const char *text, const char *extra);
static bool path_style(const DpConnection *conn, bool usual);
static bool is_on(const DpConnection *conn, const char *option, bool otherwise);
static char *aws_url(const char *bucket, const char *region, bool in_path);

/* Complete?  Credentials, or the word that none are meant. */
bool
dp_s3_check_connection(const DpConnection *conn, DpRefusal *refusal)
{
	if (is_on(conn, "anonymous", false) || dp_connection_has(conn, "secret_access_key"))
		return true;
	if (!conn->mapped)
		return dp_refusal_set(refusal, ERRCODE_UNDEFINED_OBJECT,
							  psprintf("Use CREATE USER MAPPING FOR %s SERVER %s OPTIONS "
									   "(access_key_id ..., secret_access_key_file ...), or "
									   "(anonymous 'true').", quote_identifier(conn->role),
									   quote_identifier(conn->server)),
							  "role \"%s\" has no user mapping on server \"%s\"",
							  conn->role, conn->server);
	return dp_refusal_set(refusal, ERRCODE_FDW_OPTION_NAME_NOT_FOUND,
						  "Add access_key_id and secret_access_key_file, or anonymous 'true'.",
						  "the user mapping on server \"%s\" has no credentials", conn->server);
}

static bool
is_on(const DpConnection *conn, const char *option, bool otherwise)
{
	const char *value = dp_connection_get(conn, option);
	bool		flag = otherwise;

	if (value != NULL)
		(void) parse_bool(value, &flag);
	return flag;
}

bool
dp_s3_place(const char *bucket, const DpConnection *conn, DpS3Place *place, DpRefusal *refusal)
{
	const char *endpoint = conn != NULL ? dp_connection_get(conn, "endpoint") : NULL;
	const char *region = conn != NULL ? dp_connection_get(conn, "region") : NULL;
	DpUrl		url;

	if (!check_bucket(bucket, conn, refusal))
		return false;
	place->region = pstrdup(region != NULL ? region : "us-east-1");
	place->plain = endpoint != NULL && strncmp(endpoint, "http://", 7) == 0;
	if (endpoint == NULL)
		place->url = aws_url(bucket, place->region, path_style(conn, false));
	else
	{
		int			len = strlen(endpoint);
		int			scheme = place->plain ? 7 : 8;

		while (len > scheme && endpoint[len - 1] == '/')
			len--;
		place->url = path_style(conn, true) ?
			psprintf("%.*s/%s", len, endpoint, bucket) :
			psprintf("%.*s%s.%.*s", scheme, endpoint, bucket, len - scheme, endpoint + scheme);
	}
	if (strpbrk(place->url, "?#@") != NULL || !dp_url_parse(place->url, &url))
		return dp_refusal_set(refusal, ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE,
							  "Give scheme, host and port, as in https://minio.example:9000.",
							  "option \"endpoint\" is not an address that can be used");
	if (!dp_guard_host(dp_allowed_hosts, url.host, url.port))
		return dp_refusal_set(refusal, ERRCODE_INSUFFICIENT_PRIVILEGE,
							  "Have a superuser add it to the setting dynpipe.allowed_hosts.",
							  "host \"%.100s\" is not allowed", url.host);
	return true;
}

static bool
check_bucket(const char *bucket, const DpConnection *conn, DpRefusal *refusal)
{
	const char *own = conn != NULL ? dp_connection_get(conn, "bucket") : NULL;

	if (!only_of(bucket, ".-_") || bucket[0] == '.' || bucket[0] == '-' || strlen(bucket) > 255)
		return dp_refusal_set(refusal, ERRCODE_INVALID_PARAMETER_VALUE,
							  "Write s3://bucket/key; a bucket's name is made of letters, digits, "
							  "\".\", \"-\" and \"_\".",
							  "the URL names no bucket");
	if (own != NULL && strcmp(own, bucket) != 0)
		return dp_refusal_set(refusal, ERRCODE_INSUFFICIENT_PRIVILEGE,
							  "Use another connection, or drop the server's option bucket.",
							  "server \"%s\" is for another bucket than \"%s\"",
							  conn->server, bucket);
	return true;
}

static bool
only_of(const char *text, const char *extra)
{
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++)
		if (!((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
			  (*text >= '0' && *text <= '9') || strchr(extra, *text) != NULL))
			return false;
	return true;
}

static bool
path_style(const DpConnection *conn, bool usual)
{
	return conn != NULL ? is_on(conn, "path_style", usual) : usual;
}

/* A dot in a bucket's name, or an old name, is not covered by the service's certificate. */
static char *
aws_url(const char *bucket, const char *region, bool in_path)
{
	const char *rest = strncmp(region, "cn-", 3) == 0 ? "amazonaws.com.cn" : "amazonaws.com";
	bool		odd = strpbrk(bucket, "._ABCDEFGHIJKLMNOPQRSTUVWXYZ") != NULL;

	if (in_path || odd)
		return psprintf("https://s3.%s.%s/%s", region, rest, bucket);
	return psprintf("https://%s.s3.%s.%s", bucket, region, rest);
}
