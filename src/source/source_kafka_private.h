/*
 * source_kafka_private.h
 *	  What the files of the Kafka source share; the only include of librdkafka.
 *
 *	  source_kafka.c        the client's life: open, assign, poll, release, lag, close
 *	  source_kafka_conf.c   settings, from a connection and a memory limit
 *	  source_kafka_check.c  is this build and this connection usable?
 *	  source_kafka_probe.c  our helper thread: partitions, offsets, and the end
 *	  source_kafka_error.c  the client's errors and logs, turned into PostgreSQL's
 *
 * Threads.  The PostgreSQL thread makes every call that reads records and
 * never one that waits for the network.  The helper thread makes the calls
 * that do, with all signals blocked, and enters no PostgreSQL code.  What both
 * touch is in KafkaShared: malloc'ed, guarded by its mutex, freed by whoever
 * lets go last, since the helper may outlive the source when a name server or
 * a broker keeps the library busy.
 *
 * Callbacks of the library run in the PostgreSQL thread, inside rd_kafka_poll,
 * and only write to KafkaShared.
 */
#ifndef DP_SOURCE_KAFKA_PRIVATE_H
#define DP_SOURCE_KAFKA_PRIVATE_H

#include "postgres.h"

#include <pthread.h>
#include <librdkafka/rdkafka.h>

#include "lib/ilist.h"
#include "source/connection.h"
#include "source/source.h"

/* Named in 2.1; the library we run with may be newer than its header. */
#if RD_KAFKA_VERSION < 0x020100ff
#define RD_KAFKA_RESP_ERR__LOG_TRUNCATION (-139)
#endif

#define DP_KAFKA_TEXT	256		/* bytes kept of an error or log text */
#define DP_KAFKA_LOGS	16		/* kinds of log line told apart */
#define DP_KAFKA_GIVE_UP_MS	10000	/* nothing reached for so long: raise */

/* One partition as the helper found it. */
typedef struct KafkaFound
{
	int32_t		id;
	int64_t		low;
	int64_t		high;
	int64_t		start;
} KafkaFound;

/* One kind of log line: the library's facility. */
typedef struct KafkaLog
{
	char		kind[32];
	char		text[DP_KAFKA_TEXT];	/* newest */
	int			waiting;		/* lines not shown yet */
	int64_t		shown_at;		/* ms, monotonic; 0: never */
} KafkaLog;

typedef struct KafkaShared
{
	pthread_mutex_t lock;
	pthread_cond_t changed;		/* on the monotonic clock */
	int			references;
	int			wake_fd;		/* -1: nobody to wake */

	/* orders to the helper */
	bool		stop;
	uint64_t	asked;			/* discoveries wanted, counted */
	bool		hurry;			/* trouble: look for the broker soon */
	bool		nudge;			/* room in the queue: make the library see it */

	/* its answers */
	uint64_t	answered;		/* the discovery that found[] belongs to */
	KafkaFound *found;
	int			nfound;
	int			partitions;		/* newest count; 0: not known */
	bool		ended;			/* the client is destroyed */
	rd_kafka_resp_err_t refused;	/* the broker's answer when it will not change by itself */
	char		refused_text[DP_KAFKA_TEXT];
	int64_t		contact_at;		/* last answer of a broker, ms */
	int64_t		failing_since;	/* ms; 0: the last try succeeded */

	/* recorded by callbacks */
	rd_kafka_resp_err_t fatal;	/* authentication and the like */
	char		fatal_text[DP_KAFKA_TEXT];
	char		last_text[DP_KAFKA_TEXT];	/* newest error of any kind */
	KafkaLog	logs[DP_KAFKA_LOGS];

	/* for the helper alone after it is started */
	rd_kafka_t *rk;
	rd_kafka_topic_t *topic;	/* NULL: look at the cluster only */
	DpStart		start;
	int64_t		start_ms;
} KafkaShared;

typedef struct KafkaSource
{
	DpSource	base;
	dlist_node	node;			/* in the list of open clients of this process */
	MemoryContextCallback at_delete;
	char	   *pipeline;
	char	   *server;
	char	   *topic;
	Oid			serverid;
	Oid			owner;
	uint64		fingerprint;	/* of the connection it was opened with */
	bool		closed;
	bool		helped;			/* is there a helper? */

	rd_kafka_t *rk;				/* the helper destroys it */
	rd_kafka_queue_t *records;
	rd_kafka_queue_t *events;
	KafkaShared *shared;

	uint64		asked;			/* the discovery we wait for; 0: none */
	int			partitions;		/* count at the last discovery */
	bool		changed_told;

	int64	   *next;			/* by partition id: next offset wanted; -1: not ours */
	int			nnext;
	int			refusals;		/* offsets refused since a record came */

	/* messages: [0, held) are the caller's until release, [held, n) wait */
	rd_kafka_message_t **msgs;
	int			held;
	int			nmsgs;
	int			capacity;
	double		avg_size;		/* of a record, running */
	bool		needs_nudge;	/* does this library sleep when its queue was full? */
	Size		nudge_after;	/* bytes */
	Size		taken;			/* bytes since the last nudge */
} KafkaSource;

/* source_kafka_conf.c */
extern rd_kafka_conf_t *dp_kafka_make_conf(DpConnection *conn, const DpSourceSpec *spec);
extern Size dp_kafka_queue_bytes(Size memory_limit);

/* source_kafka_check.c */
typedef enum KafkaAuth
{
	KAFKA_AUTH_NONE,
	KAFKA_AUTH_CONNECTION_STRING,
	KAFKA_AUTH_PASSWORD,
	KAFKA_AUTH_CLIENT_SECRET,
	KAFKA_AUTH_MANAGED_IDENTITY
} KafkaAuth;

extern KafkaAuth dp_kafka_auth(const DpConnection *conn);
extern const char *dp_kafka_protocol(const DpConnection *conn);
extern char *dp_kafka_namespace_host(const DpConnection *conn);
extern bool dp_kafka_known(const char *property);
extern void dp_kafka_check(const DpPipelineSpec *spec, Oid serverid, Oid owner, DpDocument *doc);

/* source_kafka_probe.c */
extern void dp_kafka_probe_start(KafkaSource *source, const DpSourceSpec *spec);
extern bool dp_kafka_probe_stop(KafkaShared *shared, int timeout_ms);
extern void dp_kafka_destroy_client(KafkaShared *shared);
extern bool dp_kafka_discover(DpSource *base, DpPartition **partitions, int *n);
extern KafkaShared *dp_kafka_shared_new(int wake_fd);
extern void dp_kafka_shared_release(KafkaShared *shared);
extern int64_t dp_kafka_now(void);

/* source_kafka_error.c */
typedef enum KafkaVerdict
{
	KAFKA_IGNORE,				/* the library goes on by itself */
	KAFKA_OUT_OF_RANGE,
	KAFKA_RAISE
} KafkaVerdict;

extern KafkaVerdict dp_kafka_judge(rd_kafka_resp_err_t err);
extern void dp_kafka_raise(const KafkaSource *source, rd_kafka_resp_err_t err, const char *text)
			pg_attribute_noreturn();
extern void dp_kafka_serve(KafkaSource *source);
extern void dp_kafka_note(KafkaShared *shared, const char *text);
extern void dp_kafka_set_callbacks(rd_kafka_conf_t *conf);

#endif							/* DP_SOURCE_KAFKA_PRIVATE_H */
