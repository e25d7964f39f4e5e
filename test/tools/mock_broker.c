/*
 * mock_broker.c
 *	  An embedded Kafka cluster for demo and tests: librdkafka's mock cluster
 *	  in a small process of its own.
 *
 *	  mock_broker --dir DIR [--brokers N] [--topic NAME:PARTITIONS]... [--daemon]
 *	  mock_broker --dir DIR ctl COMMAND...
 *
 * The first form prints the bootstrap servers on standard output and leaves in
 * DIR: mock.bootstrap (the same line), mock.pid and mock.ctl, a unix socket
 * that takes one command a line and answers each with "ok", "ok TEXT" or
 * "error: TEXT".  Without --daemon it reads commands from standard input too
 * and ends at its end; with --daemon it returns when the cluster is ready and
 * lives on until "quit" or SIGTERM.  The second form sends one command to a
 * running broker and ends with status 1 when the answer is an error.
 *
 * What is kept is in memory only and small: each partition holds the newest
 * 5 MiB or 100,000 producer batches, whatever is older is gone silently.
 *
 * One thread of ours serves everybody in a poll loop; the cluster has its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>

#define MAX_CLIENTS 16
#define MAX_LINE 1024
#define MAX_WORDS 8

typedef struct Options
{
	const char *dir;
	int			brokers;
	const char **topics;		/* NAME:PARTITIONS */
	int			ntopics;
	bool		daemon;
	char	  **command;		/* ctl: what to send; NULL: be the broker */
	int			nwords;
} Options;

/* Somebody who sends lines: standard input or a connection. */
typedef struct Client
{
	int			in;				/* -1: unused */
	int			out;
	size_t		len;
	char		line[MAX_LINE];
} Client;

typedef struct Command
{
	const char *name;
	int			nargs;			/* without the name */
	const char *usage;
	void		(*run) (char **arg, char *answer, size_t size);
} Command;

static void parse_options(int argc, char **argv, Options *options);
static int	send_command(const Options *options);
static void become_daemon(int *ready_fd);
static void start_cluster(const Options *options);
static int	listen_for_commands(const Options *options);
static void announce(const Options *options, int ready_fd);
static void serve(const Options *options, int listener);
static void accept_client(int listener, Client *clients);
static bool read_client(Client *client);
static void run_line(char *line, char *answer, size_t size);
static void path_in_dir(const Options *options, const char *name, char *path, size_t size);
static void write_file(const Options *options, const char *name, const char *text);
static void die(const char *fmt,...) __attribute__((format(printf, 1, 2), noreturn));

static void run_topic(char **arg, char *answer, size_t size);
static void run_topic_error(char **arg, char *answer, size_t size);
static void run_error(char **arg, char *answer, size_t size);
static void run_clear(char **arg, char *answer, size_t size);
static void run_down(char **arg, char *answer, size_t size);
static void run_up(char **arg, char *answer, size_t size);
static void run_rtt(char **arg, char *answer, size_t size);
static void run_leader(char **arg, char *answer, size_t size);
static void run_apiversion(char **arg, char *answer, size_t size);
static void run_bootstrap(char **arg, char *answer, size_t size);
static void run_quit(char **arg, char *answer, size_t size);

static const Command commands[] = {
	{"topic", 2, "topic NAME PARTITIONS", run_topic},
	{"topic_error", 2, "topic_error NAME ERROR", run_topic_error},
	{"error", 3, "error APIKEY ERROR COUNT", run_error},
	{"clear", 1, "clear APIKEY", run_clear},
	{"down", 1, "down BROKER (-1: all)", run_down},
	{"up", 1, "up BROKER (-1: all)", run_up},
	{"rtt", 2, "rtt BROKER MILLISECONDS", run_rtt},
	{"leader", 3, "leader TOPIC PARTITION BROKER (-1: none)", run_leader},
	{"apiversion", 3, "apiversion APIKEY MIN MAX", run_apiversion},
	{"bootstrap", 0, "bootstrap", run_bootstrap},
	{"quit", 0, "quit", run_quit},
};

#define NCOMMANDS (sizeof(commands) / sizeof(commands[0]))

static rd_kafka_t *rk;
static rd_kafka_mock_cluster_t *cluster;
static volatile sig_atomic_t stopping = 0;

static void
stop(int signo)
{
	stopping = 1;
}

int
main(int argc, char **argv)
{
	Options		options = {.brokers = 1};
	int			ready_fd = -1;
	int			listener;

	parse_options(argc, argv, &options);
	if (options.command != NULL)
		return send_command(&options);
	if (options.daemon)
		become_daemon(&ready_fd);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGTERM, stop);
	signal(SIGINT, stop);
	start_cluster(&options);
	listener = listen_for_commands(&options);
	announce(&options, ready_fd);
	serve(&options, listener);

	rd_kafka_mock_cluster_destroy(cluster);
	rd_kafka_destroy(rk);
	free(options.topics);
	return 0;
}

static void
parse_options(int argc, char **argv, Options *options)
{
	options->topics = calloc(argc, sizeof(char *));
	for (int i = 1; i < argc; i++)
	{
		if (strcmp(argv[i], "--daemon") == 0)
			options->daemon = true;
		else if (strcmp(argv[i], "--dir") == 0 && i + 1 < argc)
			options->dir = argv[++i];
		else if (strcmp(argv[i], "--brokers") == 0 && i + 1 < argc)
			options->brokers = atoi(argv[++i]);
		else if (strcmp(argv[i], "--topic") == 0 && i + 1 < argc)
			options->topics[options->ntopics++] = argv[++i];
		else if (strcmp(argv[i], "ctl") == 0 && i + 1 < argc)
		{
			options->command = argv + i + 1;
			options->nwords = argc - i - 1;
			break;
		}
		else
			die("unknown or incomplete argument \"%s\"", argv[i]);
	}
	if (options->dir == NULL || options->brokers < 1)
		die("usage: mock_broker --dir DIR [--brokers N] [--topic NAME:PARTITIONS]... "
			"[--daemon] | mock_broker --dir DIR ctl COMMAND...");
}

/* Be the client: one command there, one answer back. */
static int
send_command(const Options *options)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	char		answer[MAX_LINE] = "";
	size_t		len = 0;
	int			fd = socket(AF_UNIX, SOCK_STREAM, 0);

	path_in_dir(options, "mock.ctl", addr.sun_path, sizeof(addr.sun_path));
	if (connect(fd, (struct sockaddr *) &addr, sizeof(addr)) != 0)
		die("cannot connect to \"%s\": %s", addr.sun_path, strerror(errno));
	for (int i = 0; i < options->nwords; i++)
		dprintf(fd, "%s%s", i > 0 ? " " : "", options->command[i]);
	dprintf(fd, "\n");
	while (len + 1 < sizeof(answer) && strchr(answer, '\n') == NULL)
	{
		ssize_t		n = read(fd, answer + len, sizeof(answer) - 1 - len);

		if (n <= 0)
			break;
		len += n;
		answer[len] = '\0';
	}
	close(fd);
	fputs(answer, stdout);
	return strncmp(answer, "ok", 2) == 0 ? 0 : 1;
}

/*
 * The parent stays until the child writes the bootstrap servers to the pipe,
 * so whoever started us finds a cluster that is ready.
 */
static void
become_daemon(int *ready_fd)
{
	int			fds[2];
	char		text[MAX_LINE];
	ssize_t		n;
	pid_t		pid;

	if (pipe(fds) != 0 || (pid = fork()) < 0)
		die("cannot start the broker: %s", strerror(errno));
	if (pid > 0)
	{
		close(fds[1]);
		n = read(fds[0], text, sizeof(text) - 1);
		if (n <= 0)
			exit(1);
		text[n] = '\0';
		fputs(text, stdout);
		exit(0);
	}
	close(fds[0]);
	*ready_fd = fds[1];
	setsid();
}

static void
start_cluster(const Options *options)
{
	char		errstr[256];
	rd_kafka_conf_t *conf = rd_kafka_conf_new();

	/* A producer handle owns the cluster; it never produces. */
	rd_kafka_conf_set(conf, "log_level", "3", errstr, sizeof(errstr));
	rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, errstr, sizeof(errstr));
	if (rk == NULL)
		die("cannot create the cluster: %s", errstr);
	cluster = rd_kafka_mock_cluster_new(rk, options->brokers);
	if (cluster == NULL)
		die("cannot create the cluster");
	for (int i = 0; i < options->ntopics; i++)
	{
		char	   *name = strdup(options->topics[i]);
		char	   *colon = strrchr(name, ':');
		char		answer[MAX_LINE];
		char	   *arg[2] = {name, colon != NULL ? colon + 1 : "1"};

		if (colon != NULL)
			*colon = '\0';
		run_topic(arg, answer, sizeof(answer));
		if (strncmp(answer, "ok", 2) != 0)
			die("topic \"%s\": %s", name, answer);
		free(name);
	}
}

static int
listen_for_commands(const Options *options)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int			fd = socket(AF_UNIX, SOCK_STREAM, 0);

	path_in_dir(options, "mock.ctl", addr.sun_path, sizeof(addr.sun_path));
	unlink(addr.sun_path);
	if (bind(fd, (struct sockaddr *) &addr, sizeof(addr)) != 0 || listen(fd, 8) != 0)
		die("cannot listen on \"%s\": %s", addr.sun_path, strerror(errno));
	/* Whoever can enter the directory may give commands. */
	chmod(addr.sun_path, 0777);
	return fd;
}

static void
announce(const Options *options, int ready_fd)
{
	char		line[MAX_LINE];
	char		pid[32];

	snprintf(line, sizeof(line), "%s\n", rd_kafka_mock_cluster_bootstraps(cluster));
	snprintf(pid, sizeof(pid), "%d\n", (int) getpid());
	write_file(options, "mock.bootstrap", line);
	write_file(options, "mock.pid", pid);
	if (ready_fd < 0)
	{
		fputs(line, stdout);
		fflush(stdout);
		return;
	}
	dprintf(ready_fd, "%s", line);
	close(ready_fd);
	/* Let go of the starter's terminal and pipes. */
	for (int fd = 0; fd <= 2; fd++)
	{
		int			null = open("/dev/null", O_RDWR);

		dup2(null, fd);
		if (null > 2)
			close(null);
	}
}

static void
serve(const Options *options, int listener)
{
	Client		clients[MAX_CLIENTS];

	for (int i = 0; i < MAX_CLIENTS; i++)
		clients[i].in = -1;
	if (!options->daemon)
		clients[0] = (Client) {.in = STDIN_FILENO,.out = STDOUT_FILENO};

	while (!stopping)
	{
		struct pollfd fds[MAX_CLIENTS + 1];

		fds[0] = (struct pollfd) {.fd = listener,.events = POLLIN};
		for (int i = 0; i < MAX_CLIENTS; i++)
			fds[i + 1] = (struct pollfd) {.fd = clients[i].in,.events = POLLIN};
		if (poll(fds, MAX_CLIENTS + 1, 1000) <= 0)
			continue;
		if (fds[0].revents != 0)
			accept_client(listener, clients);
		for (int i = 0; i < MAX_CLIENTS; i++)
		{
			if (fds[i + 1].revents == 0 || clients[i].in != fds[i + 1].fd)
				continue;
			if (!read_client(&clients[i]))
			{
				if (clients[i].in == STDIN_FILENO)
					stopping = 1;
				else
					close(clients[i].in);
				clients[i].in = -1;
			}
		}
	}
	for (int i = 0; i < MAX_CLIENTS; i++)
		if (clients[i].in > STDIN_FILENO)
			close(clients[i].in);
	close(listener);
}

static void
accept_client(int listener, Client *clients)
{
	int			fd = accept(listener, NULL, NULL);

	for (int i = 0; fd >= 0 && i < MAX_CLIENTS; i++)
		if (clients[i].in < 0)
		{
			clients[i] = (Client) {.in = fd,.out = fd};
			return;
		}
	if (fd >= 0)
		close(fd);
}

/* Run the lines that have come; false at the end of input. */
static bool
read_client(Client *client)
{
	ssize_t		n = read(client->in, client->line + client->len,
						 sizeof(client->line) - 1 - client->len);
	char	   *end;

	if (n <= 0)
		return false;
	client->len += n;
	client->line[client->len] = '\0';
	while ((end = strchr(client->line, '\n')) != NULL)
	{
		char		answer[MAX_LINE];

		*end = '\0';
		run_line(client->line, answer, sizeof(answer));
		if (dprintf(client->out, "%s\n", answer) < 0)
			return false;
		client->len -= (end + 1 - client->line);
		memmove(client->line, end + 1, client->len + 1);
	}
	return client->len + 1 < sizeof(client->line);
}

static void
run_line(char *line, char *answer, size_t size)
{
	char	   *word[MAX_WORDS];
	char	   *save;
	int			n = 0;

	for (char *w = strtok_r(line, " \t\r", &save); w != NULL && n < MAX_WORDS;
		 w = strtok_r(NULL, " \t\r", &save))
		word[n++] = w;
	for (size_t i = 0; i < NCOMMANDS; i++)
	{
		if (n == 0 || strcmp(word[0], commands[i].name) != 0)
			continue;
		if (n - 1 == commands[i].nargs)
			commands[i].run(word + 1, answer, size);
		else
			snprintf(answer, size, "error: usage: %s", commands[i].usage);
		return;
	}
	n = snprintf(answer, size, "error: commands are:");
	for (size_t i = 0; i < NCOMMANDS; i++)
		n += snprintf(answer + n, size - n, "%s %s", i > 0 ? ";" : "", commands[i].usage);
}

static void
answer_with(rd_kafka_resp_err_t err, char *answer, size_t size)
{
	if (err == RD_KAFKA_RESP_ERR_NO_ERROR)
		snprintf(answer, size, "ok");
	else
		snprintf(answer, size, "error: %s", rd_kafka_err2str(err));
}

/* A code as a number or by its name ("_TRANSPORT", "OFFSET_OUT_OF_RANGE"). */
static bool
parse_error(const char *text, rd_kafka_resp_err_t *err)
{
	const struct rd_kafka_err_desc *descs;
	size_t		n;
	char	   *end;

	*err = strtol(text, &end, 10);
	if (*text != '\0' && *end == '\0')
		return true;
	rd_kafka_get_err_descs(&descs, &n);
	for (size_t i = 0; i < n; i++)
		if (descs[i].name != NULL && strcasecmp(descs[i].name, text) == 0)
		{
			*err = descs[i].code;
			return true;
		}
	return false;
}

static void
run_topic(char **arg, char *answer, size_t size)
{
	answer_with(rd_kafka_mock_topic_create(cluster, arg[0], atoi(arg[1]), 1), answer, size);
}

static void
run_topic_error(char **arg, char *answer, size_t size)
{
	rd_kafka_resp_err_t err;

	if (!parse_error(arg[1], &err))
	{
		snprintf(answer, size, "error: no error \"%s\"", arg[1]);
		return;
	}
	rd_kafka_mock_topic_set_error(cluster, arg[0], err);
	snprintf(answer, size, "ok");
}

static void
run_error(char **arg, char *answer, size_t size)
{
	rd_kafka_resp_err_t err;
	int			count = atoi(arg[2]);

	if (!parse_error(arg[1], &err) || count < 1)
	{
		snprintf(answer, size, "error: no error \"%s\" or bad count", arg[1]);
		return;
	}
	for (int i = 0; i < count; i++)
		rd_kafka_mock_push_request_errors_array(cluster, atoi(arg[0]), 1, &err);
	snprintf(answer, size, "ok");
}

static void
run_clear(char **arg, char *answer, size_t size)
{
	rd_kafka_mock_clear_request_errors(cluster, atoi(arg[0]));
	snprintf(answer, size, "ok");
}

static void
run_down(char **arg, char *answer, size_t size)
{
	answer_with(rd_kafka_mock_broker_set_down(cluster, atoi(arg[0])), answer, size);
}

static void
run_up(char **arg, char *answer, size_t size)
{
	answer_with(rd_kafka_mock_broker_set_up(cluster, atoi(arg[0])), answer, size);
}

static void
run_rtt(char **arg, char *answer, size_t size)
{
	answer_with(rd_kafka_mock_broker_set_rtt(cluster, atoi(arg[0]), atoi(arg[1])), answer, size);
}

static void
run_leader(char **arg, char *answer, size_t size)
{
	answer_with(rd_kafka_mock_partition_set_leader(cluster, arg[0], atoi(arg[1]), atoi(arg[2])),
				answer, size);
}

static void
run_apiversion(char **arg, char *answer, size_t size)
{
	answer_with(rd_kafka_mock_set_apiversion(cluster, atoi(arg[0]), atoi(arg[1]), atoi(arg[2])),
				answer, size);
}

static void
run_bootstrap(char **arg, char *answer, size_t size)
{
	snprintf(answer, size, "ok %s", rd_kafka_mock_cluster_bootstraps(cluster));
}

static void
run_quit(char **arg, char *answer, size_t size)
{
	stopping = 1;
	snprintf(answer, size, "ok");
}

static void
path_in_dir(const Options *options, const char *name, char *path, size_t size)
{
	if (snprintf(path, size, "%s/%s", options->dir, name) >= (int) size)
		die("directory name is too long: \"%s\"", options->dir);
}

static void
write_file(const Options *options, const char *name, const char *text)
{
	char		path[4096];
	FILE	   *file;

	path_in_dir(options, name, path, sizeof(path));
	file = fopen(path, "w");
	if (file == NULL || fputs(text, file) < 0 || fclose(file) != 0)
		die("cannot write \"%s\": %s", path, strerror(errno));
}

static void
die(const char *fmt,...)
{
	va_list		args;

	fputs("mock_broker: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fputc('\n', stderr);
	exit(1);
}
