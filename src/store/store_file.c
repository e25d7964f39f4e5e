/*
 * store_file.c
 *	  Store file://: files that the database server can reach.
 *
 * Needs the privileges of pg_read_server_files (to write: of
 * pg_write_server_files), as COPY does; with dynpipe.file_root everything stays
 * below that folder.  How a key is opened safely is told in file_path.c.
 *
 * A file's version is its modification time, size and inode.  They are
 * compared when it is opened and again when it was read to its end, so that
 * what was read is one version and the one that was listed.  (Two changes of a
 * file within one tick of the file system's clock that keep its size cannot be
 * told apart.)
 *
 * A stream's descriptor belongs to the memory context that the stream was made
 * in and is closed with it; it lives through subtransactions.
 */
#include "dynpipe.h"

#include <fcntl.h>
#include <unistd.h>

#include "access/xact.h"
#include "catalog/pg_authid.h"
#include "miscadmin.h"
#include "store/file_private.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

/* At most this much in one system call, so that a cancel is served. */
#define READ_CHUNK	(1024 * 1024)

typedef struct FileBytes
{
	DpBytes		base;
	int			fd;				/* -1: closed */
	int64		at;
	DpObject	object;
	MemoryContextCallback callback;
} FileBytes;

extern const DpStoreOps dp_store_file_ops;

static void file_check(const DpStoreSpec *spec, const char *path, const char *pointer,
					   DpDocument *doc);
static DpStore *file_open(const DpStoreSpec *spec);
static const char *wrong_authority(const char *authority);
static bool may(Oid user, bool writing);
static bool file_stat(DpStore *base, const char *key, DpObject *object);
static DpBytes *file_get(DpStore *base, const DpObject *object, int64 from);
static void require_regular(const struct stat *st, bool real, const char *key);
static void require_same(const FileBytes *bytes, const struct stat *st);
static Size bytes_read(DpBytes *base, char *buf, Size len);
static void bytes_close(DpBytes *base);
static void bytes_forgotten(void *arg);
static void file_close(DpStore *base);

const DpStoreOps dp_store_file_ops = {
	.name = "file",
	.lists = true,
	.writes = true,
	.check = file_check,
	.open = file_open,
	.list = dp_file_list,
	.stat = file_stat,
	.get = file_get,
	.put = dp_file_put,
	.remove = dp_file_remove,
	.close = file_close,
};

static void
file_check(const DpStoreSpec *spec, const char *path, const char *pointer, DpDocument *doc)
{
	const char *hint = NULL;
	const char *wrong = wrong_authority(spec->authority);

	if (wrong != NULL)
		dp_config_add_problem(doc, pointer, wrong, "a file of another host cannot be read");
	if (!may(spec->user, spec->writing))
		dp_config_add_problem(doc, pointer,
							  psprintf("Use GRANT %s TO %s.",
									   spec->writing ? "pg_write_server_files" :
									   "pg_read_server_files",
									   quote_identifier(GetUserNameFromId(spec->user, false))),
							  "permission denied to %s files of the server",
							  spec->writing ? "write" : "read");
	wrong = dp_file_wrong_key(path, &hint);
	if (wrong != NULL)
		dp_config_add_problem(doc, pointer, hint, "%s", wrong);
}

static DpStore *
file_open(const DpStoreSpec *spec)
{
	const char *wrong = wrong_authority(spec->authority);
	DpFileStore *store;

	if (wrong != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("a file of another host cannot be read"),
				 errhint("%s", wrong)));
	store = palloc0(sizeof(DpFileStore));
	store->base.ops = &dp_store_file_ops;
	store->base.cxt = CurrentMemoryContext;
	store->user = spec->user;
	store->writing = spec->writing;
	dp_file_require(store, spec->writing);
	return &store->base;
}

/* A hint, NULL when AUTHORITY is this host. */
static const char *
wrong_authority(const char *authority)
{
	if (authority[0] == '\0' || strcmp(authority, "localhost") == 0)
		return NULL;
	return "Write file:///folder/name, with three slashes.";
}

static bool
may(Oid user, bool writing)
{
	return has_privs_of_role(user, writing ? ROLE_PG_WRITE_SERVER_FILES :
							 ROLE_PG_READ_SERVER_FILES);
}

void
dp_file_require(const DpFileStore *store, bool writing)
{
	if (!IsTransactionState() || may(store->user, writing))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("permission denied to %s files of the server", writing ? "write" : "read"),
			 errdetail("Role \"%s\" does not have the privileges of \"%s\".",
					   GetUserNameFromId(store->user, false),
					   writing ? "pg_write_server_files" : "pg_read_server_files"),
			 errhint("Use GRANT %s TO %s.",
					 writing ? "pg_write_server_files" : "pg_read_server_files",
					 quote_identifier(GetUserNameFromId(store->user, false)))));
}

void
dp_file_describe(const struct stat *st, DpObject *object)
{
	object->size = st->st_size;
	object->modified_ms = (int64) st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
	object->version = psprintf("%lld.%09ld-%lld-%llu", (long long) st->st_mtim.tv_sec,
							   st->st_mtim.tv_nsec, (long long) st->st_size,
							   (unsigned long long) st->st_ino);
}

/* O_PATH: nothing happens to what is not a file. */
static bool
file_stat(DpStore *base, const char *key, DpObject *object)
{
	DpFileStore *store = (DpFileStore *) base;
	struct stat st;
	bool		real;
	int			fd;

	dp_file_require(store, store->writing);
	fd = dp_file_open(key, O_PATH);
	if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
		return false;
	if (fd < 0)
		dp_file_raise(errno, "open file", key);
	if (fstat(fd, &st) != 0)
		st.st_mode = 0;
	real = dp_file_is_real(fd);
	close(fd);
	require_regular(&st, real, key);
	object->key = pstrdup(key);
	dp_file_describe(&st, object);
	return true;
}

static DpBytes *
file_get(DpStore *base, const DpObject *object, int64 from)
{
	FileBytes  *bytes;
	struct stat st;
	int			fd;

	dp_file_require((DpFileStore *) base, false);
	bytes = palloc0(sizeof(FileBytes));
	bytes->base.read = bytes_read;
	bytes->base.close = bytes_close;
	bytes->at = from;
	bytes->object = *object;
	bytes->object.key = pstrdup(object->key);
	bytes->object.version = pstrdup(object->version);
	/* A fifo would hold us, were it not for O_NONBLOCK; regular files do not know it. */
	fd = dp_file_open(object->key, O_RDONLY | O_NONBLOCK);
	if (fd < 0)
		dp_file_raise(errno, "open file", object->key);
	dp_file_account(fd, object->key);
	bytes->fd = fd;
	bytes->callback.func = bytes_forgotten;
	bytes->callback.arg = bytes;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &bytes->callback);
	if (fstat(fd, &st) != 0)
		st.st_mode = 0;
	require_regular(&st, dp_file_is_real(fd), object->key);
	require_same(bytes, &st);
	(void) posix_fadvise(fd, from, 0, POSIX_FADV_SEQUENTIAL);
	return &bytes->base;
}

/* Raises for everything else. */
static void
require_regular(const struct stat *st, bool real, const char *key)
{
	if (S_ISREG(st->st_mode) && real)
		return;
	if (S_ISDIR(st->st_mode))
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("\"/%s\" is a folder", key),
				 errhint("Write \"/%s/*\" for the files in it.", key)));
	ereport(ERROR,
			(errcode(ERRCODE_WRONG_OBJECT_TYPE),
			 errmsg("\"/%s\" is not a regular file", key),
			 errdetail("Devices, pipes, sockets and what the system makes up are not read.")));
}

static void
require_same(const FileBytes *bytes, const struct stat *st)
{
	DpObject	now = {0};

	dp_file_describe(st, &now);
	if (strcmp(now.version, bytes->object.version) == 0)
	{
		pfree(now.version);
		return;
	}
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_IN_USE),
			 errmsg("file \"/%s\" has changed while it was being read", bytes->object.key),
			 errdetail("It has %lld bytes now; %lld were expected.", (long long) now.size,
					   (long long) bytes->object.size),
			 errhint("Write files under another name and rename them when they are complete.")));
}

static Size
bytes_read(DpBytes *base, char *buf, Size len)
{
	FileBytes  *bytes = (FileBytes *) base;
	struct stat st;
	ssize_t		n;

	Assert(bytes->fd >= 0);
	CHECK_FOR_INTERRUPTS();
	len = Min(len, READ_CHUNK);
	len = Min(len, Max(bytes->object.size - bytes->at, 0));
	while ((n = pread(bytes->fd, buf, len, bytes->at)) < 0 && errno == EINTR)
		CHECK_FOR_INTERRUPTS();
	if (n < 0)
		dp_file_raise(errno, "read file", bytes->object.key);
	bytes->at += n;
	if (n == 0)
	{
		if (fstat(bytes->fd, &st) != 0)
			dp_file_raise(errno, "read file", bytes->object.key);
		require_same(bytes, &st);
	}
	return n;
}

static void
bytes_close(DpBytes *base)
{
	bytes_forgotten(base);
}

static void
bytes_forgotten(void *arg)
{
	FileBytes  *bytes = arg;

	if (bytes->fd >= 0)
		dp_file_close(bytes->fd);
	bytes->fd = -1;
}

/* Streams are closed by whoever holds them, or with their memory. */
static void
file_close(DpStore *base)
{
	dp_file_list_end((DpFileStore *) base);
}
