/*
 * file_put.c
 *	  Writing for store file://: whole files or none.
 *
 *	  put      folders that are missing are made; ".name.PID.RANDOM.tmp" is made
 *	           in the folder of the file to be: no glob sees such a name
 *	  write    into it
 *	  finish   fsync, rename to its name, fsync of the folder
 *	  abort    unlink; also done by the reset callback of the memory context
 *	           that was current at put
 *
 * Both names are used relative to a descriptor of the folder, which was opened
 * below dynpipe.file_root.  A server that is killed leaves the hidden file.
 */
#include "dynpipe.h"

#include <fcntl.h>
#include <unistd.h>

#include "common/pg_prng.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "store/file_private.h"
#include "utils/memutils.h"

/* Of a name; what the temporary one adds to it. */
#define MAX_NAME	255
#define MAX_ADDED	32

typedef struct FilePut
{
	DpPut		base;
	char	   *key;
	const char *name;			/* the last part of key */
	char	   *temporary;
	int			dir;			/* -1: closed */
	int			fd;				/* -1: closed */
	MemoryContextCallback callback;
} FilePut;

static int	open_folder(const char *key, int len);
static void make_folders(const char *key, int len);
static int	create(FilePut *put);
static void put_write(DpPut *base, const char *buf, Size len);
static void put_finish(DpPut *base);
static void put_abort(DpPut *base);
static void put_forgotten(void *arg);
static const char *last_part(const char *key);

DpPut *
dp_file_put(DpStore *base, const char *key, const char *content_type)
{
	FilePut    *put;
	int			fd;

	dp_file_require((DpFileStore *) base, true);
	put = palloc0(sizeof(FilePut));
	put->base.write = put_write;
	put->base.finish = put_finish;
	put->base.abort = put_abort;
	put->key = pstrdup(key);
	put->name = last_part(put->key);
	put->dir = put->fd = -1;
	put->callback.func = put_forgotten;
	put->callback.arg = put;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &put->callback);
	if (put->name[0] == '\0' || strcmp(put->name, ".") == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_NAME),
				 errmsg("\"/%s\" is not the name of a file", key)));
	fd = open_folder(key, put->name - put->key);
	dp_file_account(fd, key);
	put->dir = fd;
	fd = create(put);
	if (fd < 0)
		dp_file_raise(errno, "create file", key);
	put->fd = fd;
	ReserveExternalFD();
	return &put->base;
}

/* The folder that the first LEN bytes of KEY name, made when it is missing. */
static int
open_folder(const char *key, int len)
{
	char	   *folder = pnstrdup(key, len);
	int			fd = dp_file_open(folder, O_RDONLY | O_DIRECTORY);

	if (fd < 0 && errno == ENOENT)
	{
		make_folders(key, len);
		fd = dp_file_open(folder, O_RDONLY | O_DIRECTORY);
	}
	if (fd < 0)
		dp_file_raise(errno, "open folder", folder);
	if (!dp_file_is_real(fd))
	{
		close(fd);
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("folder \"/%s\" is made up by the system, it holds no files", folder)));
	}
	return fd;
}

/* mkdir -p, each folder in the one above it as opened; below the root there is one always. */
static void
make_folders(const char *key, int len)
{
	for (int end = 1; end <= len; end++)
	{
		char	   *folder;
		const char *name;
		int			above;
		const char *hint;
		mode_t		mask;
		int			error = 0;

		if (key[end - 1] == '/' || (key[end] != '/' && end < len))
			continue;
		folder = pnstrdup(key, end);
		if (dp_file_wrong_key(folder, &hint) != NULL)
			continue;
		above = dp_file_open(folder, O_PATH | O_DIRECTORY);
		if (above >= 0)
		{
			close(above);
			continue;
		}
		if (errno != ENOENT)
			dp_file_raise(errno, "open folder", folder);
		name = last_part(folder);
		above = dp_file_open(pnstrdup(folder, name - folder), O_PATH | O_DIRECTORY);
		if (above < 0)
			dp_file_raise(errno, "open folder", folder);
		mask = umask(S_IWGRP | S_IWOTH);
		if (mkdirat(above, name, S_IRWXU | S_IRWXG | S_IRWXO) != 0 && errno != EEXIST)
			error = errno;
		umask(mask);
		close(above);
		if (error != 0)
			dp_file_raise(error, "create folder", folder);
	}
}

/* The temporary file, readable by others as those of COPY TO are. */
static int
create(FilePut *put)
{
	int			clip = Min(strlen(put->name), MAX_NAME - MAX_ADDED);
	mode_t		mask = umask(S_IWGRP | S_IWOTH);
	int			error;
	int			fd;

	put->temporary = psprintf(".%.*s.%d.%08x.tmp", clip, put->name, MyProcPid,
							  pg_prng_uint32(&pg_global_prng_state));
	fd = openat(put->dir, put->temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
				S_IRUSR | S_IWUSR | S_IRGRP | S_IROTH);
	error = errno;
	umask(mask);
	errno = error;
	return fd;
}

static void
put_write(DpPut *base, const char *buf, Size len)
{
	FilePut    *put = (FilePut *) base;

	while (len > 0)
	{
		ssize_t		n;

		CHECK_FOR_INTERRUPTS();
		errno = 0;
		n = write(put->fd, buf, Min(len, 1024 * 1024));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			dp_file_raise(errno != 0 ? errno : ENOSPC, "write file", put->key);
		buf += n;
		len -= n;
	}
}

static void
put_finish(DpPut *base)
{
	FilePut    *put = (FilePut *) base;
	int			fd = put->fd;

	if (pg_fsync(fd) != 0)
		dp_file_raise(errno, "fsync file", put->key);
	put->fd = -1;
	ReleaseExternalFD();
	if (close(fd) != 0)
		dp_file_raise(errno, "close file", put->key);
	if (renameat(put->dir, put->temporary, put->dir, put->name) != 0)
		dp_file_raise(errno, "rename to file", put->key);
	/* From here on it is there; an abort has nothing left to remove. */
	put->temporary = NULL;
	if (pg_fsync(put->dir) != 0 && errno != EBADF && errno != EINVAL)
		dp_file_raise(errno, "fsync folder of file", put->key);
	put_forgotten(put);
}

static void
put_abort(DpPut *base)
{
	put_forgotten(base);
}

/* Never raises; may come twice. */
static void
put_forgotten(void *arg)
{
	FilePut    *put = arg;

	if (put->fd >= 0)
		dp_file_close(put->fd);
	put->fd = -1;
	if (put->dir < 0)
		return;
	if (put->temporary != NULL)
		(void) unlinkat(put->dir, put->temporary, 0);
	dp_file_close(put->dir);
	put->dir = -1;
}

void
dp_file_remove(DpStore *base, const char *key)
{
	const char *name = last_part(key);
	int			dir;
	int			error = 0;

	dp_file_require((DpFileStore *) base, true);
	dir = dp_file_open(pnstrdup(key, name - key), O_PATH | O_DIRECTORY);
	if (dir < 0 && errno != ENOENT && errno != ENOTDIR)
		dp_file_raise(errno, "open folder of file", key);
	if (dir < 0)
		return;
	if (unlinkat(dir, name, 0) != 0)
		error = errno;
	close(dir);
	if (error != 0 && error != ENOENT)
		dp_file_raise(error, "remove file", key);
}

static const char *
last_part(const char *key)
{
	const char *slash = strrchr(key, '/');

	return slash != NULL ? slash + 1 : key;
}
