/*
 * batch.h
 *	  One batch: records in memory become rows of every layer, the ledger and
 *	  the new position, all in the transaction the caller has open.
 *
 *	  dp_batch_begin   memory for this batch, in a context of its own
 *	  (the source fills batch->records)
 *	  dp_batch_run     decode, bronze, silver, gold, quarantine, checkpoint
 *	  dp_batch_end     frees it
 *
 * Each record gets exactly one fate; dp_batch_run ends with the ledger that
 * says so, which the table's own CHECK verifies.  A record that cannot be
 * used is rejected alone: stages that a record can make fail run in a
 * subtransaction, and when one fails with an error about data its range is
 * halved until the offender is found.  All other errors leave dp_batch_run.
 */
#ifndef DP_BATCH_H
#define DP_BATCH_H

#include "catalog/catalog.h"
#include "batch/exec.h"
#include "source/source.h"

typedef enum DpFate
{
	DP_FATE_LOADED,				/* in silver, or applied to it */
	DP_FATE_DEDUPLICATED,		/* older than what is known of its key */
	DP_FATE_DROPPED,			/* by where, or by a rule that drops */
	DP_FATE_QUARANTINED
} DpFate;

typedef struct DpRejected
{
	DpReject	reason;			/* text in the batch's context */
	const char *rule;			/* expectation that failed, or NULL */
} DpRejected;

typedef struct DpBatch DpBatch;

struct DpBatch
{
	MemoryContext cxt;
	const DpPlan *plan;
	DpExec	   *exec;
	DpFormat   *format;
	int64		id;				/* _batch */
	/* instead of decoding: fills values, isnull and rejects; or NULL */
	void		(*take) (DpBatch *batch, void *arg);
	void	   *take_arg;
	bool		replay;			/* records come from bronze: it has them, gold comes later */
	DpRecords	records;

	/* per record */
	Datum	   *values;			/* nfields each */
	bool	   *isnull;
	uint8	   *fate;			/* DpFate */
	bool	   *warned;
	bool	   *no_bronze;		/* could not even be kept in bronze */
	DpRejected **rejected;		/* when quarantined */

	/* what the silver stage did, for the ledger */
	int64		inserted;
	int64		updated;
	int64		deleted;

	/* per partition */
	DpLedger   *ledger;
	int			nledger;
};

/* PLAN, EXEC and FORMAT belong to the shard.  CXT is reset and then used. */
extern void dp_batch_begin(DpBatch *batch, const DpPlan *plan, DpExec *exec,
						   DpFormat *format, MemoryContext cxt);

/*
 * POSITION gives the stored next_offset of a partition.  On return the
 * ledger's next_offset are the positions once the transaction commits.
 */
extern void dp_batch_run(DpBatch *batch, int64 (*position) (int32 partition, void *arg),
						 void *arg);

/* Is the caller code of a user's that a batch of this process executes? */
extern bool dp_batch_is_running(void);

/* Call FN(ARG), which executes users' code as a batch does. */
extern void dp_batch_guard(void (*fn) (void *arg), void *arg);

/* A stage works on records lo <= i < hi and raises for the first it cannot treat. */
typedef void (*DpStage) (DpBatch *batch, int lo, int hi);

/* The stages, in their order. */
extern void dp_batch_decode(DpBatch *batch);	/* batch_decode.c */
extern void dp_batch_bronze(DpBatch *batch, int lo, int hi);	/* batch_bronze.c */
extern void dp_batch_silver(DpBatch *batch, int lo, int hi);	/* batch_silver.c, with gold */
extern void dp_batch_quarantine(DpBatch *batch);	/* batch_quarantine.c */
extern void dp_batch_ledger(DpBatch *batch, int64 (*position) (int32, void *), void *arg);

extern void dp_batch_gold(DpBatch *batch);	/* batch_gold.c: over dynpipe_new, dynpipe_old */

/* Can PLAN's records be decoded without any code of a user's? */
extern bool dp_batch_decodes_natively(const DpPlan *plan);

/* Turn record I into a quarantined one; REASON is copied. */
extern void dp_batch_reject(DpBatch *batch, int i, const DpReject *reason, const char *rule);

/* The same for one that its source could not give whole. */
extern void dp_batch_reject_unread(DpBatch *batch, int i);

/* Is this an error that one record can cause, so that isolating it helps? */
extern bool dp_batch_is_data_error(int sqlerrcode);

#endif							/* DP_BATCH_H */
