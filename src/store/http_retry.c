/*
 * http_retry.c
 *	  From one try to an answer: tries, backoff, redirects.
 *
 * A try fails by the network or by an answer that asks for patience (408, 429,
 * 500, 502, 503, 504).  Waits double and are jittered, so that many workers do
 * not come back together; Retry-After is honoured up to MAX_RETRY_AFTER_S.
 * Redirects are followed within the same scheme, host and port only, and never
 * for signed requests: a signature must not travel.
 */
#include "dynpipe.h"

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "storage/latch.h"
#include "store/http_private.h"
#include "utils/memutils.h"

#define FIRST_WAIT_MS		200
#define MAX_WAIT_MS			8000
#define MAX_RETRY_AFTER_S	20
#define MAX_REDIRECTS		5

static DpTransfer *try_once(DpHttp *http, DpHttpRequest *request, const char *url, List *extra);
static void check_url(const DpHttpRequest *request, const char *url);
static bool asks_for_patience(int status);
static int	retry_after(List *headers);
static const char *header(List *headers, const char *name);
static char *redirect_target(const DpHttpRequest *request, const char *url,
							 const DpTransfer *transfer);
static void nap(int ms);
static void raise_failure(const DpHttpRequest *request, const DpTransfer *transfer, int tries)
			pg_attribute_noreturn();

DpTransfer *
dp_http_begin(DpHttp *http, DpHttpRequest *request, List *extra, DpTries *tries)
{
	const char *url = request->url;
	int			redirects = 0;

	for (;;)
	{
		DpTransfer *transfer = try_once(http, request, url, extra);
		DpOutcome	outcome = dp_transfer_outcome(transfer);
		int			wait_ms;
		char	   *target;

		if (outcome != DP_OUTCOME_NONE && outcome != DP_OUTCOME_DONE)
		{
			dp_tries_failed(tries, request, transfer);
			continue;
		}
		if (asks_for_patience(dp_transfer_status(transfer)) &&
			dp_tries_next(tries, request, retry_after(dp_transfer_headers(transfer)), &wait_ms))
		{
			dp_transfer_end(transfer);
			nap(wait_ms);
			continue;
		}
		target = redirect_target(request, url, transfer);
		if (target == NULL)
			return transfer;
		dp_transfer_end(transfer);
		if (++redirects > MAX_REDIRECTS)
			ereport(ERROR,
					(errcode(ERRCODE_CONNECTION_FAILURE),
					 errmsg("too many redirects for \"%s\"", request->what),
					 errhint("Use the address that they lead to.")));
		url = target;
	}
}

static DpTransfer *
try_once(DpHttp *http, DpHttpRequest *request, const char *url, List *extra)
{
	DpTransfer *transfer;

	check_url(request, url);
	request->attempt_headers = list_copy(extra);
	if (request->sign != NULL)
		request->sign(request, request->sign_arg);
	transfer = dp_transfer_start(http, request, url);
	dp_transfer_await(transfer);
	return transfer;
}

/* The gate's first look, before any name is looked up. */
static void
check_url(const DpHttpRequest *request, const char *url)
{
	DpUrl		parts;

	if (!dp_url_parse(url, &parts))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("\"%s\" is not a URL that can be used", request->what)));
	if (parts.userinfo)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a URL must not carry a user name or a password"),
				 errhint("Put credentials in a user mapping of the connection's server.")));
	if (request->metadata && dp_guard_is_metadata(parts.host))
		return;
	if (strcmp(parts.scheme, "https") != 0 &&
		!(request->plain && strcmp(parts.scheme, "http") == 0))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("\"%s\" is not reached by https", request->what),
				 errhint("Use an https:// address.")));
	dp_guard_check_host(parts.host, parts.port, request->what);
}

static bool
asks_for_patience(int status)
{
	return status == 408 || status == 429 || status == 500 || status == 502 ||
		status == 503 || status == 504;
}

/* Seconds; 0 when it is not said as a number. */
static int
retry_after(List *headers)
{
	const char *value = header(headers, "retry-after");

	return value != NULL && *value >= '0' && *value <= '9' ? Min(atoi(value), 3600) : 0;
}

static const char *
header(List *headers, const char *name)
{
	DpHttpResponse response = {.headers = headers};

	return dp_http_header(&response, name);
}

/* Where TRANSFER's answer sends us; NULL: it is no redirect that we follow. */
static char *
redirect_target(const DpHttpRequest *request, const char *url, const DpTransfer *transfer)
{
	int			status = dp_transfer_status(transfer);
	bool		reads = strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
	const char *location;
	char	   *target;
	DpUrl		from;
	DpUrl		to;

	if (!reads || request->sigv4 != NULL || request->sign != NULL ||
		(status != 301 && status != 302 && status != 303 && status != 307 && status != 308))
		return NULL;
	location = header(dp_transfer_headers(transfer), "location");
	if (location == NULL)
		return NULL;
	target = dp_url_join(url, location);
	if (target == NULL || !dp_url_parse(target, &to) || !dp_url_parse(url, &from))
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("\"%s\" was redirected to something that is not a URL", request->what)));
	if (strcmp(from.scheme, to.scheme) != 0 || pg_strcasecmp(from.host, to.host) != 0 ||
		from.port != to.port)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("\"%s\" was redirected to another host", request->what),
				 errdetail("It leads to %.20s host \"%.100s\". Nothing was sent there.",
						   to.scheme, to.host),
				 errhint("Use the address that it leads to, if that is where you want to read.")));
	return target;
}

bool
dp_tries_next(DpTries *tries, const DpHttpRequest *request, int retry_after_s, int *wait_ms)
{
	int64		now = dp_http_now_ms();
	int			wait;

	if (tries->failed++ == 0)
		tries->since_ms = now;
	wait = Min(FIRST_WAIT_MS << Min(tries->failed, 6), MAX_WAIT_MS);
	wait = wait / 2 + (int) (pg_prng_double(&pg_global_prng_state) * (wait / 2));
	wait = Max(wait, Min(retry_after_s, MAX_RETRY_AFTER_S) * 1000);
	*wait_ms = wait;
	return !request->once && tries->failed < DP_HTTP_TRIES &&
		now - tries->since_ms + wait < DP_HTTP_PATIENCE_MS;
}

void
dp_tries_failed(DpTries *tries, const DpHttpRequest *request, DpTransfer *transfer)
{
	int			wait_ms;

	if (dp_transfer_outcome(transfer) != DP_OUTCOME_LOST ||
		!dp_tries_next(tries, request, 0, &wait_ms))
		raise_failure(request, transfer, Max(tries->failed, 1));
	dp_transfer_end(transfer);
	nap(wait_ms);
}

static void
nap(int ms)
{
	int64		until = dp_http_now_ms() + ms;
	int64		left;

	while ((left = until - dp_http_now_ms()) > 0)
	{
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, left,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
raise_failure(const DpHttpRequest *request, const DpTransfer *transfer, int tries)
{
	DpUrl		parts;

	switch (dp_transfer_outcome(transfer))
	{
		case DP_OUTCOME_REFUSED:
			dp_url_parse(request->url, &parts);
			dp_guard_raise_address(parts.host, request->what);
		case DP_OUTCOME_UNTRUSTED:
			ereport(ERROR,
					(errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
					 errmsg("the certificate for \"%s\" cannot be trusted", request->what),
					 errdetail_internal("%s", dp_transfer_error(transfer)),
					 errhint("If a private authority signed it, name its certificate in the "
							 "server's option ssl_ca_file, or in the setting "
							 "dynpipe.ssl_ca_file.")));
			break;
		case DP_OUTCOME_BROKEN:
			ereport(ERROR,
					(errcode(ERRCODE_PROTOCOL_VIOLATION),
					 errmsg("the answer for \"%s\" makes no sense", request->what),
					 errdetail_internal("%s", dp_transfer_error(transfer))));
			break;
		default:
			ereport(ERROR,
					(errcode(ERRCODE_CONNECTION_FAILURE),
					 errmsg("could not reach \"%s\"", request->what),
					 errdetail_internal("%s", dp_transfer_error(transfer)),
					 errhint("It was tried %d times. Check the network between the database server "
							 "and this host.", tries)));
	}
	pg_unreachable();
}
