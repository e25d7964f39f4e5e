/*
 * destination.c
 *	  May a pipeline write where its document says?  See destination.h.
 */
#include "dynpipe.h"

#include "catalog/catalog.h"
#include "output/destination.h"
#include "output/output.h"
#include "store/store.h"
#include "util/guard.h"

/* The look-up of a server, which raises. */
typedef struct FindServer
{
	const DpDestinationSpec *target;
	Oid			user;
	Oid			serverid;
} FindServer;

static void check_store(const DpPipelineSpec *spec, Oid owner, const char *pointer,
						DpDocument *doc);
static void find_server(void *arg);
static void check_others(const DpPipelineSpec *spec, int64 id, const char *pointer,
						 DpDocument *doc);
static bool same_folder(const DpDestinationSpec *a, const DpDestinationSpec *b);
static Size folder_length(const char *path);

void
dp_destination_check(const DpPipelineSpec *spec, int64 id, Oid owner, DpDocument *doc)
{
	const char *pointer = psprintf("%s/destination", spec->pointer);

	check_store(spec, owner, pointer, doc);
	if (dp_output_feeds_itself(spec))
		dp_config_add_problem(doc, pointer,
							  "Write to a folder in which the source does not look.",
							  "the source of pipeline \"%s\" would read what it has written",
							  spec->name);
	check_others(spec, id, pointer, doc);
}

static void
check_store(const DpPipelineSpec *spec, Oid owner, const char *pointer, DpDocument *doc)
{
	const DpStoreOps *ops = dp_store_find(spec->target.scheme);
	FindServer	find = {.target = &spec->target, .user = owner};
	ErrorData  *error;
	DpStoreSpec store = {
		.pipeline = spec->name,
		.scheme = spec->target.scheme,
		.authority = spec->target.authority,
		.user = owner,
		.writing = true
	};

	if (ops == NULL || !ops->writes)
	{
		dp_config_add_problem(doc, pointer,
							  psprintf("Schemes of files are: %s.", dp_store_names()),
							  "cannot write to a URL of scheme \"%s\"", spec->target.scheme);
		return;
	}
	error = dp_guard_run(find_server, &find, true);
	if (error != NULL)
	{
		dp_config_add_problem(doc, pointer, error->hint, "%s", error->message);
		return;
	}
	store.serverid = find.serverid;
	ops->check(&store, spec->target.path, pointer, doc);
}

static void
find_server(void *arg)
{
	FindServer *find = arg;

	find->serverid = dp_store_server(find->target->scheme, find->target->authority,
									 find->target->connection, find->user);
}

/* Two pipelines that write to one folder may replace each other's objects. */
static void
check_others(const DpPipelineSpec *spec, int64 id, const char *pointer, DpDocument *doc)
{
	ListCell   *lc;

	foreach(lc, dp_catalog_all())
	{
		DpPipelineRow *row = lfirst(lc);

		if (row->id == id || strstr(row->definition, "\"destination\"") == NULL ||
			!same_folder(&spec->target, &dp_spec_from_json(row->definition)->target))
			continue;
		dp_config_add_problem(doc, pointer, "Give each pipeline a folder of its own.",
							  "another pipeline writes to \"%s\" already", spec->target.url);
		return;
	}
}

static bool
same_folder(const DpDestinationSpec *a, const DpDestinationSpec *b)
{
	return b->url != NULL && strcmp(a->scheme, b->scheme) == 0 &&
		strcmp(a->authority, b->authority) == 0 &&
		folder_length(a->path) == folder_length(b->path) &&
		strncmp(a->path, b->path, folder_length(a->path)) == 0;
}

/* Without the slashes that it ends in. */
static Size
folder_length(const char *path)
{
	Size		len = strlen(path);

	while (len > 0 && path[len - 1] == '/')
		len--;
	return len;
}
