/*
 * file_path.c
 *	  From a key of store file:// to an open descriptor, without a gap between
 *	  what is checked and what is opened.
 *
 *	  no root   openat2(/, key, no magic links)
 *	  a root    openat2(root, rest of the key, beneath, no magic links): the
 *	            kernel itself follows symbolic links only as long as they stay
 *	            below, however they are swapped meanwhile
 *
 * Then what has been opened is looked at, never its name again.  A kernel
 * before 5.6 (or a container that hides openat2) gets a walk part by part that
 * takes no symbolic link at all when there is a root.
 *
 * Descriptors do not come from fd.c, which knows neither openat nor a life
 * beyond one subtransaction: whoever keeps one accounts for it (external
 * descriptors) and gives it back by a reset callback of its memory context.
 */
#include "dynpipe.h"

#include <fcntl.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>
#include <linux/magic.h>
#ifdef SYS_openat2
#include <linux/openat2.h>
#endif

#include "storage/fd.h"
#include "store/file_private.h"

/* Not in every linux/magic.h. */
#define MAGIC_CONFIGFS	0x62656570
#define MAGIC_MQUEUE	0x19800202
#define MAGIC_FUSECTL	0x65735543

/* Renames that disturb the kernel's walk, before it is given up. */
#define MAX_TRIES	100

static const char *below_root(const char *key);
static const char *below(const char *root, const char *path);
static bool has_dots(const char *key);
static int	open_root(void);
static int	open_below(int dir, const char *path, int flags, bool beneath);
static int	open_by_parts(int dir, const char *path, int flags);

int
dp_file_open(const char *key, int flags)
{
	const char *hint = NULL;
	const char *wrong = dp_file_wrong_key(key, &hint);
	bool		beneath = dp_file_root[0] != '\0';
	int			dir;
	int			fd;
	int			error;

	if (wrong != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg_internal("%s", wrong),
				 hint != NULL ? errhint("%s", hint) : 0));
	dir = open_root();
	if (dir < 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open folder \"%s\": %m", beneath ? dp_file_root : "/"),
				 errhint("Check the setting dynpipe.file_root.")));
	/* openat2 knows which flags make sense together. */
	flags |= O_CLOEXEC | ((flags & O_PATH) ? 0 : O_NOCTTY);
	fd = open_below(dir, beneath ? below_root(key) : key, flags, beneath);
	error = errno;
	close(dir);
	errno = error;
	return fd;
}

bool
dp_file_forbids(int error)
{
	return error == EXDEV || error == ELOOP;
}

const char *
dp_file_wrong_key(const char *key, const char **hint)
{
	if (has_dots(key))
	{
		*hint = "Write the path without \"..\".";
		return "path of a file must not have a part \"..\"";
	}
	if (dp_file_root[0] != '\0' && below_root(key) == NULL)
	{
		*hint = psprintf("Files must lie below \"%s\".", dp_file_root);
		return "path of a file is outside of dynpipe.file_root";
	}
	return NULL;
}

/* The rest of KEY below the root, as the setting spells it or as it really is; NULL: outside. */
static const char *
below_root(const char *key)
{
	char		real[PATH_MAX];
	const char *rest = below(dp_file_root + 1, key);

	if (rest == NULL && realpath(dp_file_root, real) != NULL)
		rest = below(real + 1, key);
	return rest;
}

/* PATH without ROOT in front of it; both without their first '/'. */
static const char *
below(const char *root, const char *path)
{
	Size		len = strlen(root);

	if (strncmp(path, root, len) != 0 || (len > 0 && path[len] != '/' && path[len] != '\0'))
		return NULL;
	path += len;
	path += strspn(path, "/");
	return *path != '\0' ? path : ".";
}

static bool
has_dots(const char *key)
{
	for (const char *p = key;; p++)
	{
		if (p[0] == '.' && p[1] == '.' && (p[2] == '/' || p[2] == '\0'))
			return true;
		p = strchr(p, '/');
		if (p == NULL)
			return false;
	}
}

static int
open_root(void)
{
	return open(dp_file_root[0] != '\0' ? dp_file_root : "/",
				O_PATH | O_DIRECTORY | O_CLOEXEC);
}

/* PATH may be "": DIR itself. */
static int
open_below(int dir, const char *path, int flags, bool beneath)
{
	while (*path == '/')
		path++;
	if (*path == '\0')
		path = ".";
#ifdef SYS_openat2
	for (int i = 0; i < MAX_TRIES; i++)
	{
		struct open_how how = {
			.flags = flags,
			.resolve = RESOLVE_NO_MAGICLINKS | (beneath ? RESOLVE_BENEATH : 0)
		};
		int			fd = syscall(SYS_openat2, dir, path, &how, sizeof(how));

		if (fd >= 0 || (errno != EAGAIN && errno != EINTR))
		{
			if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
				return fd;
			break;
		}
	}
	if (errno == EAGAIN || errno == EINTR)
		return -1;
#endif
	if (!beneath)
		return openat(dir, path, flags);
	return open_by_parts(dir, path, flags);
}

/* Without a symbolic link anywhere: one is ELOOP, as openat2 has it. */
static int
open_by_parts(int dir, const char *path, int flags)
{
	char	   *rest = pstrdup(path);
	int			at = dup(dir);

	while (at >= 0)
	{
		char	   *part = strsep(&rest, "/");
		struct stat st;
		int			next;
		int			error;

		if (rest != NULL)
			rest += strspn(rest, "/");
		next = openat(at, part, O_NOFOLLOW | O_CLOEXEC |
					  (rest != NULL && *rest != '\0' ? O_PATH | O_DIRECTORY : flags));
		error = errno;
		/* Instead of failing, O_PATH opens the link itself. */
		if (next >= 0 ? fstat(next, &st) != 0 || S_ISLNK(st.st_mode) :
			fstatat(at, part, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
		{
			if (next >= 0)
				close(next);
			next = -1;
			error = ELOOP;
		}
		close(at);
		errno = error;
		at = next;
		if (rest == NULL || *rest == '\0')
			break;
	}
	return at;
}

void
dp_file_account(int fd, const char *key)
{
	if (AcquireExternalFD())
		return;
	close(fd);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_RESOURCES),
			 errmsg("could not open file \"/%s\": too many files are open", key),
			 errhint("Raise max_files_per_process, or load fewer files at a time.")));
}

void
dp_file_close(int fd)
{
	close(fd);
	ReleaseExternalFD();
}

/* File systems that make up their files: reading one tells of the server, not of data. */
bool
dp_file_is_real(int fd)
{
	static const uint32 made_up[] = {
		PROC_SUPER_MAGIC, SYSFS_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC, SECURITYFS_MAGIC,
		CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, PSTOREFS_MAGIC, EFIVARFS_MAGIC,
		BPF_FS_MAGIC, BINFMTFS_MAGIC, NSFS_MAGIC, DEVPTS_SUPER_MAGIC, SELINUX_MAGIC,
		SMACK_MAGIC, SOCKFS_MAGIC, PIPEFS_MAGIC, ANON_INODE_FS_MAGIC, MAGIC_CONFIGFS,
		MAGIC_MQUEUE, MAGIC_FUSECTL
	};
	struct statfs fs;

	if (fstatfs(fd, &fs) != 0)
		return false;
	for (int i = 0; i < lengthof(made_up); i++)
		if ((uint32) fs.f_type == made_up[i])
			return false;
	return true;
}

void
dp_file_raise(int error, const char *what, const char *key)
{
	errno = error;
	if (dp_file_forbids(error))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("could not %s \"/%s\": permission denied", what, key),
				 errdetail("A symbolic link in its path leads to where files must not be reached."),
				 dp_file_root[0] == '\0' ? 0 :
				 errhint("Links must be relative and stay below dynpipe.file_root, "
						 "which is \"%s\".", dp_file_root)));
	ereport(ERROR,
			(errcode_for_file_access(),
			 errmsg("could not %s \"/%s\": %m", what, key),
			 error == EACCES ?
			 errhint("Give the operating system user of the server the right to do that.") :
			 error == ENOENT ? errhint("Check the path.") : 0));
	pg_unreachable();
}
