/*
 * connection_options.c
 *	  The options of servers and user mappings: one line of a table each.
 *
 * The client options are an allow-list under the client's own names, each with
 * its range.  What is missing is missing on purpose: the client knows options
 * that load libraries, run commands, read files or send a token elsewhere.
 */
#include "dynpipe.h"

#include "source/connection.h"
#include "source/connection_options.h"

#define BOTH	(DP_TYPE_EVENTHUBS | DP_TYPE_KAFKA)
#define HUBS	DP_TYPE_EVENTHUBS
#define KAFKA	DP_TYPE_KAFKA
#define S3		DP_TYPE_S3
#define ADLS	DP_TYPE_ADLS

#define SERVER_OPT(name, types, kind, ...) \
	{name, DP_OPTION_SERVER, types, 0, DP_OPTION_##kind, __VA_ARGS__}
#define CLIENT_INT(name, min, max) \
	{name, DP_OPTION_SERVER, BOTH, DP_OPTION_CLIENT, DP_OPTION_INT, min, max}
#define CLIENT_BOOL(name) \
	{name, DP_OPTION_SERVER, BOTH, DP_OPTION_CLIENT, DP_OPTION_BOOL}
#define CLIENT_ENUM(name, flags, allowed) \
	{name, DP_OPTION_SERVER, BOTH, DP_OPTION_CLIENT | flags, DP_OPTION_ENUM, 0, 0, allowed}
#define MAPPING(name, types, flags, kind, feature) \
	{name, DP_OPTION_MAPPING, types, flags, DP_OPTION_##kind, 0, 0, NULL, feature}
/* A secret: by value, or by the file that holds it. */
#define SECRET(name, types, kind, feature) \
	MAPPING(name, types, DP_OPTION_SECRET, kind, feature), \
	MAPPING(name "_file", types, DP_OPTION_FILE, PATH, feature)

const DpOption dp_options[] = {
	SERVER_OPT("namespace", HUBS, NAME),
	SERVER_OPT("account", ADLS, NAME),
	SERVER_OPT("container", ADLS, TEXT),
	SERVER_OPT("bucket", S3, NAME),
	SERVER_OPT("region", S3, NAME),
	SERVER_OPT("path_style", S3, BOOL),
	SERVER_OPT("endpoint", S3 | ADLS, ENDPOINT),
	SERVER_OPT("suffix", HUBS | ADLS, NAME),
	SERVER_OPT("authority_host", HUBS | ADLS, NAME),
	SERVER_OPT("bootstrap_servers", BOTH, HOSTS),
	SERVER_OPT("security_protocol", BOTH, ENUM, 0, 0,
			   "plaintext, ssl, sasl_plaintext, sasl_ssl"),
	SERVER_OPT("sasl_mechanism", KAFKA, ENUM, 0, 0,
			   "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER"),
	SERVER_OPT("token_endpoint", KAFKA, URL),
	SERVER_OPT("authority_endpoint", ADLS, ENDPOINT),
	{"identity_endpoint", DP_OPTION_SERVER, ADLS, DP_OPTION_SUPERUSER, DP_OPTION_ENDPOINT},
	SERVER_OPT("scope", KAFKA, TEXT),
	{"ssl_ca_file", DP_OPTION_SERVER, BOTH | S3 | ADLS, DP_OPTION_FILE, DP_OPTION_PATH},
	{"ssl.ca.pem", DP_OPTION_SERVER, BOTH | S3 | ADLS, DP_OPTION_CLIENT, DP_OPTION_PEM},
	CLIENT_ENUM("ssl.endpoint.identification.algorithm", DP_OPTION_SUPERUSER, "https, none"),

	CLIENT_ENUM("broker.address.family", 0, "any, v4, v6"),
	CLIENT_INT("connections.max.idle.ms", 10000, 230000),
	CLIENT_INT("fetch.error.backoff.ms", 10, 60000),
	CLIENT_INT("fetch.max.bytes", 65536, 1000000000),
	CLIENT_INT("fetch.message.max.bytes", 1024, 100000000),
	CLIENT_INT("fetch.min.bytes", 1, 100000000),
	CLIENT_INT("fetch.queue.backoff.ms", 1, 10000),
	CLIENT_INT("fetch.wait.max.ms", 1, 30000),
	CLIENT_INT("metadata.max.age.ms", 10000, 230000),
	CLIENT_INT("queued.max.messages.kbytes", 64, 2097151),
	CLIENT_INT("queued.min.messages", 1, 10000000),
	CLIENT_INT("reconnect.backoff.ms", 10, 60000),
	CLIENT_INT("reconnect.backoff.max.ms", 10, 60000),
	CLIENT_INT("socket.connection.setup.timeout.ms", 1000, 60000),
	CLIENT_BOOL("socket.nagle.disable"),
	CLIENT_INT("socket.receive.buffer.bytes", 0, 100000000),
	CLIENT_INT("socket.timeout.ms", 1000, 300000),
	CLIENT_INT("topic.metadata.refresh.interval.ms", 1000, 230000),

	SECRET("connection_string", HUBS, CONNECTION_STRING, "sasl_plain"),
	MAPPING("username", KAFKA, 0, TEXT, "sasl"),
	SECRET("password", KAFKA, TEXT, "sasl"),
	MAPPING("access_key_id", S3, 0, TEXT, NULL),
	SECRET("secret_access_key", S3, TEXT, NULL),
	SECRET("session_token", S3, TEXT, NULL),
	MAPPING("anonymous", S3, 0, BOOL, NULL),
	SECRET("account_key", ADLS, TEXT, NULL),
	SECRET("sas_token", ADLS, TEXT, NULL),
	/* no feature: storage needs none, and what Kafka needs is checked with the connection */
	MAPPING("tenant_id", HUBS | ADLS, 0, NAME, NULL),
	MAPPING("client_id", BOTH | ADLS, 0, TEXT, NULL),
	SECRET("client_secret", BOTH | ADLS, TEXT, NULL),
	MAPPING("managed_identity", HUBS | ADLS, DP_OPTION_SUPERUSER, BOOL, NULL),
	SECRET("ssl_certificate", KAFKA, PEM, "ssl"),
	SECRET("ssl_key", KAFKA, PEM, "ssl"),
	SECRET("ssl_key_password", KAFKA, TEXT, "ssl"),
};
const int	dp_noptions = lengthof(dp_options);

const DpOption *
dp_option_find(const char *name, DpOptionPlace place)
{
	for (int i = 0; i < dp_noptions; i++)
		if (dp_options[i].place == place && strcmp(dp_options[i].name, name) == 0)
			return &dp_options[i];
	return NULL;
}
