/*
 * azure_put.c
 *	  Uploads: blocks of 8 MB, visible all at once.
 *
 *	  write ... --> buffer of one block --full--> Put Block (invisible)
 *	  finish    --> what fits one block:  Put Blob
 *	                else:                 Put Block (the rest), Put Block List
 *	  abort     --> nothing to send: the service drops blocks that nobody
 *	                commits, a week after the last one
 *
 * The ids of an upload's blocks begin with random bytes of its own, so two
 * uploads of one name at a time never mix: the last to commit wins, whole.
 * The list names blocks as "Latest", so that it can be sent again when its
 * answer was lost.
 *
 * Memory: a context below the one current at put holds the buffer; a second
 * one, reset after each request, what the request needs.
 */
#include "dynpipe.h"

#include "common/base64.h"
#include "store/azure.h"
#include "utils/memutils.h"

#define BLOCK_SIZE		(8 * 1024 * 1024)
#define MAX_BLOCKS		50000	/* the service's limit for one blob */
#define RANDOM_BYTES	20
#define ID_LEN			48		/* before base64; all ids of a blob must be of one length */

typedef struct AzurePut
{
	DpPut		base;
	DpAzure    *azure;
	char	   *key;
	char	   *content_type;
	char		upload[2 * RANDOM_BYTES + 1];
	char	   *block;			/* NULL: finished or given up */
	Size		used;
	int			blocks;			/* sent */
	MemoryContext cxt;
	MemoryContext request_cxt;
} AzurePut;

static void put_write(DpPut *base, const char *buf, Size len);
static void put_finish(DpPut *base);
static void put_abort(DpPut *base);
static void send_block(AzurePut *put);
static void send_blob(AzurePut *put);
static void send_list(AzurePut *put);
static void add_type(AzurePut *put, DpHttpRequest *request);
static void expect_created(AzurePut *put, DpHttpRequest *request);
static char *block_id(const AzurePut *put, int n);

DpPut *
dp_azure_put(DpStore *store, const char *key, const char *content_type)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "dynpipe azure upload",
											  ALLOCSET_DEFAULT_SIZES);
	AzurePut   *put = MemoryContextAllocZero(cxt, sizeof(AzurePut));
	unsigned char bytes[RANDOM_BYTES];

	if (!pg_strong_random(bytes, sizeof(bytes)))
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not generate random bytes for an upload")));
	for (int i = 0; i < RANDOM_BYTES; i++)
		snprintf(put->upload + 2 * i, 3, "%02x", bytes[i]);
	put->base.write = put_write;
	put->base.finish = put_finish;
	put->base.abort = put_abort;
	put->azure = (DpAzure *) store;
	put->cxt = cxt;
	put->request_cxt = AllocSetContextCreate(cxt, "dynpipe azure request", ALLOCSET_DEFAULT_SIZES);
	put->key = MemoryContextStrdup(cxt, key);
	put->content_type = content_type != NULL ? MemoryContextStrdup(cxt, content_type) : NULL;
	put->block = MemoryContextAlloc(cxt, BLOCK_SIZE);
	return &put->base;
}

/* A full block is kept until more comes: the last one may be the only one. */
static void
put_write(DpPut *base, const char *buf, Size len)
{
	AzurePut   *put = (AzurePut *) base;

	Assert(put->block != NULL);
	while (len > 0)
	{
		Size		n;

		if (put->used == BLOCK_SIZE)
			send_block(put);
		n = Min(len, BLOCK_SIZE - put->used);
		memcpy(put->block + put->used, buf, n);
		put->used += n;
		buf += n;
		len -= n;
	}
}

static void
put_finish(DpPut *base)
{
	AzurePut   *put = (AzurePut *) base;

	Assert(put->block != NULL);
	if (put->blocks == 0)
		send_blob(put);
	else
	{
		if (put->used > 0)
			send_block(put);
		send_list(put);
	}
	put_abort(base);
}

/* Gives the buffer back; also called after finish. */
static void
put_abort(DpPut *base)
{
	AzurePut   *put = (AzurePut *) base;

	if (put->block != NULL)
		pfree(put->block);
	put->block = NULL;
}

static void
send_block(AzurePut *put)
{
	MemoryContext old = MemoryContextSwitchTo(put->request_cxt);
	char	   *query;
	DpHttpRequest *request;

	if (put->blocks == MAX_BLOCKS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("object \"%s\" is too large for Azure storage", put->key),
				 errdetail("One object holds at most %d blocks of %d MB.",
						   MAX_BLOCKS, BLOCK_SIZE / (1024 * 1024)),
				 errhint("Write several objects.")));
	query = psprintf("blockid=%s&comp=block",
					 dp_http_escape(block_id(put, put->blocks), false));
	request = dp_azure_request(put->azure, "PUT", put->key, query);
	request->headers = lappend(request->headers, "Content-Type: application/octet-stream");
	request->body = put->block;
	request->body_len = put->used;
	expect_created(put, request);
	put->blocks++;
	put->used = 0;
	MemoryContextSwitchTo(old);
	MemoryContextReset(put->request_cxt);
}

static void
send_blob(AzurePut *put)
{
	MemoryContext old = MemoryContextSwitchTo(put->request_cxt);
	DpHttpRequest *request = dp_azure_request(put->azure, "PUT", put->key, NULL);

	request->headers = lappend(request->headers, "Content-Type: application/octet-stream");
	request->headers = lappend(request->headers, "x-ms-blob-type: BlockBlob");
	add_type(put, request);
	request->body = put->block;
	request->body_len = put->used;
	expect_created(put, request);
	MemoryContextSwitchTo(old);
	MemoryContextReset(put->request_cxt);
}

static void
send_list(AzurePut *put)
{
	MemoryContext old = MemoryContextSwitchTo(put->request_cxt);
	DpHttpRequest *request = dp_azure_request(put->azure, "PUT", put->key, "comp=blocklist");
	StringInfoData xml;

	initStringInfo(&xml);
	appendStringInfoString(&xml, "<?xml version=\"1.0\" encoding=\"utf-8\"?><BlockList>");
	for (int i = 0; i < put->blocks; i++)
		appendStringInfo(&xml, "<Latest>%s</Latest>", block_id(put, i));
	appendStringInfoString(&xml, "</BlockList>");
	request->headers = lappend(request->headers, "Content-Type: application/xml");
	add_type(put, request);
	request->body = xml.data;
	request->body_len = xml.len;
	expect_created(put, request);
	MemoryContextSwitchTo(old);
	MemoryContextReset(put->request_cxt);
}

static void
add_type(AzurePut *put, DpHttpRequest *request)
{
	if (put->content_type != NULL)
		request->headers = lappend(request->headers,
								   psprintf("x-ms-blob-content-type: %s", put->content_type));
}

static void
expect_created(AzurePut *put, DpHttpRequest *request)
{
	DpHttpResponse response;

	dp_azure_call(put->azure, request, &response);
	if (response.status != 201)
		dp_azure_raise(put->azure, request, &response);
}

static char *
block_id(const AzurePut *put, int n)
{
	char		id[ID_LEN + 1];
	int			size = pg_b64_enc_len(ID_LEN) + 1;
	char	   *text = palloc(size);
	int			len;

	snprintf(id, sizeof(id), "%s%08d", put->upload, n);
	/* void *: bytes are char until 17 and unsigned char from 18 on */
	len = pg_b64_encode((void *) id, ID_LEN, text, size);
	text[len] = '\0';
	return text;
}
