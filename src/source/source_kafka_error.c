/*
 * source_kafka_error.c
 *	  The client's errors and log lines, turned into PostgreSQL's.
 *
 *	  library thread --> its event queue --> dp_kafka_serve (our thread, calls
 *	  back into here, which writes to KafkaShared) --> ereport after the call
 *	  has returned: LOG at a bounded rate, ERROR when waiting cannot help.
 *
 * Most of what the library calls an error it mends by itself: connections lost,
 * leaders moved, all brokers down, "unknown" (-1, which Event Hubs sends now
 * and then).  Those only matter when they last, which the helper thread finds
 * out by trying (source_kafka_probe.c).
 */
#include "dynpipe.h"

#include "common/hashfn.h"
#include "source/source_kafka_private.h"

#define LOG_EVERY_MS 10000		/* per kind of line */
#define REPEAT_MS 600000		/* likewise, for the next clients of a failing pipeline */
#define REMEMBERED 128			/* kinds of line of pipelines, the newest ones */

/* What an error means for us; codes that are not listed heal by themselves. */
typedef struct Judgement
{
	rd_kafka_resp_err_t err;
	KafkaVerdict verdict;
	int			sqlstate;
	const char *hint;
} Judgement;

#define HINT_LOGIN \
	"Check the user mapping of the pipeline's owner. Event Hubs also answers like this when its " \
	"firewall does not know the address of this server (namespace, Networking)."
#define HINT_TOPIC \
	"Check the name in the pipeline's source and create the topic or hub if it is missing. An " \
	"Event Hubs namespace of the Basic tier has no Kafka endpoint and answers like this."
#define HINT_TOPIC_RIGHTS \
	"Grant the right to read it: a policy with Listen, the role Azure Event Hubs Data Receiver, " \
	"or a Kafka ACL. An Event Hubs namespace of the Basic tier answers like this too."
#define HINT_BROKEN \
	"What the broker sent cannot be read. If it happens again at the same offset, the record is " \
	"damaged on the broker."

static const Judgement judgements[] = {
	{RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET, KAFKA_OUT_OF_RANGE},
	{RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE, KAFKA_OUT_OF_RANGE},

	{RD_KAFKA_RESP_ERR__AUTHENTICATION, KAFKA_RAISE,
	ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, HINT_LOGIN},
	{RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, KAFKA_RAISE,
	ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION, HINT_LOGIN},
	{RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, KAFKA_RAISE,
		ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
	"Set option sasl_mechanism of the server to one that the broker offers."},
	{RD_KAFKA_RESP_ERR_ILLEGAL_SASL_STATE, KAFKA_RAISE,
		ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
	"Check options security_protocol and sasl_mechanism of the server."},
	{RD_KAFKA_RESP_ERR_SECURITY_DISABLED, KAFKA_RAISE,
		ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION,
	"Check option security_protocol of the server."},

	{RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, KAFKA_RAISE, ERRCODE_UNDEFINED_OBJECT, HINT_TOPIC},
	{RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC, KAFKA_RAISE, ERRCODE_UNDEFINED_OBJECT, HINT_TOPIC},
	{RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION, KAFKA_RAISE, ERRCODE_UNDEFINED_OBJECT, HINT_TOPIC},
	{RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, KAFKA_RAISE, ERRCODE_INVALID_NAME, HINT_TOPIC},
	{RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, KAFKA_RAISE,
	ERRCODE_INSUFFICIENT_PRIVILEGE, HINT_TOPIC_RIGHTS},
	{RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, KAFKA_RAISE,
	ERRCODE_INSUFFICIENT_PRIVILEGE, HINT_TOPIC_RIGHTS},

	/* The library would go on behind the damage: that is a loss. */
	{RD_KAFKA_RESP_ERR__BAD_MSG, KAFKA_RAISE, ERRCODE_PROTOCOL_VIOLATION, HINT_BROKEN},
	{RD_KAFKA_RESP_ERR__BAD_COMPRESSION, KAFKA_RAISE, ERRCODE_PROTOCOL_VIOLATION, HINT_BROKEN},
	{RD_KAFKA_RESP_ERR__NOT_IMPLEMENTED, KAFKA_RAISE, ERRCODE_FEATURE_NOT_SUPPORTED,
	"The records are compressed in a way that this build of librdkafka cannot undo."},
	{RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, KAFKA_RAISE, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
	"Raise the server's option \"fetch.message.max.bytes\" and the setting dynpipe.worker_memory."},
	{RD_KAFKA_RESP_ERR__LOG_TRUNCATION, KAFKA_OUT_OF_RANGE},
	{RD_KAFKA_RESP_ERR__FATAL, KAFKA_RAISE, ERRCODE_CONNECTION_FAILURE, NULL},
};

static const Judgement *find_judgement(rd_kafka_resp_err_t err);
static bool is_final(rd_kafka_resp_err_t err);
static void record_error(rd_kafka_t *rk, int err, const char *reason, void *opaque);
static void record_log(const rd_kafka_t *rk, int level, const char *fac, const char *buf);
static KafkaLog *log_slot(KafkaShared *shared, const char *kind);
static void show_logs(KafkaSource *source);
static bool is_repeated(const char *pipeline, const char *kind, int64_t now);
static void raise_if_refused(KafkaSource *source);
static void raise_if_unreachable(KafkaSource *source);

KafkaVerdict
dp_kafka_judge(rd_kafka_resp_err_t err)
{
	const Judgement *judgement = find_judgement(err);

	return judgement != NULL ? judgement->verdict : KAFKA_IGNORE;
}

static const Judgement *
find_judgement(rd_kafka_resp_err_t err)
{
	for (int i = 0; i < lengthof(judgements); i++)
		if (judgements[i].err == err)
			return &judgements[i];
	return NULL;
}

void
dp_kafka_raise(const KafkaSource *source, rd_kafka_resp_err_t err, const char *text)
{
	const Judgement *judgement = find_judgement(err);
	int			sqlstate = judgement != NULL && judgement->sqlstate != 0 ?
		judgement->sqlstate : ERRCODE_CONNECTION_FAILURE;
	const char *hint = judgement != NULL ? judgement->hint : NULL;

	if (sqlstate == ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION)
		ereport(ERROR,
				(errcode(sqlstate),
				 errmsg("server \"%s\" refused the credentials", source->server),
				 errdetail_internal("%s", text),
				 hint != NULL ? errhint("%s", hint) : 0));
	if (sqlstate == ERRCODE_UNDEFINED_OBJECT && source->topic != NULL)
		ereport(ERROR,
				(errcode(sqlstate),
				 errmsg("topic \"%s\" does not exist on server \"%s\"",
						source->topic, source->server),
				 errdetail_internal("%s", text),
				 hint != NULL ? errhint("%s", hint) : 0));
	if (sqlstate == ERRCODE_INSUFFICIENT_PRIVILEGE && source->topic != NULL)
		ereport(ERROR,
				(errcode(sqlstate),
				 errmsg("permission denied for topic \"%s\" on server \"%s\"",
						source->topic, source->server),
				 errdetail_internal("%s", text),
				 hint != NULL ? errhint("%s", hint) : 0));
	ereport(ERROR,
			(errcode(sqlstate),
			 errmsg("could not read from server \"%s\": %s", source->server,
					rd_kafka_err2str(err)),
			 errdetail_internal("%s", text),
			 hint != NULL ? errhint("%s", hint) : 0));
	pg_unreachable();
}

/*
 * Let the library hand over errors and log lines, show the lines, and raise
 * what cannot be mended by waiting.
 */
void
dp_kafka_serve(KafkaSource *source)
{
	while (rd_kafka_poll(source->rk, 0) > 0)
		;
	show_logs(source);
	raise_if_refused(source);
	raise_if_unreachable(source);
}

void
dp_kafka_set_callbacks(rd_kafka_conf_t *conf)
{
	rd_kafka_conf_set_error_cb(conf, record_error);
	rd_kafka_conf_set_log_cb(conf, record_log);
}

/* Keep TEXT as the newest trouble.  Any thread, lock not held. */
void
dp_kafka_note(KafkaShared *shared, const char *text)
{
	pthread_mutex_lock(&shared->lock);
	strlcpy(shared->last_text, text, DP_KAFKA_TEXT);
	pthread_mutex_unlock(&shared->lock);
}

/*
 * Will a connection that failed with ERR fail again?  A bad message there is
 * something else than a broker answering, which may change.
 */
static bool
is_final(rd_kafka_resp_err_t err)
{
	const Judgement *judgement = find_judgement(err);

	return judgement != NULL && judgement->verdict == KAFKA_RAISE &&
		judgement->sqlstate != ERRCODE_PROTOCOL_VIOLATION;
}

/* From inside rd_kafka_poll: writes down, never raises. */
static void
record_error(rd_kafka_t *rk, int err, const char *reason, void *opaque)
{
	KafkaShared *shared = opaque;

	pthread_mutex_lock(&shared->lock);
	/* "all brokers down" follows the reason and says less */
	if (err != RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || shared->last_text[0] == '\0')
		strlcpy(shared->last_text, reason, DP_KAFKA_TEXT);
	if (is_final(err) && shared->fatal == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		shared->fatal = err;
		strlcpy(shared->fatal_text, reason, DP_KAFKA_TEXT);
	}
	/* look at once whether anybody answers, not at the next regular time */
	shared->hurry = true;
	pthread_cond_signal(&shared->changed);
	pthread_mutex_unlock(&shared->lock);
}

/* Usually from inside rd_kafka_poll, but maybe from any thread while a client is made. */
static void
record_log(const rd_kafka_t *rk, int level, const char *fac, const char *buf)
{
	KafkaShared *shared = rd_kafka_opaque(rk);
	KafkaLog   *log;

	/* A very old broker may create topics that are asked for; nothing can be done. */
	if (strcmp(fac, "AUTOCREATE") == 0)
		return;
	pthread_mutex_lock(&shared->lock);
	log = log_slot(shared, fac);
	strlcpy(log->text, buf, DP_KAFKA_TEXT);
	log->waiting++;
	pthread_mutex_unlock(&shared->lock);
}

/* The slot of KIND; kinds beyond the last slot share it. */
static KafkaLog *
log_slot(KafkaShared *shared, const char *kind)
{
	int			i;

	for (i = 0; i < DP_KAFKA_LOGS - 1; i++)
		if (shared->logs[i].kind[0] == '\0' || strcmp(shared->logs[i].kind, kind) == 0)
			break;
	strlcpy(shared->logs[i].kind, kind, sizeof(shared->logs[i].kind));
	return &shared->logs[i];
}

/* At most one line of a kind in LOG_EVERY_MS, with the count of those left out. */
static void
show_logs(KafkaSource *source)
{
	KafkaShared *shared = source->shared;
	int64_t		now = dp_kafka_now();

	for (int i = 0; i < DP_KAFKA_LOGS; i++)
	{
		KafkaLog	log;

		pthread_mutex_lock(&shared->lock);
		log = shared->logs[i];
		if (log.waiting > 0 && (log.shown_at == 0 || now - log.shown_at >= LOG_EVERY_MS))
		{
			shared->logs[i].waiting = 0;
			shared->logs[i].shown_at = now;
		}
		else
			log.waiting = 0;
		pthread_mutex_unlock(&shared->lock);
		if (log.kind[0] == '\0')
			break;
		if (log.waiting == 0 ||
			(log.shown_at == 0 && is_repeated(source->pipeline, log.kind, now)))
			continue;
		ereport(LOG,
				(errmsg("kafka client of pipeline \"%s\": %s: %s",
						source->pipeline, log.kind, log.text),
				 log.waiting > 1 ?
				 errdetail_plural("%d line of this kind was left out.",
								  "%d lines of this kind were left out.",
								  log.waiting - 1, log.waiting - 1) : 0,
				 errhidestmt(true), errhidecontext(true)));
	}
}

/*
 * Each try of a failing pipeline makes a new client, which says the same again;
 * what matters of it is in the error.
 */
static bool
is_repeated(const char *pipeline, const char *kind, int64_t now)
{
	static struct
	{
		uint32		hash;
		int64_t		shown_at;
	}			remembered[REMEMBERED];
	uint32		hash = hash_combine(string_hash(pipeline, NAMEDATALEN),
									string_hash(kind, NAMEDATALEN));
	int			i = hash % REMEMBERED;

	if (remembered[i].hash == hash && remembered[i].shown_at != 0 &&
		now - remembered[i].shown_at < REPEAT_MS)
		return true;
	remembered[i].hash = hash;
	remembered[i].shown_at = now;
	return false;
}

/* Raise what a callback or the helper wrote down and waiting will not mend. */
static void
raise_if_refused(KafkaSource *source)
{
	KafkaShared *shared = source->shared;
	rd_kafka_resp_err_t err;
	char		text[DP_KAFKA_TEXT];

	pthread_mutex_lock(&shared->lock);
	err = shared->fatal != RD_KAFKA_RESP_ERR_NO_ERROR ? shared->fatal : shared->refused;
	strlcpy(text, shared->fatal != RD_KAFKA_RESP_ERR_NO_ERROR ?
			shared->fatal_text : shared->refused_text, DP_KAFKA_TEXT);
	pthread_mutex_unlock(&shared->lock);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		dp_kafka_raise(source, err, text);
}

static void
raise_if_unreachable(KafkaSource *source)
{
	KafkaShared *shared = source->shared;
	int64_t		now = dp_kafka_now();
	int64_t		silent;
	char		text[DP_KAFKA_TEXT];

	pthread_mutex_lock(&shared->lock);
	silent = shared->failing_since == 0 ? 0 :
		now - Max(shared->failing_since, shared->contact_at);
	strlcpy(text, shared->last_text, DP_KAFKA_TEXT);
	pthread_mutex_unlock(&shared->lock);
	if (silent < DP_KAFKA_GIVE_UP_MS)
		return;
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("could not reach server \"%s\" for %d seconds", source->server,
					DP_KAFKA_GIVE_UP_MS / 1000),
			 errdetail_internal("%s", text[0] != '\0' ? text : "No broker answered."),
			 errhint("Check the server's options \"bootstrap_servers\" or \"namespace\", "
					 "\"security_protocol\", \"ssl_ca_file\", the name service, and firewalls "
					 "for the port (9093 for Event Hubs).")));
}
