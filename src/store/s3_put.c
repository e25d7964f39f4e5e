/*
 * s3_put.c
 *	  Uploads to S3, visible all at once.
 *
 *	  write   ─> buffer of one part ── full, and more comes ─> UploadPart
 *	  finish  ─> fits one part: PutObject; else the last part, then
 *	             CompleteMultipartUpload, which makes the object appear
 *	  abort   ─> AbortMultipartUpload, tried once and briefly
 *
 * One buffer is all the memory there is: a context below the one current at
 * put owns it, another one is reset after each request.
 */
#include "dynpipe.h"

#include "miscadmin.h"
#include "store/s3.h"
#include "utils/memutils.h"

#define PART_SIZE	(8 * 1024 * 1024)
#define MAX_PARTS	10000		/* the service's limit */

typedef struct S3Put
{
	DpPut		base;
	DpS3	   *s3;
	MemoryContext cxt;			/* NULL: finished or given up */
	MemoryContext request_cxt;
	char	   *key;
	char	   *content_type;
	char	   *upload_id;		/* NULL: everything fits the buffer so far */
	List	   *etags;			/* char *, one per part sent */
	char	   *buffer;
	Size		used;
	int64		total;
} S3Put;

static void put_write(DpPut *base, const char *buf, Size len);
static void put_finish(DpPut *base);
static void put_abort(DpPut *base);
static void begin_upload(S3Put *put);
static void send_part(S3Put *put);
static void send_object(S3Put *put);
static void complete(S3Put *put);
static bool was_completed(S3Put *put);
static char *part_list(const S3Put *put);
static void abandon(S3Put *put);
static void call(S3Put *put, DpHttpRequest *request, DpHttpResponse *response);
static void forget(S3Put *put);

DpPut *
dp_s3_put(DpStore *store, const char *key, const char *content_type)
{
	S3Put	   *put = palloc0(sizeof(S3Put));

	put->base.write = put_write;
	put->base.finish = put_finish;
	put->base.abort = put_abort;
	put->s3 = (DpS3 *) store;
	put->cxt = AllocSetContextCreate(CurrentMemoryContext, "dynpipe s3 upload",
									 ALLOCSET_DEFAULT_SIZES);
	put->request_cxt = AllocSetContextCreate(put->cxt, "dynpipe s3 request",
											 ALLOCSET_DEFAULT_SIZES);
	put->key = MemoryContextStrdup(put->cxt, key);
	put->content_type = MemoryContextStrdup(put->cxt, content_type != NULL ? content_type :
											"application/octet-stream");
	put->buffer = MemoryContextAlloc(put->cxt, PART_SIZE);
	return &put->base;
}

/* A full buffer is kept until more comes: it may be the whole object. */
static void
put_write(DpPut *base, const char *buf, Size len)
{
	S3Put	   *put = (S3Put *) base;

	Assert(put->cxt != NULL);
	while (len > 0)
	{
		Size		n;

		if (put->used == PART_SIZE)
			send_part(put);
		n = Min(len, PART_SIZE - put->used);
		memcpy(put->buffer + put->used, buf, n);
		put->used += n;
		put->total += n;
		buf += n;
		len -= n;
	}
}

static void
put_finish(DpPut *base)
{
	S3Put	   *put = (S3Put *) base;

	Assert(put->cxt != NULL);
	if (put->upload_id == NULL)
		send_object(put);
	else
	{
		if (put->used > 0)
			send_part(put);
		complete(put);
	}
	forget(put);
}

static void
forget(S3Put *put)
{
	MemoryContextDelete(put->cxt);
	put->cxt = NULL;
}

static void
send_object(S3Put *put)
{
	MemoryContext old = MemoryContextSwitchTo(put->request_cxt);
	DpHttpRequest *request = dp_s3_request(put->s3, "PUT", put->key, NULL);
	DpHttpResponse response;

	request->headers = list_make1(psprintf("Content-Type: %s", put->content_type));
	request->body = put->buffer;
	request->body_len = put->used;
	call(put, request, &response);
	MemoryContextSwitchTo(old);
	MemoryContextReset(put->request_cxt);
}

static void
call(S3Put *put, DpHttpRequest *request, DpHttpResponse *response)
{
	dp_http_call(put->s3->http, request, response);
	if (response->status != 200)
		dp_s3_raise(request, response);
}

static void
send_part(S3Put *put)
{
	MemoryContext old = MemoryContextSwitchTo(put->request_cxt);
	DpHttpRequest *request;
	DpHttpResponse response;
	const char *etag;

	if (list_length(put->etags) == MAX_PARTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("\"s3://%s/%s\" becomes too large", put->s3->bucket, put->key),
				 errdetail("One object is written in at most %d parts of %d MB.",
						   MAX_PARTS, PART_SIZE / (1024 * 1024)),
				 errhint("Write several objects.")));
	if (put->upload_id == NULL)
		begin_upload(put);
	request = dp_s3_request(put->s3, "PUT", put->key,
							psprintf("partNumber=%d&uploadId=%s", list_length(put->etags) + 1,
									 dp_http_escape(put->upload_id, false)));
	request->headers = list_make1("Content-Type: application/octet-stream");
	request->body = put->buffer;
	request->body_len = put->used;
	call(put, request, &response);
	etag = dp_http_header(&response, "etag");
	if (etag == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("a part of \"%s\" was taken without a receipt", request->what)));
	MemoryContextSwitchTo(put->cxt);
	put->etags = lappend(put->etags, pstrdup(etag));
	put->used = 0;
	MemoryContextSwitchTo(old);
	MemoryContextReset(put->request_cxt);
}

static void
begin_upload(S3Put *put)
{
	DpHttpRequest *request = dp_s3_request(put->s3, "POST", put->key, "uploads=");
	DpHttpResponse response;
	List	   *ids;

	request->headers = list_make1(psprintf("Content-Type: %s", put->content_type));
	call(put, request, &response);
	ids = dp_xml_texts(response.body.data, response.body.len, "UploadId");
	if (ids == NIL || *(char *) linitial(ids) == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("the upload of \"%s\" was given no number", request->what)));
	put->upload_id = MemoryContextStrdup(put->cxt, linitial(ids));
}

/*
 * The answer may be an error document behind status 200.  When a try before
 * succeeded and its answer was lost, the upload no longer exists: then the
 * object must be there, as long as what was sent.
 */
static void
complete(S3Put *put)
{
	MemoryContext old = MemoryContextSwitchTo(put->request_cxt);
	DpHttpRequest *request =
		dp_s3_request(put->s3, "POST", put->key,
					  psprintf("uploadId=%s", dp_http_escape(put->upload_id, false)));
	DpHttpResponse response;
	const char *code;

	request->headers = list_make1("Content-Type: application/xml");
	request->body = part_list(put);
	request->body_len = strlen(request->body);
	dp_http_call(put->s3->http, request, &response);
	code = dp_s3_error_code(&response);
	if ((response.status != 200 || code != NULL) &&
		!(code != NULL && strcmp(code, "NoSuchUpload") == 0 && was_completed(put)))
	{
		if (response.status == 200)
			response.status = 500;
		dp_s3_raise(request, &response);
	}
	MemoryContextSwitchTo(old);
	MemoryContextReset(put->request_cxt);
}

static char *
part_list(const S3Put *put)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfoString(&buf, "<CompleteMultipartUpload "
						   "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
	foreach(lc, put->etags)
	{
		appendStringInfo(&buf, "<Part><PartNumber>%d</PartNumber><ETag>",
						 foreach_current_index(lc) + 1);
		for (const char *at = lfirst(lc); *at != '\0'; at++)
		{
			if (strchr("<>&\"", *at) != NULL)
				appendStringInfo(&buf, "&#%d;", *at);
			else
				appendStringInfoChar(&buf, *at);
		}
		appendStringInfoString(&buf, "</ETag></Part>");
	}
	appendStringInfoString(&buf, "</CompleteMultipartUpload>");
	return buf.data;
}

static bool
was_completed(S3Put *put)
{
	DpObject	object = {0};

	return put->s3->base.ops->stat(&put->s3->base, put->key, &object) &&
		object.size == put->total;
}

/* Never raises; interrupts wait for the one brief try. */
static void
put_abort(DpPut *base)
{
	S3Put	   *put = (S3Put *) base;
	MemoryContext old = CurrentMemoryContext;

	if (put->cxt == NULL)
		return;
	if (put->upload_id != NULL)
	{
		HOLD_INTERRUPTS();
		PG_TRY();
		{
			abandon(put);
		}
		PG_CATCH();
		{
			MemoryContextSwitchTo(old);
			FlushErrorState();
		}
		PG_END_TRY();
		RESUME_INTERRUPTS();
	}
	MemoryContextSwitchTo(old);
	forget(put);
}

static void
abandon(S3Put *put)
{
	DpHttpRequest *request;
	DpHttpResponse response;

	MemoryContextSwitchTo(put->request_cxt);
	request = dp_s3_request(put->s3, "DELETE", put->key,
							psprintf("uploadId=%s", dp_http_escape(put->upload_id, false)));
	request->once = true;
	dp_http_call(put->s3->http, request, &response);
}
