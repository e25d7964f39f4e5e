/*
 * dump.c
 *	  Everything that a topic holds now, for comparing with what was loaded:
 *
 *	  dump BROKERS TOPIC
 *
 * One line a record, in the order of COPY's text format: partition, offset,
 * key and value as bytea in hex, \N for none.  Ends at the high watermarks it
 * found when it began; the brokers' control records are no records.
 */
#include <stdio.h>
#include <stdlib.h>

#include <librdkafka/rdkafka.h>

#define TIMEOUT_MS 20000

static void
fail(const char *what, const char *why)
{
	fprintf(stderr, "dump: %s: %s\n", what, why);
	exit(1);
}

static void
fail_on(rd_kafka_resp_err_t err, const char *what)
{
	if (err)
		fail(what, rd_kafka_err2str(err));
}

static rd_kafka_t *
connect_to(const char *brokers)
{
	char		why[512];
	rd_kafka_t *client;
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	const char *const settings[][2] = {
		{"bootstrap.servers", brokers}, {"group.id", "dump"}, {"enable.auto.commit", "false"},
		{"enable.partition.eof", "true"}, {"auto.offset.reset", "error"},
		{"isolation.level", "read_committed"}
	};

	for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++)
		if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof(why)))
			fail(settings[i][0], why);
	client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof(why));
	if (!client)
		fail("client", why);
	rd_kafka_poll_set_consumer(client);
	return client;
}

/* Every partition that holds something, from its oldest record on. */
static rd_kafka_topic_partition_list_t *
partitions_of(rd_kafka_t *client, const char *name)
{
	const rd_kafka_metadata_t *metadata;
	rd_kafka_topic_t *topic = rd_kafka_topic_new(client, name, NULL);
	rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(16);

	fail_on(rd_kafka_metadata(client, 0, topic, &metadata, TIMEOUT_MS), name);
	fail_on(metadata->topics[0].err, name);
	for (int i = 0; i < metadata->topics[0].partition_cnt; i++)
	{
		int64_t		low;
		int64_t		high;
		int			id = metadata->topics[0].partitions[i].id;

		fail_on(rd_kafka_query_watermark_offsets(client, name, id, &low, &high, TIMEOUT_MS), name);
		if (low < high)
			rd_kafka_topic_partition_list_add(list, name, id)->offset = low;
	}
	rd_kafka_metadata_destroy(metadata);
	rd_kafka_topic_destroy(topic);
	return list;
}

static void
print_bytes(const unsigned char *bytes, size_t len)
{
	if (!bytes)
	{
		fputs("\\N", stdout);
		return;
	}
	fputs("\\\\x", stdout);
	for (size_t i = 0; i < len; i++)
		printf("%02x", bytes[i]);
}

static void
print_record(const rd_kafka_message_t *msg)
{
	printf("%d\t%lld\t", msg->partition, (long long) msg->offset);
	print_bytes(msg->key, msg->key_len);
	putchar('\t');
	print_bytes(msg->payload, msg->len);
	putchar('\n');
}

int
main(int argc, char **argv)
{
	int			ends = 0;
	rd_kafka_t *client;
	rd_kafka_topic_partition_list_t *list;

	if (argc != 3)
		fail("usage", "dump BROKERS TOPIC");
	client = connect_to(argv[1]);
	list = partitions_of(client, argv[2]);
	fail_on(rd_kafka_assign(client, list), argv[2]);
	while (ends < list->cnt)
	{
		rd_kafka_message_t *msg = rd_kafka_consumer_poll(client, TIMEOUT_MS);

		if (!msg)
			fail(argv[2], "timed out");
		if (msg->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
			ends++;
		else if (msg->err)
			fail(argv[2], rd_kafka_message_errstr(msg));
		else
			print_record(msg);
		rd_kafka_message_destroy(msg);
	}
	rd_kafka_topic_partition_list_destroy(list);
	rd_kafka_consumer_close(client);
	rd_kafka_destroy(client);
	return 0;
}
