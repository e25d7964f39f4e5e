/*
 * produce.c
 *	  A producer for demo and tests that knows what the broker took.
 *
 *	  produce --bootstrap SERVERS --topic TOPIC [options] < lines
 *	  produce --bootstrap SERVERS --topic TOPIC --count N [--size BYTES] [options]
 *
 * A line is one record: partition TAB key TAB value [TAB name=value ...], where
 * each further field is a header.  An empty partition lets the client choose
 * by the key.  Escapes: \xHH \0 \t \n \r \\ ; a field that is \N is NULL (also
 * as name=\N).  With --count records of --size bytes are made up:
 * {"seq": N, "pad": "..."}, partition by N.
 *
 *	  --acks FILE       one line for each record that the broker confirmed:
 *	                    partition TAB offset TAB seq, seq counting from 0
 *	  --rate N          records per second; 0 = as fast as it goes
 *	  --timestamp MS    the timestamp of every record; "line": it is the first
 *	                    field of each line
 *	  --partitions N    made-up records go to partitions 0 .. N-1; default 1
 *	  -X NAME=VALUE     any client property, for brokers that need credentials
 *
 * Ends with status 1 when a record was refused.  A line is read into one
 * buffer and decoded in place; the client copies what it sends.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#define MAX_FIELDS 64

typedef struct Options
{
	const char *topic;
	const char *acks;
	long		count;			/* -1: read lines */
	size_t		size;
	double		rate;
	int64_t		timestamp;		/* 0: now */
	bool		timestamp_in_line;
	int			partitions;
} Options;

typedef struct Field
{
	char	   *data;			/* NULL: null */
	size_t		len;
} Field;

static void parse_options(int argc, char **argv, rd_kafka_conf_t *conf, Options *options);
static void set_property(rd_kafka_conf_t *conf, const char *name, const char *value);
static void produce_lines(const Options *options);
static void produce_count(const Options *options);
static void produce_fields(const Options *options, Field *field, int n, long seq);
static int	split_line(char *line, size_t len, Field *field);
static void decode_field(Field *field);
static int	hex_digit(char c);
static void send_record(const char *topic, int32_t partition, int64_t timestamp,
						Field key, Field value, rd_kafka_headers_t *headers, long seq);
static void pace(const Options *options, long seq);
static void delivered(rd_kafka_t *handle, const rd_kafka_message_t *msg, void *opaque);
static double now(void);
static void die(const char *fmt,...) __attribute__((format(printf, 1, 2), noreturn));

static rd_kafka_t *rk;
static FILE *acks;
static long failed = 0;
static long confirmed = 0;

int
main(int argc, char **argv)
{
	Options		options = {.count = -1,.size = 180,.partitions = 1};
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	char		errstr[256];

	set_property(conf, "linger.ms", "5");
	set_property(conf, "queue.buffering.max.messages", "1000000");
	set_property(conf, "enable.idempotence", "true");
	parse_options(argc, argv, conf, &options);
	rd_kafka_conf_set_dr_msg_cb(conf, delivered);
	if (options.acks != NULL)
	{
		acks = strcmp(options.acks, "-") == 0 ? stdout : fopen(options.acks, "w");
		if (acks == NULL)
			die("cannot write \"%s\": %s", options.acks, strerror(errno));
	}
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof(errstr));
	if (rk == NULL)
		die("cannot create a producer: %s", errstr);

	if (options.count >= 0)
		produce_count(&options);
	else
		produce_lines(&options);

	while (rd_kafka_flush(rk, 1000) == RD_KAFKA_RESP_ERR__TIMED_OUT)
		;
	rd_kafka_destroy(rk);
	if (acks != NULL && fclose(acks) != 0)
		die("cannot write \"%s\": %s", options.acks, strerror(errno));
	fprintf(stderr, "confirmed %ld, refused %ld\n", confirmed, failed);
	return failed > 0 ? 1 : 0;
}

static void
parse_options(int argc, char **argv, rd_kafka_conf_t *conf, Options *options)
{
	bool		bootstrap = false;

	for (int i = 1; i < argc; i += 2)
	{
		const char *value = argv[i + 1];

		if (value == NULL)
			die("argument \"%s\" needs a value", argv[i]);
		if (strcmp(argv[i], "--bootstrap") == 0)
		{
			set_property(conf, "bootstrap.servers", value);
			bootstrap = true;
		}
		else if (strcmp(argv[i], "--topic") == 0)
			options->topic = value;
		else if (strcmp(argv[i], "--acks") == 0)
			options->acks = value;
		else if (strcmp(argv[i], "--count") == 0)
			options->count = atol(value);
		else if (strcmp(argv[i], "--size") == 0)
			options->size = atol(value);
		else if (strcmp(argv[i], "--rate") == 0)
			options->rate = atof(value);
		else if (strcmp(argv[i], "--partitions") == 0)
			options->partitions = atoi(value);
		else if (strcmp(argv[i], "--timestamp") == 0)
		{
			options->timestamp_in_line = strcmp(value, "line") == 0;
			options->timestamp = atoll(value);
		}
		else if (strcmp(argv[i], "-X") == 0 && strchr(value, '=') != NULL)
		{
			char	   *name = strdup(value);

			*strchr(name, '=') = '\0';
			set_property(conf, name, value + strlen(name) + 1);
			free(name);
		}
		else
			die("unknown argument \"%s\"", argv[i]);
	}
	if (!bootstrap || options->topic == NULL || options->partitions < 1)
		die("usage: produce --bootstrap SERVERS --topic TOPIC [--acks FILE] [--rate N] "
			"[--timestamp MS|line] [--count N [--size BYTES] [--partitions N]] "
			"[-X NAME=VALUE] < lines");
}

static void
set_property(rd_kafka_conf_t *conf, const char *name, const char *value)
{
	char		errstr[256];

	if (rd_kafka_conf_set(conf, name, value, errstr, sizeof(errstr)) != RD_KAFKA_CONF_OK)
		die("%s", errstr);
}

static void
produce_lines(const Options *options)
{
	char	   *line = NULL;
	size_t		size = 0;
	ssize_t		len;

	for (long seq = 0; (len = getline(&line, &size, stdin)) > 0; seq++)
	{
		Field		field[MAX_FIELDS];

		if (line[len - 1] == '\n')
			line[--len] = '\0';
		pace(options, seq);
		produce_fields(options, field, split_line(line, len, field), seq);
	}
	free(line);
}

static void
produce_count(const Options *options)
{
	char	   *value = malloc(options->size + 64);

	for (long seq = 0; seq < options->count; seq++)
	{
		int			n = sprintf(value, "{\"seq\": %ld, \"pad\": \"", seq);

		for (; n + 2 < (int) options->size; n++)
			value[n] = 'x';
		n += sprintf(value + n, "\"}");
		pace(options, seq);
		send_record(options->topic, seq % options->partitions, options->timestamp,
					(Field) {0}, (Field) {value, n}, NULL, seq);
	}
	free(value);
}

static void
produce_fields(const Options *options, Field *field, int n, long seq)
{
	int			first = options->timestamp_in_line ? 1 : 0;
	int32_t		partition = RD_KAFKA_PARTITION_UA;
	int64_t		timestamp = options->timestamp;
	rd_kafka_headers_t *headers = NULL;

	if (n < first + 3)
		die("line %ld: fewer than %d fields", seq + 1, first + 3);
	if (first > 0)
		timestamp = atoll(field[0].data);
	if (field[first].len > 0)
		partition = atoi(field[first].data);
	if (n > first + 3)
		headers = rd_kafka_headers_new(n);
	for (int i = first + 3; i < n; i++)
	{
		char	   *name = field[i].data;
		char	   *eq = memchr(name, '=', field[i].len);
		Field		value;

		if (eq == NULL)
			die("line %ld: header without \"=\"", seq + 1);
		value = (Field) {eq + 1, field[i].len - (eq + 1 - name)};
		decode_field(&value);
		rd_kafka_header_add(headers, name, eq - name, value.data,
							value.data != NULL ? (ssize_t) value.len : 0);
	}
	decode_field(&field[first + 1]);
	decode_field(&field[first + 2]);
	send_record(options->topic, partition, timestamp, field[first + 1], field[first + 2],
				headers, seq);
}

static int
split_line(char *line, size_t len, Field *field)
{
	int			n = 0;
	char	   *start = line;

	for (;;)
	{
		char	   *tab = memchr(start, '\t', line + len - start);
		char	   *end = tab != NULL ? tab : line + len;

		if (n == MAX_FIELDS)
			die("more than %d fields in a line", MAX_FIELDS);
		*end = '\0';
		field[n++] = (Field) {start, end - start};
		if (tab == NULL)
			return n;
		start = tab + 1;
	}
}

/* Undo the escapes in place. */
static void
decode_field(Field *field)
{
	char	   *out = field->data;
	char	   *end = field->data + field->len;

	if (field->len == 2 && memcmp(field->data, "\\N", 2) == 0)
	{
		*field = (Field) {NULL, 0};
		return;
	}
	for (char *in = field->data; in < end; in++)
	{
		if (*in != '\\' || in + 1 == end)
		{
			*out++ = *in;
			continue;
		}
		in++;
		if (*in == 'x' && in + 2 < end && hex_digit(in[1]) >= 0 && hex_digit(in[2]) >= 0)
		{
			*out++ = (char) (hex_digit(in[1]) * 16 + hex_digit(in[2]));
			in += 2;
		}
		else
			*out++ = *in == '0' ? '\0' : *in == 't' ? '\t' : *in == 'n' ? '\n' :
				*in == 'r' ? '\r' : *in;
	}
	field->len = out - field->data;
}

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
		c >= 'a' && c <= 'f' ? c - 'a' + 10 :
		c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Hand one record to the client, waiting while its queue is full. */
static void
send_record(const char *topic, int32_t partition, int64_t timestamp,
			Field key, Field value, rd_kafka_headers_t *headers, long seq)
{
	for (;;)
	{
		rd_kafka_vu_t arg[9] = {
			{.vtype = RD_KAFKA_VTYPE_TOPIC,.u.cstr = topic},
			{.vtype = RD_KAFKA_VTYPE_PARTITION,.u.i32 = partition},
			{.vtype = RD_KAFKA_VTYPE_MSGFLAGS,.u.i = RD_KAFKA_MSG_F_COPY},
			{.vtype = RD_KAFKA_VTYPE_KEY,.u.mem = {key.data, key.len}},
			{.vtype = RD_KAFKA_VTYPE_VALUE,.u.mem = {value.data, value.len}},
			{.vtype = RD_KAFKA_VTYPE_TIMESTAMP,.u.i64 = timestamp},
			{.vtype = RD_KAFKA_VTYPE_OPAQUE,.u.ptr = (void *) (intptr_t) seq},
			{.vtype = RD_KAFKA_VTYPE_HEADERS,.u.headers = headers},
		};
		rd_kafka_error_t *error = rd_kafka_produceva(rk, arg, headers != NULL ? 8 : 7);
		rd_kafka_resp_err_t err = rd_kafka_error_code(error);

		rd_kafka_error_destroy(error);
		if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
			break;
		if (err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
			die("record %ld: %s", seq, rd_kafka_err2str(err));
		rd_kafka_poll(rk, 100);
	}
	rd_kafka_poll(rk, 0);
}

/* Keep to --rate: records are due at start + seq / rate. */
static void
pace(const Options *options, long seq)
{
	static double start = 0;
	double		wait;

	if (options->rate <= 0)
		return;
	if (seq == 0)
		start = now();
	while ((wait = start + seq / options->rate - now()) > 0)
		rd_kafka_poll(rk, wait > 0.001 ? (int) (wait * 1000) : 1);
}

static void
delivered(rd_kafka_t *handle, const rd_kafka_message_t *msg, void *opaque)
{
	long		seq = (long) (intptr_t) msg->_private;

	if (msg->err != RD_KAFKA_RESP_ERR_NO_ERROR)
	{
		failed++;
		fprintf(stderr, "produce: record %ld: %s\n", seq, rd_kafka_err2str(msg->err));
		return;
	}
	confirmed++;
	if (acks != NULL)
		fprintf(acks, "%d\t%lld\t%ld\n", (int) msg->partition, (long long) msg->offset, seq);
}

static double
now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void
die(const char *fmt,...)
{
	va_list		args;

	fputs("produce: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(2);
}
