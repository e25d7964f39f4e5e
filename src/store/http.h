/*
 * http.h
 *	  HTTPS for stores: the only user of libcurl.
 *
 * Every request, whoever makes it, passes the same gate (http_guard.c): the
 * host must be allowed by dynpipe.allowed_hosts (empty: the cloud suffixes),
 * and the address that is about to be connected to must not be loopback,
 * link-local, a metadata service or otherwise special unless an entry of that
 * setting is that very address or a network around it.  Checked on the socket's
 * address, so neither DNS nor spelling gets around it.  No proxy, no netrc, no
 * redirect to another host, no plain http unless the caller allows it, TLS
 * verified always.
 *
 * Waiting goes through the process latch: cancel and shutdown are served
 * within a second.  Signals are blocked while libcurl runs, since its threads
 * would inherit them.  Requests are retried (connection lost, 429, 5xx) with
 * exponential backoff and jitter, honouring Retry-After, before
 * dp_http_raise is the caller's last resort.
 */
#ifndef DP_HTTP_H
#define DP_HTTP_H

#include "lib/stringinfo.h"
#include "nodes/pg_list.h"
#include "store/bytes.h"

typedef struct DpHttp DpHttp;	/* connections that are kept; one per store */
typedef struct DpHttpRequest DpHttpRequest;

struct DpHttpRequest
{
	const char *method;			/* GET, PUT, POST, HEAD, DELETE */
	const char *url;			/* complete, percent-encoded */
	const char *what;			/* for messages: "s3://bucket/key", never with a query */
	List	   *headers;		/* char *: "Name: value" */
	const char *body;			/* NULL: none */
	Size		body_len;
	/* AWS signature by libcurl; NULL: none */
	const char *sigv4;			/* "aws:amz:region:s3" */
	const char *access_key;
	const char *secret_key;
	/*
	 * Called before every attempt, for signatures with a date: adds to
	 * attempt_headers, which start as those of a resumed read (Range,
	 * If-Match): they may have to be signed.  NULL: none.
	 */
	void		(*sign) (DpHttpRequest *request, void *arg);
	void	   *sign_arg;
	List	   *attempt_headers;
	const char *ca;				/* PEM: trusted instead of the system's authorities; or NULL */
	bool		plain;			/* http:// is allowed: the connection says so */
	bool		metadata;		/* the cloud's metadata address may be reached: only for a
								 * managed identity of a superuser's server */
	bool		once;			/* try once, briefly: for cleaning up */
	int			max_response;	/* bytes of the body kept; 0: 16 MB */
};

typedef struct DpHttpResponse
{
	int			status;
	List	   *headers;		/* char *: "name: value", names in lower case */
	StringInfoData body;
} DpHttpResponse;

extern DpHttp *dp_http_create(void);	/* in the current memory context */
extern void dp_http_close(DpHttp *http);

/* A whole exchange; any status is a result, a failure to get one raises (class 08). */
extern void dp_http_call(DpHttp *http, DpHttpRequest *request, DpHttpResponse *response);

/* A header's value, or NULL. */
extern const char *dp_http_header(const DpHttpResponse *response, const char *name);

/*
 * The body of a GET as a stream.  SIZE and ETAG (-1, NULL: not known) are what
 * it must be; a lost connection is resumed by Range and If-Match where it
 * broke.  *RESPONSE (status and headers) is there when this returns; for a
 * status other than 200 or 206 the result is NULL and the body is in it.
 */
extern DpBytes *dp_http_get(DpHttp *http, DpHttpRequest *request, int64 from, int64 size,
							const char *etag, DpHttpResponse *response);

/*
 * Only look: true for status 200 or 206, whose body is left unread; otherwise
 * the body (an error document) is in *RESPONSE.
 */
extern bool dp_http_peek(DpHttp *http, DpHttpRequest *request, DpHttpResponse *response);

/*
 * Raise what a failed STATUS means, SQLSTATEs as in store.h: 401 and 403 ->
 * 28000, 404 -> 58P01, 412 and 416 -> 55006, 429 and 5xx -> 08006.  CODE and
 * TEXT are the service's own words, taken from its error document, or NULL;
 * HINT overrides the usual one.
 */
extern void dp_http_raise(const DpHttpRequest *request, const DpHttpResponse *response,
						  const char *code, const char *text, const char *hint)
			pg_attribute_noreturn();

/* "Sun, 06 Nov 1994 08:49:37 GMT" or "1994-11-06T08:49:37.000Z" in ms since the epoch; -1: neither. */
extern int64 dp_http_time(const char *text);

/* RFC 3986 percent-encoding of all but unreserved characters; '/' kept when KEEP_SLASH. */
extern char *dp_http_escape(const char *text, bool keep_slash);

/* xml.c: the text of each <tag> of an XML document in order, entities resolved; pure. */
extern List *dp_xml_texts(const char *xml, Size len, const char *tag);
/* Each <tag>...</tag> as its inner XML. */
extern List *dp_xml_elements(const char *xml, Size len, const char *tag);

#endif							/* DP_HTTP_H */
