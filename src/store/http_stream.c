/*
 * http_stream.c
 *	  The body of a GET as a stream that survives lost connections.
 *
 *	  read ─> transfer ── ended early ─> tries ─> Range: bytes=N-, If-Match
 *	                                                └─> the same version, or 55006
 *
 * What identifies a version: the ETag; without a strong one the length and
 * Last-Modified.  A server that gives none of these cannot be resumed.  A
 * server that ignores Range is read from its start, the bytes that were had
 * already are thrown away.  Tries count from the last progress.
 */
#include "dynpipe.h"

#include "store/http_private.h"
#include "utils/memutils.h"

#define PROGRESS	(64 * 1024)	/* bytes after which earlier failures are forgiven */

typedef struct HttpStream
{
	DpBytes		base;
	DpHttp	   *http;
	DpHttpRequest request;		/* a copy, in cxt */
	MemoryContext cxt;			/* of the stream */
	DpTransfer *transfer;		/* NULL: closed, or all was read */
	MemoryContext try_cxt;		/* of the transfer: child of cxt */
	DpTries		tries;
	int64		at;				/* position in the object of the next byte to give */
	int64		size;			/* of the whole object; -1: not known */
	int64		skip;			/* bytes to throw away first */
	int64		gained;			/* since the last failure */
	char	   *etag;			/* as the header has it; NULL: none that can be compared */
	char	   *modified;
} HttpStream;

static Size stream_read(DpBytes *bytes, char *buf, Size len);
static void stream_close(DpBytes *bytes);
static void copy_request(HttpStream *stream, const DpHttpRequest *request);
static List *range_headers(const HttpStream *stream);
static bool begin(HttpStream *stream, DpHttpResponse *response);
static void resume(HttpStream *stream);
static void check_version(HttpStream *stream, const DpHttpResponse *response);
static int64 whole_size(const HttpStream *stream, const DpHttpResponse *response, int64 *from);
static int64 parse_length(const char *text, char **end);
static void drop_transfer(HttpStream *stream);
static void raise_changed(const HttpStream *stream, const char *detail) pg_attribute_noreturn();
static bool is_strong(const char *etag);

DpBytes *
dp_http_get(DpHttp *http, DpHttpRequest *request, int64 from, int64 size,
			const char *etag, DpHttpResponse *response)
{
	HttpStream *stream = palloc0(sizeof(HttpStream));

	stream->base.read = stream_read;
	stream->base.close = stream_close;
	stream->http = http;
	stream->cxt = CurrentMemoryContext;
	stream->at = from;
	stream->size = size;
	stream->etag = etag != NULL ? pstrdup(etag) : NULL;
	copy_request(stream, request);
	memset(response, 0, sizeof(*response));
	initStringInfo(&response->body);
	if (size >= 0 && from >= size && from > 0)
	{
		response->status = 206;
		return &stream->base;
	}
	if (!begin(stream, response))
		return NULL;
	check_version(stream, response);
	return &stream->base;
}

bool
dp_http_peek(DpHttp *http, DpHttpRequest *request, DpHttpResponse *response)
{
	DpBytes    *bytes = dp_http_get(http, request, 0, -1, NULL, response);

	dp_bytes_close(bytes);
	return bytes != NULL;
}

static void
copy_request(HttpStream *stream, const DpHttpRequest *request)
{
	DpHttpRequest *copy = &stream->request;
	ListCell   *lc;

#define COPY(field) copy->field = request->field != NULL ? pstrdup(request->field) : NULL
	*copy = *request;
	COPY(method);
	COPY(url);
	COPY(what);
	COPY(sigv4);
	COPY(access_key);
	COPY(secret_key);
	COPY(ca);
#undef COPY
	copy->attempt_headers = NIL;
	copy->headers = NIL;
	foreach(lc, request->headers)
		copy->headers = lappend(copy->headers, pstrdup(lfirst(lc)));
}

/* Send the request for what is still missing; false: the answer is no body but an error. */
static bool
begin(HttpStream *stream, DpHttpResponse *response)
{
	MemoryContext old;
	int			status;

	stream->try_cxt = AllocSetContextCreate(stream->cxt, "dynpipe http stream",
											ALLOCSET_SMALL_SIZES);
	old = MemoryContextSwitchTo(stream->try_cxt);
	stream->transfer = dp_http_begin(stream->http, &stream->request, range_headers(stream),
									 &stream->tries);
	MemoryContextSwitchTo(old);
	status = dp_transfer_status(stream->transfer);
	if (status == 200 || status == 206)
	{
		response->status = status;
		response->headers = dp_transfer_headers(stream->transfer);
		return true;
	}
	/* An error document that breaks off says enough. */
	(void) dp_http_finish(stream->transfer, &stream->request, response);
	drop_transfer(stream);
	return false;
}

static List *
range_headers(const HttpStream *stream)
{
	List	   *headers = NIL;

	if (stream->at > 0)
		headers = lappend(headers, psprintf("Range: bytes=" INT64_FORMAT "-", stream->at));
	if (is_strong(stream->etag))
		headers = lappend(headers, psprintf("If-Match: %s", stream->etag));
	return headers;
}

static bool
is_strong(const char *etag)
{
	return etag != NULL && etag[0] == '"';
}

/* Is the answer what was asked for?  Learns what identifies the version. */
static void
check_version(HttpStream *stream, const DpHttpResponse *response)
{
	MemoryContext old = MemoryContextSwitchTo(stream->cxt);
	const char *etag = dp_http_header(response, "etag");
	const char *modified = dp_http_header(response, "last-modified");
	int64		from = 0;
	int64		size = whole_size(stream, response, &from);

	if (size >= 0 && stream->size >= 0 && size != stream->size)
		raise_changed(stream, "Its size is another.");
	if (etag != NULL && stream->etag != NULL && strcmp(etag, stream->etag) != 0)
		raise_changed(stream, "Its ETag is another.");
	if (modified != NULL && stream->modified != NULL && strcmp(modified, stream->modified) != 0)
		raise_changed(stream, "Its time of modification is another.");
	if (from > stream->at)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("\"%s\" was answered with another range than was asked for",
						stream->request.what)));
	if (stream->size < 0)
		stream->size = size;
	if (stream->etag == NULL && etag != NULL)
		stream->etag = pstrdup(etag);
	if (stream->modified == NULL && modified != NULL)
		stream->modified = pstrdup(modified);
	stream->skip = stream->at - from;
	MemoryContextSwitchTo(old);
}

/* Size of the object by the answer's headers, or -1; *FROM is where the body begins. */
static int64
whole_size(const HttpStream *stream, const DpHttpResponse *response, int64 *from)
{
	const char *length = dp_http_header(response, "content-length");
	const char *range = dp_http_header(response, "content-range");
	char	   *end;

	if (response->status == 206 && range != NULL && strncmp(range, "bytes ", 6) == 0)
	{
		*from = parse_length(range + 6, &end);
		range = strchr(range, '/');
		return range != NULL ? parse_length(range + 1, &end) : -1;
	}
	if (response->status == 206)
		*from = stream->at;
	return length != NULL && *from == 0 ? parse_length(length, &end) : -1;
}

/* -1: no number. */
static int64
parse_length(const char *text, char **end)
{
	long long	value;

	errno = 0;
	value = *text >= '0' && *text <= '9' ? strtoll(text, end, 10) : -1;
	return errno == 0 ? value : -1;
}

static Size
stream_read(DpBytes *bytes, char *buf, Size len)
{
	HttpStream *stream = (HttpStream *) bytes;

	while (stream->transfer != NULL)
	{
		Size		want = stream->skip > 0 ? Min(len, (Size) stream->skip) : len;
		Size		n = dp_transfer_read(stream->transfer, buf, want);

		if (n > 0 && stream->skip > 0)
		{
			stream->skip -= n;
			continue;
		}
		if (n > 0)
		{
			stream->at += n;
			stream->gained += n;
			if (stream->size >= 0 && stream->at > stream->size)
				raise_changed(stream, "It is longer than it was.");
			return n;
		}
		if (dp_transfer_outcome(stream->transfer) == DP_OUTCOME_DONE &&
			(stream->size < 0 || stream->at == stream->size))
			drop_transfer(stream);
		else
			resume(stream);
	}
	return 0;
}

/* The connection was lost: go on where it broke, if that can be done safely. */
static void
resume(HttpStream *stream)
{
	DpHttpResponse response;
	MemoryContext old = MemoryContextSwitchTo(stream->cxt);

	if (dp_transfer_outcome(stream->transfer) == DP_OUTCOME_DONE)
		raise_changed(stream, "It is shorter than it was.");
	if (stream->gained >= PROGRESS)
		stream->tries = (DpTries)
	{
		0
	};
	if (stream->at > 0 && !is_strong(stream->etag) &&
		(stream->modified == NULL || stream->size < 0))
		stream->request.once = true;
	dp_tries_failed(&stream->tries, &stream->request, stream->transfer);
	stream->gained = 0;
	drop_transfer(stream);
	if (!begin(stream, &response))
		dp_http_raise(&stream->request, &response, NULL, NULL, NULL);
	check_version(stream, &response);
	MemoryContextSwitchTo(old);
}

static void
drop_transfer(HttpStream *stream)
{
	stream->transfer = NULL;
	if (stream->try_cxt != NULL)
		MemoryContextDelete(stream->try_cxt);
	stream->try_cxt = NULL;
}

static void
stream_close(DpBytes *bytes)
{
	drop_transfer((HttpStream *) bytes);
}

static void
raise_changed(const HttpStream *stream, const char *detail)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("\"%s\" changed while it was read", stream->request.what),
			 errdetail_internal("%s", detail),
			 errhint("It is read anew with the next run.")));
	pg_unreachable();
}
