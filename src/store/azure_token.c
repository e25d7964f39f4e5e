/*
 * azure_token.c
 *	  Tokens: from Entra ID for an application's secret, from the machine's
 *	  metadata service for its identity.
 *
 *	  client_secret     POST https://AUTHORITY/TENANT/oauth2/v2.0/token
 *	  managed_identity  GET http://169.254.169.254/metadata/identity/oauth2/token
 *
 * A token is kept in the store until five minutes before it ends, or until the
 * service answers 401.  Neither it nor the secret is ever part of a message.
 */
#include "dynpipe.h"

#include "config/config.h"
#include "config/answer.h"
#include "store/azure.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"

#define RESOURCE			"https://storage.azure.com/"
#define DEFAULT_AUTHORITY	"login.microsoftonline.com"
#define METADATA_SERVICE	"http://169.254.169.254"
#define METADATA_VERSION	"2018-02-01"
#define EARLY_S				300		/* not used in its last five minutes */
#define UNKNOWN_S			600		/* how long one is taken to live that does not say it */
#define MAX_ANSWER			(256 * 1024)

static void fetch(DpAzure *azure);
static DpHttpRequest *entra_request(const DpAzure *azure);
static DpHttpRequest *identity_request(const DpAzure *azure);
static void keep(DpAzure *azure, const DpHttpResponse *response);
static void refuse(const DpAzure *azure, const DpHttpResponse *response) pg_attribute_noreturn();
static void wipe_request(DpHttpRequest *request);

bool
dp_azure_uses_tokens(const DpAzure *azure)
{
	return azure->auth == DP_AZURE_CLIENT_SECRET || azure->auth == DP_AZURE_MANAGED_IDENTITY;
}

/* A token that is good now; it stays the store's. */
const char *
dp_azure_token(DpAzure *azure)
{
	if (azure->token == NULL || GetCurrentTimestamp() >= azure->token_until)
		fetch(azure);
	return azure->token;
}

void
dp_azure_forget_token(DpAzure *azure)
{
	char	   *token = azure->token;

	azure->token = NULL;
	if (token == NULL)
		return;
	dp_secret_wipe(token);
	pfree(token);
}

static void
fetch(DpAzure *azure)
{
	MemoryContext cxt = AllocSetContextCreate(azure->base.cxt, "dynpipe azure token",
											  ALLOCSET_SMALL_SIZES);
	MemoryContext old = MemoryContextSwitchTo(azure->base.cxt);
	DpHttpRequest *request;
	DpHttpResponse response;

	dp_azure_forget_token(azure);
	if (azure->token_http == NULL)
		azure->token_http = dp_http_create();
	MemoryContextSwitchTo(cxt);
	request = azure->auth == DP_AZURE_CLIENT_SECRET ? entra_request(azure) :
		identity_request(azure);
	request->max_response = MAX_ANSWER;
	dp_http_call(azure->token_http, request, &response);
	wipe_request(request);
	if (response.status == 429 || response.status >= 500)
		dp_http_raise(request, &response, NULL, NULL, NULL);
	if (response.status != 200)
		refuse(azure, &response);
	keep(azure, &response);
	explicit_bzero(response.body.data, response.body.len);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

static DpHttpRequest *
entra_request(const DpAzure *azure)
{
	DpHttpRequest *request = palloc0(sizeof(DpHttpRequest));
	const char *endpoint = dp_connection_get(azure->conn, "authority_endpoint");
	const char *authority = dp_connection_get(azure->conn, "authority_host");
	const char *client_id = dp_connection_get(azure->conn, "client_id");
	const char *secret = dp_connection_get(azure->conn, "client_secret");
	char	   *escaped = dp_http_escape(secret, false);

	if (endpoint == NULL)
		endpoint = psprintf("https://%s/%s/oauth2/v2.0/token",
							authority != NULL ? authority : DEFAULT_AUTHORITY,
							dp_http_escape(dp_connection_get(azure->conn, "tenant_id"), false));
	request->method = "POST";
	request->url = endpoint;
	request->what = pnstrdup(endpoint, strcspn(endpoint, "?"));
	request->headers = list_make1("Content-Type: application/x-www-form-urlencoded");
	request->body = psprintf("grant_type=client_credentials&client_id=%s&client_secret=%s&scope=%s",
							 dp_http_escape(client_id, false), escaped,
							 dp_http_escape(RESOURCE ".default", false));
	dp_secret_wipe(escaped);
	request->body_len = strlen(request->body);
	request->plain = strncmp(endpoint, "http://", 7) == 0;
	/* A private authority vouches for a private cloud, not for Entra ID. */
	if (dp_connection_get(azure->conn, "authority_endpoint") != NULL)
		request->ca = dp_connection_get(azure->conn, "ssl.ca.pem");
	return request;
}

static DpHttpRequest *
identity_request(const DpAzure *azure)
{
	DpHttpRequest *request = palloc0(sizeof(DpHttpRequest));
	const char *endpoint = dp_connection_get(azure->conn, "identity_endpoint");
	const char *client_id = dp_connection_get(azure->conn, "client_id");

	if (endpoint == NULL)
		endpoint = METADATA_SERVICE;
	request->method = "GET";
	request->url = psprintf("%s/metadata/identity/oauth2/token?api-version=" METADATA_VERSION
							"&resource=%s%s%s", endpoint, dp_http_escape(RESOURCE, false),
							client_id != NULL ? "&client_id=" : "",
							client_id != NULL ? dp_http_escape(client_id, false) : "");
	request->what = psprintf("%s/metadata/identity", endpoint);
	request->headers = list_make1("Metadata: true");
	request->plain = true;
	request->metadata = true;
	return request;
}

static void
keep(DpAzure *azure, const DpHttpResponse *response)
{
	char	   *token = dp_answer_text(response->body.data, response->body.len, "access_token");
	char	   *expires = dp_answer_text(response->body.data, response->body.len, "expires_in");
	long		seconds = expires != NULL ? strtol(expires, NULL, 10) : UNKNOWN_S;

	/* It goes into a header: nothing in it may end that. */
	if (token == NULL || *token == '\0' ||
		token[strspn(token, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
					 "-._~+/=")] != '\0')
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("the answer to a request for a token holds none"),
				 errdetail("It was asked for by server \"%s\".", azure->conn->server),
				 errhint("Check authority_host and authority_endpoint of the server.")));
	azure->token = MemoryContextStrdup(azure->base.cxt, token);
	dp_secret_wipe(token);
	azure->token_until =
		TimestampTzPlusMilliseconds(GetCurrentTimestamp(),
									(Max(Min(seconds, SECS_PER_DAY), EARLY_S) - EARLY_S) *
									INT64CONST(1000));
}

/* The service's own words are about the application, and may be told. */
static void
refuse(const DpAzure *azure, const DpHttpResponse *response)
{
	char	   *code = dp_answer_text(response->body.data, response->body.len, "error");
	char	   *text = dp_answer_text(response->body.data, response->body.len,
									  "error_description");
	bool		entra = azure->auth == DP_AZURE_CLIENT_SECRET;

	if (code != NULL)
		dp_azure_clip(code);
	if (text != NULL)
		dp_azure_clip(text);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
			 entra ? errmsg("Entra ID refused the credentials of server \"%s\"",
							azure->conn->server) :
			 errmsg("no token for the identity of this machine, asked for by server \"%s\"",
					azure->conn->server),
			 errdetail("HTTP status %d%s%s%s%s.", response->status,
					   code != NULL ? ", " : "", code != NULL ? code : "",
					   text != NULL ? ": " : "", text != NULL ? text : ""),
			 entra ? errhint("Check tenant_id, client_id and client_secret of the user mapping; "
							 "secrets expire.") :
			 errhint("Assign a managed identity to the machine, and give client_id when it has "
					 "several.")));
}

static void
wipe_request(DpHttpRequest *request)
{
	if (request->body != NULL)
		explicit_bzero((char *) request->body, request->body_len);
	request->body = NULL;
	request->body_len = 0;
}
