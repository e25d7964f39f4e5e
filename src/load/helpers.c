/*
 * helpers.c
 *	  The leader's side of parallel decoding: see helpers.h.
 *
 *	  reader ─> fill slot ─> helper k ─> ... ─> answer ─> batch
 *	    two slots for each helper, handed out and taken back in turn
 *
 * Of the leader's time splitting and copying a record are a small part beside
 * writing it, so one helper nearly halves the time of a load.
 *
 * Memory: one dynamic shared memory segment per helper, detached by a reset
 * callback of the context that the helpers were started in; a helper that
 * finds the queue detached ends.
 */
#include "dynpipe.h"

#include "access/xact.h"
#include "load/helpers.h"
#include "load/slot.h"
#include "miscadmin.h"
#include "postmaster/bgworker.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define MAX_HELPERS 7

typedef struct Helper
{
	dsm_segment *segment;
	BackgroundWorkerHandle *handle;
	shm_mq_handle *to;
	shm_mq_handle *from;
	char	   *slots;
	bool		dead;
} Helper;

/* A batch on its way: a slot, and the records that it holds. */
typedef struct Trip
{
	Helper	   *helper;
	DpSlot	   *slot;
	DpRecords	records;		/* values point into the slot, or the reader's window */
	MemoryContext cxt;			/* of the array */
	bool		fits;			/* into the slot; else nothing is read before it is used */
	bool		sent;
} Trip;

struct DpHelpers
{
	DpLoader   *loader;
	const DpFileRow *file;
	const DpPlan *plan;
	bool	   *by_reference;	/* per field */
	MemoryContextCallback callback;
	int			nhelpers;
	Helper		helper[MAX_HELPERS];
	int			ntrips;
	Trip	   *trips;			/* a ring */
	int			first;			/* the oldest that is under way */
	int			under_way;
	bool		at_end;			/* of the reader */
	Trip	   *taken;			/* whose values the batch at hand takes */
};

static bool start_helper(DpHelpers *helpers, Helper *helper, const char *layout);
static void fill_toc(DpHelpers *helpers, Helper *helper, shm_toc *toc, const char *definition,
					 const char *layout);
static bool launch(Helper *helper);
static void detach_all(void *arg);
static bool may_fill(const DpHelpers *helpers);
static void fill(DpHelpers *helpers, DpReader *reader);
static void put_records(DpHelpers *helpers, Trip *trip);
static void send(Trip *trip);
static bool receive(Trip *trip);
static void take(DpBatch *batch, void *arg);
static void take_rejects(DpBatch *batch, DpSlot *slot);
static char *text_at(DpSlot *slot, uint32 offset);

DpHelpers *
dp_helpers_start(DpLoader *loader, const DpFileRow *file, const char *layout, int n)
{
	const DpPlan *plan = loader->plan;
	DpHelpers  *helpers;

	if (n <= 0 || plan->nfields == 0 || !dp_batch_decodes_natively(plan))
		return NULL;
	helpers = palloc0(sizeof(DpHelpers));
	helpers->loader = loader;
	helpers->file = file;
	helpers->plan = plan;
	helpers->by_reference = palloc(sizeof(bool) * plan->nfields);
	for (int i = 0; i < plan->nfields; i++)
		helpers->by_reference[i] = !get_typbyval(plan->fields[i].type);
	helpers->callback.func = detach_all;
	helpers->callback.arg = helpers;
	MemoryContextRegisterResetCallback(CurrentMemoryContext, &helpers->callback);
	while (helpers->nhelpers < Min(n, MAX_HELPERS) &&
		   start_helper(helpers, &helpers->helper[helpers->nhelpers], layout))
		helpers->nhelpers++;
	if (helpers->nhelpers == 0)
		return NULL;
	helpers->ntrips = helpers->nhelpers * DP_HELPER_SLOTS;
	helpers->trips = palloc0(sizeof(Trip) * helpers->ntrips);
	for (int i = 0; i < helpers->ntrips; i++)
	{
		Trip	   *trip = &helpers->trips[i];

		trip->helper = &helpers->helper[i % helpers->nhelpers];
		trip->slot = (DpSlot *) (trip->helper->slots +
								 (Size) (i / helpers->nhelpers) * DP_SLOT_SIZE);
		trip->cxt = AllocSetContextCreate(CurrentMemoryContext, "dynpipe trip",
										  ALLOCSET_DEFAULT_SIZES);
	}
	return helpers;
}

bool
dp_helpers_next(DpHelpers *helpers, DpReader *reader, DpBatch *batch)
{
	DpLoader   *loader = helpers->loader;
	Trip	   *trip;

	while (!helpers->at_end && helpers->under_way < helpers->ntrips && may_fill(helpers))
		fill(helpers, reader);
	dp_batch_begin(batch, loader->plan, loader->exec, loader->format, loader->batch_cxt);
	if (helpers->under_way == 0)
		return false;
	trip = &helpers->trips[helpers->first];
	helpers->first = (helpers->first + 1) % helpers->ntrips;
	helpers->under_way--;
	batch->records = trip->records;
	if (trip->sent && receive(trip) && !trip->slot->overflow)
	{
		batch->take = take;
		batch->take_arg = helpers;
		helpers->taken = trip;
	}
	return true;
}

void
dp_helpers_stop(DpHelpers *helpers)
{
	detach_all(helpers);
}

static bool
start_helper(DpHelpers *helpers, Helper *helper, const char *layout)
{
	const char *definition = dp_spec_to_json(helpers->plan->spec);
	Size		size;
	shm_toc_estimator e;

	shm_toc_initialize_estimator(&e);
	shm_toc_estimate_chunk(&e, sizeof(DpHelperOrder));
	shm_toc_estimate_chunk(&e, strlen(definition) + 1);
	shm_toc_estimate_chunk(&e, strlen(layout) + 1);
	shm_toc_estimate_chunk(&e, sizeof(DpHelperType) * helpers->plan->nfields);
	shm_toc_estimate_chunk(&e, DP_HELPER_QUEUE);
	shm_toc_estimate_chunk(&e, DP_HELPER_QUEUE);
	shm_toc_estimate_chunk(&e, (Size) DP_SLOT_SIZE * DP_HELPER_SLOTS);
	shm_toc_estimate_keys(&e, 7);
	size = shm_toc_estimate(&e);

	helper->segment = dsm_create(size, DSM_CREATE_NULL_IF_MAXSEGMENTS);
	if (helper->segment == NULL)
		return false;
	/* It lives as long as our memory context, through the batches' subtransactions. */
	dsm_pin_mapping(helper->segment);
	fill_toc(helpers, helper, shm_toc_create(DP_HELPER_MAGIC,
											 dsm_segment_address(helper->segment), size),
			 definition, layout);
	if (launch(helper))
		return true;
	dsm_detach(helper->segment);
	helper->segment = NULL;
	return false;
}

static void
fill_toc(DpHelpers *helpers, Helper *helper, shm_toc *toc, const char *definition,
		 const char *layout)
{
	const DpPlan *plan = helpers->plan;
	DpHelperOrder *order = shm_toc_allocate(toc, sizeof(DpHelperOrder));
	DpHelperType *types = shm_toc_allocate(toc, sizeof(DpHelperType) * plan->nfields);
	char	   *text = shm_toc_allocate(toc, strlen(definition) + 1);
	char	   *how = shm_toc_allocate(toc, strlen(layout) + 1);
	shm_mq	   *to = shm_mq_create(shm_toc_allocate(toc, DP_HELPER_QUEUE), DP_HELPER_QUEUE);
	shm_mq	   *from = shm_mq_create(shm_toc_allocate(toc, DP_HELPER_QUEUE), DP_HELPER_QUEUE);

	*order = (DpHelperOrder) {
		.dbid = MyDatabaseId,
		.owner = plan->owner,
		.partition = helpers->file->id,
		.timestamp_ms = helpers->file->modified_ms,
		.nfields = plan->nfields
	};
	for (int i = 0; i < plan->nfields; i++)
		types[i] = (DpHelperType) {plan->fields[i].type, plan->fields[i].typmod};
	strcpy(text, definition);
	strcpy(how, layout);
	helper->slots = shm_toc_allocate(toc, (Size) DP_SLOT_SIZE * DP_HELPER_SLOTS);
	shm_toc_insert(toc, DP_HELPER_KEY_ORDER, order);
	shm_toc_insert(toc, DP_HELPER_KEY_DEFINITION, text);
	shm_toc_insert(toc, DP_HELPER_KEY_LAYOUT, how);
	shm_toc_insert(toc, DP_HELPER_KEY_TYPES, types);
	shm_toc_insert(toc, DP_HELPER_KEY_TO, to);
	shm_toc_insert(toc, DP_HELPER_KEY_FROM, from);
	shm_toc_insert(toc, DP_HELPER_KEY_SLOTS, helper->slots);
	shm_mq_set_sender(to, MyProc);
	shm_mq_set_receiver(from, MyProc);
	helper->to = shm_mq_attach(to, helper->segment, NULL);
	helper->from = shm_mq_attach(from, helper->segment, NULL);
}

static bool
launch(Helper *helper)
{
	BackgroundWorker worker = {0};

	worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
	worker.bgw_start_time = BgWorkerStart_ConsistentState;
	worker.bgw_restart_time = BGW_NEVER_RESTART;
	strlcpy(worker.bgw_library_name, "dynpipe", sizeof(worker.bgw_library_name));
	strlcpy(worker.bgw_function_name, "dynpipe_helper_main", sizeof(worker.bgw_function_name));
	snprintf(worker.bgw_name, sizeof(worker.bgw_name), "dynpipe helper of %d", MyProcPid);
	strlcpy(worker.bgw_type, "dynpipe helper", sizeof(worker.bgw_type));
	worker.bgw_main_arg = UInt32GetDatum(dsm_segment_handle(helper->segment));
	worker.bgw_notify_pid = MyProcPid;
	if (!RegisterDynamicBackgroundWorker(&worker, &helper->handle))
		return false;
	shm_mq_set_handle(helper->to, helper->handle);
	shm_mq_set_handle(helper->from, helper->handle);
	return true;
}

/* Helpers end when they find their queues detached. */
static void
detach_all(void *arg)
{
	DpHelpers  *helpers = arg;

	for (int i = 0; i < lengthof(helpers->helper); i++)
	{
		if (helpers->helper[i].segment != NULL)
			dsm_detach(helpers->helper[i].segment);
		helpers->helper[i].segment = NULL;
	}
}

/* Not while the newest one under way lies in the reader's window. */
static bool
may_fill(const DpHelpers *helpers)
{
	return helpers->under_way == 0 ||
		helpers->trips[(helpers->first + helpers->under_way - 1) % helpers->ntrips].fits;
}

/* One more batch from the reader on its way. */
static void
fill(DpHelpers *helpers, DpReader *reader)
{
	const DpPipelineSpec *spec = helpers->plan->spec;
	Trip	   *trip = &helpers->trips[(helpers->first + helpers->under_way) % helpers->ntrips];
	MemoryContext old;
	bool		found;

	MemoryContextReset(trip->cxt);
	old = MemoryContextSwitchTo(trip->cxt);
	memset(&trip->records, 0, sizeof(trip->records));
	found = dp_reader_next(reader, helpers->file->id, &trip->records, spec->batch_max_rows,
						   Min(spec->batch_max_bytes, DP_SLOT_TEXT / 2));
	MemoryContextSwitchTo(old);
	if (!found)
	{
		helpers->at_end = true;
		return;
	}
	helpers->under_way++;
	trip->sent = false;
	put_records(helpers, trip);
	if (!trip->helper->dead)
		send(trip);
}

/*
 * Copy the text into the slot, since the reader's window moves on.  A text too
 * large for it stays there, and is decoded here.
 */
static void
put_records(DpHelpers *helpers, Trip *trip)
{
	DpSlot	   *slot = trip->slot;
	DpRecords  *records = &trip->records;
	DpSlotRecord *out;
	uint32		text;

	memset(slot, 0, sizeof(*slot));
	slot->end = sizeof(DpSlot);
	slot->n = records->n;
	slot->first_offset = records->rec[0].offset;
	slot->records = dp_slot_alloc(slot, sizeof(DpSlotRecord) * records->n);
	text = records->bytes <= DP_SLOT_TEXT ? dp_slot_alloc(slot, records->bytes) : 0;
	trip->fits = slot->records != 0 && text != 0;
	out = dp_slot_at(slot, slot->records);
	for (int i = 0; i < records->n; i++)
	{
		DpRecord   *rec = &records->rec[i];

		rec->timestamp_ms = helpers->file->modified_ms;
		if (!trip->fits)
			continue;
		rec->value = memcpy(dp_slot_at(slot, text), rec->value, rec->value_len);
		out[i] = (DpSlotRecord) {
			.start = text,.len = rec->value_len,.skip = rec->problem != NULL
		};
		text += rec->value_len;
	}
}

static void
send(Trip *trip)
{
	uint32		slot = ((char *) trip->slot - trip->helper->slots) / DP_SLOT_SIZE;

	if (!trip->fits)
		return;
	trip->sent = shm_mq_send(trip->helper->to, sizeof(slot), &slot, false, true) == SHM_MQ_SUCCESS;
	trip->helper->dead = !trip->sent;
}

/* Wait for the answer; false when the helper has ended. */
static bool
receive(Trip *trip)
{
	Size		len;
	void	   *data;

	if (trip->helper->dead ||
		shm_mq_receive(trip->helper->from, &len, &data, false) != SHM_MQ_SUCCESS)
	{
		trip->helper->dead = true;
		return false;
	}
	return true;
}

/* The batch's values are those in the slot, offsets turned into pointers. */
static void
take(DpBatch *batch, void *arg)
{
	DpHelpers  *helpers = arg;
	DpSlot	   *slot = helpers->taken->slot;
	int			width = batch->plan->nfields;

	batch->values = dp_slot_at(slot, slot->values);
	batch->isnull = dp_slot_at(slot, slot->isnull);
	for (int f = 0; f < width; f++)
	{
		if (!helpers->by_reference[f])
			continue;
		for (size_t at = f; at < (size_t) slot->n * width; at += width)
			if (!batch->isnull[at])
				batch->values[at] = PointerGetDatum((char *) slot + batch->values[at]);
	}
	take_rejects(batch, slot);
	for (int i = 0; i < batch->records.n; i++)
		if (batch->records.rec[i].problem != NULL)
			dp_batch_reject_unread(batch, i);
}

static void
take_rejects(DpBatch *batch, DpSlot *slot)
{
	DpSlotReject *rejects = dp_slot_at(slot, slot->rejects);

	for (int i = 0; i < slot->nrejects; i++)
		dp_batch_reject(batch, rejects[i].record,
						&(DpReject) {
							.stage = MemoryContextStrdup(batch->cxt,
														 text_at(slot, rejects[i].stage)),
							.column = text_at(slot, rejects[i].column),
							.sqlerrcode = rejects[i].sqlerrcode,
							.message = text_at(slot, rejects[i].message)
						}, NULL);
}

static char *
text_at(DpSlot *slot, uint32 offset)
{
	return offset == 0 ? NULL : dp_slot_at(slot, offset);
}
