/*
 * home.h
 *	  Which copy of a database this is.
 */
#ifndef DP_HOME_H
#define DP_HOME_H

/*
 * "<system identifier>/<database oid>", palloc'd.  A pipeline whose stored
 * home differs was copied here (dump and restore, template, pg_upgrade) and
 * stays off until dynpipe.start() acknowledges it: two copies would read the
 * same stream, each believing to be the only one.
 */
extern char *dp_catalog_home(void);

#endif							/* DP_HOME_H */
