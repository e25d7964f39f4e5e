/*
 * s3_list.c
 *	  Listings of a bucket: ListObjectsV2, 1,000 keys a page.
 *
 * The state between pages is the service's continuation token.  Keys come as
 * XML text, with references for what XML cannot hold; XML is read leniently
 * (xml.c), so such keys arrive as they are.
 */
#include "dynpipe.h"

#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "store/s3.h"
#include "utils/memutils.h"

static char *make_query(const char *prefix, bool flat, const char *token);
static DpObject *read_object(const char *xml);
static const char *first(const char *xml, Size len, const char *tag);
static char *from_service(const char *text);

List *
dp_s3_list(DpStore *store, const char *prefix, bool flat, char **state)
{
	DpS3	   *s3 = (DpS3 *) store;
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt = AllocSetContextCreate(caller, "dynpipe s3 listing",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext item = AllocSetContextCreate(cxt, "dynpipe s3 key", ALLOCSET_SMALL_SIZES);
	DpHttpRequest *request;
	DpHttpResponse response;
	List	   *objects = NIL;
	const char *more;
	const char *next;
	char	   *token = NULL;
	ListCell   *lc;

	MemoryContextSwitchTo(cxt);
	request = dp_s3_request(s3, "GET", NULL, make_query(prefix, flat, *state));
	dp_http_call(s3->http, request, &response);
	if (response.status != 200)
		dp_s3_raise(request, &response);
	foreach(lc, dp_xml_elements(response.body.data, response.body.len, "Contents"))
	{
		DpObject   *found;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(item);
		found = read_object(lfirst(lc));
		MemoryContextSwitchTo(caller);
		if (found != NULL)
		{
			DpObject   *object = palloc(sizeof(DpObject));

			*object = *found;
			object->key = pstrdup(found->key);
			object->version = pstrdup(found->version);
			objects = lappend(objects, object);
		}
		MemoryContextReset(item);
	}
	MemoryContextSwitchTo(cxt);
	more = first(response.body.data, response.body.len, "IsTruncated");
	next = first(response.body.data, response.body.len, "NextContinuationToken");
	if (more != NULL && strcmp(more, "true") == 0)
	{
		if (next == NULL || *next == '\0' || (*state != NULL && strcmp(next, *state) == 0))
			ereport(ERROR,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("the listing of \"%s\" does not go on", request->what)));
		token = MemoryContextStrdup(caller, next);
	}
	*state = token;
	MemoryContextSwitchTo(caller);
	MemoryContextDelete(cxt);
	return objects;
}

/* Parts in order of their names, as the signature wants them. */
static char *
make_query(const char *prefix, bool flat, const char *token)
{
	StringInfoData query;

	initStringInfo(&query);
	if (token != NULL)
		appendStringInfo(&query, "continuation-token=%s&", dp_http_escape(token, false));
	if (flat)
		appendStringInfoString(&query, "delimiter=%2F&");
	appendStringInfoString(&query, "list-type=2");
	if (prefix != NULL && *prefix != '\0')
	{
		if (GetDatabaseEncoding() != PG_UTF8)
			prefix = pg_server_to_any(prefix, strlen(prefix), PG_UTF8);
		appendStringInfo(&query, "&prefix=%s", dp_http_escape(prefix, false));
	}
	return query.data;
}

/* NULL: it says no key or no size. */
static DpObject *
read_object(const char *xml)
{
	Size		len = strlen(xml);
	const char *key = first(xml, len, "Key");
	const char *size = first(xml, len, "Size");
	DpObject   *object = palloc0(sizeof(DpObject));

	if (key == NULL || *key == '\0' || size == NULL || *size < '0' || *size > '9')
		return NULL;
	object->key = from_service(key);
	object->size = strtoll(size, NULL, 10);
	object->modified_ms = dp_http_time(first(xml, len, "LastModified"));
	object->version = dp_s3_version(first(xml, len, "ETag"), object->modified_ms, object->size);
	return object;
}

static const char *
first(const char *xml, Size len, const char *tag)
{
	List	   *texts = dp_xml_texts(xml, len, tag);

	return texts != NIL ? linitial(texts) : NULL;
}

/* What is no UTF-8 stays as it is: whoever looks at keys leaves it out. */
static char *
from_service(const char *text)
{
	if (GetDatabaseEncoding() == PG_UTF8 ||
		!pg_verify_mbstr(PG_UTF8, text, strlen(text), true))
		return pstrdup(text);
	return pg_any_to_server(text, strlen(text), PG_UTF8);
}
