/*
 * azure_sign.c
 *	  What proves who we are: the headers of each attempt, or the query.
 *
 *	  account key   Authorization: SharedKey ACCOUNT:HMAC-SHA256(text to sign)
 *	  SAS           nothing here: it is part of every URL from the start
 *	  tokens        Authorization: Bearer TOKEN
 *
 * The text to sign is made of the method, some headers, all headers that begin
 * with x-ms-, the path as it is sent and the decoded query.  The date is part
 * of it, and the range of a resumed read, hence once per attempt.
 */
#include "dynpipe.h"

#include <time.h>

#include "common/base64.h"
#include "common/hmac.h"
#include "common/sha2.h"
#include "pgtime.h"
#include "store/azure.h"
#include "utils/builtins.h"
#include "utils/formatting.h"

typedef struct Field
{
	char	   *name;			/* in lower case */
	char	   *value;
} Field;

static void take_key(DpAzure *azure, const char *text);
static void take_sas(DpAzure *azure, const char *text);
static char *http_date(void);
static char *signature(const DpAzure *azure, const DpHttpRequest *request);
static char *text_to_sign(const DpAzure *azure, const DpHttpRequest *request);
static List *read_headers(List *fields, List *headers);
static const char *value_of(List *fields, const char *name);
static void add_resource(StringInfo text, const DpAzure *azure, const char *url);
static List *read_query(const char *query);
static char *decode(const char *text, Size len);
static int	compare_names(const ListCell *a, const ListCell *b);

void
dp_azure_take_secrets(DpAzure *azure)
{
	azure->auth = azure->conn != NULL ? dp_azure_auth(azure->conn) : DP_AZURE_ANONYMOUS;
	if (azure->auth == DP_AZURE_ACCOUNT_KEY)
		take_key(azure, dp_connection_get(azure->conn, "account_key"));
	else if (azure->auth == DP_AZURE_SAS)
		take_sas(azure, dp_connection_get(azure->conn, "sas_token"));
}

static void
take_key(DpAzure *azure, const char *text)
{
	int			len = strlen(text);
	int			room = pg_b64_dec_len(len);

	azure->key = palloc(room + 1);
	/* void *: bytes are char until 17 and unsigned char from 18 on */
	azure->key_len = pg_b64_decode(text, len, (void *) azure->key, room);
	if (azure->key_len > 0)
		return;
	azure->key_len = 0;
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("the account key of server \"%s\" is not base64", azure->conn->server),
			 errhint("Copy it whole from the portal: the storage account, Access keys, Key.")));
}

/* The query of a URL, with or without the '?': nothing in it may end or change that URL. */
static void
take_sas(DpAzure *azure, const char *text)
{
	text += *text == '?' ? 1 : 0;
	if (text[strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
					"-._~%=&+:/,;")] == '\0' &&
		(strncmp(text, "sig=", 4) == 0 || strstr(text, "&sig=") != NULL))
	{
		azure->sas = pstrdup(text);
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
			 errmsg("the SAS token of server \"%s\" is not one", azure->conn->server),
			 errhint("Copy the token alone, as in \"sv=...&sp=rl&se=...&sig=...\", "
					 "not the URL in front of it and not a connection string.")));
}

void
dp_azure_sign(DpHttpRequest *request, void *arg)
{
	DpAzure    *azure = arg;
	char	   *header = NULL;

	request->attempt_headers = lappend(request->attempt_headers,
									   psprintf("x-ms-date: %s", http_date()));
	if (azure->auth == DP_AZURE_ACCOUNT_KEY)
		header = psprintf("Authorization: SharedKey %s:%s", azure->place.account,
						  signature(azure, request));
	else if (dp_azure_uses_tokens(azure))
		header = psprintf("Authorization: Bearer %s", dp_azure_token(azure));
	if (header != NULL)
		request->attempt_headers = lappend(request->attempt_headers, header);
}

/* Now, as in "Wed, 09 Sep 2009 09:20:02 GMT", whatever the locale is. */
static char *
http_date(void)
{
	static const char *const days[] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
	static const char *const months[] = {
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"
	};
	pg_time_t	now = (pg_time_t) time(NULL);
	struct pg_tm *tm = pg_gmtime(&now);

	return psprintf("%s, %02d %s %04d %02d:%02d:%02d GMT", days[tm->tm_wday], tm->tm_mday,
					months[tm->tm_mon], tm->tm_year + 1900, tm->tm_hour, tm->tm_min, tm->tm_sec);
}

static char *
signature(const DpAzure *azure, const DpHttpRequest *request)
{
	char	   *text = text_to_sign(azure, request);
	uint8		digest[PG_SHA256_DIGEST_LENGTH];
	int			size = pg_b64_enc_len(sizeof(digest)) + 1;
	char	   *result = palloc(size);
	pg_hmac_ctx *hmac = pg_hmac_create(PG_SHA256);
	bool		done;
	int			len;

	done = hmac != NULL &&
		pg_hmac_init(hmac, (const uint8 *) azure->key, azure->key_len) >= 0 &&
		pg_hmac_update(hmac, (const uint8 *) text, strlen(text)) >= 0 &&
		pg_hmac_final(hmac, digest, sizeof(digest)) >= 0;
	pg_hmac_free(hmac);
	if (!done)
		ereport(ERROR,
				(errcode(ERRCODE_INTERNAL_ERROR),
				 errmsg("could not compute the signature of a request to Azure storage")));
	len = pg_b64_encode((void *) digest, sizeof(digest), result, size);
	result[len] = '\0';
	return result;
}

static char *
text_to_sign(const DpAzure *azure, const DpHttpRequest *request)
{
	static const char *const signed_headers[] = {
		"content-encoding", "content-language", "content-length", "content-md5", "content-type",
		"date", "if-modified-since", "if-match", "if-none-match", "if-unmodified-since", "range"
	};
	List	   *fields = read_headers(read_headers(NIL, request->headers),
									  request->attempt_headers);
	StringInfoData text;
	ListCell   *lc;

	initStringInfo(&text);
	appendStringInfo(&text, "%s\n", request->method);
	for (int i = 0; i < lengthof(signed_headers); i++)
		if (strcmp(signed_headers[i], "content-length") == 0)
			appendStringInfo(&text, "%s\n", request->body_len > 0 ?
							 psprintf("%zu", request->body_len) : "");
		else
			appendStringInfo(&text, "%s\n", value_of(fields, signed_headers[i]));
	list_sort(fields, compare_names);
	foreach(lc, fields)
	{
		Field	   *field = lfirst(lc);

		if (strncmp(field->name, "x-ms-", 5) == 0)
			appendStringInfo(&text, "%s:%s\n", field->name, field->value);
	}
	add_resource(&text, azure, request->url);
	return text.data;
}

/* Add the fields of HEADERS ("Name: value") to FIELDS. */
static List *
read_headers(List *fields, List *headers)
{
	ListCell   *lc;

	foreach(lc, headers)
	{
		const char *header = lfirst(lc);
		const char *colon = strchr(header, ':');
		Field	   *field;

		if (colon == NULL)
			continue;
		field = palloc(sizeof(Field));
		field->name = asc_tolower(header, colon - header);
		field->value = pstrdup(colon + 1 + strspn(colon + 1, " \t"));
		fields = lappend(fields, field);
	}
	return fields;
}

static const char *
value_of(List *fields, const char *name)
{
	ListCell   *lc;

	foreach(lc, fields)
		if (strcmp(((Field *) lfirst(lc))->name, name) == 0)
			return ((Field *) lfirst(lc))->value;
	return "";
}

/* /ACCOUNT and the path as sent, then each parameter of the query on a line. */
static void
add_resource(StringInfo text, const DpAzure *azure, const char *url)
{
	const char *path = strchr(strstr(url, "://") + 3, '/');
	Size		len = strcspn(path, "?");
	List	   *fields = path[len] == '?' ? read_query(path + len + 1) : NIL;
	ListCell   *lc;

	appendStringInfo(text, "/%s%.*s", azure->place.account, (int) len, path);
	list_sort(fields, compare_names);
	foreach(lc, fields)
		appendStringInfo(text, "\n%s:%s", ((Field *) lfirst(lc))->name,
						 ((Field *) lfirst(lc))->value);
}

static List *
read_query(const char *query)
{
	List	   *fields = NIL;

	while (*query != '\0')
	{
		Size		len = strcspn(query, "&");
		const char *eq = memchr(query, '=', len);
		Size		name_len = eq != NULL ? eq - query : len;
		Field	   *field = palloc(sizeof(Field));

		field->name = asc_tolower(query, name_len);
		field->value = eq != NULL ? decode(eq + 1, len - name_len - 1) : pstrdup("");
		fields = lappend(fields, field);
		query += len + (query[len] == '&' ? 1 : 0);
	}
	return fields;
}

/* TEXT without the percent-encoding that dp_http_escape gave it. */
static char *
decode(const char *text, Size len)
{
	char	   *result = palloc(len + 1);
	char	   *to = result;

	for (Size i = 0; i < len; i++)
	{
		char		hex[3] = {0};

		if (text[i] != '%' || len - i < 3)
		{
			*to++ = text[i];
			continue;
		}
		memcpy(hex, text + i + 1, 2);
		*to++ = (char) strtol(hex, NULL, 16);
		i += 2;
	}
	*to = '\0';
	return result;
}

static int
compare_names(const ListCell *a, const ListCell *b)
{
	return strcmp(((Field *) lfirst(a))->name, ((Field *) lfirst(b))->name);
}
