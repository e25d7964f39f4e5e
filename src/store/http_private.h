/*
 * http_private.h
 *	  Between the files of http: transfers, tries, the gate.
 *
 *	  http.c, http_stream.c   whole exchanges; bodies as streams
 *	     -> http_retry.c      one answer's headers, after tries and redirects
 *	         -> http_transfer.c   one try; the only file that knows libcurl
 *	             -> http_guard.c  may we?
 */
#ifndef DP_HTTP_PRIVATE_H
#define DP_HTTP_PRIVATE_H

#include "store/http.h"
#include "store/http_guard.h"

#define DP_HTTP_TRIES		5
#define DP_HTTP_PATIENCE_MS	45000	/* no further try after so much time without progress */

typedef struct DpTransfer DpTransfer;

/* How a transfer ended. */
typedef enum DpOutcome
{
	DP_OUTCOME_NONE,			/* it has not */
	DP_OUTCOME_DONE,			/* a whole answer */
	DP_OUTCOME_LOST,			/* network: another try may succeed */
	DP_OUTCOME_REFUSED,			/* the gate refused the address */
	DP_OUTCOME_UNTRUSTED,		/* the server's certificate */
	DP_OUTCOME_BROKEN			/* another try will not do better */
} DpOutcome;

/* A URL's parts as libcurl understands them; palloc'd. */
typedef struct DpUrl
{
	char	   *scheme;
	char	   *host;			/* without brackets */
	int			port;
	bool		userinfo;		/* user name or password in it */
} DpUrl;

/* False: not a URL that can be used. */
extern bool dp_url_parse(const char *url, DpUrl *parts);
/* LOCATION as a redirect from BASE means it; NULL: not a URL. */
extern char *dp_url_join(const char *base, const char *location);

/*
 * Send REQUEST to URL.  The request's body must live as long as the transfer,
 * which ends by dp_transfer_end, with the current memory context, or with HTTP.
 */
extern DpTransfer *dp_transfer_start(DpHttp *http, const DpHttpRequest *request, const char *url);
/* Wait until all headers are there, or the transfer has ended. */
extern void dp_transfer_await(DpTransfer *transfer);
/* Up to LEN bytes of the body; 0 when it has ended, well or not. */
extern Size dp_transfer_read(DpTransfer *transfer, char *buf, Size len);
extern DpOutcome dp_transfer_outcome(const DpTransfer *transfer);
/* What libcurl or the system said. */
extern const char *dp_transfer_error(const DpTransfer *transfer);
extern int	dp_transfer_status(const DpTransfer *transfer);
/* "name: value", names in lower case; palloc'd. */
extern List *dp_transfer_headers(const DpTransfer *transfer);
extern void dp_transfer_end(DpTransfer *transfer);

/* Tries of one exchange. */
typedef struct DpTries
{
	int			failed;
	int64		since_ms;		/* monotonic, of the first failure; 0: none */
} DpTries;

/* Is there another try?  If so the time to wait before it. */
extern bool dp_tries_next(DpTries *tries, const DpHttpRequest *request, int retry_after_s,
						  int *wait_ms);
/* dp_tries_next, then wait; raises what TRANSFER ended with when tries are used up.  Ends it. */
extern void dp_tries_failed(DpTries *tries, const DpHttpRequest *request, DpTransfer *transfer);

/*
 * The answer to REQUEST: headers are there, the body is to be read.  Redirects
 * have been followed, busy servers been tried again.  REQUEST's own url stays.
 */
extern DpTransfer *dp_http_begin(DpHttp *http, DpHttpRequest *request, List *extra,
								 DpTries *tries);
/* Status, headers and up to the allowed length of body; false: lost on the way. */
extern bool dp_http_finish(DpTransfer *transfer, const DpHttpRequest *request,
						   DpHttpResponse *response);

extern int64 dp_http_now_ms(void);

#endif							/* DP_HTTP_PRIVATE_H */
