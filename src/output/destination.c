/*
 * destination.c
 *	  May a pipeline write where its document says?  See destination.h.
 */
#include "dynpipe.h"

#include "catalog/catalog.h"
#include "output/destination.h"
#include "output/output.h"
#include "output/place.h"
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
static bool feeds_itself(const DpPipelineSpec *spec, Oid owner);
static void check_others(const DpPipelineSpec *spec, int64 id, Oid owner, const char *pointer,
						 DpDocument *doc);
static bool same_folder(const DpDestinationSpec *a, const DpDestinationSpec *b, Oid owner);
static Size folder_length(const char *path);

void
dp_destination_check(const DpPipelineSpec *spec, int64 id, Oid owner, DpDocument *doc)
{
	const char *pointer = psprintf("%s/destination", spec->pointer);

	check_store(spec, owner, pointer, doc);
	if (feeds_itself(spec, owner))
		dp_config_add_problem(doc, pointer,
							  "Write to a folder in which the source does not look.",
							  "the source of pipeline \"%s\" would read what it has written",
							  spec->name);
	check_others(spec, id, owner, pointer, doc);
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

/* With one spelling for both, whatever the document's are. */
static bool
feeds_itself(const DpPipelineSpec *spec, Oid owner)
{
	DpPipelineSpec plain = *spec;

	if (!dp_place_same(spec->scheme, spec->authority, spec->target.scheme,
					   spec->target.authority))
		return false;
	plain.path = dp_place_path(spec->scheme, spec->path, owner);
	plain.target.path = dp_place_path(spec->target.scheme, spec->target.path, owner);
	return dp_output_feeds_itself(&plain);
}

/* Two pipelines that write to one folder may replace each other's objects. */
static void
check_others(const DpPipelineSpec *spec, int64 id, Oid owner, const char *pointer,
			 DpDocument *doc)
{
	ListCell   *lc;

	foreach(lc, dp_catalog_all())
	{
		DpPipelineRow *row = lfirst(lc);

		if (row->id == id || strstr(row->definition, "\"destination\"") == NULL ||
			!same_folder(&spec->target, &dp_spec_from_json(row->definition)->target, owner))
			continue;
		dp_config_add_problem(doc, pointer, "Give each pipeline a folder of its own.",
							  "another pipeline writes to \"%s\" already", spec->target.url);
		return;
	}
}

static bool
same_folder(const DpDestinationSpec *a, const DpDestinationSpec *b, Oid owner)
{
	const char *path_a;
	const char *path_b;

	if (b->url == NULL || !dp_place_same(a->scheme, a->authority, b->scheme, b->authority))
		return false;
	path_a = dp_place_path(a->scheme, a->path, owner);
	path_b = dp_place_path(b->scheme, b->path, owner);
	return folder_length(path_a) == folder_length(path_b) &&
		strncmp(path_a, path_b, folder_length(path_a)) == 0;
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
