/*
 * topic.c
 *	  Administers topics of a Kafka broker for the tests:
 *
 *	  topic BROKERS create NAME PARTITIONS [property=value...]
 *	  topic BROKERS grow NAME PARTITIONS
 *	  topic BROKERS delete NAME
 *	  topic BROKERS delete-records NAME PARTITION BEFORE-OFFSET
 *	  topic BROKERS watermarks NAME		prints "partition low high" lines
 *
 * Each command is one request, waited for; exit status 1 and the broker's
 * words on stderr when it was refused.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#define TIMEOUT_MS 20000

static rd_kafka_t *client;
static rd_kafka_queue_t *replies;

static void
fail(const char *what, const char *why)
{
	fprintf(stderr, "topic: %s: %s\n", what, why);
	exit(1);
}

static void
fail_on(rd_kafka_resp_err_t err, const char *what, const char *why)
{
	if (err)
		fail(what, why && *why ? why : rd_kafka_err2str(err));
}

/* Connect, with an own queue for the replies of admin requests. */
static void
connect_to(const char *brokers)
{
	char		why[512];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	if (rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof(why)))
		fail("bootstrap.servers", why);
	client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (!client)
		fail("client", why);
	replies = rd_kafka_queue_new(client);
}

static rd_kafka_AdminOptions_t *
options_for(rd_kafka_admin_op_t op)
{
	char		why[512];
	rd_kafka_AdminOptions_t *options = rd_kafka_AdminOptions_new(client, op);

	fail_on(rd_kafka_AdminOptions_set_operation_timeout(options, TIMEOUT_MS, why, sizeof(why)),
			"timeout", why);
	return options;
}

/* Wait for the reply to the one request under way. */
static rd_kafka_event_t *
wait_reply(const char *what)
{
	rd_kafka_event_t *event = rd_kafka_queue_poll(replies, TIMEOUT_MS + 1000);

	if (!event)
		fail(what, "timed out");
	fail_on(rd_kafka_event_error(event), what, rd_kafka_event_error_string(event));
	return event;
}

static void
check_topics(const rd_kafka_topic_result_t **topics, size_t n, const char *what)
{
	for (size_t i = 0; i < n; i++)
		fail_on(rd_kafka_topic_result_error(topics[i]), what,
				rd_kafka_topic_result_error_string(topics[i]));
}

/* A new topic is of use once each partition has a leader that answers. */
static void
wait_leaders(const char *name, int partitions)
{
	int			tries = 200;
	int64_t		low;
	int64_t		high;

	for (int i = 0; i < partitions; i++)
		while (rd_kafka_query_watermark_offsets(client, name, i, &low, &high, 1000))
		{
			if (tries-- == 0)
				fail(name, "no leader");
			rd_kafka_poll(client, 50);
		}
}

static void
create(const char *name, int partitions, int nprops, char **props)
{
	char		why[512];
	size_t		n;
	rd_kafka_event_t *event;
	const rd_kafka_topic_result_t **done;
	rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, partitions, 1, why, sizeof(why));

	if (!topic)
		fail(name, why);
	for (int i = 0; i < nprops; i++)
	{
		char	   *value = strchr(props[i], '=');

		if (!value)
			fail(props[i], "want property=value");
		*value++ = '\0';
		fail_on(rd_kafka_NewTopic_set_config(topic, props[i], value), props[i], NULL);
	}
	rd_kafka_CreateTopics(client, &topic, 1, options_for(RD_KAFKA_ADMIN_OP_CREATETOPICS), replies);
	event = wait_reply(name);
	done = rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &n);
	check_topics(done, n, name);
	wait_leaders(name, partitions);
}

static void
grow(const char *name, int partitions)
{
	char		why[512];
	size_t		n;
	rd_kafka_event_t *event;
	const rd_kafka_topic_result_t **done;
	rd_kafka_NewPartitions_t *topic = rd_kafka_NewPartitions_new(name, partitions,
																 why, sizeof(why));

	if (!topic)
		fail(name, why);
	rd_kafka_CreatePartitions(client, &topic, 1,
							  options_for(RD_KAFKA_ADMIN_OP_CREATEPARTITIONS), replies);
	event = wait_reply(name);
	done = rd_kafka_CreatePartitions_result_topics(
		rd_kafka_event_CreatePartitions_result(event), &n);
	check_topics(done, n, name);
}

static void
delete(const char *name)
{
	size_t		n;
	rd_kafka_event_t *event;
	const rd_kafka_topic_result_t **done;
	rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);

	rd_kafka_DeleteTopics(client, &topic, 1, options_for(RD_KAFKA_ADMIN_OP_DELETETOPICS), replies);
	event = wait_reply(name);
	done = rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(event), &n);
	check_topics(done, n, name);
}

static void
delete_records(const char *name, int partition, int64_t before)
{
	rd_kafka_event_t *event;
	const rd_kafka_topic_partition_list_t *done;
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
	rd_kafka_DeleteRecords_t *request;

	rd_kafka_topic_partition_list_add(list, name, partition)->offset = before;
	request = rd_kafka_DeleteRecords_new(list);
	rd_kafka_DeleteRecords(client, &request, 1, options_for(RD_KAFKA_ADMIN_OP_DELETERECORDS),
						   replies);
	event = wait_reply(name);
	done = rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
	for (int i = 0; i < done->cnt; i++)
		fail_on(done->elems[i].err, name, NULL);
}

static void
print_watermarks(const char *name)
{
	const rd_kafka_metadata_t *metadata;
	rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);

	fail_on(rd_kafka_metadata(client, 0, topic, &metadata, TIMEOUT_MS), name, NULL);
	fail_on(metadata->topics[0].err, name, NULL);
	for (int i = 0; i < metadata->topics[0].partition_cnt; i++)
	{
		int64_t		low;
		int64_t		high;
		int			id = metadata->topics[0].partitions[i].id;

		fail_on(rd_kafka_query_watermark_offsets(client, name, id, &low, &high, TIMEOUT_MS),
				name, NULL);
		printf("%d %lld %lld\n", id, (long long) low, (long long) high);
	}
}

int
main(int argc, char **argv)
{
	const char *command = argc > 3 ? argv[2] : "";

	if (argc > 1)
		connect_to(argv[1]);
	if (!strcmp(command, "create") && argc > 4)
		create(argv[3], atoi(argv[4]), argc - 5, argv + 5);
	else if (!strcmp(command, "grow") && argc == 5)
		grow(argv[3], atoi(argv[4]));
	else if (!strcmp(command, "delete") && argc == 4)
		delete(argv[3]);
	else if (!strcmp(command, "delete-records") && argc == 6)
		delete_records(argv[3], atoi(argv[4]), atoll(argv[5]));
	else if (!strcmp(command, "watermarks") && argc == 4)
		print_watermarks(argv[3]);
	else
		fail("usage", "topic BROKERS create|grow|delete|delete-records|watermarks NAME ...");
	return 0;
}
