/*
 * store.h
 *	  The seam between loads and a place where files lie: a file system, a web
 *	  server, an object store.
 *
 * Life of a store, all calls from the one PostgreSQL thread:
 *
 *	  check   when a document is applied: can this build, this connection and
 *	          this role reach such a URL?  No I/O.  Adds problems, never raises.
 *	  open    resolves the connection (rights, secrets).  No I/O.
 *	  list    objects whose key begins with a prefix, one page a call
 *	  stat    one object
 *	  get     its bytes, from an offset on
 *	  put     write an object: nothing is visible before finish
 *	  remove  delete an object; absent is no error
 *	  close   gives everything back; also done by a reset callback of the memory
 *	          context that was current at open
 *
 * Waiting is interruptible; transient failures are retried inside with backoff
 * and jitter.  What is left is raised with SQLSTATE class 08 when waiting may
 * help, 28000 for credentials, 42501 for what the role must not reach, 58P01
 * (undefined file) for a thing that does not exist, 55006 (object in use) when
 * the object changed while it was read; with a hint that says what to do.  No
 * message ever holds a secret, a signature or a query string.
 *
 * A new store is one file and one line in store_list.h.
 */
#ifndef DP_STORE_H
#define DP_STORE_H

#include "config/config.h"
#include "store/bytes.h"

/* Where to: the parts of a URL, and whose rights count. */
typedef struct DpStoreSpec
{
	const char *pipeline;		/* for messages */
	const char *scheme;
	const char *authority;		/* bucket, host, container@account.host; "" for file */
	Oid			serverid;		/* InvalidOid: none */
	Oid			user;			/* whose rights and whose user mapping */
	bool		writing;		/* put and remove will be called */
} DpStoreSpec;

typedef struct DpObject
{
	char	   *key;			/* as the service spells it, not percent-encoded */
	int64		size;			/* bytes; -1: not known */
	char	   *version;		/* ETag, else modification time and size: equal means same bytes */
	int64		modified_ms;	/* since the Unix epoch; -1: not known */
} DpObject;

typedef struct DpStore DpStore;
typedef struct DpPut DpPut;

/* A new object on its way.  Memory: the context current at put. */
struct DpPut
{
	void		(*write) (DpPut *put, const char *buf, Size len);
	/* Makes it visible, whole, replacing what had its name. */
	void		(*finish) (DpPut *put);
	/* Leaves nothing behind, as far as the service can still be reached; never raises. */
	void		(*abort) (DpPut *put);
};

typedef struct DpStoreOps
{
	const char *name;			/* URL scheme */
	bool		lists;			/* can list: globs are possible */
	bool		writes;			/* can put */
	void		(*check) (const DpStoreSpec *spec, const char *path, const char *pointer,
						  DpDocument *doc);
	DpStore    *(*open) (const DpStoreSpec *spec);
	/*
	 * The next page of objects whose keys begin with PREFIX, in any order, as
	 * a List of DpObject * in the current memory context.  *STATE is NULL at
	 * first, and again behind the last page.  FLAT: only keys without a
	 * further '/' are wanted; the store may use that to see less.
	 */
	List	   *(*list) (DpStore *store, const char *prefix, bool flat, char **state);
	bool		(*stat) (DpStore *store, const char *key, DpObject *object);
	/*
	 * Bytes of OBJECT from FROM on, up to its end.  What is read is the very
	 * version that OBJECT names, of the very size; otherwise it raises 55006.
	 */
	DpBytes    *(*get) (DpStore *store, const DpObject *object, int64 from);
	DpPut	   *(*put) (DpStore *store, const char *key, const char *content_type);
	void		(*remove) (DpStore *store, const char *key);
	void		(*close) (DpStore *store);
} DpStoreOps;

/* Base of every store's private struct, first member. */
struct DpStore
{
	const DpStoreOps *ops;
	MemoryContext cxt;			/* owns everything of this store */
};

/* The registry; NULL when no store has that scheme. */
extern const DpStoreOps *dp_store_find(const char *scheme);
/* "file, https, s3": for hints. */
extern const char *dp_store_names(void);

/*
 * The server that a URL of SCHEME and AUTHORITY uses: CONNECTION if given, else the
 * server of the scheme's type whose bucket or container is AUTHORITY's, else
 * the only one of that type that USER may use, else InvalidOid.
 */
extern Oid	dp_store_server(const char *scheme, const char *authority, const char *connection,
							Oid user);

/* A store for a URL; raises when its scheme has none. */
extern DpStore *dp_store_open(const DpStoreSpec *spec);

/*
 * Every object that PATTERN (a key with globs, or plain) names: FOUND is
 * called for each, in a memory context that is reset now and then; returns how
 * many there were.  A plain key that does not exist gives 0.  A pattern that
 * ends in '/' means everything below it, as does "**".  Keys of zero-byte
 * folder markers ("a/") and names that begin with '.' or '_' in a glob's part
 * are left out.
 */
typedef void (*DpObjectFound) (const DpObject *object, void *arg);
extern int64 dp_store_glob(DpStore *store, const char *pattern, DpObjectFound found, void *arg);

/* glob.c: "*" and "?" within a part, "[a-z]", "{a,b}", "**" over parts; pure. */
extern bool dp_glob_is_pattern(const char *pattern);
extern bool dp_glob_match(const char *pattern, const char *key);
/* The text before the first part with a special character, up to and with its '/'. */
extern char *dp_glob_prefix(const char *pattern);

#endif							/* DP_STORE_H */
