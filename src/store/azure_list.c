/*
 * azure_list.c
 *	  Listings of a container, one page a call.
 *
 *	  List Blobs --> XML of at most 2,000 blobs --> DpObjects and the marker of
 *	  the next page, in the caller's context
 *
 * Metadata are asked for because they tell the folders that Hadoop writes from
 * files.  Whoever may write a blob chooses the names of its metadata, so tags
 * are only looked for in the part of the answer where they belong.
 */
#include "dynpipe.h"

#include "miscadmin.h"
#include "store/azure.h"
#include "utils/memutils.h"

#define PAGE_ROWS	"2000"				/* the service's own limit is 5000 */
#define MAX_PAGE	(32 * 1024 * 1024)	/* bytes of XML, names and metadata of any length */

static char *make_query(const char *prefix, bool flat, const char *marker);
static DpObject *read_blob(const char *blob, MemoryContext cxt);
static bool is_folder(const char *properties, const char *blob);
static char *read_name(const char *blob);
static int	hex_value(char c);
static const char *first(const char *xml, const char *tag);
static const char *first_element(const char *xml, const char *tag);

List *
dp_azure_list(DpStore *store, const char *prefix, bool flat, char **state)
{
	DpAzure    *azure = (DpAzure *) store;
	MemoryContext cxt = CurrentMemoryContext;
	MemoryContext page = AllocSetContextCreate(cxt, "dynpipe azure listing",
											   ALLOCSET_DEFAULT_SIZES);
	DpHttpRequest *request;
	DpHttpResponse response;
	List	   *markers;
	List	   *objects = NIL;
	ListCell   *lc;

	MemoryContextSwitchTo(page);
	request = dp_azure_request(azure, "GET", NULL, make_query(prefix, flat, *state));
	request->max_response = MAX_PAGE;
	dp_azure_call(azure, request, &response);
	if (response.status != 200)
		dp_azure_raise(azure, request, &response);
	foreach(lc, dp_xml_elements(response.body.data, response.body.len, "Blob"))
	{
		DpObject   *object = read_blob(lfirst(lc), cxt);

		CHECK_FOR_INTERRUPTS();
		if (object == NULL)
			continue;
		MemoryContextSwitchTo(cxt);
		objects = lappend(objects, object);
		MemoryContextSwitchTo(page);
	}
	/* The marker stands behind the blobs; a blob's own metadata cannot come after it. */
	markers = dp_xml_texts(response.body.data, response.body.len, "NextMarker");
	*state = markers == NIL || *(char *) llast(markers) == '\0' ? NULL :
		MemoryContextStrdup(cxt, llast(markers));
	MemoryContextSwitchTo(cxt);
	MemoryContextDelete(page);
	return objects;
}

static char *
make_query(const char *prefix, bool flat, const char *marker)
{
	StringInfoData query;

	initStringInfo(&query);
	appendStringInfoString(&query, "comp=list&include=metadata&maxresults=" PAGE_ROWS "&restype=container");
	if (flat)
		appendStringInfoString(&query, "&delimiter=%2F");
	if (prefix != NULL && *prefix != '\0')
		appendStringInfo(&query, "&prefix=%s", dp_http_escape(prefix, false));
	if (marker != NULL)
		appendStringInfo(&query, "&marker=%s", dp_http_escape(marker, false));
	return query.data;
}

/* The object in CXT; NULL when it is a folder. */
static DpObject *
read_blob(const char *blob, MemoryContext cxt)
{
	char	   *name = read_name(blob);
	const char *properties = first_element(blob, "Properties");
	const char *size;
	const char *etag;
	MemoryContext old;
	DpObject   *object;

	if (name == NULL || properties == NULL || is_folder(properties, blob))
		return NULL;
	size = first(properties, "Content-Length");
	etag = first(properties, "Etag");
	old = MemoryContextSwitchTo(cxt);
	object = palloc(sizeof(DpObject));
	object->key = pstrdup(name);
	object->size = size != NULL ? strtoll(size, NULL, 10) : -1;
	object->version = dp_azure_etag(etag);
	MemoryContextSwitchTo(old);
	object->modified_ms = dp_azure_time(first(properties, "Last-Modified"));
	return object;
}

static bool
is_folder(const char *properties, const char *blob)
{
	const char *type = first(properties, "ResourceType");
	const char *metadata = first_element(blob, "Metadata");
	const char *mark = metadata != NULL ? first(metadata, "hdi_isfolder") : NULL;

	return (type != NULL && pg_strcasecmp(type, "directory") == 0) ||
		(mark != NULL && pg_strcasecmp(mark, "true") == 0);
}

/* The name, percent-encoded by the service where XML has no such character. */
static char *
read_name(const char *blob)
{
	const char *text = first(blob, "Name");
	const char *start = strstr(blob, "<Name");
	char	   *name;
	char	   *to;

	if (text == NULL || start == NULL)
		return NULL;
	name = to = pstrdup(text);
	if (strncmp(start, "<Name Encoded=\"true\"", 20) != 0)
		return name;
	for (const char *from = text; *from != '\0'; from++)
	{
		int			high = *from == '%' ? hex_value(from[1]) : -1;
		int			low = high >= 0 ? hex_value(from[2]) : -1;

		*to++ = low >= 0 ? (char) (high * 16 + low) : *from;
		from += low >= 0 ? 2 : 0;
	}
	*to = '\0';
	return name;
}

static int
hex_value(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static const char *
first(const char *xml, const char *tag)
{
	List	   *texts = dp_xml_texts(xml, strlen(xml), tag);

	return texts != NIL ? linitial(texts) : NULL;
}

static const char *
first_element(const char *xml, const char *tag)
{
	List	   *elements = dp_xml_elements(xml, strlen(xml), tag);

	return elements != NIL ? linitial(elements) : NULL;
}
