/*
 * http_transfer.c
 *	  One try of one request: the only file that knows libcurl.
 *
 *	  socket ─libcurl─> take_body ─> window ─> dp_transfer_read
 *	                        └── full: paused until it has been read empty
 *
 * All transfers of a DpHttp share a libcurl multi handle, which keeps their
 * connections.  The multi handle tells which sockets it waits for and how
 * long; the waiting is ours, in a wait event set with the process latch, so
 * interrupts are served at once.  Any transfer's wait drives all of them.
 *
 * libcurl's memory is malloc'ed.  A DpTransfer is too: it is freed by
 * dp_transfer_end or with the memory context it was started in, its handle by
 * the end of its DpHttp if that comes first.  Callbacks run inside libcurl:
 * they allocate by malloc, never raise, and set flags that we look at behind
 * it.  Signals are blocked meanwhile, for the threads that libcurl starts to
 * look up names would inherit the mask and could take signals that are ours.
 */
#include "dynpipe.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include "miscadmin.h"
#include "portability/instr_time.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "store/http_private.h"
#include "utils/memutils.h"

#define WINDOW			(256 * 1024)	/* of the body, waiting to be read */
#define CHUNK			(64 * 1024)		/* libcurl's buffer: the most it gives at a time */
#define MAX_HEAD		(64 * 1024)
#define MAX_EVENTS		8
#define CONNECT_MS		10000L
#define STALL_S			30L
#define BRIEF_S			5L				/* a request that is tried once */

typedef struct Socket
{
	curl_socket_t fd;
	int			what;			/* CURL_POLL_... */
} Socket;

struct DpHttp
{
	CURLM	   *multi;			/* NULL: closed */
	DpTransfer *transfers;
	WaitEventSet *set;			/* NULL: to be made from sockets */
	Socket	   *sockets;
	int			nsockets;
	int			max_sockets;
	int64		due_ms;			/* when libcurl wants to be called; -1: no time */
	MemoryContextCallback reset;
};

struct DpTransfer
{
	DpHttp	   *http;			/* NULL: it is gone, and easy with it */
	DpTransfer *next;
	CURL	   *easy;
	CURLU	   *url;
	struct curl_slist *sent;	/* headers */
	bool		metadata;
	bool		refused;		/* by the gate */
	bool		too_large;		/* the headers */
	bool		head_done;
	int			status;
	char	   *head;			/* headers of the last answer, as they came */
	Size		head_len;
	char	   *window;
	Size		start;
	Size		end;
	bool		paused;
	DpOutcome	outcome;
	char		error[CURL_ERROR_SIZE];
};

static void init_library(void);
static void block_signals(sigset_t *saved);
static void unblock_signals(const sigset_t *saved);
static void forget_http(void *arg);
static void forget_transfer(void *arg);
static void release_handle(DpTransfer *transfer);
static int	note_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socketp);
static int	note_timer(CURLM *multi, long ms, void *arg);
static bool set_options(DpTransfer *transfer, const DpHttpRequest *request);
static bool set_method(DpTransfer *transfer, const DpHttpRequest *request);
static bool set_signature(DpTransfer *transfer, const DpHttpRequest *request);
static bool add_headers(DpTransfer *transfer, List *headers);
static size_t take_head(char *data, size_t size, size_t n, void *arg);
static size_t take_body(char *data, size_t size, size_t n, void *arg);
static curl_socket_t open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address);
static int	close_socket(void *arg, curl_socket_t fd);
static void drive(DpHttp *http);
static void make_wait_set(DpHttp *http);
static void collect_ended(DpHttp *http);
static DpOutcome outcome_of(const DpTransfer *transfer, CURLcode code);
static CURLU *parse_url(const char *url);
static char *copy_part(CURLU *parsed, CURLUPart part, unsigned int flags);

/* Run STATEMENT, which calls libcurl, with signals blocked. */
#define CALL_CURL(statement) \
	do { \
		sigset_t	saved_mask; \
		block_signals(&saved_mask); \
		statement; \
		unblock_signals(&saved_mask); \
	} while (0)

int64
dp_http_now_ms(void)
{
	instr_time	now;

	INSTR_TIME_SET_CURRENT(now);
	return (int64) INSTR_TIME_GET_MILLISEC(now);
}

DpHttp *
dp_http_create(void)
{
	DpHttp	   *http = palloc0(sizeof(DpHttp));
	CURLM	   *multi;

	init_library();
	http->due_ms = -1;
	http->reset.func = forget_http;
	http->reset.arg = http;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &http->reset);
	CALL_CURL(multi = curl_multi_init());
	if (multi == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	http->multi = multi;
	curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, note_socket);
	curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, http);
	curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, note_timer);
	curl_multi_setopt(multi, CURLMOPT_TIMERDATA, http);
	curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 4L);
	curl_multi_setopt(multi, CURLMOPT_PIPELINING, (long) CURLPIPE_NOTHING);
	return http;
}

/* Once per process; the postmaster never comes here, so nothing is inherited. */
static void
init_library(void)
{
	static bool done = false;
	CURLcode	code = CURLE_OK;

	if (done)
		return;
	CALL_CURL(code = curl_global_init(CURL_GLOBAL_DEFAULT));
	if (code != CURLE_OK)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not initialize libcurl: %s", curl_easy_strerror(code))));
	done = true;
}

static void
block_signals(sigset_t *saved)
{
	static const int kept[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
	sigset_t	mask;

	sigfillset(&mask);
	for (int i = 0; i < lengthof(kept); i++)
		sigdelset(&mask, kept[i]);
	pthread_sigmask(SIG_SETMASK, &mask, saved);
}

static void
unblock_signals(const sigset_t *saved)
{
	pthread_sigmask(SIG_SETMASK, saved, NULL);
}

void
dp_http_close(DpHttp *http)
{
	if (http != NULL)
		forget_http(http);
}

static void
forget_http(void *arg)
{
	DpHttp	   *http = arg;

	if (http->multi == NULL)
		return;
	while (http->transfers != NULL)
		release_handle(http->transfers);
	CALL_CURL(curl_multi_cleanup(http->multi));
	http->multi = NULL;
	if (http->set != NULL)
		FreeWaitEventSet(http->set);
	http->set = NULL;
	free(http->sockets);
	http->sockets = NULL;
	http->nsockets = 0;
}

/* Take TRANSFER off its DpHttp. */
static void
release_handle(DpTransfer *transfer)
{
	DpTransfer **link;

	if (transfer->http == NULL)
		return;
	for (link = &transfer->http->transfers; *link != transfer;)
		link = &(*link)->next;
	*link = transfer->next;
	CALL_CURL(
			  if (transfer->easy != NULL)
			  {
				  curl_multi_remove_handle(transfer->http->multi, transfer->easy);
				  curl_easy_cleanup(transfer->easy);
			  }
			  curl_slist_free_all(transfer->sent);
			  curl_url_cleanup(transfer->url));
	transfer->easy = NULL;
	transfer->sent = NULL;
	transfer->url = NULL;
	transfer->http = NULL;
	if (transfer->outcome == DP_OUTCOME_NONE)
		transfer->outcome = DP_OUTCOME_LOST;
}

/* The memory context's callback owns a pointer to the transfer, empty once it has ended. */
static void
forget_transfer(void *arg)
{
	DpTransfer *transfer = *(DpTransfer **) arg;

	if (transfer == NULL)
		return;
	*(DpTransfer **) arg = NULL;
	release_handle(transfer);
	free(transfer->head);
	free(transfer->window);
	free(transfer);
}

typedef struct Handle
{
	DpTransfer *transfer;
	MemoryContextCallback reset;
} Handle;

/* libcurl's wish to be told about a socket; stored, acted upon by drive. */
static int
note_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socketp)
{
	DpHttp	   *http = arg;
	int			i = 0;

	if (http->set != NULL)
		FreeWaitEventSet(http->set);
	http->set = NULL;
	while (i < http->nsockets && http->sockets[i].fd != fd)
		i++;
	if (what == CURL_POLL_REMOVE)
	{
		if (i < http->nsockets)
			http->sockets[i] = http->sockets[--http->nsockets];
		return 0;
	}
	if (i == http->max_sockets)
	{
		Socket	   *more = realloc(http->sockets, (i + 8) * sizeof(Socket));

		if (more == NULL)
			return -1;
		http->sockets = more;
		http->max_sockets = i + 8;
	}
	http->sockets[i] = (Socket)
	{
		fd, what
	};
	http->nsockets = Max(http->nsockets, i + 1);
	return 0;
}

static int
note_timer(CURLM *multi, long ms, void *arg)
{
	((DpHttp *) arg)->due_ms = ms < 0 ? -1 : dp_http_now_ms() + ms;
	return 0;
}

DpTransfer *
dp_transfer_start(DpHttp *http, const DpHttpRequest *request, const char *url)
{
	Handle	   *handle = palloc0(sizeof(Handle));
	DpTransfer *transfer = calloc(1, sizeof(DpTransfer));
	bool		ready = false;

	if (transfer == NULL)
		ereport(ERROR, (errcode(ERRCODE_OUT_OF_MEMORY), errmsg("out of memory")));
	transfer->http = http;
	transfer->next = http->transfers;
	http->transfers = transfer;
	transfer->metadata = request->metadata;
	handle->transfer = transfer;
	handle->reset.func = forget_transfer;
	handle->reset.arg = &handle->transfer;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &handle->reset);

	transfer->window = malloc(WINDOW);
	CALL_CURL(
			  transfer->easy = curl_easy_init();
			  transfer->url = parse_url(url);
			  ready = transfer->window != NULL && transfer->easy != NULL && transfer->url != NULL &&
			  add_headers(transfer, request->headers) &&
			  add_headers(transfer, request->attempt_headers) &&
			  set_options(transfer, request) && set_method(transfer, request) &&
			  set_signature(transfer, request) &&
			  curl_easy_setopt(transfer->easy, CURLOPT_PRIVATE, &handle->transfer) == CURLE_OK &&
			  curl_multi_add_handle(http->multi, transfer->easy) == CURLM_OK);
	if (!ready)
		ereport(ERROR,
				(errcode(ERRCODE_SYSTEM_ERROR),
				 errmsg("could not prepare a request for \"%s\"", request->what)));
	return transfer;
}

/* What holds for all requests; nothing of it is for a user to choose. */
static bool
set_options(DpTransfer *transfer, const DpHttpRequest *request)
{
	CURL	   *easy = transfer->easy;
	bool		plain = request->plain || request->metadata;
	CURLcode	code = CURLE_OK;

#define SET(option, value) \
	code = code != CURLE_OK ? code : curl_easy_setopt(easy, CURLOPT_##option, value)
	SET(CURLU, transfer->url);
	SET(PROTOCOLS_STR, plain ? "http,https" : "https");
	SET(FOLLOWLOCATION, 0L);
	SET(PROXY, "");
	SET(NETRC, (long) CURL_NETRC_IGNORED);
	SET(DISALLOW_USERNAME_IN_URL, 1L);
	SET(HTTP_VERSION, (long) CURL_HTTP_VERSION_1_1);
	SET(SSL_VERIFYPEER, 1L);
	SET(SSL_VERIFYHOST, 2L);
	SET(SSLVERSION, (long) CURL_SSLVERSION_TLSv1_2);
	if (request->ca != NULL)
	{
		struct curl_blob blob = {unconstify(char *, request->ca), strlen(request->ca),
		CURL_BLOB_COPY};

		SET(CAINFO_BLOB, &blob);
		SET(CAPATH, NULL);
	}
	else if (dp_ssl_ca_file != NULL && *dp_ssl_ca_file != '\0')
	{
		SET(CAINFO, dp_ssl_ca_file);
		SET(CAPATH, NULL);
	}
	SET(NOSIGNAL, 1L);
	SET(QUICK_EXIT, 1L);
	SET(CONNECTTIMEOUT_MS, request->once ? BRIEF_S * 1000 : CONNECT_MS);
	SET(LOW_SPEED_LIMIT, 1L);
	SET(LOW_SPEED_TIME, request->once ? BRIEF_S : STALL_S);
	SET(BUFFERSIZE, (long) CHUNK);
	SET(USERAGENT, "dynpipe/" DP_VERSION);
	SET(ERRORBUFFER, transfer->error);
	SET(HTTPHEADER, transfer->sent);
	SET(HEADERFUNCTION, take_head);
	SET(HEADERDATA, transfer);
	SET(WRITEFUNCTION, take_body);
	SET(WRITEDATA, transfer);
	SET(OPENSOCKETFUNCTION, open_socket);
	SET(OPENSOCKETDATA, transfer);
	SET(CLOSESOCKETFUNCTION, close_socket);
	return code == CURLE_OK;
}

/* A body goes out from where the caller has it. */
static bool
set_method(DpTransfer *transfer, const DpHttpRequest *request)
{
	CURL	   *easy = transfer->easy;
	CURLcode	code = CURLE_OK;

	if (strcmp(request->method, "HEAD") == 0)
	{
		SET(NOBODY, 1L);
		return code == CURLE_OK;
	}
	if (request->body != NULL || strcmp(request->method, "PUT") == 0 ||
		strcmp(request->method, "POST") == 0)
	{
		SET(POSTFIELDSIZE_LARGE, (curl_off_t) request->body_len);
		SET(POSTFIELDS, request->body != NULL ? request->body : "");
	}
	SET(CUSTOMREQUEST, request->method);
	return code == CURLE_OK;
}

static bool
set_signature(DpTransfer *transfer, const DpHttpRequest *request)
{
	CURL	   *easy = transfer->easy;
	CURLcode	code = CURLE_OK;

	if (request->sigv4 == NULL)
		return true;
	SET(AWS_SIGV4, request->sigv4);
	SET(USERNAME, request->access_key);
	SET(PASSWORD, request->secret_key);
#undef SET
	return code == CURLE_OK;
}

/* A line end within a header would make two of it. */
static bool
add_headers(DpTransfer *transfer, List *headers)
{
	ListCell   *lc;

	foreach(lc, headers)
	{
		const char *header = lfirst(lc);
		struct curl_slist *more;

		if (strpbrk(header, "\r\n") != NULL)
			return false;
		more = curl_slist_append(transfer->sent, header);
		if (more == NULL)
			return false;
		transfer->sent = more;
	}
	return true;
}

/* One header line; a new status line (behind 100 Continue) starts anew. */
static size_t
take_head(char *data, size_t size, size_t n, void *arg)
{
	DpTransfer *transfer = arg;
	size_t		len = size * n;
	char	   *more;

	if (transfer->head_done)
		return len;				/* trailers */
	if (len > 5 && memcmp(data, "HTTP/", 5) == 0)
	{
		const char *blank = memchr(data, ' ', len);

		transfer->head_len = 0;
		transfer->status = 0;
		for (const char *at = blank; at != NULL && ++at < data + len && *at >= '0' && *at <= '9' &&
			 transfer->status < 1000;)
			transfer->status = transfer->status * 10 + (*at - '0');
		return len;
	}
	if (len <= 2)
	{
		transfer->head_done = transfer->status >= 200;
		return len;
	}
	transfer->too_large = transfer->head_len + len > MAX_HEAD;
	more = transfer->too_large ? NULL : realloc(transfer->head, transfer->head_len + len);
	if (more == NULL)
		return 0;
	transfer->head = more;
	memcpy(more + transfer->head_len, data, len);
	transfer->head_len += len;
	return len;
}

static size_t
take_body(char *data, size_t size, size_t n, void *arg)
{
	DpTransfer *transfer = arg;
	size_t		len = size * n;

	if (transfer->end - transfer->start + len > WINDOW)
	{
		transfer->paused = true;
		return CURL_WRITEFUNC_PAUSE;
	}
	if (transfer->end + len > WINDOW)
	{
		memmove(transfer->window, transfer->window + transfer->start,
				transfer->end - transfer->start);
		transfer->end -= transfer->start;
		transfer->start = 0;
	}
	memcpy(transfer->window + transfer->end, data, len);
	transfer->end += len;
	return len;
}

/* The gate's second look: this is the very address that connect() will be given. */
static curl_socket_t
open_socket(void *arg, curlsocktype purpose, struct curl_sockaddr *address)
{
	DpTransfer *transfer = arg;
	char		text[INET6_ADDRSTRLEN] = "";
	int			fd;

	if (address->family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *) &address->addr)->sin_addr, text, sizeof(text));
	if (!dp_guard_address(dp_allowed_hosts, &address->addr) &&
		!(transfer->metadata && dp_guard_is_metadata(text)))
	{
		transfer->refused = true;
		return CURL_SOCKET_BAD;
	}
	if (!AcquireExternalFD())
		return CURL_SOCKET_BAD;
	fd = socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
	if (fd < 0)
		ReleaseExternalFD();
	return fd < 0 ? CURL_SOCKET_BAD : fd;
}

static int
close_socket(void *arg, curl_socket_t fd)
{
	ReleaseExternalFD();
	return close(fd);
}

void
dp_transfer_await(DpTransfer *transfer)
{
	while (!transfer->head_done && transfer->outcome == DP_OUTCOME_NONE)
		drive(transfer->http);
}

Size
dp_transfer_read(DpTransfer *transfer, char *buf, Size len)
{
	while (transfer->start == transfer->end)
	{
		if (transfer->paused && transfer->easy != NULL)
		{
			transfer->start = transfer->end = 0;
			transfer->paused = false;
			CALL_CURL(curl_easy_pause(transfer->easy, CURLPAUSE_CONT));
		}
		else if (transfer->outcome != DP_OUTCOME_NONE)
			return 0;
		else
			drive(transfer->http);
	}
	len = Min(len, transfer->end - transfer->start);
	memcpy(buf, transfer->window + transfer->start, len);
	transfer->start += len;
	return len;
}

/* Let libcurl do what there is to do, waiting until there is something. */
static void
drive(DpHttp *http)
{
	WaitEvent	events[MAX_EVENTS];
	int64		now = dp_http_now_ms();
	long		timeout = http->due_ms < 0 ? 1000 : Max(Min(http->due_ms - now, 1000), 0);
	int			running;
	int			n;

	if (http->set == NULL)
		make_wait_set(http);
	n = WaitEventSetWait(http->set, timeout, events, MAX_EVENTS, PG_WAIT_EXTENSION);
	for (int i = 0; i < n; i++)
		if (events[i].events & WL_LATCH_SET)
			ResetLatch(MyLatch);
	CHECK_FOR_INTERRUPTS();
	for (int i = 0; i < n; i++)
	{
		int			mask = 0;

		if (events[i].events & WL_SOCKET_READABLE)
			mask |= CURL_CSELECT_IN;
		if (events[i].events & WL_SOCKET_WRITEABLE)
			mask |= CURL_CSELECT_OUT;
		if (mask != 0)
			CALL_CURL(curl_multi_socket_action(http->multi, events[i].fd, mask, &running));
	}
	if (http->due_ms >= 0 && dp_http_now_ms() >= http->due_ms)
	{
		http->due_ms = -1;
		CALL_CURL(curl_multi_socket_action(http->multi, CURL_SOCKET_TIMEOUT, 0, &running));
	}
	collect_ended(http);
}

static void
make_wait_set(DpHttp *http)
{
	http->set = dp_create_wait_set(http->nsockets + 2);
	AddWaitEventToSet(http->set, WL_LATCH_SET, PGINVALID_SOCKET, MyLatch, NULL);
	AddWaitEventToSet(http->set, WL_EXIT_ON_PM_DEATH, PGINVALID_SOCKET, NULL, NULL);
	for (int i = 0; i < http->nsockets; i++)
	{
		int			mask = 0;

		if (http->sockets[i].what & CURL_POLL_IN)
			mask |= WL_SOCKET_READABLE;
		if (http->sockets[i].what & CURL_POLL_OUT)
			mask |= WL_SOCKET_WRITEABLE;
		if (mask != 0)
			AddWaitEventToSet(http->set, mask, http->sockets[i].fd, NULL, NULL);
	}
}

static void
collect_ended(DpHttp *http)
{
	CURLMsg    *msg;
	int			left;

	while ((msg = curl_multi_info_read(http->multi, &left)) != NULL)
	{
		DpTransfer **transfer = NULL;

		if (msg->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, (char **) &transfer);
		(*transfer)->outcome = outcome_of(*transfer, msg->data.result);
		if ((*transfer)->error[0] == '\0' || (*transfer)->outcome == DP_OUTCOME_BROKEN)
			strlcpy((*transfer)->error, curl_easy_strerror(msg->data.result), CURL_ERROR_SIZE);
	}
}

static DpOutcome
outcome_of(const DpTransfer *transfer, CURLcode code)
{
	switch (code)
	{
		case CURLE_OK:
			return DP_OUTCOME_DONE;
		case CURLE_COULDNT_CONNECT:
			return transfer->refused ? DP_OUTCOME_REFUSED : DP_OUTCOME_LOST;
		case CURLE_COULDNT_RESOLVE_HOST:
		case CURLE_OPERATION_TIMEDOUT:
		case CURLE_SSL_CONNECT_ERROR:
		case CURLE_SEND_ERROR:
		case CURLE_RECV_ERROR:
		case CURLE_GOT_NOTHING:
		case CURLE_PARTIAL_FILE:
			return DP_OUTCOME_LOST;
		case CURLE_PEER_FAILED_VERIFICATION:
		case CURLE_SSL_CACERT_BADFILE:
			return DP_OUTCOME_UNTRUSTED;
		default:
			return DP_OUTCOME_BROKEN;
	}
}

DpOutcome
dp_transfer_outcome(const DpTransfer *transfer)
{
	return transfer->outcome;
}

const char *
dp_transfer_error(const DpTransfer *transfer)
{
	return transfer->too_large ? "the headers are too long" : transfer->error;
}

int
dp_transfer_status(const DpTransfer *transfer)
{
	return transfer->status;
}

List *
dp_transfer_headers(const DpTransfer *transfer)
{
	List	   *result = NIL;
	const char *end = transfer->head + transfer->head_len;

	for (const char *at = transfer->head; at != NULL && at < end;)
	{
		const char *eol = memchr(at, '\n', end - at);
		const char *stop = eol != NULL ? eol : end;
		const char *colon = memchr(at, ':', stop - at);

		while (stop > at && (stop[-1] == '\r' || stop[-1] == ' ' || stop[-1] == '\t'))
			stop--;
		if (colon != NULL && colon < stop)
		{
			const char *value = colon + 1;
			char	   *line = palloc((stop - at) + 3);
			int			len = 0;

			while (value < stop && (*value == ' ' || *value == '\t'))
				value++;
			for (const char *c = at; c < colon; c++)
				line[len++] = pg_ascii_tolower((unsigned char) *c);
			len += sprintf(line + len, ": ");
			memcpy(line + len, value, stop - value);
			line[len + (stop - value)] = '\0';
			result = lappend(result, line);
		}
		at = eol != NULL ? eol + 1 : end;
	}
	return result;
}

void
dp_transfer_end(DpTransfer *transfer)
{
	DpTransfer **handle = NULL;

	if (transfer->easy != NULL)
		curl_easy_getinfo(transfer->easy, CURLINFO_PRIVATE, (char **) &handle);
	if (handle != NULL)
		forget_transfer(handle);
	/* Otherwise its DpHttp is gone, and its memory context frees the rest. */
}

bool
dp_url_parse(const char *url, DpUrl *parts)
{
	CURLU	   *parsed = parse_url(url);
	char	   *zone;
	char	   *user;
	char	   *password;
	char	   *port;

	memset(parts, 0, sizeof(*parts));
	if (parsed == NULL)
		return false;
	parts->scheme = copy_part(parsed, CURLUPART_SCHEME, 0);
	parts->host = copy_part(parsed, CURLUPART_HOST, 0);
	port = copy_part(parsed, CURLUPART_PORT, CURLU_DEFAULT_PORT);
	zone = copy_part(parsed, CURLUPART_ZONEID, 0);
	user = copy_part(parsed, CURLUPART_USER, 0);
	password = copy_part(parsed, CURLUPART_PASSWORD, 0);
	curl_url_cleanup(parsed);
	parts->userinfo = user != NULL || password != NULL;
	if (parts->scheme == NULL || parts->host == NULL || port == NULL || zone != NULL)
		return false;
	parts->port = atoi(port);
	if (parts->host[0] == '[')
		parts->host = pnstrdup(parts->host + 1, strlen(parts->host) - 2);
	return true;
}

/*
 * NULL: libcurl makes no sense of it.  Parsed here, the path stays as it is;
 * the option of that name is one that newer versions refuse to sign with.
 */
static CURLU *
parse_url(const char *url)
{
	CURLU	   *parsed = curl_url();

	if (parsed != NULL &&
		curl_url_set(parsed, CURLUPART_URL, url, CURLU_PATH_AS_IS) != CURLUE_OK)
	{
		curl_url_cleanup(parsed);
		return NULL;
	}
	return parsed;
}

char *
dp_url_join(const char *base, const char *location)
{
	CURLU	   *parsed = parse_url(base);
	char	   *joined = NULL;

	if (parsed != NULL &&
		curl_url_set(parsed, CURLUPART_URL, location, CURLU_PATH_AS_IS) == CURLUE_OK)
		joined = copy_part(parsed, CURLUPART_URL, 0);
	curl_url_cleanup(parsed);
	return joined;
}

/* Parts are short: an ERROR for lack of memory may leak one. */
static char *
copy_part(CURLU *parsed, CURLUPart part, unsigned int flags)
{
	char	   *text = NULL;
	char	   *copy;

	if (curl_url_get(parsed, part, &text, flags) != CURLUE_OK)
		return NULL;
	copy = pstrdup(text);
	curl_free(text);
	return copy;
}
