/*
 * azure_error.c
 *	  What the service refused, and what to do about it.
 *
 *	  <Error><Code>..</Code><Message>..</Message>  --> dp_http_raise
 *
 * The code also stands in a header, which is all there is for HEAD.  Of the
 * document only Code and the first line of Message are used: its other parts
 * repeat signatures.
 */
#include "dynpipe.h"

#include "store/azure.h"
#include "utils/timestamp.h"

#define MAX_TEXT	300

#define KEY			(1 << DP_AZURE_ACCOUNT_KEY)
#define SAS			(1 << DP_AZURE_SAS)
#define TOKEN		(1 << DP_AZURE_CLIENT_SECRET | 1 << DP_AZURE_MANAGED_IDENTITY)
#define NOBODY		(1 << DP_AZURE_ANONYMOUS)
#define ANY			(KEY | SAS | TOKEN | NOBODY)

typedef struct Advice
{
	const char *code;
	int			auth;			/* for whom */
	int			status;			/* what it amounts to, 0: what was answered */
	const char *hint;
} Advice;

static const Advice advices[] = {
	{"AuthenticationFailed", KEY, 0,
	"Check account of the server, account_key or account_key_file of the user mapping, and the "
	"clock of this machine."},
	{"AuthenticationFailed", SAS, 0,
	"Check sas_token or sas_token_file of the user mapping: it may be cut, made with a key that was "
	"changed since, or not valid yet."},
	{"InvalidAuthenticationInfo", TOKEN, 401,
	"Check tenant_id of the user mapping: the token must come from the account's own directory."},
	{"AuthenticationFailed", TOKEN, 0,
	"Check tenant_id of the user mapping: the token must come from the account's own directory."},
	{"AuthorizationPermissionMismatch", TOKEN, 0,
	"Assign the role Storage Blob Data Reader, or Storage Blob Data Contributor for writing, on the "
	"account or container; it can take minutes to be known everywhere."},
	{"AuthorizationPermissionMismatch", SAS, 0,
	"Make a SAS token with permissions read and list, for writing also create, write and delete."},
	{"AuthorizationServiceMismatch", SAS, 0, "Make a SAS token for service blob."},
	{"AuthorizationResourceTypeMismatch", SAS, 0,
	"Make a SAS token for resource types container and object."},
	{"AuthorizationProtocolMismatch", SAS, 0, "Make a SAS token that allows the protocol in use."},
	{"AuthorizationSourceIPMismatch", SAS, 0,
	"Make a SAS token that allows the address of the database server."},
	{"AuthorizationFailure", KEY, 0,
	"Check account_key or account_key_file of the user mapping, and Networking of the storage "
	"account, which may not let this machine in."},
	{"AuthorizationFailure", SAS, 0,
	"Check sas_token or sas_token_file of the user mapping, and Networking of the storage account, "
	"which may not let this machine in."},
	{"AuthorizationFailure", TOKEN, 0,
	"Check Networking of the storage account, which may not let this machine in, and the roles "
	"that are assigned to the identity."},
	{"AuthorizationFailure", NOBODY, 0,
	"Use CREATE USER MAPPING, or make the container public."},
	{"KeyBasedAuthenticationNotPermitted", ANY, 403,
	"The account takes tokens only: use client_secret or managed_identity."},
	{"NoAuthenticationInformation", NOBODY, 401,
	"Use CREATE USER MAPPING, or make the container public."},
	{"PublicAccessNotPermitted", NOBODY, 403, "Use CREATE USER MAPPING: the account has no public "
	"containers."},
	{"ResourceNotFound", NOBODY, 404,
	"Check the container's name; without a user mapping only public containers can be seen."},
	{"ContainerNotFound", ANY, 404, "Check the container's name, or make the container."},
	{"BlobArchived", ANY, 0, "Move the blob to the hot, cool or cold tier first."},
};

static const Advice *find_advice(const char *code, DpAzureAuth auth);
static char *error_text(const DpHttpResponse *response);
static bool sas_expired(const char *sas);

void
dp_azure_raise(const DpAzure *azure, const DpHttpRequest *request, const DpHttpResponse *response)
{
	char	   *code = dp_azure_error_code(response);
	const Advice *advice = find_advice(code, azure->auth);
	const char *hint = advice != NULL ? advice->hint : NULL;
	DpHttpResponse meant = *response;

	if (azure->sas != NULL && response->status == 403 && sas_expired(azure->sas))
		hint = "The SAS token has expired: put a new one into sas_token or sas_token_file of the "
			"user mapping.";
	if (advice != NULL && advice->status != 0)
		meant.status = advice->status;
	dp_http_raise(request, &meant, code, error_text(response), hint);
}

static const Advice *
find_advice(const char *code, DpAzureAuth auth)
{
	for (int i = 0; code != NULL && i < lengthof(advices); i++)
		if (strcmp(advices[i].code, code) == 0 && (advices[i].auth & (1 << auth)))
			return &advices[i];
	return NULL;
}

char *
dp_azure_error_code(const DpHttpResponse *response)
{
	const char *header = dp_http_header(response, "x-ms-error-code");
	List	   *codes;

	if (header != NULL)
		return pstrdup(header);
	if (response->body.data == NULL || response->body.len == 0)
		return NULL;
	codes = dp_xml_texts(response->body.data, response->body.len, "Code");
	return codes != NIL ? linitial(codes) : NULL;
}

/* The first line of the message; the others are a request id and a time. */
static char *
error_text(const DpHttpResponse *response)
{
	List	   *texts;

	if (response->body.data == NULL || response->body.len == 0)
		return NULL;
	texts = dp_xml_texts(response->body.data, response->body.len, "Message");
	if (texts == NIL)
		return NULL;
	return dp_azure_clip(linitial(texts));
}

char *
dp_azure_clip(char *text)
{
	text[Min(strcspn(text, "\r\n"), MAX_TEXT)] = '\0';
	for (char *c = text; *c != '\0'; c++)
		if (*c < ' ' || *c > '~')
			*c = '?';
	return text;
}

/* Is the end of the token's life, se=2026-01-31[T10:00[:00]Z], over? */
static bool
sas_expired(const char *sas)
{
	const char *end = strncmp(sas, "se=", 3) == 0 ? sas : strstr(sas, "&se=");
	char		text[32];
	struct pg_tm tm = {0};
	int			n = 0;
	Timestamp	until;

	if (end == NULL)
		return false;
	end = strchr(end, '=') + 1;
	/* Colons may be percent-encoded. */
	for (; *end != '\0' && *end != '&' && n < sizeof(text) - 1; end++)
	{
		bool		colon = pg_strncasecmp(end, "%3a", 3) == 0;

		text[n++] = colon ? ':' : *end;
		end += colon ? 2 : 0;
	}
	text[n] = '\0';
	if (sscanf(text, "%4d-%2d-%2dT%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
			   &tm.tm_hour, &tm.tm_min, &tm.tm_sec) < 3 ||
		tm2timestamp(&tm, 0, NULL, &until) != 0)
		return false;
	return until < GetCurrentTimestamp();
}
