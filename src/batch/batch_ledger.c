/*
 * batch_ledger.c
 *	  Count what became of every record, per partition: the amounts that
 *	  dp_catalog_advance adds to dynpipe.checkpoint.
 *
 * Rows inserted, updated and deleted in silver are known for the batch only
 * and are booked on the first partition: they are meant to be summed.
 */
#include "dynpipe.h"

#include "batch/batch.h"

static DpLedger *ledger_of(DpBatch *batch, int32 partition,
						   int64 (*position) (int32, void *), void *arg);
static void count_record(DpBatch *batch, DpLedger *row, int i);

void
dp_batch_ledger(DpBatch *batch, int64 (*position) (int32, void *), void *arg)
{
	DpLedger   *row = NULL;
	int			capacity = 0;

	/* The number of a file's partition says nothing about how many there are. */
	for (int i = 0; i < batch->records.n; i++)
		capacity = Max(capacity, batch->records.rec[i].partition + 1);
	batch->ledger = palloc0(sizeof(DpLedger) * Max(Min(capacity, batch->records.n), 1));

	for (int i = 0; i < batch->records.n; i++)
	{
		int32		partition = batch->records.rec[i].partition;

		if (row == NULL || row->partition != partition)
			row = ledger_of(batch, partition, position, arg);
		count_record(batch, row, i);
	}
	if (batch->nledger > 0)
	{
		batch->ledger[0].inserted = batch->inserted;
		batch->ledger[0].updated = batch->updated;
		batch->ledger[0].deleted = batch->deleted;
	}
}

/* The row of PARTITION, made at its first record. */
static DpLedger *
ledger_of(DpBatch *batch, int32 partition, int64 (*position) (int32, void *), void *arg)
{
	DpLedger   *row;

	for (int i = 0; i < batch->nledger; i++)
		if (batch->ledger[i].partition == partition)
			return &batch->ledger[i];
	row = &batch->ledger[batch->nledger++];
	row->partition = partition;
	row->expected = position(partition, arg);
	row->next_offset = row->expected;
	row->last_ms = -1;
	return row;
}

static void
count_record(DpBatch *batch, DpLedger *row, int i)
{
	const DpRecord *rec = &batch->records.rec[i];

	row->consumed++;
	row->loaded += batch->fate[i] == DP_FATE_LOADED;
	row->deduplicated += batch->fate[i] == DP_FATE_DEDUPLICATED;
	row->dropped += batch->fate[i] == DP_FATE_DROPPED;
	row->quarantined += batch->fate[i] == DP_FATE_QUARANTINED;
	row->warned += batch->warned[i];
	row->bronze += batch->plan->spec->bronze && !batch->no_bronze[i];
	row->bytes += Max(rec->key_len, 0) + Max(rec->value_len, 0);
	row->last_ms = Max(row->last_ms, rec->timestamp_ms);
	if (rec->offset < row->next_offset)
		elog(ERROR, "partition %d gave offset " INT64_FORMAT " again, expected " INT64_FORMAT,
			 rec->partition, rec->offset, row->next_offset);
	row->next_offset = rec->offset + 1;
}
