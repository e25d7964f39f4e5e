/*
 * source_kafka_conf.c
 *	  The settings of a client: nothing that matters is left to a default.
 *
 *	  connection, memory limit --> list of (name, value) --> rd_kafka_conf_t
 *
 * The list is complete before the library's object exists, so nothing can
 * raise while that object has no owner.  Secrets in the list are wiped as soon
 * as they have been handed over.
 */
#include "dynpipe.h"

#include "commands/dbcommands.h"
#include "miscadmin.h"
#include "source/source_kafka_private.h"

#define MIN_LIMIT (16 * 1024 * 1024)	/* with less, one large answer does not fit */

typedef struct Setting
{
	const char *name;
	char	   *value;
	bool		secret;
} Setting;

typedef struct Fixed
{
	const char *name;
	const char *value;
	bool		optional;		/* younger than the oldest library we run with */
} Fixed;

/* A server's client options may replace these. */
static const Fixed tunable[] = {
	/* Azure drops connections that are idle for 240 s, without a word */
	{"connections.max.idle.ms", "180000"},
	{"metadata.max.age.ms", "180000"},
	{"topic.metadata.refresh.interval.ms", "60000"},
	{"socket.timeout.ms", "60000"},
	{"socket.connection.setup.timeout.ms", "10000"},
	{"socket.nagle.disable", "true"},
	{"reconnect.backoff.ms", "100"},
	{"reconnect.backoff.max.ms", "5000"},
	{"broker.address.family", "any"},
	{"fetch.min.bytes", "1"},
	{"fetch.wait.max.ms", "100"},
	{"fetch.error.backoff.ms", "200"},
	{"fetch.queue.backoff.ms", "20", true},
};

/* The guarantees rest on these. */
static const Fixed fixed[] = {
	{"enable.auto.commit", "false"},
	{"enable.auto.offset.store", "false"},
	{"enable.partition.eof", "false"},
	{"auto.offset.reset", "error"},
	{"isolation.level", "read_committed"},
	{"check.crcs", "true"},
	{"allow.auto.create.topics", "false"},
	{"group.protocol", "classic", true},
	{"enable.metrics.push", "false", true},
	{"socket.keepalive.enable", "true"},
	{"session.timeout.ms", "30000"},
	{"heartbeat.interval.ms", "3000"},
	{"max.poll.interval.ms", "86400000"},
	{"statistics.interval.ms", "0"},
	{"log.queue", "true"},
	{"log.connection.close", "false"},
};

static void add(List **settings, const char *name, const char *value);
static void add_secret(List **settings, const char *name, const char *value);
static void add_fixed(List **settings, const Fixed *list, int n);
static void add_memory(List **settings, Size limit);
static void add_client_options(List **settings, const DpConnection *conn, Size limit);
static void add_where(List **settings, const DpConnection *conn);
static void add_credentials(List **settings, const DpConnection *conn, const DpSourceSpec *spec);
static void add_connection_string(List **settings, const DpConnection *conn,
								  const DpSourceSpec *spec);
static void add_client_secret(List **settings, const DpConnection *conn);
static void add_managed_identity(List **settings, const DpConnection *conn);
static char *client_name(const char *prefix, const char *name, int max);
static rd_kafka_conf_t *apply(List *settings, char *errstr, size_t size);
static void wipe(List *settings);

/* A new configuration object, the caller's; raises when the settings are refused. */
rd_kafka_conf_t *
dp_kafka_make_conf(DpConnection *conn, const DpSourceSpec *spec)
{
	Size		limit = Max(spec->memory_limit, (Size) MIN_LIMIT);
	char	   *database = get_database_name(MyDatabaseId);
	List	   *settings = NIL;
	rd_kafka_conf_t *conf;
	char		errstr[512];

	add_fixed(&settings, tunable, lengthof(tunable));
	add_memory(&settings, limit);
	add_client_options(&settings, conn, limit);
	add_fixed(&settings, fixed, lengthof(fixed));
	add(&settings, "client.id", client_name("dynpipe-", spec->pipeline, 120));
	/* Never joined and nothing is committed to it; assigning needs one all the same. */
	add(&settings, "group.id",
		client_name(psprintf("dynpipe-%s-", database != NULL ? database : ""), spec->pipeline, 200));
	add_where(&settings, conn);
	add_credentials(&settings, conn, spec);

	conf = apply(settings, errstr, sizeof(errstr));
	wipe(settings);
	if (conf == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("the Kafka client refused the settings of server \"%s\"", conn->server),
				 errdetail_internal("%s", errstr)));
	return conf;
}

static void
add(List **settings, const char *name, const char *value)
{
	Setting    *setting = palloc(sizeof(Setting));

	setting->name = name;
	setting->value = pstrdup(value);
	setting->secret = false;
	*settings = lappend(*settings, setting);
}

static void
add_secret(List **settings, const char *name, const char *value)
{
	add(settings, name, value);
	((Setting *) llast(*settings))->secret = true;
}

static void
add_fixed(List **settings, const Fixed *list, int n)
{
	for (int i = 0; i < n; i++)
		if (!list[i].optional || dp_kafka_known(list[i].name))
			add(settings, list[i].name, list[i].value);
}

/* The bytes that may wait in the client's queue, of a limit for all. */
Size
dp_kafka_queue_bytes(Size memory_limit)
{
	return Max(memory_limit, (Size) MIN_LIMIT) / 4;
}

/*
 * How LIMIT is shared out: a quarter may wait in the client's queue, a quarter
 * is its book-keeping there (some 350 bytes a message), a quarter is what the
 * batch holds on to, an eighth is one answer under way; the rest is room for
 * what overshoots, since the queue is checked before a fetch.
 */
static void
add_memory(List **settings, Size limit)
{
	Size		fetch = Min(Max(limit / 8, (Size) 1024 * 1024), (Size) 50 * 1024 * 1024);
	Size		per_partition = Min(Max(limit / 32, (Size) 1024 * 1024), (Size) 4 * 1024 * 1024);
	Size		answer = Min(Max(limit / 2, fetch + 1024 * 1024), (Size) 2000000000);

	add(settings, "queued.max.messages.kbytes",
		psprintf("%zu", Min(dp_kafka_queue_bytes(limit) / 1024, (Size) 2097151)));
	add(settings, "queued.min.messages",
		psprintf("%zu", Min(limit / 4 / 350, (Size) 1000000)));
	add(settings, "fetch.max.bytes", psprintf("%zu", fetch));
	add(settings, "fetch.message.max.bytes", psprintf("%zu", Min(per_partition, fetch)));
	add(settings, "receive.message.max.bytes", psprintf("%zu", answer));
}

/* What the server's options say, but never more memory than there is. */
static void
add_client_options(List **settings, const DpConnection *conn, Size limit)
{
	ListCell   *lc;

	foreach(lc, dp_connection_client_options(conn))
	{
		DpClientOption *option = lfirst(lc);
		const char *value = option->value;
		Size		most = 0;

		if (strcmp(option->name, "queued.max.messages.kbytes") == 0)
			most = limit / 4 / 1024;
		else if (strcmp(option->name, "fetch.max.bytes") == 0 ||
				 strcmp(option->name, "fetch.message.max.bytes") == 0)
			most = limit / 4;
		if (most > 0 && strtoul(value, NULL, 10) > most)
			value = psprintf("%zu", most);
		add(settings, option->name, value);
	}
}

static void
add_where(List **settings, const DpConnection *conn)
{
	const char *servers = dp_connection_get(conn, "bootstrap_servers");
	const char *protocol = dp_kafka_protocol(conn);

	if (servers == NULL)
		servers = psprintf("%s:9093", dp_kafka_namespace_host(conn));
	add(settings, "bootstrap.servers", servers);
	add(settings, "security.protocol", protocol);
	if (strstr(protocol, "ssl") == NULL)
		return;
	add(settings, "enable.ssl.certificate.verification", "true");
	if (dp_connection_get(conn, "ssl.endpoint.identification.algorithm") == NULL)
		add(settings, "ssl.endpoint.identification.algorithm", "https");
	if (dp_connection_get(conn, "ssl.ca.pem") == NULL)
		add(settings, "ssl.ca.location", "probe");
	if (dp_connection_get(conn, "ssl_certificate") == NULL)
		return;
	add_secret(settings, "ssl.certificate.pem", dp_connection_get(conn, "ssl_certificate"));
	add_secret(settings, "ssl.key.pem", dp_connection_get(conn, "ssl_key"));
	if (dp_connection_get(conn, "ssl_key_password") != NULL)
		add_secret(settings, "ssl.key.password", dp_connection_get(conn, "ssl_key_password"));
}

static void
add_credentials(List **settings, const DpConnection *conn, const DpSourceSpec *spec)
{
	const char *mechanism = dp_connection_get(conn, "sasl_mechanism");

	switch (dp_kafka_auth(conn))
	{
		case KAFKA_AUTH_NONE:
			break;
		case KAFKA_AUTH_CONNECTION_STRING:
			add_connection_string(settings, conn, spec);
			break;
		case KAFKA_AUTH_PASSWORD:
			add(settings, "sasl.mechanism", mechanism != NULL ? mechanism : "PLAIN");
			add_secret(settings, "sasl.username", dp_connection_get(conn, "username"));
			add_secret(settings, "sasl.password", dp_connection_get(conn, "password"));
			break;
		case KAFKA_AUTH_CLIENT_SECRET:
			add_client_secret(settings, conn);
			break;
		case KAFKA_AUTH_MANAGED_IDENTITY:
			add_managed_identity(settings, conn);
			break;
	}
}

/* The string must be for this namespace, and for this hub when it is for one hub only. */
static void
add_connection_string(List **settings, const DpConnection *conn, const DpSourceSpec *spec)
{
	const char *text = dp_connection_get(conn, "connection_string");
	const char *name = dp_kafka_namespace_host(conn);
	char	   *host;
	char	   *entity;
	DpRefusal	refusal = {0};

	if (!dp_secret_check_connection_string(text, &host, &entity, &refusal))
		dp_refusal_raise(&refusal);
	if (name != NULL && pg_strcasecmp(host, name) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("the connection string is not for the namespace of server \"%s\"",
						conn->server),
				 errhint("Take the connection string of namespace \"%s\", or correct the "
						 "server's option \"namespace\".", name)));
	if (entity != NULL && spec->path != NULL && strcmp(entity, spec->path) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION),
				 errmsg("the connection string is for another hub than \"%s\"", spec->path),
				 errhint("Take the connection string of a policy of this hub or of the namespace.")));
	add(settings, "sasl.mechanism", "PLAIN");
	add(settings, "sasl.username", "$ConnectionString");
	add_secret(settings, "sasl.password", text);
}

static void
add_client_secret(List **settings, const DpConnection *conn)
{
	const char *endpoint = dp_connection_get(conn, "token_endpoint");
	const char *scope = dp_connection_get(conn, "scope");
	const char *authority = dp_connection_get(conn, "authority_host");

	if (conn->type->mark == DP_TYPE_EVENTHUBS)
	{
		endpoint = psprintf("https://%s/%s/oauth2/v2.0/token",
							authority != NULL ? authority : "login.microsoftonline.com",
							dp_connection_get(conn, "tenant_id"));
		scope = psprintf("https://%s/.default", dp_kafka_namespace_host(conn));
	}
	add(settings, "sasl.mechanism", "OAUTHBEARER");
	add(settings, "sasl.oauthbearer.method", "oidc");
	add(settings, "sasl.oauthbearer.token.endpoint.url", endpoint);
	if (scope != NULL)
		add(settings, "sasl.oauthbearer.scope", scope);
	add(settings, "sasl.oauthbearer.client.id", dp_connection_get(conn, "client_id"));
	add_secret(settings, "sasl.oauthbearer.client.secret",
			   dp_connection_get(conn, "client_secret"));
}

static void
add_managed_identity(List **settings, const DpConnection *conn)
{
	const char *client_id = dp_connection_get(conn, "client_id");

	add(settings, "sasl.mechanism", "OAUTHBEARER");
	add(settings, "sasl.oauthbearer.method", "oidc");
	add(settings, "sasl.oauthbearer.metadata.authentication.type", "azure_imds");
	/* The library's introduction calls the key "params"; it reads "query". */
	add(settings, "sasl.oauthbearer.config",
		psprintf("query=api-version=2018-02-01&resource=https://%s%s%s",
				 dp_kafka_namespace_host(conn),
				 client_id != NULL ? "&client_id=" : "",
				 client_id != NULL ? client_id : ""));
}

/* Names go to other people's logs: plain ASCII, bounded. */
static char *
client_name(const char *prefix, const char *name, int max)
{
	char	   *text = psprintf("%s%s", prefix, name != NULL ? name : "");

	for (char *c = text; *c != '\0'; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
			  (*c >= '0' && *c <= '9') || *c == '-' || *c == '_' || *c == '.'))
			*c = '_';
	if (strlen(text) > max)
		text[max] = '\0';
	return text;
}

/* Hand all of SETTINGS over; NULL with the reason, which is no secret, on refusal. */
static rd_kafka_conf_t *
apply(List *settings, char *errstr, size_t size)
{
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	ListCell   *lc;

	foreach(lc, settings)
	{
		Setting    *setting = lfirst(lc);

		if (rd_kafka_conf_set(conf, setting->name, setting->value, errstr, size) ==
			RD_KAFKA_CONF_OK)
			continue;
		if (setting->secret)
			snprintf(errstr, size, "Its value for property \"%s\" is not valid.", setting->name);
		rd_kafka_conf_destroy(conf);
		return NULL;
	}
	return conf;
}

static void
wipe(List *settings)
{
	ListCell   *lc;

	foreach(lc, settings)
		if (((Setting *) lfirst(lc))->secret)
			dp_secret_wipe(((Setting *) lfirst(lc))->value);
}
