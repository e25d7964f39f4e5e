/*
 * source_kafka_probe.c
 *	  The helper thread of a client: it makes the calls that wait for the
 *	  network, so that the PostgreSQL thread never has to.
 *
 *	  order "discover"      count of partitions, then their ends and starts
 *	  every 30 s            count of partitions (is anybody there, has it grown?)
 *	  order "hurry"         the same, a second after the last contact
 *	  order "nudge"         the same, at once: before 2.2 the library sleeps up to a
 *	                        second after its queue was full, unless it has
 *	                        something to send
 *	  order "stop"          destroy the client and end
 *
 * Every call is limited to SLICE_MS, so an order is seen soon.  Destroying is
 * its last act because that, too, may wait (a name server that does not
 * answer, a token endpoint): the PostgreSQL thread waits for it for a bounded
 * time and then leaves the helper to finish alone.  The helper is detached and
 * holds a reference to KafkaShared, which is all it touches.
 */
#include "dynpipe.h"

#include <signal.h>
#include <time.h>
#include <unistd.h>

#include "source/source_kafka_private.h"

#define SLICE_MS		700		/* of any call */
#define WATCH_MS		30000	/* regular look */
#define HURRY_MS		1000	/* after trouble, since the last contact */
#define RETRY_MS		250		/* after a try that failed */

/* What a try came to. */
typedef enum Outcome
{
	DONE,						/* answered */
	RETRY,						/* nobody there, or not ready: try again */
	REFUSED						/* an answer that will stay */
} Outcome;

static void *helper_main(void *arg);
static bool wait_for_work(KafkaShared *shared, int64_t next_look);
static Outcome look(KafkaShared *shared, int *partitions);
static Outcome look_at_topic(KafkaShared *shared, const struct rd_kafka_metadata_topic *topic,
							 int *partitions);
static Outcome measure(KafkaShared *shared, int partitions, KafkaFound **found);
static Outcome ask_offsets(KafkaShared *shared, int partitions, int64_t timestamp,
						   int64_t *offsets);
static Outcome judge(KafkaShared *shared, rd_kafka_resp_err_t err);
static void publish(KafkaShared *shared, Outcome outcome, int partitions,
					KafkaFound *found, uint64_t order);
static void wake(KafkaShared *shared);
static void wait_on(KafkaShared *shared, int64_t until);

KafkaShared *
dp_kafka_shared_new(int wake_fd)
{
	KafkaShared *shared = calloc(1, sizeof(KafkaShared));
	pthread_condattr_t attr;

	if (shared == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	pthread_mutex_init(&shared->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&shared->changed, &attr);
	pthread_condattr_destroy(&attr);
	shared->references = 1;
	shared->wake_fd = wake_fd;
	return shared;
}

/* Let go; the last one frees.  Any thread. */
void
dp_kafka_shared_release(KafkaShared *shared)
{
	bool		last;

	pthread_mutex_lock(&shared->lock);
	last = --shared->references == 0;
	pthread_mutex_unlock(&shared->lock);
	if (!last)
		return;
	pthread_cond_destroy(&shared->changed);
	pthread_mutex_destroy(&shared->lock);
	free(shared->found);
	free(shared);
}

/* Start the helper of SOURCE, whose client exists, and order the first discovery. */
void
dp_kafka_probe_start(KafkaSource *source, const DpSourceSpec *spec)
{
	KafkaShared *shared = source->shared;
	pthread_attr_t attr;
	pthread_t	thread;
	sigset_t	all;
	sigset_t	saved;
	int			rc;

	shared->start = spec->start;
	shared->start_ms = spec->start_ms;
	shared->contact_at = dp_kafka_now();
	shared->asked = source->asked = 1;
	shared->references++;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &saved);
	rc = pthread_create(&thread, &attr, helper_main, shared);
	pthread_sigmask(SIG_SETMASK, &saved, NULL);
	pthread_attr_destroy(&attr);
	source->helped = rc == 0;
	if (source->helped)
		return;
	shared->references--;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
			 errmsg("could not start a thread for the Kafka client: %s", strerror(rc))));
}

/* Order the end and wait for it for TIMEOUT_MS; false when it is still under way. */
bool
dp_kafka_probe_stop(KafkaShared *shared, int timeout_ms)
{
	int64_t		until = dp_kafka_now() + timeout_ms;
	bool		ended;

	pthread_mutex_lock(&shared->lock);
	shared->stop = true;
	shared->wake_fd = -1;
	pthread_cond_broadcast(&shared->changed);
	while (!shared->ended && dp_kafka_now() < until)
		wait_on(shared, until);
	ended = shared->ended;
	pthread_mutex_unlock(&shared->lock);
	return ended;
}

/* The operation "discover": hand out the answer to our order, or order. */
bool
dp_kafka_discover(DpSource *base, DpPartition **partitions, int *n)
{
	KafkaSource *source = (KafkaSource *) base;
	KafkaShared *shared = source->shared;
	KafkaFound *found = NULL;
	int			nfound = 0;

	dp_kafka_serve(source);
	pthread_mutex_lock(&shared->lock);
	if (source->asked == 0)
	{
		source->asked = ++shared->asked;
		pthread_cond_broadcast(&shared->changed);
	}
	else if (shared->answered >= source->asked)
	{
		/* taken over, so that no palloc happens under the lock */
		found = shared->found;
		nfound = shared->nfound;
		shared->found = NULL;
		source->asked = 0;
	}
	pthread_mutex_unlock(&shared->lock);
	if (found == NULL)
		return false;

	source->partitions = nfound;
	source->changed_told = false;
	*partitions = palloc_extended(sizeof(DpPartition) * Max(nfound, 1), MCXT_ALLOC_NO_OOM);
	for (int i = 0; *partitions != NULL && i < nfound; i++)
		(*partitions)[i] = (DpPartition)
	{
		.id = found[i].id,.low = found[i].low,.high = found[i].high,.start = found[i].start
	};
	free(found);
	if (*partitions == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	*n = nfound;
	return true;
}

int64_t
dp_kafka_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t) ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- from here on: the helper thread, no PostgreSQL code ---- */

static void *
helper_main(void *arg)
{
	KafkaShared *shared = arg;
	int64_t		next_look = 0;

	while (wait_for_work(shared, next_look))
	{
		int			partitions = 0;
		KafkaFound *found = NULL;
		uint64_t	order;
		Outcome		outcome;

		pthread_mutex_lock(&shared->lock);
		order = shared->asked > shared->answered ? shared->asked : 0;
		shared->hurry = false;
		shared->nudge = false;
		pthread_mutex_unlock(&shared->lock);

		outcome = look(shared, &partitions);
		if (outcome == DONE && order != 0)
			outcome = measure(shared, partitions, &found);
		publish(shared, outcome, partitions, found, order);
		next_look = dp_kafka_now() + (outcome == RETRY ? RETRY_MS : WATCH_MS);
	}
	dp_kafka_destroy_client(shared);
	pthread_mutex_lock(&shared->lock);
	shared->ended = true;
	pthread_cond_broadcast(&shared->changed);
	pthread_mutex_unlock(&shared->lock);
	dp_kafka_shared_release(shared);
	return NULL;
}

/* Sleep until there is something to do; false when it is time to end. */
static bool
wait_for_work(KafkaShared *shared, int64_t next_look)
{
	bool		stop;

	pthread_mutex_lock(&shared->lock);
	for (;;)
	{
		int64_t		until = next_look;

		/* after a failure the pause is kept, whatever is ordered */
		if (shared->failing_since == 0 &&
			(shared->asked > shared->answered || shared->nudge))
			until = 0;
		else if (shared->failing_since == 0 && shared->hurry)
			until = Min(next_look, shared->contact_at + HURRY_MS);
		stop = shared->stop;
		if (stop || dp_kafka_now() >= until)
			break;
		wait_on(shared, until);
	}
	pthread_mutex_unlock(&shared->lock);
	return !stop;
}

/* Ask who is there and how many partitions the topic has. */
static Outcome
look(KafkaShared *shared, int *partitions)
{
	const struct rd_kafka_metadata *metadata;
	rd_kafka_resp_err_t err;
	Outcome		outcome = DONE;

	err = rd_kafka_metadata(shared->rk, 0, shared->topic, &metadata, SLICE_MS);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return judge(shared, err);
	if (shared->topic != NULL && metadata->topic_cnt == 1)
		outcome = look_at_topic(shared, &metadata->topics[0], partitions);
	else if (shared->topic != NULL)
		outcome = RETRY;
	rd_kafka_metadata_destroy(metadata);
	return outcome;
}

static Outcome
look_at_topic(KafkaShared *shared, const struct rd_kafka_metadata_topic *topic, int *partitions)
{
	if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR)
		return judge(shared, topic->err);
	if (topic->partition_cnt == 0)
		return RETRY;
	for (int i = 0; i < topic->partition_cnt; i++)
		if (topic->partitions[i].leader < 0)
		{
			dp_kafka_note(shared, "A partition has no leader.");
			return RETRY;
		}
	*partitions = topic->partition_cnt;
	return DONE;
}

/* Where each partition begins and ends, and where it is to be started. */
static Outcome
measure(KafkaShared *shared, int partitions, KafkaFound **found)
{
	int64_t    *low = calloc(Max(partitions, 1) * 3, sizeof(int64_t));
	int64_t    *high = low + partitions;
	int64_t    *start = high + partitions;
	Outcome		outcome = DONE;

	*found = calloc(Max(partitions, 1), sizeof(KafkaFound));
	if (low == NULL || *found == NULL)
		outcome = RETRY;
	if (outcome == DONE && partitions > 0)
		outcome = ask_offsets(shared, partitions, RD_KAFKA_OFFSET_BEGINNING, low);
	if (outcome == DONE && partitions > 0)
		outcome = ask_offsets(shared, partitions, RD_KAFKA_OFFSET_END, high);
	if (outcome == DONE && partitions > 0 && shared->start == DP_START_TIMESTAMP)
		outcome = ask_offsets(shared, partitions, Max(shared->start_ms, 0), start);
	for (int i = 0; outcome == DONE && i < partitions; i++)
	{
		KafkaFound *one = &(*found)[i];

		one->id = i;
		one->low = low[i];
		one->high = Max(high[i], low[i]);
		one->start = shared->start == DP_START_EARLIEST ? one->low :
			shared->start == DP_START_LATEST || start[i] < 0 ? one->high :
			Min(Max(start[i], one->low), one->high);
	}
	free(low);
	if (outcome != DONE)
	{
		free(*found);
		*found = NULL;
	}
	return outcome;
}

/* One request to each leader: RD_KAFKA_OFFSET_BEGINNING and _END are timestamps to it as well. */
static Outcome
ask_offsets(KafkaShared *shared, int partitions, int64_t timestamp, int64_t *offsets)
{
	const char *topic = rd_kafka_topic_name(shared->topic);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(partitions);
	Outcome		outcome = DONE;
	rd_kafka_resp_err_t err;

	for (int i = 0; i < partitions; i++)
		rd_kafka_topic_partition_list_add(list, topic, i)->offset = timestamp;
	err = rd_kafka_offsets_for_times(shared->rk, list, SLICE_MS);
	if (err != RD_KAFKA_RESP_ERR_NO_ERROR)
		outcome = judge(shared, err);
	for (int i = 0; outcome == DONE && i < partitions; i++)
	{
		if (list->elems[i].err != RD_KAFKA_RESP_ERR_NO_ERROR)
			outcome = judge(shared, list->elems[i].err);
		else if (list->elems[i].offset < 0 && timestamp < 0)
			outcome = RETRY;
		offsets[list->elems[i].partition] = list->elems[i].offset;
	}
	rd_kafka_topic_partition_list_destroy(list);
	return outcome;
}

/* Is ERR final?  If so write it down. */
static Outcome
judge(KafkaShared *shared, rd_kafka_resp_err_t err)
{
	if (dp_kafka_judge(err) != KAFKA_RAISE)
		return RETRY;
	pthread_mutex_lock(&shared->lock);
	shared->refused = err;
	strlcpy(shared->refused_text, rd_kafka_err2str(err), DP_KAFKA_TEXT);
	pthread_mutex_unlock(&shared->lock);
	return REFUSED;
}

/* Hand the outcome over and wake the PostgreSQL thread when it has something to see. */
static void
publish(KafkaShared *shared, Outcome outcome, int partitions, KafkaFound *found, uint64_t order)
{
	int64_t		now = dp_kafka_now();
	bool		news = outcome == REFUSED || found != NULL;

	pthread_mutex_lock(&shared->lock);
	if (outcome == RETRY)
	{
		if (shared->failing_since == 0)
			shared->failing_since = now - SLICE_MS;
		news = news || now - shared->failing_since >= DP_KAFKA_GIVE_UP_MS;
	}
	else
	{
		shared->failing_since = 0;
		shared->contact_at = now;
	}
	if (outcome == DONE)
	{
		shared->last_text[0] = '\0';
		news = news || (shared->partitions != 0 && partitions != shared->partitions);
		shared->partitions = partitions;
	}
	if (found != NULL)
	{
		free(shared->found);
		shared->found = found;
		shared->nfound = partitions;
		shared->answered = order;
	}
	if (news)
		wake(shared);
	pthread_mutex_unlock(&shared->lock);
}

/* Under the lock: after a stop the descriptor may belong to somebody else. */
static void
wake(KafkaShared *shared)
{
	uint64_t	one = 1;

	if (shared->wake_fd >= 0 && !shared->stop &&
		write(shared->wake_fd, &one, sizeof(one)) < 0)
		return;					/* full: it is readable already */
}

/* Also called by the PostgreSQL thread, for a client that never got a helper. */
void
dp_kafka_destroy_client(KafkaShared *shared)
{
	if (shared->topic != NULL)
		rd_kafka_topic_destroy(shared->topic);
	rd_kafka_destroy_flags(shared->rk, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
}

static void
wait_on(KafkaShared *shared, int64_t until)
{
	struct timespec ts = {.tv_sec = until / 1000,.tv_nsec = (until % 1000) * 1000000};

	pthread_cond_timedwait(&shared->changed, &shared->lock, &ts);
}
