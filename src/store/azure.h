/*
 * azure.h
 *	  Private to the Azure stores: what their files share.
 *
 *	  azure.c        the store: open, stat, get, remove, close
 *	  azure_list.c   listings
 *	  azure_put.c    uploads in blocks
 *	  azure_place.c  URL and connection -> account, container, address; checks
 *	  azure_sign.c   the headers that authenticate a request
 *	  azure_token.c  tokens of Entra ID and of the machine's identity
 *	  azure_error.c  what the service refused, and what to do about it
 *
 * Schemes abfss and az differ in how their URLs name the account only.
 */
#ifndef DP_AZURE_H
#define DP_AZURE_H

#include "datatype/timestamp.h"
#include "source/connection.h"
#include "store/http.h"
#include "store/store.h"

typedef enum DpAzureAuth
{
	DP_AZURE_ANONYMOUS,
	DP_AZURE_ACCOUNT_KEY,
	DP_AZURE_SAS,
	DP_AZURE_CLIENT_SECRET,
	DP_AZURE_MANAGED_IDENTITY
} DpAzureAuth;

/* Where a URL leads. */
typedef struct DpAzurePlace
{
	char	   *account;
	char	   *container;
	char	   *base;			/* URL of the account's blob service, no '/' at its end */
	bool		plain;			/* it is http:// */
} DpAzurePlace;

typedef struct DpAzure
{
	DpStore		base;
	char	   *root;			/* for messages: the URL without the key */
	DpAzurePlace place;
	DpConnection *conn;			/* NULL: anonymous */
	DpAzureAuth auth;
	DpHttp	   *http;
	char	   *sas;			/* "sv=...&sig=..." */
	char	   *key;			/* the account key's bytes */
	int			key_len;
	DpHttp	   *token_http;		/* its own: a request may need a token while it is under way */
	char	   *token;			/* NULL: to be fetched */
	TimestampTz token_until;	/* not used from then on */
} DpAzure;

/* azure.c */
extern DpStore *dp_azure_open(const DpStoreSpec *spec, const DpStoreOps *ops);
extern bool dp_azure_stat(DpStore *store, const char *key, DpObject *object);
extern DpBytes *dp_azure_get(DpStore *store, const DpObject *object, int64 from);
extern void dp_azure_remove(DpStore *store, const char *key);
extern void dp_azure_close(DpStore *store);
/* A request for KEY (NULL: the container), QUERY without '?' or NULL. */
extern DpHttpRequest *dp_azure_request(DpAzure *azure, const char *method, const char *key,
									   const char *query);
/* dp_http_call, once more with a new token when the service does not take the one at hand. */
extern void dp_azure_call(DpAzure *azure, DpHttpRequest *request, DpHttpResponse *response);
/* "Wed, 09 Sep 2009 09:20:02 GMT" in ms since the Unix epoch; -1: it is none. */
extern int64 dp_azure_time(const char *text);
/* An ETag without the quotes that it has in a header and lacks in a listing. */
extern char *dp_azure_etag(const char *text);

/* azure_list.c, azure_put.c */
extern List *dp_azure_list(DpStore *store, const char *prefix, bool flat, char **state);
extern DpPut *dp_azure_put(DpStore *store, const char *key, const char *content_type);

/* azure_place.c */
extern void dp_azure_check(const DpStoreSpec *spec, const char *path, const char *pointer,
						   DpDocument *doc);
/* The place of SPEC's URL; CONN may be NULL.  Returns false and says why in *refusal. */
extern bool dp_azure_place(const DpStoreSpec *spec, const DpConnection *conn,
						   DpAzurePlace *place, DpRefusal *refusal);
extern DpAzureAuth dp_azure_auth(const DpConnection *conn);

/* azure_sign.c: DpHttpRequest.sign of every request to the service. */
extern void dp_azure_sign(DpHttpRequest *request, void *arg);
/* Take key or SAS from the connection; raises when they cannot be one. */
extern void dp_azure_take_secrets(DpAzure *azure);

/* azure_token.c */
extern bool dp_azure_uses_tokens(const DpAzure *azure);
extern const char *dp_azure_token(DpAzure *azure);
extern void dp_azure_forget_token(DpAzure *azure);

/* azure_error.c: raise what a RESPONSE means that is not what was asked for. */
extern void dp_azure_raise(const DpAzure *azure, const DpHttpRequest *request,
						   const DpHttpResponse *response) pg_attribute_noreturn();
/* The service's own code for the failure, NULL when it gave none. */
extern char *dp_azure_error_code(const DpHttpResponse *response);
/* The first line of a service's TEXT, in place, fit for a message: short and ASCII. */
extern char *dp_azure_clip(char *text);

#endif							/* DP_AZURE_H */
