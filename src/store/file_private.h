/*
 * file_private.h
 *	  What the files of store file:// share: store_file.c (the store), file_path.c
 *	  (opening what a key names), file_list.c (listing), file_put.c (writing).
 *
 * A key is the URL's path without its leading '/': data/in/a.csv is
 * /data/in/a.csv.
 */
#ifndef DP_FILE_PRIVATE_H
#define DP_FILE_PRIVATE_H

#include <sys/stat.h>

#include "store/store.h"

typedef struct DpFileWalk DpFileWalk;

typedef struct DpFileStore
{
	DpStore		base;
	Oid			user;
	bool		writing;
	DpFileWalk *walk;			/* the listing under way */
} DpFileStore;

/*
 * store_file.c: raise unless the store's user still may do this.  Rights are
 * looked up in the catalog, so outside of a transaction, where what a commit
 * has decided is being finished, those found at open count.
 */
extern void dp_file_require(const DpFileStore *store, bool writing);
/* Fill OBJECT, all but its key. */
extern void dp_file_describe(const struct stat *st, DpObject *object);

/*
 * file_path.c
 *
 * Open KEY with FLAGS (O_CLOEXEC and O_NOCTTY are added), below
 * dynpipe.file_root when it is set.  Returns -1 and errno when the system
 * refuses or a link leads out (dp_file_forbids); raises 42501 for a wrong key.
 * The descriptor is not accounted for: see dp_file_account.
 */
extern int	dp_file_open(const char *key, int flags);
extern bool dp_file_forbids(int error);
/* What is wrong with KEY as such, or NULL: parts "..", places outside of the root. */
extern const char *dp_file_wrong_key(const char *key, const char **hint);
/* A descriptor that stays open for longer: raises when there are too many. */
extern void dp_file_account(int fd, const char *key);
extern void dp_file_close(int fd);	/* of one that was accounted for */
extern bool dp_file_is_real(int fd);	/* not of procfs, sysfs and their like */
/* "could not WHAT "/KEY": ..."; WHAT is "open file", "list folder". */
extern void dp_file_raise(int error, const char *what, const char *key)
			pg_attribute_noreturn();

/* file_list.c */
extern void dp_file_list_end(DpFileStore *store);
extern List *dp_file_list(DpStore *base, const char *prefix, bool flat, char **state);
/* file_put.c */
extern DpPut *dp_file_put(DpStore *base, const char *key, const char *content_type);
extern void dp_file_remove(DpStore *base, const char *key);

#endif							/* DP_FILE_PRIVATE_H */
