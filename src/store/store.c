/*
 * store.c
 *	  The registry of stores, the server that a URL uses, and the objects that a
 *	  pattern names: see store.h for what a store has to do.
 *
 * Objects are found page by page: each page and what is done with its objects
 * lives in a memory context that is reset before the next one.
 */
#include "dynpipe.h"

#include "access/genam.h"
#include "access/htup_details.h"
#include "access/reloptions.h"
#include "access/table.h"
#include "catalog/pg_foreign_server.h"
#include "commands/defrem.h"
#include "foreign/foreign.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "store/store.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* Longer than any key or path that a store can have. */
#define MAX_PATTERN		8192

#define DP_STORE(scheme) extern const DpStoreOps dp_store_##scheme##_ops;
#include "store/store_list.h"
#undef DP_STORE

static const DpStoreOps *const stores[] = {
#define DP_STORE(scheme) &dp_store_##scheme##_ops,
#include "store/store_list.h"
#undef DP_STORE
};

#define DP_STORE(scheme) ", " #scheme
static const char names[] =
#include "store/store_list.h"
;
#undef DP_STORE

/* Servers that belong to a scheme; a scheme without a line has none. */
static const struct
{
	const char *scheme;
	const char *type;			/* of the server */
	const char *place;			/* its option that names what is in front of the path */
}			servers[] = {
	{"s3", "s3", "bucket"},
	{"abfss", "adls", "container"},
	{"az", "adls", "container"},
};

/* Servers of one type that a role may use, counted. */
typedef struct Choice
{
	Oid			fitting;		/* its place is the URL's */
	int			nfitting;
	Oid			any;
	int			nany;
} Choice;

/* A walk over the pages of a listing. */
typedef struct Walk
{
	DpStore    *store;
	const char *pattern;
	DpObjectFound found;
	void	   *arg;
	int64		nfound;
	bool		warned;			/* of a key that is no text */
} Walk;

static Oid	named_server(const char *scheme, const char *connection, int line);
static void choose(const char *authority, int line, Oid user, Choice *choice);
static void consider(const ForeignServer *server, const char *authority, int line, Choice *choice);
static const char *server_option(const ForeignServer *server, const char *name);
static int64 find_one(Walk *walk);
static void find_in_page(Walk *walk, List *page);
static bool is_text(Walk *walk, const char *key);

const DpStoreOps *
dp_store_find(const char *scheme)
{
	for (int i = 0; i < lengthof(stores); i++)
		if (strcmp(stores[i]->name, scheme) == 0)
			return stores[i];
	return NULL;
}

const char *
dp_store_names(void)
{
	return names + strlen(", ");
}

DpStore *
dp_store_open(const DpStoreSpec *spec)
{
	const DpStoreOps *ops = dp_store_find(spec->scheme);

	if (ops == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("there are no files behind scheme \"%s\"", spec->scheme),
				 errhint("Schemes of files are: %s.", dp_store_names())));
	if (spec->writing && !ops->writes)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("files of scheme \"%s\" cannot be written", spec->scheme),
				 errhint("Write to another place.")));
	return ops->open(spec);
}

Oid
dp_store_server(const char *scheme, const char *authority, const char *connection, Oid user)
{
	int			line = 0;
	Choice		choice = {0};

	while (line < lengthof(servers) && strcmp(servers[line].scheme, scheme) != 0)
		line++;
	if (connection != NULL)
		return named_server(scheme, connection, line);
	if (line == lengthof(servers))
		return InvalidOid;
	choose(authority, line, user, &choice);
	if (choice.nfitting > 1)
		ereport(ERROR,
				(errcode(ERRCODE_AMBIGUOUS_PARAMETER),
				 errmsg("%d servers of type \"%s\" have %s \"%s\"", choice.nfitting,
						servers[line].type, servers[line].place, authority),
				 errhint("Name one of them by the key \"connection\".")));
	if (choice.nfitting == 1)
		return choice.fitting;
	return choice.nany == 1 ? choice.any : InvalidOid;
}

/* Whether it is of the right type, and the role may use it, is for the store's check and open. */
static Oid
named_server(const char *scheme, const char *connection, int line)
{
	if (line == lengthof(servers))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("a URL of scheme \"%s\" uses no connection", scheme),
				 errhint("Leave out the key \"connection\".")));
	return get_foreign_server_oid(connection, false);
}

/* Look at all servers of ours that USER may use; few databases have more than ten. */
static void
choose(const char *authority, int line, Oid user, Choice *choice)
{
	Oid			fdw = get_foreign_data_wrapper_oid("dynpipe", true);
	Relation	rel = table_open(ForeignServerRelationId, AccessShareLock);
	SysScanDesc scan = systable_beginscan(rel, InvalidOid, false, NULL, 0, NULL);
	HeapTuple	tuple;

	while (HeapTupleIsValid(tuple = systable_getnext(scan)))
	{
		Form_pg_foreign_server form = (Form_pg_foreign_server) GETSTRUCT(tuple);

		if (form->srvfdw == fdw && dp_server_aclcheck(form->oid, user, ACL_USAGE) == ACLCHECK_OK)
			consider(GetForeignServer(form->oid), authority, line, choice);
	}
	systable_endscan(scan);
	table_close(rel, AccessShareLock);
}

/*
 * AUTHORITY is a bucket, or a container and perhaps its account.  A server of
 * another account never fits.
 */
static void
consider(const ForeignServer *server, const char *authority, int line, Choice *choice)
{
	const char *at = strchr(authority, '@');
	const char *account = server_option(server, "account");
	const char *place;

	if (server->servertype == NULL || strcmp(server->servertype, servers[line].type) != 0)
		return;
	if (at != NULL && account != NULL &&
		!(strncmp(at + 1, account, strlen(account)) == 0 &&
		  (at[1 + strlen(account)] == '.' || at[1 + strlen(account)] == '\0')))
		return;
	choice->any = server->serverid;
	choice->nany++;
	place = server_option(server, servers[line].place);
	if (place == NULL || strncmp(authority, place, strlen(place)) != 0 ||
		(authority[strlen(place)] != '\0' && authority + strlen(place) != at))
		return;
	choice->fitting = server->serverid;
	choice->nfitting++;
}

static const char *
server_option(const ForeignServer *server, const char *name)
{
	ListCell   *lc;

	foreach(lc, server->options)
		if (strcmp(lfirst_node(DefElem, lc)->defname, name) == 0)
			return defGetString(lfirst_node(DefElem, lc));
	return NULL;
}

int64
dp_store_glob(DpStore *store, const char *pattern, DpObjectFound found, void *arg)
{
	Walk		walk = {store, pattern, found, arg};
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext page_cxt;
	const char *prefix;
	bool		flat;
	char	   *state = NULL;

	if (strlen(pattern) > MAX_PATTERN)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("path or pattern is longer than %d bytes", MAX_PATTERN)));
	if (!store->ops->lists || !dp_glob_is_pattern(pattern))
		return find_one(&walk);
	prefix = dp_glob_prefix(pattern);
	flat = strlen(prefix) < strlen(pattern) &&
		strpbrk(pattern + strlen(prefix), "/") == NULL && strstr(pattern, "**") == NULL;
	page_cxt = AllocSetContextCreate(caller, "dynpipe listing", ALLOCSET_DEFAULT_SIZES);
	do
	{
		char	   *before = state;
		char	   *next = state;
		List	   *page;

		CHECK_FOR_INTERRUPTS();
		MemoryContextSwitchTo(page_cxt);
		page = store->ops->list(store, prefix, flat, &next);
		find_in_page(&walk, page);
		MemoryContextSwitchTo(caller);
		state = next != NULL ? pstrdup(next) : NULL;
		if (before != NULL)
			pfree(before);
		MemoryContextReset(page_cxt);
	} while (state != NULL);
	MemoryContextDelete(page_cxt);
	return walk.nfound;
}

/* A plain key. */
static int64
find_one(Walk *walk)
{
	DpObject	object = {0};

	if (!walk->store->ops->stat(walk->store, walk->pattern, &object))
		return 0;
	walk->found(&object, walk->arg);
	return 1;
}

static void
find_in_page(Walk *walk, List *page)
{
	MemoryContext page_cxt = CurrentMemoryContext;
	ListCell   *lc;

	foreach(lc, page)
	{
		const DpObject *object = lfirst(lc);
		Size		len = strlen(object->key);

		CHECK_FOR_INTERRUPTS();
		if (len == 0 || object->key[len - 1] == '/' ||
			!dp_glob_match(walk->pattern, object->key) || !is_text(walk, object->key))
			continue;
		walk->found(object, walk->arg);
		walk->nfound++;
		MemoryContextSwitchTo(page_cxt);
	}
}

/* Keys are stored and shown as text; one that is none is left out, and said so once. */
static bool
is_text(Walk *walk, const char *key)
{
	if (pg_verifymbstr(key, strlen(key), true))
		return true;
	if (!walk->warned)
		ereport(WARNING,
				(errcode(ERRCODE_CHARACTER_NOT_IN_REPERTOIRE),
				 errmsg("files are left out whose names are not text in encoding \"%s\"",
						GetDatabaseEncodingName()),
				 errhint("Rename them.")));
	walk->warned = true;
	return false;
}
