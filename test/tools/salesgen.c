/*
 * salesgen.c
 *	  Produces a stream of sales for the demo, good ones and every kind of bad
 *	  one, and writes down what a correct pipeline must make of them.
 *
 *	  salesgen BROKERS TOPIC SUMMARY-FILE [SECONDS] [PER-SECOND]
 *
 * It keeps a model of the shop: what each sale looks like after everything
 * that was sent about it.  All records about one sale have the same key, so
 * the broker keeps their order and the model's last word is the truth that
 * examples/sales.yaml must arrive at.  The summary has one "name value" pair
 * a line: what was sent by kind, then what must come out ("expect_...").
 *
 *	  kind          what is sent                              becomes
 *	  sale          a new sale                                kept, a row
 *	  text          the same with UTF-8, escapes, controls    kept, a row
 *	  correction    a known sale, higher version              kept, row changes
 *	  stale         a known sale, lower version               deduplicated
 *	  duplicate     a known sale, sent again as it is         kept, no change
 *	  tombstone     a known sale's key without a value        kept, row goes
 *	  test          a sale in region "test"                   dropped by rule
 *	  malformed     no JSON                                   quarantined
 *	  type          a value that does not fit its column      quarantined
 *	  check         a negative amount                         quarantined
 *	  encoding      invalid UTF-8, a NUL character            quarantined
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <librdkafka/rdkafka.h>

#define MAX_SALES 1000000
#define MAX_VALUE 512

typedef enum Kind
{
	SALE, TEXT, CORRECTION, STALE, DUPLICATE, TOMBSTONE, TEST, MALFORMED, TYPE, CHECK, ENCODING,
	KINDS
} Kind;

static const char *const kind_names[KINDS] = {
	"sale", "text", "correction", "stale", "duplicate", "tombstone", "test", "malformed",
	"type", "check", "encoding"
};
/* How many of 100 events are of each kind. */
static const int kind_weights[KINDS] = {66, 5, 7, 4, 5, 2, 3, 2, 2, 3, 1};

static const char *const regions[] = {"north", "south", "east", "west", "online"};
static const char *const texts[] = {
	"caf\u00e9 \u2603 \U0001F680", "\u65e5\u672c\u8a9e", "tab\\tline\\nbell\\u0007",
	"\\ud83d\\ude80 \\\"quoted\\\"", "\u0627\u0644\u0633\u0644\u0627\u0645", "a\\u0001b\\u001fc"
};
static const char *const malformed[] = {
	"{\"id\": 7, \"amount\": ", "sale 7 for 12.50", "{\"id\": 7,}", "", "<sale id=\"7\"/>",
	"{\"id\": 7} trailing"
};

typedef struct Sale
{
	int64_t		cents;
	int			version;
	int			live;
} Sale;

static Sale *sales;				/* by id; 0 is not used */
static int64_t nsales;
static int64_t sent[KINDS];
static int64_t refused;
static uint64_t seed = 88172645463325252ULL;

/* A repeatable sequence: two runs of the demo send the same things. */
static uint32_t
draw(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t) (seed >> 32) % below;
}

static Kind
draw_kind(void)
{
	int			at = draw(100);
	int			kind = 0;

	while (at >= kind_weights[kind])
		at -= kind_weights[kind++];
	return kind;
}

/* A sale that still exists, or 0. */
static int64_t
draw_live(void)
{
	for (int tries = 0; tries < 20 && nsales > 0; tries++)
	{
		int64_t		id = 1 + draw(nsales);

		if (sales[id].live)
			return id;
	}
	return 0;
}

/* The sale as JSON; region, amount and note may be stand-ins. */
static int
render(char *value, int64_t id, int64_t cents, int version, const char *region, const char *note)
{
	return snprintf(value, MAX_VALUE,
					"{\"id\": %" PRId64 ", \"version\": %d, "
					"\"meta\": {\"ts\": \"2026-03-%02dT%02d:%02d:00Z\", \"shop\": %d}, "
					"\"region\": \" %s \", \"amount\": %s%" PRId64 ".%02d, \"note\": \"%s\"}",
					id, version, (int) (1 + id % 7), (int) (8 + id % 12), (int) (id % 60),
					(int) (id % 40), region ? region : regions[id % 5], cents < 0 ? "-" : "",
					labs(cents) / 100, (int) (labs(cents) % 100), note);
}

/* A value that does not fit its column, a different column each time. */
static int
render_wrong_type(char *value, int64_t id)
{
	static const char *const shapes[] = {
		"{\"id\": \"seven\", \"version\": 1, \"meta\": {\"ts\": \"2026-03-01T00:00:00Z\"}, "
		"\"region\": \"east\", \"amount\": 1}",
		"{\"id\": %" PRId64 ", \"version\": 1, \"meta\": {\"ts\": \"2026-02-30T00:00:00Z\"}, "
		"\"region\": \"east\", \"amount\": 1}",
		"{\"id\": %" PRId64 ", \"version\": 1, \"meta\": {\"ts\": \"2026-03-01T00:00:00Z\"}, "
		"\"region\": \"east\", \"amount\": \"twelve\"}",
		"{\"id\": %" PRId64 ", \"version\": 99999999999, \"meta\": {\"ts\": "
		"\"2026-03-01T00:00:00Z\"}, \"region\": \"east\", \"amount\": 1}"
	};

	switch (draw(4))
	{
		case 0:
			return snprintf(value, MAX_VALUE, "%s", shapes[0]);
		case 1:
			return snprintf(value, MAX_VALUE, shapes[1], id);
		case 2:
			return snprintf(value, MAX_VALUE, shapes[2], id);
		default:
			return snprintf(value, MAX_VALUE, shapes[3], id);
	}
}

/* Text that PostgreSQL cannot hold: a lone continuation byte, or a NUL. */
static int
render_bad_text(char *value, int64_t id)
{
	return render(value, id, 100, 1, NULL, draw(2) ? "broken \x80\xfe text" : "nul \\u0000 inside");
}

/* Make one event, change the model accordingly; returns its length, -1 for no value. */
static int
make_event(Kind *kind, int64_t *id, char *value)
{
	Sale	   *sale;

	*id = (*kind == CORRECTION || *kind == STALE || *kind == DUPLICATE || *kind == TOMBSTONE) ?
		draw_live() : 0;
	if (*id == 0 && *kind >= CORRECTION && *kind <= TOMBSTONE)
		*kind = SALE;			/* nothing was sold so far */
	if (*id == 0)
	{
		if (nsales + 1 >= MAX_SALES)
			exit(1);
		*id = ++nsales;
	}
	sale = &sales[*id];

	switch (*kind)
	{
		case SALE:
		case TEXT:
			*sale = (Sale) {100 + draw(20000), 10, 1};
			return render(value, *id, sale->cents, sale->version, NULL,
						  *kind == TEXT ? texts[draw(6)] : "");
		case CORRECTION:
			sale->cents = 100 + draw(20000);
			sale->version += 10;
			return render(value, *id, sale->cents, sale->version, NULL, "corrected");
		case STALE:
			return render(value, *id, 999999, sale->version - 5, NULL, "stale");
		case DUPLICATE:
			return render(value, *id, sale->cents, sale->version, NULL, "again");
		case TOMBSTONE:
			sale->live = 0;
			return -1;
		case TEST:
			return render(value, *id, 100, 1, "TEST", "");
		case MALFORMED:
			return snprintf(value, MAX_VALUE, "%s", malformed[draw(6)]);
		case TYPE:
			return render_wrong_type(value, *id);
		case CHECK:
			return render(value, *id, -500, 1, NULL, "");
		default:
			return render_bad_text(value, *id);
	}
}

static void
on_delivery(rd_kafka_t *client, const rd_kafka_message_t *msg, void *arg)
{
	if (msg->err)
		refused++;
}

static rd_kafka_t *
connect_to(const char *brokers)
{
	char		why[512];
	rd_kafka_t *client;
	rd_kafka_conf_t *conf = rd_kafka_conf_new();
	const char *const settings[][2] = {
		{"bootstrap.servers", brokers}, {"enable.idempotence", "true"}, {"linger.ms", "2"}
	};

	for (int i = 0; i < 3; i++)
		if (rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof(why)))
		{
			fprintf(stderr, "salesgen: %s\n", why);
			exit(1);
		}
	rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
	client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof(why));
	if (!client)
	{
		fprintf(stderr, "salesgen: %s\n", why);
		exit(1);
	}
	return client;
}

static void
send_event(rd_kafka_t *client, const char *topic)
{
	char		value[MAX_VALUE];
	char		key[32];
	int64_t		id;
	Kind		kind = draw_kind();
	int			len = make_event(&kind, &id, value);
	int			keylen = snprintf(key, sizeof(key), "%" PRId64, id);
	void	   *payload = len < 0 ? NULL : value;

	while (rd_kafka_producev(client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(key, keylen),
							 RD_KAFKA_V_VALUE(payload, len < 0 ? 0 : len),
							 RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END))
		rd_kafka_poll(client, 100);
	sent[kind]++;
}

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

/* Send at an even rate: every few milliseconds whatever is due by then. */
static void
send_all(rd_kafka_t *client, const char *topic, double seconds, double rate)
{
	double		start = now();
	int64_t		total = (int64_t) (seconds * rate);

	for (int64_t done = 0; done < total;)
	{
		int64_t		due = (int64_t) ((now() - start) * rate) + 1;

		for (; done < due && done < total; done++)
			send_event(client, topic);
		rd_kafka_poll(client, 5);
	}
}

static void
write_summary(const char *path)
{
	int64_t		produced = 0;
	int64_t		rows = 0;
	int64_t		cents = 0;
	FILE	   *out = fopen(path, "w");

	if (!out)
	{
		perror(path);
		exit(1);
	}
	for (int64_t id = 1; id <= nsales; id++)
		if (sales[id].live)
		{
			rows++;
			cents += sales[id].cents;
		}
	for (int kind = 0; kind < KINDS; kind++)
	{
		fprintf(out, "%s %" PRId64 "\n", kind_names[kind], sent[kind]);
		produced += sent[kind];
	}
	fprintf(out, "produced %" PRId64 "\n", produced);
	fprintf(out, "expect_quarantined %" PRId64 "\n",
			sent[MALFORMED] + sent[TYPE] + sent[CHECK] + sent[ENCODING]);
	fprintf(out, "expect_dropped %" PRId64 "\n", sent[TEST]);
	fprintf(out, "expect_kept %" PRId64 "\n", sent[SALE] + sent[TEXT] + sent[CORRECTION] +
			sent[STALE] + sent[DUPLICATE] + sent[TOMBSTONE]);
	fprintf(out, "expect_rows %" PRId64 "\n", rows);
	fprintf(out, "expect_revenue %" PRId64 ".%02d\n", cents / 100, (int) (cents % 100));
	if (fclose(out))
		exit(1);
}

int
main(int argc, char **argv)
{
	rd_kafka_t *client;

	if (argc < 4)
	{
		fprintf(stderr, "usage: salesgen BROKERS TOPIC SUMMARY-FILE [SECONDS] [PER-SECOND]\n");
		return 2;
	}
	sales = calloc(MAX_SALES, sizeof(Sale));
	client = connect_to(argv[1]);
	send_all(client, argv[2], argc > 4 ? atof(argv[4]) : 20, argc > 5 ? atof(argv[5]) : 1500);
	if (rd_kafka_flush(client, 30000) || refused)
	{
		fprintf(stderr, "salesgen: the broker did not take everything\n");
		return 1;
	}
	write_summary(argv[3]);
	rd_kafka_destroy(client);
	free(sales);
	return 0;
}
