/*
 * discover.c
 *	  What is there to load: the store's listing against the file ledger.
 *
 *	  listing ─chunks─> dp_file_see ─> pending rows
 *	     └─ hashes of the URLs seen ─> rows of the ledger whose object is gone
 *
 * A pattern may change from look to look (its parameters, the document): what
 * it does not name is not missing.
 *
 * A listing may be long, so it is entered in chunks as its pages come; of each
 * object only a hash is kept.
 */
#include "dynpipe.h"

#include "access/xact.h"
#include "common/hashfn.h"
#include "load/load.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define CHUNK 5000

typedef struct Discovery
{
	DpLoader   *loader;
	MemoryContext chunk_cxt;
	DpSeenFiles seen;
	HTAB	   *hashes;			/* uint64 of each URL */
	DpDiscovered found;
} Discovery;

static void add(const DpObject *object, void *arg);
static void enter_chunk(Discovery *d);
static void start_chunk(Discovery *d);
static void remember(Discovery *d, const char *url);
static uint64 hash_of(const char *url);
static void unload_versions(Discovery *d, const DpFileRow *file);
static void find_removed(Discovery *d);
static bool is_missing(const Discovery *d, const DpFileRow *file);

DpDiscovered
dp_discover(DpLoader *loader)
{
	HASHCTL		ctl = {.keysize = sizeof(uint64), .entrysize = sizeof(uint64)};
	MemoryContext cxt = AllocSetContextCreate(CurrentMemoryContext, "dynpipe discovery",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	Discovery	d = {.loader = loader};
	DpDiscovered found;

	ctl.hcxt = cxt;
	d.hashes = hash_create("dynpipe files seen", 1024, &ctl, HASH_ELEM | HASH_BLOBS | HASH_CONTEXT);
	d.chunk_cxt = AllocSetContextCreate(cxt, "dynpipe chunk", ALLOCSET_DEFAULT_SIZES);
	start_chunk(&d);
	d.found.seen = dp_store_glob(loader->store, loader->pattern, add, &d);
	enter_chunk(&d);
	find_removed(&d);
	found = d.found;
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
	return found;
}

/* A name that the database cannot spell cannot be told in its ledger. */
static void
add(const DpObject *object, void *arg)
{
	Discovery  *d = arg;
	const DpPipelineSpec *spec = d->loader->plan->spec;
	MemoryContext old;
	int			n = d->seen.n;

	if (!pg_verifymbstr(object->key, strlen(object->key), true))
	{
		ereport(WARNING,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("a file of pipeline \"%s\" is left out: its name is not valid in the "
						"database's encoding", spec->name)));
		return;
	}
	old = MemoryContextSwitchTo(d->chunk_cxt);
	d->seen.url[n] = psprintf("%s://%s/%s", spec->scheme, d->loader->authority, object->key);
	d->seen.version[n] = pstrdup(object->version ? object->version : "");
	d->seen.size[n] = object->size;
	d->seen.modified_ms[n] = object->modified_ms;
	MemoryContextSwitchTo(old);
	remember(d, d->seen.url[n]);
	if (++d->seen.n == CHUNK)
		enter_chunk(d);
}

static void
enter_chunk(Discovery *d)
{
	bool		keep_first = d->loader->plan->spec->on_change == DP_ON_CHANGE_IGNORE;

	CHECK_FOR_INTERRUPTS();
	dp_load_alive(d->loader);
	if (d->seen.n > 0)
	{
		MemoryContext old = MemoryContextSwitchTo(d->chunk_cxt);

		dp_file_see(d->loader->plan->pipeline_id, &d->seen, keep_first, &d->found.fresh,
					&d->found.changed);
		CommandCounterIncrement();
		MemoryContextSwitchTo(old);
	}
	start_chunk(d);
}

static void
start_chunk(Discovery *d)
{
	MemoryContextReset(d->chunk_cxt);
	d->seen.n = 0;
	d->seen.url = MemoryContextAlloc(d->chunk_cxt, sizeof(char *) * CHUNK);
	d->seen.version = MemoryContextAlloc(d->chunk_cxt, sizeof(char *) * CHUNK);
	d->seen.size = MemoryContextAlloc(d->chunk_cxt, sizeof(int64) * CHUNK);
	d->seen.modified_ms = MemoryContextAlloc(d->chunk_cxt, sizeof(int64) * CHUNK);
}

static void
remember(Discovery *d, const char *url)
{
	uint64		hash = hash_of(url);

	(void) hash_search(d->hashes, &hash, HASH_ENTER, NULL);
}

static uint64
hash_of(const char *url)
{
	return hash_bytes_extended((const unsigned char *) url, strlen(url), 0);
}

/* All that are loaded: older ones too, which the newest one, loaded or not, only hides. */
static void
unload_versions(Discovery *d, const DpFileRow *file)
{
	ListCell   *lc;

	foreach(lc, dp_file_find(d->loader->plan->pipeline_id, file->url, 0))
	{
		DpFileRow  *version = lfirst(lc);

		if (version->state == DP_FILE_LOADED)
			dp_unload(d->loader, version, DP_FILE_UNLOADED, false);
	}
}

/*
 * Files that wait but are not there any more will not be loaded; loaded ones
 * leave if the document says so.  An empty listing is no proof of that: it is
 * more likely that a folder was not mounted.
 */
static void
find_removed(Discovery *d)
{
	const DpPlan *plan = d->loader->plan;
	bool		unload = plan->spec->on_remove == DP_ON_REMOVE_UNLOAD;
	List	   *expected;
	MemoryContext old;
	ListCell   *lc;

	if (unload && d->found.seen == 0)
		return;
	expected = dp_file_expected(plan->pipeline_id, unload);
	old = MemoryContextSwitchTo(d->chunk_cxt);
	foreach(lc, expected)
	{
		DpFileRow  *file = lfirst(lc);

		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(d->chunk_cxt);
		if (!is_missing(d, file))
			continue;
		if (file->state != DP_FILE_LOADED)
			dp_file_set_state(file->id, DP_FILE_GONE, false);
		if (unload)
			unload_versions(d, file);
		d->found.removed++;
	}
	dp_unload_done(d->loader);
	CommandCounterIncrement();
	MemoryContextSwitchTo(old);
}

/*
 * Would the listing have shown FILE if it were there?  What waits in a store
 * that is not read any more is given up as well.
 */
static bool
is_missing(const Discovery *d, const DpFileRow *file)
{
	const DpLoader *loader = d->loader;
	const char *here = psprintf("%s://%s/", loader->plan->spec->scheme, loader->authority);
	uint64		hash = hash_of(file->url);

	if (hash_search(d->hashes, &hash, HASH_FIND, NULL) != NULL)
		return false;
	if (strncmp(file->url, here, strlen(here)) != 0)
		return file->state != DP_FILE_LOADED;
	return dp_glob_match(loader->pattern, dp_file_key(file->url));
}
