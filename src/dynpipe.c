/*
 * dynpipe.c
 *	  Entry point of the library: settings, and when preloaded the shared
 *	  memory, the hooks and the launcher.
 *
 * Loaded by a session alone (no shared_preload_libraries), the library serves
 * everything but streams.
 */
#include "dynpipe.h"

#include "fmgr.h"
#include "miscadmin.h"
#include "run/hooks.h"
#include "run/launcher.h"
#include "run/shmem.h"
#include "run/wake.h"
#include "store/http_guard.h"
#include "utils/guc.h"

PG_MODULE_MAGIC;

int			dp_max_workers = 4;
int			dp_max_shards = 1024;
int			dp_worker_memory = 256 * 1024;
int			dp_retry_initial = 1000;
int			dp_retry_max = 60000;
int			dp_batch_timeout = 5 * 60 * 1000;
int			dp_check_interval = 10000;
char	   *dp_allowed_hosts = NULL;
char	   *dp_ssl_ca_file = NULL;
char	   *dp_file_root = "";
bool		dp_preloaded = false;

PGDLLEXPORT void _PG_init(void);

static void define_sizes(void);
static void define_behaviour(void);
static bool check_file_root(char **value, void **extra, GucSource source);
static bool check_allowed_hosts(char **value, void **extra, GucSource source);

/* Define the settings; register what needs shared_preload_libraries. */
void
_PG_init(void)
{
	dp_preloaded = process_shared_preload_libraries_in_progress;

	if (dp_preloaded)
		define_sizes();
	define_behaviour();
	MarkGUCPrefixReserved("dynpipe");
	dp_wake_init();

	/* A server that is being upgraded must not consume anything. */
	if (!dp_preloaded || IsBinaryUpgrade)
		return;
	dp_shmem_init();
	dp_hooks_init();
	dp_launcher_register();
}

/* Settings that size shared memory: they exist only where they have an effect. */
static void
define_sizes(void)
{
	DefineCustomIntVariable("dynpipe.max_workers",
							"Number of processes that run pipelines, over all databases.",
							"Each needs a slot of max_worker_processes, as do the launcher and one supervisor per database.",
							&dp_max_workers, 4, 1, 1024,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
	DefineCustomIntVariable("dynpipe.max_shards",
							"Number of pipelines times their workers that can run at the same time, over all databases.",
							"Each takes about 2 kB of shared memory.",
							&dp_max_shards, 1024, 1, 65536,
							PGC_POSTMASTER, 0, NULL, NULL, NULL);
}

static void
define_behaviour(void)
{
	DefineCustomIntVariable("dynpipe.worker_memory",
							"Memory that one worker may use for records that it has read ahead and for its batch.",
							NULL,
							&dp_worker_memory, 256 * 1024, 16 * 1024, MAX_KILOBYTES,
							PGC_SIGHUP, GUC_UNIT_KB, NULL, NULL, NULL);
	DefineCustomIntVariable("dynpipe.retry_initial",
							"Wait after the first failure of a pipeline; doubled with each further one.",
							NULL,
							&dp_retry_initial, 1000, 10, 3600 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("dynpipe.retry_max",
							"Longest wait between two tries of a pipeline that fails.",
							NULL,
							&dp_retry_max, 60 * 1000, 10, 24 * 3600 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("dynpipe.batch_timeout",
							"Longest time that a worker spends on one batch before it gives it up.",
							"Keeps a pipeline whose SQL hangs from holding up others; 0 means no limit.",
							&dp_batch_timeout, 5 * 60 * 1000, 0, 24 * 3600 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomIntVariable("dynpipe.check_interval",
							"How often a supervisor looks for changes that nobody told it of.",
							"Changes made by the functions of dynpipe are told at once.",
							&dp_check_interval, 10 * 1000, 100, 3600 * 1000,
							PGC_SIGHUP, GUC_UNIT_MS, NULL, NULL, NULL);
	DefineCustomStringVariable("dynpipe.file_root",
							   "Folder that all files of file:// must lie below.",
							   "Empty: anywhere the server may reach.",
							   &dp_file_root, "",
							   PGC_SUSET, 0, check_file_root, NULL, NULL);
	DefineCustomStringVariable("dynpipe.allowed_hosts",
							   "Hosts that may be reached by https, s3 and Azure storage.",
							   "Names, *.suffix, addresses and networks, each with an optional :port, separated by commas. Empty: the cloud services' own names.",
							   &dp_allowed_hosts, "",
							   PGC_SUSET, 0, check_allowed_hosts, NULL, NULL);
	DefineCustomStringVariable("dynpipe.ssl_ca_file",
							   "File with the certificates of authorities that are trusted for https.",
							   "Empty: the system's. A server's own option ssl_ca_file goes before it.",
							   &dp_ssl_ca_file, "",
							   PGC_SUSET, 0, NULL, NULL, NULL);
}

/* Kept without a '/' at its end: paths are compared with it. */
static bool
check_file_root(char **value, void **extra, GucSource source)
{
	if (**value != '\0' && !is_absolute_path(*value))
	{
		GUC_check_errdetail("It must be an absolute path, or empty.");
		return false;
	}
	canonicalize_path(*value);
	return true;
}

static bool
check_allowed_hosts(char **value, void **extra, GucSource source)
{
	const char *bad;
	int			len;

	if (dp_guard_list_valid(*value, &bad, &len))
		return true;
	GUC_check_errdetail("\"%.*s\" is none of host, *.suffix, address, network, with an optional :port.",
						Min(len, 100), bad);
	return false;
}
