/*
 * catalog.h
 *	  The only reader and writer of the dynpipe.* tables for the run loop and
 *	  the SQL functions.  Statements are fixed, run with the system's rights
 *	  inside the caller's transaction, and give back plain structs in the
 *	  caller's memory context.
 *
 * Who may do what is decided here too (dp_catalog_check_owner): callers pass
 * the role that asked, never the elevated one.
 */
#ifndef DP_CATALOG_H
#define DP_CATALOG_H

#include "postgres.h"
#include "nodes/pg_list.h"
#include "storage/lockdefs.h"
#include "utils/timestamp.h"

typedef struct DpPipelineRow
{
	int64		id;
	char	   *name;
	Oid			owner;			/* InvalidOid: the role is gone */
	int32		version;
	char	   *definition;		/* canonical JSON */
	bool		enabled;
	char	   *home;
	int32		workers;
	bool		streaming;
	bool		served;			/* run by workers */
} DpPipelineRow;

/* Position and ledger of one partition; for updates, the amounts to add. */
typedef struct DpLedger
{
	int32		partition;
	int64		expected;		/* next_offset as the batch found it */
	int64		next_offset;	/* as the batch leaves it */
	int64		consumed;
	int64		loaded;
	int64		deduplicated;
	int64		dropped;
	int64		quarantined;
	int64		warned;
	int64		inserted;
	int64		updated;
	int64		deleted;
	int64		bronze;
	int64		bytes;
	int64		last_ms;		/* newest record timestamp, -1 none */
} DpLedger;

typedef struct DpCheckpoint
{
	int32		partition;
	int64		next_offset;
	int32		version;		/* 0: no batch yet */
} DpCheckpoint;

extern DpPipelineRow *dp_catalog_find(const char *name, bool missing_ok);
extern DpPipelineRow *dp_catalog_get(int64 id);	/* NULL when gone */
extern List *dp_catalog_all(void);	/* DpPipelineRow *, by name */

extern int64 dp_catalog_insert(const char *name, Oid owner, const char *definition,
							   bool enabled, int workers, bool streaming, bool served);
extern void dp_catalog_update(int64 id, const char *definition, bool enabled,
							  int workers, bool streaming, bool served);
extern void dp_catalog_set_enabled(int64 id, bool enabled);
extern void dp_catalog_delete(int64 id);

/* Does a pipeline other than ID write this table? */
extern bool dp_catalog_table_taken(int64 id, const char *schema, const char *table);
/* Forget the tables of pipeline ID; then add those that it writes. */
extern void dp_catalog_clear_tables(int64 id);
extern void dp_catalog_add_table(int64 id, const char *layer, const char *schema,
								 const char *table);

extern List *dp_catalog_checkpoints(int64 id);	/* DpCheckpoint * */
/* No-op when another reader of the pipeline added it first. */
extern void dp_catalog_add_partition(int64 id, int32 partition, int64 offset);
extern void dp_catalog_add_gap(int64 id, int32 partition, int64 from, int64 to,
							   const char *reason);

/* Compare-and-swap of all rows; raises 40001 when another reader moved one of them. */
extern void dp_catalog_advance(int64 id, int32 version, int64 batch,
							   const DpLedger *rows, int n);
extern void dp_catalog_adopt(int64 id, int32 partition, int32 version, int64 batch);
extern int64 dp_catalog_next_batch(void);

extern void dp_catalog_event(int64 id, const char *pipeline, const char *kind,
							 const char *severity, const char *message, const char *detail);

extern void dp_catalog_set_refreshed(int64 id, const char *gold);
extern TimestampTz dp_catalog_refreshed(int64 id, const char *gold);	/* 0: never */

/* When the pipeline's schedule was last kept; never: when it was last changed. */
extern TimestampTz dp_catalog_ticked(int64 id);
extern void dp_catalog_set_ticked(int64 id, TimestampTz at);

/* Raises unless USER has the rights of ROW's owner. */
extern void dp_catalog_check_owner(const DpPipelineRow *row, Oid user);

/*
 * The pipeline's lock, held to the end of the transaction: ShareLock by every
 * batch, ExclusiveLock by whatever changes the pipeline, so a change waits
 * for batches in flight and later batches see it.  With NOWAIT false is
 * returned instead of waiting, also when a change is queued for it.
 */
extern bool dp_catalog_lock(int64 id, LOCKMODE mode, bool nowait);

/* Workers of a pipeline take turns on WHAT until the end of the transaction. */
#define DP_TURN_UPSERT	(-1)	/* or the number of a gold table */
extern void dp_catalog_lock_turn(int64 id, int what);

#endif							/* DP_CATALOG_H */
