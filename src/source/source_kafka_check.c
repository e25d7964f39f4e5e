/*
 * source_kafka_check.c
 *	  Can this build of librdkafka do it, and does the connection say enough?
 *	  No I/O; the same checks serve a document's problems and an open.
 */
#include "dynpipe.h"

#include "foreign/foreign.h"
#include "nodes/parsenodes.h"
#include "source/source_feature.h"
#include "source/source_kafka_private.h"
#include "utils/builtins.h"

#define VERSION(a, b, c)	(((a) << 16) | ((b) << 8) | (c))

extern bool dp_kafka_check_connection(const DpConnection *conn, DpRefusal *refusal);

static bool version_usable(int version, DpRefusal *refusal);
static bool check_where(const DpConnection *conn, DpRefusal *refusal);
static bool check_credentials(const DpConnection *conn, DpRefusal *refusal);
static bool check_auth(const DpConnection *conn, KafkaAuth auth, DpRefusal *refusal);
static bool check_features(const DpConnection *conn, KafkaAuth auth, DpRefusal *refusal);
static bool check_client_options(const DpConnection *conn, DpRefusal *refusal);
static bool is_hubs(const DpConnection *conn);

bool
dp_source_has_feature(const char *feature, DpRefusal *refusal)
{
	int			version = rd_kafka_version() >> 8;
	rd_kafka_conf_t *conf;
	char		features[512] = "";
	size_t		size = sizeof(features);
	bool		found = false;

	if (!version_usable(version, refusal))
		return false;
	if (feature == NULL)
		return true;
	if (strcmp(feature, "azure_imds") == 0 && version < VERSION(2, 12, 0))
	{
		dp_refusal_set(refusal, ERRCODE_FEATURE_NOT_SUPPORTED,
					   "Install librdkafka 2.12 or newer, or use a connection string.",
					   "managed identities are not supported by this build of librdkafka");
		refusal->detail = psprintf("It is version %s; they came with 2.12.",
								   rd_kafka_version_str());
		return false;
	}
	if (strcmp(feature, "azure_imds") == 0)
		feature = "oidc";
	conf = rd_kafka_conf_new();
	if (rd_kafka_conf_get(conf, "builtin.features", features, &size) == RD_KAFKA_CONF_OK)
		for (const char *one = features; *one != '\0' && !found;)
		{
			size_t		len = strcspn(one, ",");

			found = strlen(feature) == len && strncmp(one, feature, len) == 0;
			one += len + (one[len] == ',' ? 1 : 0);
		}
	rd_kafka_conf_destroy(conf);
	if (found)
		return true;
	dp_refusal_set(refusal, ERRCODE_FEATURE_NOT_SUPPORTED,
				   "Install a librdkafka that was built with it, or authenticate another way.",
				   "feature \"%s\" is not supported by this build of librdkafka", feature);
	refusal->detail = psprintf("Version %s was built with: %s.", rd_kafka_version_str(), features);
	return false;
}

/* Versions that lose or repeat records, or read nothing from Event Hubs, are refused. */
static bool
version_usable(int version, DpRefusal *refusal)
{
	const char *why = NULL;

	if (version == VERSION(2, 6, 0))
		why = "It reads nothing from Event Hubs: the connection is closed at every fetch.";
	else if (version == VERSION(2, 1, 0) || version == VERSION(2, 1, 1))
		why = "After a TLS error it goes back to the oldest record without saying so.";
	else if (version < VERSION(2, 0, 0))
		why = "It can lose records when they are read in batches.";
	if (why == NULL)
		return true;
	dp_refusal_set(refusal, ERRCODE_FEATURE_NOT_SUPPORTED,
				   "Install another version of librdkafka: 2.0.2, 2.8, or 2.12 and newer "
				   "are known to work.",
				   "librdkafka %s cannot be used", rd_kafka_version_str());
	refusal->detail = pstrdup(why);
	return false;
}

/* Does this version know PROPERTY at all? */
bool
dp_kafka_known(const char *property)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	size_t		size = 0;
	bool		known = rd_kafka_conf_get(conf, property, NULL, &size) == RD_KAFKA_CONF_OK;

	rd_kafka_conf_destroy(conf);
	return known;
}

bool
dp_kafka_check_connection(const DpConnection *conn, DpRefusal *refusal)
{
	return dp_source_has_feature(NULL, refusal) &&
		check_where(conn, refusal) &&
		check_credentials(conn, refusal) &&
		check_client_options(conn, refusal);
}

static bool
check_where(const DpConnection *conn, DpRefusal *refusal)
{
	if (dp_connection_get(conn, "bootstrap_servers") != NULL)
		return true;
	if (is_hubs(conn))
		return dp_connection_needs(conn, "namespace", "SERVER",
					 "It is the first part of the name NAMESPACE.servicebus.windows.net.", refusal);
	return dp_connection_needs(conn, "bootstrap_servers", "SERVER",
				 "It is a list HOST:PORT of brokers.", refusal);
}

/* Credentials and protocol must fit each other: neither may be ignored silently. */
static bool
check_credentials(const DpConnection *conn, DpRefusal *refusal)
{
	KafkaAuth	auth = dp_kafka_auth(conn);
	const char *protocol = dp_kafka_protocol(conn);
	bool		sasl = strncmp(protocol, "sasl_", 5) == 0;

	if (sasl && auth == KAFKA_AUTH_NONE && !conn->mapped)
		return dp_refusal_set(refusal, ERRCODE_UNDEFINED_OBJECT,
							  psprintf("Use CREATE USER MAPPING FOR %s SERVER %s OPTIONS (%s ...).",
									   quote_identifier(conn->role),
									   quote_identifier(conn->server),
									   is_hubs(conn) ? "connection_string_file" :
									   "username ..., password_file"),
							  "role \"%s\" has no user mapping on server \"%s\"",
							  conn->role, conn->server);
	if (sasl && auth == KAFKA_AUTH_NONE)
		return dp_refusal_set(refusal, ERRCODE_FDW_OPTION_NAME_NOT_FOUND,
							  is_hubs(conn) ? "Add connection_string_file, connection_string, "
							  "client_secret with client_id and tenant_id, or managed_identity." :
							  "Add username and password_file, or client_id and client_secret_file.",
							  "the user mapping on server \"%s\" has no credentials", conn->server);
	if (!sasl && auth != KAFKA_AUTH_NONE)
		return dp_refusal_set(refusal, ERRCODE_FDW_INVALID_OPTION_NAME,
							  "Use security_protocol sasl_ssl, or drop the user mapping.",
							  "security_protocol \"%s\" of server \"%s\" makes no use of the "
							  "credentials of the user mapping", protocol, conn->server);
	return check_auth(conn, auth, refusal) && check_features(conn, auth, refusal);
}

static bool
check_auth(const DpConnection *conn, KafkaAuth auth, DpRefusal *refusal)
{
	const char *mechanism = dp_connection_get(conn, "sasl_mechanism");
	const char *client_id = dp_connection_get(conn, "client_id");
	bool		bearer = mechanism != NULL && strcmp(mechanism, "OAUTHBEARER") == 0;

	if (is_hubs(conn) && client_id != NULL &&
		client_id[strspn(client_id, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
						 "0123456789-")] != '\0')
		return dp_refusal_set(refusal, ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE,
							  "It is the application's or identity's client id, a GUID.",
							  "invalid value for option \"%s\"", "client_id");
	if (is_hubs(conn) && auth == KAFKA_AUTH_CLIENT_SECRET)
		return dp_connection_needs(conn, "tenant_id", "USER MAPPING",
					 "It is the directory (tenant) id of the application.", refusal) &&
			dp_connection_needs(conn, "namespace", "SERVER", "The token is asked for by that name.", refusal);
	if (auth == KAFKA_AUTH_MANAGED_IDENTITY)
		return dp_connection_needs(conn, "namespace", "SERVER", "The token is asked for by that name.", refusal);
	if (auth == KAFKA_AUTH_CLIENT_SECRET)
		return dp_connection_needs(conn, "token_endpoint", "SERVER",
					 "It is the https:// URL that gives out tokens.", refusal);
	if (auth == KAFKA_AUTH_PASSWORD && bearer)
		return dp_refusal_set(refusal, ERRCODE_FDW_INVALID_OPTION_NAME,
							  "Give client_id and client_secret_file, or another sasl_mechanism.",
							  "sasl_mechanism \"%s\" makes no use of a password", mechanism);
	return true;
}

static bool
check_features(const DpConnection *conn, KafkaAuth auth, DpRefusal *refusal)
{
	const char *protocol = dp_kafka_protocol(conn);
	const char *mechanism = dp_connection_get(conn, "sasl_mechanism");
	const char *feature = NULL;

	if (strstr(protocol, "ssl") != NULL && !dp_source_has_feature("ssl", refusal))
		return false;
	if (auth == KAFKA_AUTH_CONNECTION_STRING)
		feature = "sasl_plain";
	else if (auth == KAFKA_AUTH_PASSWORD)
		feature = mechanism != NULL && strncmp(mechanism, "SCRAM", 5) == 0 ?
			"sasl_scram" : "sasl_plain";
	else if (auth == KAFKA_AUTH_CLIENT_SECRET)
		feature = "oidc";
	else if (auth == KAFKA_AUTH_MANAGED_IDENTITY)
		feature = "azure_imds";
	return dp_source_has_feature(feature, refusal);
}

/* An option of the allow-list may be younger than the library. */
static bool
check_client_options(const DpConnection *conn, DpRefusal *refusal)
{
	ListCell   *lc;

	foreach(lc, dp_connection_client_options(conn))
	{
		DpClientOption *option = lfirst(lc);

		if (!dp_kafka_known(option->name))
			return dp_refusal_set(refusal, ERRCODE_FEATURE_NOT_SUPPORTED,
								  "Drop the option, or install a newer librdkafka.",
								  "option \"%s\" of server \"%s\" is not known to librdkafka %s",
								  option->name, conn->server, rd_kafka_version_str());
	}
	return true;
}

/* Which way to authenticate the mapping describes; the validator saw to it that it is one. */
KafkaAuth
dp_kafka_auth(const DpConnection *conn)
{
	if (dp_connection_has(conn, "connection_string"))
		return KAFKA_AUTH_CONNECTION_STRING;
	if (dp_connection_has(conn, "password"))
		return KAFKA_AUTH_PASSWORD;
	if (dp_connection_has(conn, "client_secret"))
		return KAFKA_AUTH_CLIENT_SECRET;
	if (dp_connection_flag(conn, "managed_identity"))
		return KAFKA_AUTH_MANAGED_IDENTITY;
	return KAFKA_AUTH_NONE;
}

/* As given; else encrypted whenever there is something to protect or to prove. */
const char *
dp_kafka_protocol(const DpConnection *conn)
{
	const char *protocol = dp_connection_get(conn, "security_protocol");

	if (protocol != NULL)
		return protocol;
	if (is_hubs(conn) || dp_kafka_auth(conn) != KAFKA_AUTH_NONE)
		return "sasl_ssl";
	if (dp_connection_has(conn, "ssl_ca") || dp_connection_get(conn, "ssl.ca.pem") != NULL ||
		dp_connection_has(conn, "ssl_key"))
		return "ssl";
	return "plaintext";
}

/* NAMESPACE.servicebus.windows.net; a namespace with a dot is a full name already. */
char *
dp_kafka_namespace_host(const DpConnection *conn)
{
	const char *name = dp_connection_get(conn, "namespace");
	const char *suffix = dp_connection_get(conn, "suffix");

	if (name == NULL)
		return NULL;
	if (strchr(name, '.') != NULL)
		return pstrdup(name);
	return psprintf("%s.%s", name, suffix != NULL ? suffix : "servicebus.windows.net");
}

/* Add what is wrong with SPEC's source to DOC's problems. */
void
dp_kafka_check(const DpPipelineSpec *spec, Oid serverid, Oid owner, DpDocument *doc)
{
	char	   *pointer = psprintf("%s/source", spec->pointer != NULL ? spec->pointer : "");
	DpRefusal	refusal = {0};

	if (spec->authority == NULL || *spec->authority == '\0' ||
		spec->path == NULL || *spec->path == '\0')
	{
		dp_config_add_problem(doc, pointer, "Write SCHEME://SERVER/TOPIC, where SERVER is the name "
							  "given in CREATE SERVER.",
							  "source \"%s\" names no server or no topic", spec->source);
		return;
	}
	if (strlen(spec->path) > 249 || strchr(spec->path, '/') != NULL)
	{
		dp_config_add_problem(doc, pointer, "A topic's or hub's name has at most 249 letters, "
							  "digits, dots, underscores and hyphens.",
							  "source \"%s\" names no valid topic", spec->source);
		return;
	}
	if (!OidIsValid(serverid))
		serverid = get_foreign_server_oid(spec->authority, true);
	if (!OidIsValid(serverid))
	{
		dp_config_add_problem(doc, pointer,
							  psprintf("Use CREATE SERVER %s TYPE '%s' FOREIGN DATA WRAPPER dynpipe "
									   "OPTIONS (%s ...).", quote_identifier(spec->authority),
									   spec->scheme, strcmp(spec->scheme, "eventhubs") == 0 ?
									   "namespace" : "bootstrap_servers"),
							  "server \"%s\" does not exist", spec->authority);
		return;
	}
	if (dp_connection_resolve(serverid, spec->scheme, owner, false, &refusal) == NULL)
		dp_config_add_problem(doc, pointer, refusal.hint, "%s", refusal.message);
}

static bool
is_hubs(const DpConnection *conn)
{
	return conn->type->mark == DP_TYPE_EVENTHUBS;
}
