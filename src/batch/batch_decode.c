/*
 * batch_decode.c
 *	  Decode every record of the batch into values; reject those that cannot be.
 *
 * Bad data comes back from the format as a reject.  Where a type's input
 * function may raise instead (PostgreSQL 15, types of users' own), the loop
 * runs in a subtransaction with the owner's rights: the record at hand when it
 * raises is the offender, and the loop goes on behind it in a new one.
 */
#include "dynpipe.h"

#include "access/xact.h"
#include "batch/batch.h"
#include "util/as_owner.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

static void decode_guarded(DpBatch *batch);
static void decode_one(DpBatch *batch, int i);
static bool decode_record(DpBatch *batch, const DpRecord *rec, Datum *values,
						  bool *isnull, DpReject *reject);

void
dp_batch_decode(DpBatch *batch)
{
	DpRole		role;

	if (batch->plan->nfields == 0)
		return;
	if (batch->take != NULL)
	{
		batch->take(batch, batch->take_arg);
		return;
	}
	if (!dp_batch_decodes_natively(batch->plan))
	{
		decode_guarded(batch);
		return;
	}
	dp_role_become_owner(&role, batch->plan->owner);
	for (int i = 0; i < batch->records.n; i++)
		decode_one(batch, i);
	dp_role_restore(&role);
}

bool
dp_batch_decodes_natively(const DpPlan *plan)
{
	for (int i = 0; i < plan->nfields; i++)
		if (plan->fields[i].cast.may_throw)
			return false;
	return true;
}

/* One subtransaction per raising record, plus one. */
static void
decode_guarded(DpBatch *batch)
{
	ResourceOwner owner = CurrentResourceOwner;
	volatile int i = 0;

	while (i < batch->records.n)
	{
		BeginInternalSubTransaction(NULL);
		MemoryContextSwitchTo(batch->cxt);
		PG_TRY();
		{
			DpRole		role;

			dp_role_become_owner(&role, batch->plan->owner);
			for (; i < batch->records.n; i++)
				decode_one(batch, i);
			dp_role_restore(&role);
			ReleaseCurrentSubTransaction();
		}
		PG_CATCH();
		{
			ErrorData  *error;

			MemoryContextSwitchTo(batch->cxt);
			error = CopyErrorData();
			FlushErrorState();
			RollbackAndReleaseCurrentSubTransaction();
			if (!dp_batch_is_data_error(error->sqlerrcode))
				ReThrowError(error);
			MemoryContextSwitchTo(batch->cxt);
			dp_batch_reject(batch, i,
							&(DpReject) {
								.stage = "cast",
								.sqlerrcode = error->sqlerrcode,
								.message = error->message
							}, NULL);
			i++;
		}
		PG_END_TRY();
		MemoryContextSwitchTo(batch->cxt);
		CurrentResourceOwner = owner;
	}
}

static void
decode_one(DpBatch *batch, int i)
{
	size_t		base = (size_t) i * batch->plan->nfields;
	DpReject	reject = {0};

	if (batch->records.rec[i].problem != NULL)
		dp_batch_reject_unread(batch, i);
	else if (!decode_record(batch, &batch->records.rec[i], &batch->values[base],
					   &batch->isnull[base], &reject))
		dp_batch_reject(batch, i, &reject, NULL);
}

void
dp_batch_reject_unread(DpBatch *batch, int i)
{
	dp_batch_reject(batch, i,
					&(DpReject) {
						.stage = "read",
						.sqlerrcode = ERRCODE_BAD_COPY_FILE_FORMAT,
						.message = unconstify(char *, batch->records.rec[i].problem)
					}, NULL);
}

static bool
decode_record(DpBatch *batch, const DpRecord *rec, Datum *values, bool *isnull,
			  DpReject *reject)
{
	if (rec->value_len >= 0)
		return dp_format_decode(batch->format, rec, values, isnull, reject);
	if (batch->plan->upsert)
		return dp_decode_tombstone(batch->format, rec, values, isnull, reject);
	return dp_reject(reject, "decode", NULL, ERRCODE_NULL_VALUE_NOT_ALLOWED,
					 "the record has no value (a tombstone) and the pipeline has no key to delete by");
}
