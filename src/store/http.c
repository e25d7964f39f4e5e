/*
 * http.c
 *	  Whole exchanges, and what a failed one means.
 *
 * A call runs in a memory context of its own; the response is copied into the
 * caller's.
 */
#include "dynpipe.h"

#include "store/http_private.h"
#include "utils/datetime.h"
#include "utils/memutils.h"

#define MAX_RESPONSE	(16 * 1024 * 1024)
#define MAX_QUOTED		300		/* bytes of a service's own words */

/* What a status means to us. */
typedef struct Meaning
{
	int			sqlstate;
	const char *message;		/* with one %s: what was asked for */
	const char *hint;
} Meaning;

static List *copy_texts(List *texts);
static const Meaning *meaning_of(int status);
static bool may_hold_secret(const char *text);
static char *describe(const DpHttpResponse *response, const char *code, const char *text);
static void append_clean(StringInfo buf, const char *text);

void
dp_http_call(DpHttp *http, DpHttpRequest *request, DpHttpResponse *response)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt = AllocSetContextCreate(caller, "dynpipe http call", ALLOCSET_SMALL_SIZES);
	DpHttpResponse found;
	DpTries		tries = {0};

	MemoryContextSwitchTo(cxt);
	for (;;)
	{
		DpTransfer *transfer = dp_http_begin(http, request, NIL, &tries);

		if (dp_http_finish(transfer, request, &found))
		{
			dp_transfer_end(transfer);
			break;
		}
		dp_tries_failed(&tries, request, transfer);
	}
	request->attempt_headers = NIL;
	MemoryContextSwitchTo(caller);
	response->status = found.status;
	response->headers = copy_texts(found.headers);
	initStringInfo(&response->body);
	appendBinaryStringInfo(&response->body, found.body.data, found.body.len);
	MemoryContextDelete(cxt);
}

bool
dp_http_finish(DpTransfer *transfer, const DpHttpRequest *request, DpHttpResponse *response)
{
	int			max = request->max_response > 0 ? request->max_response : MAX_RESPONSE;
	char		chunk[8192];
	Size		n;

	response->status = dp_transfer_status(transfer);
	response->headers = dp_transfer_headers(transfer);
	initStringInfo(&response->body);
	while ((n = dp_transfer_read(transfer, chunk, sizeof(chunk))) > 0)
	{
		if (response->body.len + n > max)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("the answer for \"%s\" is longer than %d bytes", request->what, max)));
		appendBinaryStringInfo(&response->body, chunk, n);
	}
	return dp_transfer_outcome(transfer) == DP_OUTCOME_DONE;
}

static List *
copy_texts(List *texts)
{
	List	   *copy = NIL;
	ListCell   *lc;

	foreach(lc, texts)
		copy = lappend(copy, pstrdup(lfirst(lc)));
	return copy;
}

const char *
dp_http_header(const DpHttpResponse *response, const char *name)
{
	Size		len = strlen(name);
	ListCell   *lc;

	foreach(lc, response->headers)
	{
		const char *header = lfirst(lc);

		if (strncmp(header, name, len) == 0 && strncmp(header + len, ": ", 2) == 0)
			return header + len + 2;
	}
	return NULL;
}

int64
dp_http_time(const char *text)
{
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	char		name[4];
	int			year;
	int			month;
	int			day;
	int			hour;
	int			minute;
	int			second;
	int			ms = 0;
	const char *found;

	if (text == NULL)
		return -1;
	if (sscanf(text, "%*3s, %2d %3s %4d %2d:%2d:%2d GMT", &day, name, &year,
			   &hour, &minute, &second) == 6)
	{
		found = strstr(months, name);
		if (found == NULL || strlen(name) != 3)
			return -1;
		month = (found - months) / 3 + 1;
	}
	else if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d.%3dZ", &year, &month, &day,
					&hour, &minute, &second, &ms) < 6)
		return -1;
	if (year < 1970 || month < 1 || month > 12 || day < 1 || day > 31 ||
		hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60 || ms < 0)
		return -1;
	return ((int64) (date2j(year, month, day) - UNIX_EPOCH_JDATE) * 86400 +
			hour * 3600 + minute * 60 + second) * 1000 + ms;
}

char *
dp_http_escape(const char *text, bool keep_slash)
{
	static const char digits[] = "0123456789ABCDEF";
	StringInfoData buf;

	initStringInfo(&buf);
	for (const unsigned char *at = (const unsigned char *) text; *at != '\0'; at++)
	{
		if ((*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') ||
			(*at >= '0' && *at <= '9') || strchr("-._~", *at) != NULL ||
			(*at == '/' && keep_slash))
			appendStringInfoChar(&buf, *at);
		else
			appendStringInfo(&buf, "%%%c%c", digits[*at >> 4], digits[*at & 15]);
	}
	return buf.data;
}

void
dp_http_raise(const DpHttpRequest *request, const DpHttpResponse *response,
			  const char *code, const char *text, const char *hint)
{
	const Meaning *meaning = meaning_of(response->status);

	ereport(ERROR,
			(errcode(meaning->sqlstate),
			 errmsg(meaning->message, request->what),
			 errdetail_internal("%s", describe(response, code, text)),
			 errhint("%s", hint != NULL ? hint : meaning->hint)));
	pg_unreachable();
}

static const Meaning *
meaning_of(int status)
{
	static const Meaning refused = {
		ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, "access to \"%s\" was refused",
		"Check the credentials in the user mapping, and what they may do."
	};
	static const Meaning absent = {
		ERRCODE_UNDEFINED_FILE, "\"%s\" does not exist",
		"Check the name, letter by letter, and that the credentials may see it."
	};
	static const Meaning changed = {
		ERRCODE_OBJECT_IN_USE, "\"%s\" changed while it was read",
		"It is read anew with the next run."
	};
	static const Meaning busy = {
		ERRCODE_CONNECTION_FAILURE, "the service is too busy for \"%s\"",
		"Try again later, or with fewer workers."
	};
	static const Meaning failed = {
		ERRCODE_CONNECTION_FAILURE, "the service failed for \"%s\"",
		"Try again later; the failure is on the side of the service."
	};
	static const Meaning other = {
		ERRCODE_FDW_ERROR, "the service did not accept the request for \"%s\"",
		"Check the address and the options of the connection's server."
	};

	switch (status)
	{
		case 401:
		case 403:
			return &refused;
		case 404:
		case 410:
			return &absent;
		case 412:
		case 416:
			return &changed;
		case 408:
		case 429:
		case 503:
			return &busy;
		default:
			return status >= 500 ? &failed : &other;
	}
}

/* A service, or somebody between, may repeat what we sent: credentials and signatures too. */
static bool
may_hold_secret(const char *text)
{
	static const char *const marks[] = {
		"sig=", "signature", "bearer", "sharedkey", "credential", "authorization", "token", "secret"
	};

	for (int i = 0; i < lengthof(marks); i++)
		if (strcasestr(text, marks[i]) != NULL)
			return true;
	return false;
}

/* "Status 403, AccessDenied: Access Denied": the service's words made harmless. */
static char *
describe(const DpHttpResponse *response, const char *code, const char *text)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "The service answered with status %d", response->status);
	if (code != NULL && *code != '\0')
	{
		appendStringInfoString(&buf, ", ");
		append_clean(&buf, code);
	}
	if (text != NULL && *text != '\0' && !may_hold_secret(text))
	{
		appendStringInfoString(&buf, ": ");
		append_clean(&buf, text);
	}
	if (buf.data[buf.len - 1] != '.')
		appendStringInfoChar(&buf, '.');
	return buf.data;
}

/* A stranger's text: cut, one line, characters that every encoding has. */
static void
append_clean(StringInfo buf, const char *text)
{
	int			len = 0;

	for (; *text != '\0' && len < MAX_QUOTED; text++, len++)
	{
		if ((unsigned char) *text >= 0x80)
			appendStringInfoChar(buf, '?');
		else
			appendStringInfoChar(buf, (unsigned char) *text < 0x20 || *text == 0x7f ? ' ' : *text);
	}
}
