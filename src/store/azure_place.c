/*
 * azure_place.c
 *	  From a URL and a connection to an account, a container and an address,
 *	  and all that can be said about them without asking the service.
 *
 *	  abfss://in@contoso.dfs.core.windows.net/...  https://contoso.blob.core.windows.net/in
 *	  az://in/...   account of the connection      likewise
 *	  either, connection with endpoint             ENDPOINT[/contoso]/in
 *
 * Credentials only ever go where the connection says: with a connection, the
 * account, the suffix and the endpoint of the URL must be the connection's.
 */
#include "dynpipe.h"

#include "source/connection_options.h"
#include "store/azure.h"
#include "utils/builtins.h"
#include "utils/formatting.h"

#define DEFAULT_SUFFIX "core.windows.net"

extern bool dp_azure_check_connection(const DpConnection *conn, DpRefusal *refusal);

static bool read_authority(const DpStoreSpec *spec, DpAzurePlace *place, const char **suffix,
						   DpRefusal *refusal);
static bool read_host(const char *host, DpAzurePlace *place, const char **suffix,
					  DpRefusal *refusal);
static bool fit_connection(const DpConnection *conn, DpAzurePlace *place, const char **suffix,
						   DpRefusal *refusal);
static char *path_style(const char *endpoint, const char *account);
static bool check_names(const DpAzurePlace *place, DpRefusal *refusal);
static bool is_account(const char *name);
static bool is_container(const char *name);
static bool check_credentials(const DpConnection *conn, DpRefusal *refusal);

void
dp_azure_check(const DpStoreSpec *spec, const char *path, const char *pointer, DpDocument *doc)
{
	DpConnection *conn = NULL;
	DpAzurePlace place;
	DpRefusal	refusal = {0};

	if (OidIsValid(spec->serverid) &&
		(conn = dp_connection_resolve(spec->serverid, "adls", spec->user, false,
									  &refusal)) == NULL)
		dp_config_add_problem(doc, pointer, refusal.hint, "%s", refusal.message);
	else if (!dp_azure_place(spec, conn, &place, &refusal))
		dp_config_add_problem(doc, pointer, refusal.hint, "%s", refusal.message);
	else if (spec->writing && (conn == NULL || dp_azure_auth(conn) == DP_AZURE_ANONYMOUS))
		dp_config_add_problem(doc, pointer, conn == NULL ?
							  "Use CREATE SERVER ... TYPE 'adls' FOREIGN DATA WRAPPER dynpipe "
							  "and CREATE USER MAPPING, and name the server as connection." :
							  "Use CREATE USER MAPPING FOR the owner of the pipeline.",
							  "nobody can write to Azure storage without credentials");
}

bool
dp_azure_place(const DpStoreSpec *spec, const DpConnection *conn, DpAzurePlace *place,
			   DpRefusal *refusal)
{
	const char *endpoint = conn != NULL ? dp_connection_get(conn, "endpoint") : NULL;
	const char *suffix = NULL;

	memset(place, 0, sizeof(DpAzurePlace));
	if (!read_authority(spec, place, &suffix, refusal) ||
		(conn != NULL && !fit_connection(conn, place, &suffix, refusal)))
		return false;
	if (place->account == NULL)
		return dp_refusal_set(refusal, ERRCODE_FDW_OPTION_NAME_NOT_FOUND,
							  conn != NULL ?
							  psprintf("Use ALTER SERVER %s OPTIONS (ADD account ...), or write "
									   "az://CONTAINER@ACCOUNT/PATH.",
									   quote_identifier(conn->server)) :
							  "Write az://CONTAINER@ACCOUNT/PATH, or name a connection that has "
							  "option account.",
							  "the URL of the Azure storage names no account");
	if (!check_names(place, refusal))
		return false;
	place->base = endpoint != NULL ? path_style(endpoint, place->account) :
		psprintf("https://%s.blob.%s", place->account, suffix != NULL ? suffix : DEFAULT_SUFFIX);
	place->plain = strncmp(place->base, "http://", 7) == 0;
	return true;
}

/* Container, and account and suffix as far as the URL has them. */
static bool
read_authority(const DpStoreSpec *spec, DpAzurePlace *place, const char **suffix,
			   DpRefusal *refusal)
{
	const char *authority = spec->authority != NULL ? spec->authority : "";
	const char *at = strchr(authority, '@');
	bool		hadoop = strcmp(spec->scheme, "abfss") == 0;

	place->container = pnstrdup(authority, at != NULL ? at - authority : strlen(authority));
	if (hadoop)
	{
		if (at != NULL)
			return read_host(at + 1, place, suffix, refusal);
		return dp_refusal_set(refusal, ERRCODE_INVALID_PARAMETER_VALUE,
							  "Write abfss://CONTAINER@ACCOUNT.dfs." DEFAULT_SUFFIX "/PATH.",
							  "the URL of the Azure storage names no account");
	}
	if (at != NULL && strchr(at, '.') != NULL)
		return read_host(at + 1, place, suffix, refusal);
	if (at != NULL)
		place->account = pstrdup(at + 1);
	return true;
}

/* ACCOUNT.dfs.SUFFIX or ACCOUNT.blob.SUFFIX */
static bool
read_host(const char *host, DpAzurePlace *place, const char **suffix, DpRefusal *refusal)
{
	const char *dot = strchr(host, '.');
	Size		kind = dot == NULL ? 0 : pg_strncasecmp(dot, ".dfs.", 5) == 0 ? 5 :
		pg_strncasecmp(dot, ".blob.", 6) == 0 ? 6 : 0;
	const char *rest = dot != NULL ? dot + kind : "";

	if (kind == 0 || *rest == '\0' ||
		rest[strspn(rest, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-")])
		return dp_refusal_set(refusal, ERRCODE_INVALID_PARAMETER_VALUE,
							  "Write abfss://CONTAINER@ACCOUNT.dfs." DEFAULT_SUFFIX "/PATH.",
							  "the URL of the Azure storage names no valid host");
	place->account = asc_tolower(host, dot - host);
	*suffix = asc_tolower(rest, strlen(rest));
	return true;
}

/* The URL may not lead credentials elsewhere than the connection does. */
static bool
fit_connection(const DpConnection *conn, DpAzurePlace *place, const char **suffix,
			   DpRefusal *refusal)
{
	const char *account = dp_connection_get(conn, "account");
	const char *its = dp_connection_get(conn, "suffix");

	if (its == NULL)
		its = DEFAULT_SUFFIX;
	if (place->account == NULL && account != NULL)
		place->account = pstrdup(account);
	if (account != NULL && strcmp(place->account, account) != 0)
		return dp_refusal_set(refusal, ERRCODE_INVALID_PARAMETER_VALUE,
							  "Name the connection of that account, or make one.",
							  "account \"%s\" of the URL is not the account of server \"%s\"",
							  place->account, conn->server);
	if (*suffix != NULL && dp_connection_get(conn, "endpoint") == NULL &&
		pg_strcasecmp(*suffix, its) != 0)
		return dp_refusal_set(refusal, ERRCODE_INVALID_PARAMETER_VALUE,
							  psprintf("Write ...@ACCOUNT.dfs.%s/PATH, or give the server option "
									   "suffix.", its),
							  "host suffix \"%s\" of the URL is not that of server \"%s\"",
							  *suffix, conn->server);
	*suffix = its;
	return true;
}

/*
 * The blob service at ENDPOINT: the account is a part of its host or of its
 * path, else it is added to the path, which is what emulators expect.
 */
static char *
path_style(const char *endpoint, const char *account)
{
	Size		len = strlen(endpoint);
	const char *host = strstr(endpoint, "://") + 3;
	Size		account_len = strlen(account);
	const char *path;

	while (len > 0 && endpoint[len - 1] == '/')
		len--;
	path = memchr(host, '/', endpoint + len - host);
	if (path != NULL ||
		(strncmp(host, account, account_len) == 0 && host[account_len] == '.'))
		return pnstrdup(endpoint, len);
	return psprintf("%.*s/%s", (int) len, endpoint, account);
}

static bool
check_names(const DpAzurePlace *place, DpRefusal *refusal)
{
	if (!is_account(place->account))
		return dp_refusal_set(refusal, ERRCODE_INVALID_PARAMETER_VALUE,
							  "A storage account's name has 3 to 24 lower-case letters and digits.",
							  "the URL of the Azure storage names no valid account");
	if (!is_container(place->container))
		return dp_refusal_set(refusal, ERRCODE_INVALID_PARAMETER_VALUE,
							  "A container's name has 3 to 63 lower-case letters, digits and "
							  "hyphens.",
							  "the URL of the Azure storage names no valid container");
	return true;
}

static bool
is_account(const char *name)
{
	Size		len = strlen(name);

	return len >= 3 && len <= 24 &&
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789") == len;
}

/* "$root", "$web" and "$logs" are the service's own. */
static bool
is_container(const char *name)
{
	Size		len;

	name += *name == '$' ? 1 : 0;
	len = strlen(name);
	return len >= 3 && len <= 63 &&
		strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == len;
}

/* What servers of type adls demand: connection_type_list.h. */
bool
dp_azure_check_connection(const DpConnection *conn, DpRefusal *refusal)
{
	static const char *const bases[] = {"endpoint", "identity_endpoint"};
	const char *account = dp_connection_get(conn, "account");

	for (int i = 0; i < lengthof(bases); i++)
	{
		const char *base = dp_connection_get(conn, bases[i]);

		if (base != NULL && strpbrk(base, "?&=%") != NULL)
			return dp_refusal_set(refusal, ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE,
								  "Give the URL without a query.",
								  "invalid value for option \"%s\"", bases[i]);
	}
	if (account != NULL && !is_account(account))
		return dp_refusal_set(refusal, ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE,
							  "A storage account's name has 3 to 24 lower-case letters and digits.",
							  "invalid value for option \"%s\"", "account");
	if (dp_connection_get(conn, "endpoint") != NULL)
	{
		if (!dp_connection_needs(conn, "account", "SERVER", "An endpoint alone does not tell it.", refusal))
			return false;
		if (dp_connection_get(conn, "suffix") != NULL)
			return dp_refusal_set(refusal, ERRCODE_FDW_INVALID_OPTION_NAME,
								  "Drop one of them.",
								  "options \"%s\" and \"%s\" of server \"%s\" exclude each other",
								  "endpoint", "suffix", conn->server);
	}
	return check_credentials(conn, refusal);
}

static bool
check_credentials(const DpConnection *conn, DpRefusal *refusal)
{
	DpAzureAuth auth = dp_azure_auth(conn);
	const char *client_id = dp_connection_get(conn, "client_id");

	if (client_id != NULL &&
		client_id[strspn(client_id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
						 "0123456789-")] != '\0')
		return dp_refusal_set(refusal, ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE,
							  "It is the application's or identity's client id, a GUID.",
							  "invalid value for option \"%s\"", "client_id");
	switch (auth)
	{
		case DP_AZURE_ANONYMOUS:
			if (!conn->mapped)
				return true;
			return dp_refusal_set(refusal, ERRCODE_FDW_OPTION_NAME_NOT_FOUND,
								  "Add account_key_file, sas_token_file, client_secret_file with "
								  "client_id and tenant_id, or managed_identity; without a user "
								  "mapping only public containers can be read.",
								  "the user mapping on server \"%s\" has no credentials",
								  conn->server);
		case DP_AZURE_ACCOUNT_KEY:
		case DP_AZURE_SAS:
			return dp_connection_needs(conn, "account", "SERVER",
						 "It is the account that the key or token is for.", refusal);
		case DP_AZURE_CLIENT_SECRET:
			return dp_connection_get(conn, "authority_endpoint") != NULL ||
				dp_connection_needs(conn, "tenant_id", "USER MAPPING",
					  "It is the directory (tenant) id of the application.", refusal);
		case DP_AZURE_MANAGED_IDENTITY:
			break;
	}
	return true;
}

/* Which way to authenticate the mapping describes; the validator saw to it that it is one. */
DpAzureAuth
dp_azure_auth(const DpConnection *conn)
{
	if (dp_connection_has(conn, "account_key"))
		return DP_AZURE_ACCOUNT_KEY;
	if (dp_connection_has(conn, "sas_token"))
		return DP_AZURE_SAS;
	if (dp_connection_has(conn, "client_secret"))
		return DP_AZURE_CLIENT_SECRET;
	if (dp_connection_flag(conn, "managed_identity"))
		return DP_AZURE_MANAGED_IDENTITY;
	return DP_AZURE_ANONYMOUS;
}
