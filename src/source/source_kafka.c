/*
 * source_kafka.c
 *	  Sources eventhubs:// and kafka://: the life of one client.
 *
 *	  brokers -> library's threads -> its queue -> msgs[] -> DpRecord (pointers)
 *
 * msgs[] holds what was taken from the library's queue: first the messages
 * whose bytes the caller has, until release, then those that did not fit into
 * his batch.  So a batch keeps to its limits exactly, though messages are taken
 * in chunks.
 *
 * Positions come from assign alone.  The library's own are not trusted: before
 * 2.13.2 errors could move them.  next[] says what is wanted of each partition;
 * anything before it is dropped here, and only a good record moves it.
 *
 * The library's memory is malloc'ed; every way out (close, an error, the end of
 * the process) goes through close_client.
 */
#include "dynpipe.h"

#include "foreign/foreign.h"
#include "source/source_kafka_private.h"
#include "storage/ipc.h"
#include "utils/memutils.h"

#define CLOSE_MS		800		/* then the helper is left to finish alone */
#define MAX_CHUNK		4096	/* messages taken at once */
#define MAX_REFUSALS	3		/* offsets refused in a row */
#define OVERHEAD		350		/* bytes of the library's for a message */

extern const DpSourceOps dp_source_eventhubs_ops;
extern const DpSourceOps dp_source_kafka_ops;

static DpSource *open_client(const DpSourceSpec *spec);
static void make_client(KafkaSource *source, const DpSourceSpec *spec);
static void assign(DpSource *base, const DpPosition *positions, int n);
static void want(KafkaSource *source, const DpPosition *positions, int n);
static DpPollResult poll_client(DpSource *base, DpRecords *batch, int max_rows, Size max_bytes);
static bool partitions_changed(KafkaSource *source);
static bool take_more(KafkaSource *source, const DpRecords *batch, int max_rows, Size max_bytes);
static void nudge(KafkaSource *source);
static bool is_wanted(const KafkaSource *source, const rd_kafka_message_t *msg);
static DpPollResult take_error(KafkaSource *source, const rd_kafka_message_t *msg);
static void add_record(DpRecords *batch, rd_kafka_message_t *msg);
static void add_headers(DpRecord *rec, rd_kafka_message_t *msg, MemoryContext cxt);
static void release(DpSource *base);
static void drop_messages(KafkaSource *source, int n);
static bool lag(DpSource *base, int32 partition, int64 *high);
static bool changed(DpSource *base);
static void close_source(DpSource *base);
static void close_client(void *arg);
static void close_all(int code, Datum arg);

#define KAFKA_OPS(scheme) \
	{ \
		.name = scheme, \
		.stream = true, \
		.check = dp_kafka_check, \
		.open = open_client, \
		.discover = dp_kafka_discover, \
		.assign = assign, \
		.poll = poll_client, \
		.release = release, \
		.lag = lag, \
		.changed = changed, \
		.close = close_source, \
	}

const DpSourceOps dp_source_eventhubs_ops = KAFKA_OPS("eventhubs");
const DpSourceOps dp_source_kafka_ops = KAFKA_OPS("kafka");

/* The open clients of this process, to be closed before it ends. */
static dlist_head clients = DLIST_STATIC_INIT(clients);
static bool exit_registered = false;

static DpSource *
open_client(const DpSourceSpec *spec)
{
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "dynpipe kafka source",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	KafkaSource *source = palloc0(sizeof(KafkaSource));

	source->base.ops = dp_source_find(spec->scheme);
	source->base.cxt = cxt;
	source->pipeline = pstrdup(spec->pipeline);
	source->server = pstrdup(spec->authority);
	source->topic = spec->path != NULL ? pstrdup(spec->path) : NULL;
	source->avg_size = 1024;
	source->needs_nudge = !dp_kafka_known("fetch.queue.backoff.ms");
	source->nudge_after = dp_kafka_queue_bytes(spec->memory_limit) / 4;

	if (!exit_registered)
		before_shmem_exit(close_all, 0);
	exit_registered = true;
	dlist_push_head(&clients, &source->node);
	source->at_delete.func = close_client;
	source->at_delete.arg = source;
	MemoryContextRegisterResetCallback(cxt, &source->at_delete);

	PG_TRY();
	{
		make_client(source, spec);
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(old);
		MemoryContextDelete(cxt);
		PG_RE_THROW();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(old);
	return &source->base;
}

/* Settings, handle, queues, helper; whatever exists when it raises, close_client frees. */
static void
make_client(KafkaSource *source, const DpSourceSpec *spec)
{
	Oid			serverid = OidIsValid(spec->serverid) ? spec->serverid :
		get_foreign_server_oid(spec->authority, false);
	DpRefusal	refusal = {0};
	DpConnection *conn;
	rd_kafka_conf_t *conf;
	char		errstr[512];
	uint64_t	one = 1;

	source->shared = dp_kafka_shared_new(spec->wake_fd);
	conn = dp_connection_resolve(serverid, spec->scheme, spec->owner, true, &refusal);
	if (conn == NULL)
		dp_refusal_raise(&refusal);
	source->server = pstrdup(conn->server);
	source->serverid = serverid;
	source->owner = spec->owner;
	source->fingerprint = dp_connection_fingerprint(conn);
	conf = dp_kafka_make_conf(conn, spec);
	dp_connection_forget(conn);

	dp_kafka_set_callbacks(conf);
	rd_kafka_conf_set_opaque(conf, source->shared);
	source->rk = rd_kafka_new(RD_KAFKA_CONSUMER, conf, errstr, sizeof(errstr));
	if (source->rk == NULL)
	{
		rd_kafka_conf_destroy(conf);
		ereport(ERROR,
				(errcode(ERRCODE_FDW_UNABLE_TO_ESTABLISH_CONNECTION),
				 errmsg("could not create a Kafka client for server \"%s\"", source->server),
				 errdetail_internal("%s", errstr)));
	}
	source->shared->rk = source->rk;
	rd_kafka_set_log_queue(source->rk, NULL);
	source->events = rd_kafka_queue_get_main(source->rk);
	source->records = rd_kafka_queue_get_consumer(source->rk);
	if (spec->wake_fd >= 0)
	{
		rd_kafka_queue_io_event_enable(source->events, spec->wake_fd, &one, sizeof(one));
		rd_kafka_queue_io_event_enable(source->records, spec->wake_fd, &one, sizeof(one));
	}
	if (source->topic != NULL && *source->topic != '\0')
		source->shared->topic = rd_kafka_topic_new(source->rk, source->topic, NULL);
	if (source->topic != NULL && source->shared->topic == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"%s\" is no valid name of a topic", source->topic)));
	dp_kafka_probe_start(source, spec);
}

/*
 * Read POSITIONS and nothing else.  The former assignment ends first and its
 * messages are thrown away, so that none of them can pass for a new one.
 */
static void
assign(DpSource *base, const DpPosition *positions, int n)
{
	KafkaSource *source = (KafkaSource *) base;
	rd_kafka_topic_partition_list_t *list;
	rd_kafka_resp_err_t err;
	rd_kafka_message_t *msg;

	want(source, positions, n);
	rd_kafka_assign(source->rk, NULL);
	while ((msg = rd_kafka_consume_queue(source->records, 0)) != NULL)
		rd_kafka_message_destroy(msg);
	drop_messages(source, source->nmsgs);

	list = rd_kafka_topic_partition_list_new(n);
	for (int i = 0; i < n; i++)
		rd_kafka_topic_partition_list_add(list, source->topic, positions[i].partition)->offset =
			positions[i].offset;
	err = rd_kafka_assign(source->rk, list);
	rd_kafka_topic_partition_list_destroy(list);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		dp_kafka_raise(source, err, rd_kafka_err2str(err));
}

static void
want(KafkaSource *source, const DpPosition *positions, int n)
{
	int			size = 0;

	for (int i = 0; i < n; i++)
		size = Max(size, positions[i].partition + 1);
	if (source->next != NULL)
		pfree(source->next);
	source->next = MemoryContextAlloc(source->base.cxt, Max(size, 1) * sizeof(int64));
	source->nnext = size;
	for (int i = 0; i < size; i++)
		source->next[i] = -1;
	for (int i = 0; i < n; i++)
		source->next[positions[i].partition] = positions[i].offset;
}

/* Move what is there into BATCH until it holds MAX_ROWS records or MAX_BYTES. */
static DpPollResult
poll_client(DpSource *base, DpRecords *batch, int max_rows, Size max_bytes)
{
	KafkaSource *source = (KafkaSource *) base;
	int			before = batch->n;

	dp_kafka_serve(source);
	if (partitions_changed(source))
		return DP_POLL_PARTITIONS_CHANGED;
	while (batch->n < max_rows && batch->bytes < max_bytes)
	{
		rd_kafka_message_t *msg;

		if (source->held == source->nmsgs && !take_more(source, batch, max_rows, max_bytes))
			break;
		msg = source->msgs[source->held];
		if (msg->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		{
			DpPollResult result;

			/* what came before it is good: deliver that first */
			if (batch->n > before)
				break;
			source->held++;
			result = take_error(source, msg);
			if (result != DP_POLL_EMPTY)
				return result;
			continue;
		}
		if (is_wanted(source, msg))
		{
			add_record(batch, msg);
			source->next[msg->partition] = msg->offset + 1;
			source->refusals = 0;
		}
		source->held++;
	}
	return batch->n > before ? DP_POLL_RECORDS : DP_POLL_EMPTY;
}

/* Told once per discovery. */
static bool
partitions_changed(KafkaSource *source)
{
	KafkaShared *shared = source->shared;
	bool		changed;

	if (source->partitions == 0 || source->changed_told)
		return false;
	pthread_mutex_lock(&shared->lock);
	changed = shared->partitions != 0 && shared->partitions != source->partitions;
	pthread_mutex_unlock(&shared->lock);
	source->changed_told = changed;
	return changed;
}

/* Take as many messages from the library as the batch has room for, by their usual size. */
static bool
take_more(KafkaSource *source, const DpRecords *batch, int max_rows, Size max_bytes)
{
	double		fit = (max_bytes - batch->bytes) / Max(source->avg_size, 1.0) + 1;
	int			chunk = Min(Min(max_rows - batch->n, MAX_CHUNK), (int) Min(fit, MAX_CHUNK));
	ssize_t		n;
	Size		bytes = 0;

	if (source->nmsgs + chunk > source->capacity)
	{
		source->capacity = Max(source->capacity * 2, source->nmsgs + MAX_CHUNK);
		if (source->msgs == NULL)
			source->msgs = MemoryContextAllocHuge(source->base.cxt,
												  source->capacity * sizeof(*source->msgs));
		else
			source->msgs = repalloc_huge(source->msgs, source->capacity * sizeof(*source->msgs));
	}
	n = rd_kafka_consume_batch_queue(source->records, 0, source->msgs + source->nmsgs, chunk);
	if (n <= 0)
		return false;
	for (int i = 0; i < n; i++)
		bytes += source->msgs[source->nmsgs + i]->len + source->msgs[source->nmsgs + i]->key_len;
	source->nmsgs += n;
	source->avg_size = Max((double) bytes / n, source->avg_size * 0.75);
	source->taken += bytes + n * OVERHEAD;
	nudge(source);
	return true;
}

/* Note that a broker is there; tell the library that its queue has room again. */
static void
nudge(KafkaSource *source)
{
	KafkaShared *shared = source->shared;

	pthread_mutex_lock(&shared->lock);
	shared->contact_at = dp_kafka_now();
	if (source->needs_nudge && source->taken >= source->nudge_after)
	{
		source->taken = 0;
		shared->nudge = true;
		pthread_cond_broadcast(&shared->changed);
	}
	pthread_mutex_unlock(&shared->lock);
}

static bool
is_wanted(const KafkaSource *source, const rd_kafka_message_t *msg)
{
	return msg->partition >= 0 && msg->partition < source->nnext &&
		source->next[msg->partition] >= 0 && msg->offset >= source->next[msg->partition];
}

/* An error in the stream of messages: most heal, some ask for a discovery, some raise. */
static DpPollResult
take_error(KafkaSource *source, const rd_kafka_message_t *msg)
{
	const char *text = rd_kafka_message_errstr(msg);

	switch (dp_kafka_judge(msg->err))
	{
		case KAFKA_RAISE:
			dp_kafka_raise(source, msg->err, text);
			break;
		case KAFKA_OUT_OF_RANGE:
			if (msg->partition < 0 || msg->partition >= source->nnext ||
				source->next[msg->partition] < 0)
				return DP_POLL_EMPTY;
			if (++source->refusals > MAX_REFUSALS)
				ereport(ERROR,
						(errcode(ERRCODE_CONNECTION_FAILURE),
						 errmsg("server \"%s\" keeps refusing an offset of topic \"%s\"",
								source->server, source->topic),
						 errdetail("Partition %d, offset %lld.", (int) msg->partition,
								   (long long) source->next[msg->partition]),
						 errhint("Its replicas may disagree; it is tried again.")));
			return DP_POLL_OUT_OF_RANGE;
		case KAFKA_IGNORE:
			dp_kafka_note(source->shared, text);
			break;
	}
	return DP_POLL_EMPTY;
}

/* The record points into the message; only the array and the headers are allocated. */
static void
add_record(DpRecords *batch, rd_kafka_message_t *msg)
{
	rd_kafka_timestamp_type_t type;
	DpRecord   *rec;

	if (batch->n == batch->capacity)
	{
		batch->capacity = Max(batch->capacity * 2, 1024);
		if (batch->rec == NULL)
			batch->rec = MemoryContextAllocHuge(CurrentMemoryContext,
												batch->capacity * sizeof(DpRecord));
		else
			batch->rec = repalloc_huge(batch->rec, batch->capacity * sizeof(DpRecord));
	}
	rec = &batch->rec[batch->n];
	rec->partition = msg->partition;
	rec->offset = msg->offset;
	rec->timestamp_ms = rd_kafka_message_timestamp(msg, &type);
	if (type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE)
		rec->timestamp_ms = -1;
	rec->key = msg->key;
	rec->key_len = msg->key != NULL ? (int32) msg->key_len : -1;
	rec->value = msg->payload;
	rec->value_len = msg->payload != NULL ? (int32) msg->len : -1;
	rec->nheaders = 0;
	rec->headers = NULL;
	rec->line = 0;
	rec->problem = NULL;
	add_headers(rec, msg, GetMemoryChunkContext(batch->rec));
	batch->n++;
	batch->bytes += msg->len + msg->key_len;
}

static void
add_headers(DpRecord *rec, rd_kafka_message_t *msg, MemoryContext cxt)
{
	rd_kafka_headers_t *headers;
	const void *value;
	size_t		len;

	if (rd_kafka_message_headers(msg, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR)
		return;
	rec->headers = MemoryContextAlloc(cxt, rd_kafka_header_cnt(headers) * sizeof(DpHeader));
	while (rd_kafka_header_get_all(headers, rec->nheaders, &rec->headers[rec->nheaders].name,
								   &value, &len) == RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		rec->headers[rec->nheaders].value = value;
		rec->headers[rec->nheaders].len = len;
		rec->nheaders++;
	}
}

static void
release(DpSource *base)
{
	KafkaSource *source = (KafkaSource *) base;

	drop_messages(source, source->held);
}

/* Give the first N messages back to the library. */
static void
drop_messages(KafkaSource *source, int n)
{
	for (int i = 0; i < n; i++)
		rd_kafka_message_destroy(source->msgs[i]);
	source->nmsgs -= n;
	source->held = Max(source->held - n, 0);
	if (source->nmsgs > 0 && n > 0)
		memmove(source->msgs, source->msgs + n, source->nmsgs * sizeof(*source->msgs));
}

/* As of the last answer to a fetch; nothing is asked for. */
static bool
lag(DpSource *base, int32 partition, int64 *high)
{
	KafkaSource *source = (KafkaSource *) base;
	int64_t		first;
	int64_t		end;

	if (rd_kafka_get_watermark_offsets(source->rk, source->topic, partition, &first, &end) !=
		RD_KAFKA_RESP_ERR_NO_ERROR || end < 0)
		return false;
	*high = end;
	return true;
}

/* Secrets in files are read again, so a rotated one is noticed too. */
static bool
changed(DpSource *base)
{
	KafkaSource *source = (KafkaSource *) base;
	DpRefusal	refusal = {0};
	DpConnection *conn = dp_connection_resolve(source->serverid, base->ops->name, source->owner,
											   true, &refusal);
	uint64		fingerprint;

	if (conn == NULL)
		dp_refusal_raise(&refusal);
	fingerprint = dp_connection_fingerprint(conn);
	dp_connection_forget(conn);
	return fingerprint != source->fingerprint;
}


static void
close_source(DpSource *base)
{
	MemoryContextDelete(base->cxt);
}

/* Give everything back.  Messages and queues first: the library waits for them. */
static void
close_client(void *arg)
{
	KafkaSource *source = arg;

	if (source->closed)
		return;
	source->closed = true;
	dlist_delete(&source->node);
	if (source->shared == NULL)
		return;
	drop_messages(source, source->nmsgs);
	if (source->records != NULL)
	{
		rd_kafka_queue_io_event_enable(source->records, -1, NULL, 0);
		rd_kafka_queue_destroy(source->records);
	}
	if (source->events != NULL)
	{
		rd_kafka_queue_io_event_enable(source->events, -1, NULL, 0);
		rd_kafka_queue_destroy(source->events);
	}
	if (source->rk != NULL && !source->helped)
		dp_kafka_destroy_client(source->shared);
	else if (source->rk != NULL && !dp_kafka_probe_stop(source->shared, CLOSE_MS))
		ereport(LOG,
				(errmsg("kafka client of pipeline \"%s\" is still closing in the background",
						source->pipeline)));
	dp_kafka_shared_release(source->shared);
}

static void
close_all(int code, Datum arg)
{
	while (!dlist_is_empty(&clients))
		close_client(dlist_container(KafkaSource, node, dlist_head_node(&clients)));
}
