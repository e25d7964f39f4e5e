/*
 * helper_main.c
 *	  A process that decodes the records of another one's file: see helpers.h.
 *
 * It is told what to do by the text of the pipeline's definition, looks up the
 * fields' types itself and gives up when they are not the leader's (who may
 * have made them in a transaction that nobody else sees yet).  It holds no lock
 * on any table, so it cannot wait for its leader's locks.  Values are made in a
 * memory context that is reset for each slot and copied from there.
 */
#include "dynpipe.h"

#include "access/xact.h"
#include "fmgr.h"
#include "load/slot.h"
#include "miscadmin.h"
#include "pgstat.h"
#include "postmaster/bgworker.h"
#include "storage/ipc.h"
#include "storage/proc.h"
#include "tcop/tcopprot.h"
#include "util/as_owner.h"
#include "utils/datum.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"

typedef struct Work
{
	const DpHelperOrder *order;
	char	   *slots;
	DpFormat   *format;
	int			nfields;
	DpField    *fields;
	bool	   *byval;
	int16	   *typlen;
	MemoryContext cxt;			/* of one slot */
} Work;

PGDLLEXPORT void dynpipe_helper_main(Datum arg);

static dsm_segment *attach(Datum arg, shm_toc **toc);
static void prepare(Work *work, shm_toc *toc);
static void serve(Work *work, shm_mq_handle *to, shm_mq_handle *from);
static void decode_slot(Work *work, DpSlot *slot);
static bool store_values(Work *work, DpSlot *slot, size_t base, Datum *values, bool *isnull);
static bool store_reject(DpSlot *slot, DpSlotReject *to, int record, const DpReject *reject);
static bool store_text(DpSlot *slot, const char *text, uint32 *offset);

void
dynpipe_helper_main(Datum arg)
{
	shm_toc    *toc;
	dsm_segment *segment;
	shm_mq	   *to;
	shm_mq	   *from;
	shm_mq_handle *to_handle;
	shm_mq_handle *from_handle;
	Work		work = {0};
	DpRole		role;

	pqsignal(SIGTERM, die);
	BackgroundWorkerUnblockSignals();
	segment = attach(arg, &toc);
	work.order = shm_toc_lookup(toc, DP_HELPER_KEY_ORDER, false);
	work.slots = shm_toc_lookup(toc, DP_HELPER_KEY_SLOTS, false);
	to = shm_toc_lookup(toc, DP_HELPER_KEY_TO, false);
	from = shm_toc_lookup(toc, DP_HELPER_KEY_FROM, false);
	shm_mq_set_receiver(to, MyProc);
	shm_mq_set_sender(from, MyProc);
	to_handle = shm_mq_attach(to, segment, NULL);
	from_handle = shm_mq_attach(from, segment, NULL);

	BackgroundWorkerInitializeConnectionByOid(work.order->dbid, InvalidOid, 0);
	pgstat_report_activity(STATE_RUNNING, "dynpipe: decoding records");
	StartTransactionCommand();
	PushActiveSnapshot(GetTransactionSnapshot());
	prepare(&work, toc);
	dp_role_become_owner(&role, work.order->owner);
	serve(&work, to_handle, from_handle);
	dp_role_restore(&role);
	PopActiveSnapshot();
	CommitTransactionCommand();
	dsm_detach(segment);
}

static dsm_segment *
attach(Datum arg, shm_toc **toc)
{
	dsm_segment *segment;

	CurrentResourceOwner = ResourceOwnerCreate(NULL, "dynpipe helper");
	segment = dsm_attach(DatumGetUInt32(arg));
	/* The leader has gone already. */
	if (segment == NULL)
		proc_exit(0);
	dsm_pin_mapping(segment);
	*toc = shm_toc_attach(DP_HELPER_MAGIC, dsm_segment_address(segment));
	if (*toc == NULL)
		proc_exit(0);
	return segment;
}

/* Ends the process when the fields are not those that the leader has. */
static void
prepare(Work *work, shm_toc *toc)
{
	const DpHelperType *types = shm_toc_lookup(toc, DP_HELPER_KEY_TYPES, false);
	DpPipelineSpec *spec =
		dp_spec_from_json(shm_toc_lookup(toc, DP_HELPER_KEY_DEFINITION, false));

	work->fields = dp_plan_fields(spec, work->order->owner, &work->nfields);
	work->byval = palloc(sizeof(bool) * work->nfields);
	work->typlen = palloc(sizeof(int16) * work->nfields);
	if (work->nfields != work->order->nfields)
		proc_exit(0);
	for (int i = 0; i < work->nfields; i++)
	{
		if (work->fields[i].type != types[i].type || work->fields[i].typmod != types[i].typmod ||
			work->fields[i].cast.may_throw)
			proc_exit(0);
		get_typlenbyval(work->fields[i].type, &work->typlen[i], &work->byval[i]);
	}
	work->format = dp_format_find(spec->format)->open(spec, work->fields, work->nfields,
													  spec->path);
	work->format->ops->adopt(work->format, shm_toc_lookup(toc, DP_HELPER_KEY_LAYOUT, false));
	work->cxt = AllocSetContextCreate(CurrentMemoryContext, "dynpipe slot",
									  ALLOCSET_DEFAULT_SIZES);
}

/* Slot after slot until the leader detaches. */
static void
serve(Work *work, shm_mq_handle *to, shm_mq_handle *from)
{
	Size		len;
	void	   *data;

	while (shm_mq_receive(to, &len, &data, false) == SHM_MQ_SUCCESS)
	{
		uint32		slot = *(uint32 *) data;

		MemoryContextReset(work->cxt);
		decode_slot(work, (DpSlot *) (work->slots + (Size) slot * DP_SLOT_SIZE));
		if (shm_mq_send(from, sizeof(slot), &slot, false, true) != SHM_MQ_SUCCESS)
			break;
	}
}

static void
decode_slot(Work *work, DpSlot *slot)
{
	MemoryContext old = MemoryContextSwitchTo(work->cxt);
	DpSlotRecord *records = dp_slot_at(slot, slot->records);
	size_t		cells = (size_t) slot->n * work->nfields;
	DpSlotReject *rejects = palloc(sizeof(DpSlotReject) * slot->n);
	Datum	   *values = palloc(sizeof(Datum) * work->nfields);
	bool	   *isnull = palloc(sizeof(bool) * work->nfields);

	slot->values = dp_slot_alloc(slot, sizeof(Datum) * cells);
	slot->isnull = dp_slot_alloc(slot, sizeof(bool) * cells);
	slot->overflow = slot->values == 0 || slot->isnull == 0;
	for (int i = 0; i < slot->n && !slot->overflow; i++)
	{
		DpReject	reject = {0};
		DpRecord	rec = {
			.partition = work->order->partition,
			.offset = slot->first_offset + i,
			.timestamp_ms = work->order->timestamp_ms,
			.key_len = -1,
			.value = dp_slot_at(slot, records[i].start),
			.value_len = records[i].len
		};

		if (records[i].skip)
			memset((bool *) dp_slot_at(slot, slot->isnull) + (size_t) i * work->nfields, true,
				   work->nfields);
		else if (dp_format_decode(work->format, &rec, values, isnull, &reject))
			slot->overflow = !store_values(work, slot, (size_t) i * work->nfields, values, isnull);
		else
		{
			memset((bool *) dp_slot_at(slot, slot->isnull) + (size_t) i * work->nfields, true,
				   work->nfields);
			slot->overflow = !store_reject(slot, &rejects[slot->nrejects++], i, &reject);
		}
	}
	slot->rejects = dp_slot_alloc(slot, sizeof(DpSlotReject) * slot->nrejects);
	slot->overflow |= slot->rejects == 0;
	if (!slot->overflow)
		memcpy(dp_slot_at(slot, slot->rejects), rejects, sizeof(DpSlotReject) * slot->nrejects);
	MemoryContextSwitchTo(old);
}

/* What is passed by reference is copied behind what the slot has already. */
static bool
store_values(Work *work, DpSlot *slot, size_t base, Datum *values, bool *isnull)
{
	Datum	   *to = (Datum *) dp_slot_at(slot, slot->values) + base;

	memcpy((bool *) dp_slot_at(slot, slot->isnull) + base, isnull, sizeof(bool) * work->nfields);
	for (int f = 0; f < work->nfields; f++)
	{
		to[f] = values[f];
		if (!isnull[f] && !work->byval[f])
		{
			Size		size = datumGetSize(values[f], false, work->typlen[f]);
			uint32		at = dp_slot_alloc(slot, size);

			if (at == 0)
				return false;
			memcpy(dp_slot_at(slot, at), DatumGetPointer(values[f]), size);
			to[f] = (Datum) at;
		}
	}
	return true;
}

static bool
store_reject(DpSlot *slot, DpSlotReject *to, int record, const DpReject *reject)
{
	*to = (DpSlotReject) {.record = record,.sqlerrcode = reject->sqlerrcode};
	return store_text(slot, reject->stage, &to->stage) &&
		store_text(slot, reject->column, &to->column) &&
		store_text(slot, reject->message, &to->message);
}

static bool
store_text(DpSlot *slot, const char *text, uint32 *offset)
{
	if (text == NULL)
		return true;
	*offset = dp_slot_alloc(slot, strlen(text) + 1);
	if (*offset != 0)
		strcpy(dp_slot_at(slot, *offset), text);
	return *offset != 0;
}
