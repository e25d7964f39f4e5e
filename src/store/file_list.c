/*
 * file_list.c
 *	  Listing of store file://: a walk through folders, depth first, names in
 *	  byte order, one page of objects a call.
 *
 * A folder's names are read at once and its descriptor is closed; what it
 * holds is then opened by its whole key, so that each step is confined anew
 * (file_path.c).  The folders being walked are a stack, each level in a memory
 * context of its own below the walk's, which is below the store's.
 *
 * Symbolic links to folders are followed only without dynpipe.file_root, and
 * not into a folder that the walk is in already.
 */
#include "dynpipe.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "lib/stringinfo.h"
#include "miscadmin.h"
#include "storage/fd.h"
#include "store/file_private.h"
#include "utils/memutils.h"

#define PAGE_OBJECTS	1000
#define MAX_DEPTH		64

typedef struct Level
{
	MemoryContext cxt;
	struct Level *above;
	char	   *key;			/* of the folder, with its '/' */
	dev_t		dev;
	ino_t		ino;
	StringInfoData text;		/* d_type and name, NUL-terminated, one after another */
	int		   *at;				/* where each begins in text */
	int			n;
	int			next;
	DIR		   *dir;			/* while it is read */
	MemoryContextCallback callback;
} Level;

struct DpFileWalk
{
	MemoryContext cxt;
	bool		flat;
	int			depth;
	Level	   *level;			/* the innermost */
};

static void walk_begin(DpFileStore *store, const char *prefix, bool flat);
static bool enter(DpFileWalk *walk, const char *key, const char *begin, bool required);
static int	open_folder(const char *key, bool required, struct stat *st);
static bool is_inside(const DpFileWalk *walk, const struct stat *st);
static void read_names(Level *level, const char *begin);
static unsigned char type_of(const Level *level, const struct dirent *entry);
static int	compare_names(const void *a, const void *b, void *arg);
static void close_folder(void *arg);
static void leave(DpFileWalk *walk);
static DpObject *visit(DpFileWalk *walk, Level *level);

List *
dp_file_list(DpStore *base, const char *prefix, bool flat, char **state)
{
	DpFileStore *store = (DpFileStore *) base;
	List	   *page = NIL;

	dp_file_require(store, store->writing);
	if (*state == NULL)
		walk_begin(store, prefix, flat);
	else if (store->walk == NULL)
		elog(ERROR, "listing of files has ended");
	*state = NULL;
	while (store->walk->level != NULL && list_length(page) < PAGE_OBJECTS)
	{
		Level	   *level = store->walk->level;
		DpObject   *object;

		CHECK_FOR_INTERRUPTS();
		if (level->next == level->n)
			leave(store->walk);
		else if ((object = visit(store->walk, level)) != NULL)
			page = lappend(page, object);
	}
	if (store->walk->level != NULL)
		*state = "more";
	else
		dp_file_list_end(store);
	return page;
}

void
dp_file_list_end(DpFileStore *store)
{
	if (store->walk != NULL)
		MemoryContextDelete(store->walk->cxt);
	store->walk = NULL;
}

/* PREFIX may end inside of a name. */
static void
walk_begin(DpFileStore *store, const char *prefix, bool flat)
{
	MemoryContext cxt;
	const char *slash = strrchr(prefix, '/');
	const char *begin = slash != NULL ? slash + 1 : prefix;

	dp_file_list_end(store);
	cxt = AllocSetContextCreate(store->base.cxt, "dynpipe folder walk", ALLOCSET_SMALL_SIZES);
	store->walk = MemoryContextAllocZero(cxt, sizeof(DpFileWalk));
	store->walk->cxt = cxt;
	store->walk->flat = flat;
	enter(store->walk, pnstrdup(prefix, begin - prefix), begin, true);
}

/*
 * Read folder KEY, the names that begin with BEGIN.  One below that is gone by
 * now, or that the walk is in already, is left out.
 */
static bool
enter(DpFileWalk *walk, const char *key, const char *begin, bool required)
{
	struct stat st;
	int			fd = open_folder(key, required, &st);
	MemoryContext cxt;
	MemoryContext caller;
	Level	   *level;

	if (fd < 0)
		return false;
	if (is_inside(walk, &st))
	{
		close(fd);
		return false;
	}
	dp_file_account(fd, key);
	cxt = AllocSetContextCreate(walk->cxt, "dynpipe folder", ALLOCSET_DEFAULT_SIZES);
	level = MemoryContextAllocZero(cxt, sizeof(Level));
	level->dir = fdopendir(fd);
	if (level->dir == NULL)
	{
		int			error = errno;

		dp_file_close(fd);
		dp_file_raise(error, "list folder", key);
	}
	level->callback.func = close_folder;
	level->callback.arg = level;
	MemoryContextRegisterResetCallback(cxt, &level->callback);
	caller = MemoryContextSwitchTo(cxt);
	level->cxt = cxt;
	level->key = pstrdup(key);
	level->dev = st.st_dev;
	level->ino = st.st_ino;
	read_names(level, begin);
	MemoryContextSwitchTo(caller);
	close_folder(level);
	level->above = walk->level;
	walk->level = level;
	walk->depth++;
	return true;
}

/* A descriptor to read names from, -1 when the folder may be left out. */
static int
open_folder(const char *key, bool required, struct stat *st)
{
	int			fd = dp_file_open(key, O_RDONLY | O_DIRECTORY);
	bool		real;

	if (fd < 0)
	{
		if (!required && (errno == ENOENT || errno == ENOTDIR || dp_file_forbids(errno)))
			return -1;
		dp_file_raise(errno, "list folder", key);
	}
	real = fstat(fd, st) == 0 && dp_file_is_real(fd);
	if (real)
		return fd;
	close(fd);
	if (required)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("folder \"/%s\" is made up by the system, it holds no files", key)));
	return -1;
}

static bool
is_inside(const DpFileWalk *walk, const struct stat *st)
{
	for (const Level *level = walk->level; level != NULL; level = level->above)
		if (level->ino == st->st_ino && level->dev == st->st_dev)
			return true;
	return false;
}

static void
read_names(Level *level, const char *begin)
{
	int			capacity = 64;
	struct dirent *entry;

	initStringInfo(&level->text);
	level->at = palloc(capacity * sizeof(int));
	while (errno = 0, (entry = readdir(level->dir)) != NULL)
	{
		const char *name = entry->d_name;

		CHECK_FOR_INTERRUPTS();
		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 ||
			strncmp(name, begin, strlen(begin)) != 0)
			continue;
		if (level->n == capacity)
			level->at = repalloc(level->at, (capacity *= 2) * sizeof(int));
		level->at[level->n++] = level->text.len;
		appendStringInfoChar(&level->text, type_of(level, entry));
		appendBinaryStringInfo(&level->text, name, strlen(name) + 1);
	}
	if (errno != 0)
		dp_file_raise(errno, "list folder", level->key);
	qsort_arg(level->at, level->n, sizeof(int), compare_names, level->text.data);
}

/* DT_LNK for symbolic links, also where the file system leaves types out. */
static unsigned char
type_of(const Level *level, const struct dirent *entry)
{
	struct stat st;

	if (entry->d_type != DT_UNKNOWN)
		return entry->d_type;
	return fstatat(dirfd(level->dir), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
		!S_ISLNK(st.st_mode) ? DT_UNKNOWN : DT_LNK;
}

static int
compare_names(const void *a, const void *b, void *arg)
{
	const char *text = arg;

	return strcmp(text + *(const int *) a + 1, text + *(const int *) b + 1);
}

static void
close_folder(void *arg)
{
	Level	   *level = arg;

	if (level->dir != NULL)
	{
		closedir(level->dir);
		ReleaseExternalFD();
	}
	level->dir = NULL;
}

static void
leave(DpFileWalk *walk)
{
	Level	   *level = walk->level;

	walk->level = level->above;
	walk->depth--;
	MemoryContextDelete(level->cxt);
}

/* The next name: a file is given back, a folder is entered, all else is nothing. */
static DpObject *
visit(DpFileWalk *walk, Level *level)
{
	const char *entry = level->text.data + level->at[level->next++];
	unsigned char type = entry[0];
	char	   *key = psprintf("%s%s", level->key, entry + 1);
	DpObject   *object = NULL;
	struct stat st;
	int			fd = dp_file_open(key, O_PATH);
	bool		real;

	if (fd < 0 && errno != ENOENT && errno != ENOTDIR && !dp_file_forbids(errno))
		dp_file_raise(errno, "open file", key);
	if (fd < 0)
		return NULL;
	real = fstat(fd, &st) == 0 && (type != DT_LNK || dp_file_is_real(fd));
	close(fd);
	if (real && S_ISREG(st.st_mode))
	{
		object = palloc(sizeof(DpObject));
		object->key = key;
		dp_file_describe(&st, object);
	}
	else if (real && S_ISDIR(st.st_mode) && !walk->flat &&
			 !(type == DT_LNK && dp_file_root[0] != '\0'))
	{
		if (walk->depth == MAX_DEPTH)
			ereport(ERROR,
					(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
					 errmsg("folder \"/%s\" lies more than %d folders deep", key, MAX_DEPTH),
					 errhint("Name a folder further down in the pattern.")));
		enter(walk, psprintf("%s/", key), "", false);
	}
	return object;
}
