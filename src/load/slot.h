/*
 * slot.h
 *	  Private to the parallel decoding of a file: what leader (helpers.c) and
 *	  helper processes (helper_main.c) have in shared memory.
 *
 *	  leader ─text of a batch─> slot ─> helper decodes ─> slot ─values─> leader
 *
 * A slot belongs to the leader, except between the message that hands it to a
 * helper and the helper's answer.  Nothing in it is a pointer: a value that is
 * passed by reference is an offset from the slot's start, which each process
 * has at an address of its own.
 */
#ifndef DP_SLOT_H
#define DP_SLOT_H

#include "load/load.h"
#include "storage/dsm.h"
#include "storage/shm_mq.h"
#include "storage/shm_toc.h"

#define DP_HELPER_MAGIC		0x6470686c
#define DP_HELPER_KEY_ORDER	1
#define DP_HELPER_KEY_DEFINITION 2
#define DP_HELPER_KEY_LAYOUT 3
#define DP_HELPER_KEY_TYPES	4
#define DP_HELPER_KEY_TO	5	/* queue to the helper */
#define DP_HELPER_KEY_FROM	6
#define DP_HELPER_KEY_SLOTS	7

#define DP_HELPER_SLOTS		2	/* of each helper: one to work on, one to fill */
#define DP_HELPER_QUEUE		4096
#define DP_SLOT_TEXT		(4 * 1024 * 1024)	/* at most, of one batch */
#define DP_SLOT_SIZE		(20 * 1024 * 1024)	/* pages that are not used cost nothing */

/* What a helper is told once. */
typedef struct DpHelperOrder
{
	Oid			dbid;
	Oid			owner;
	int32		partition;
	int64		timestamp_ms;
	int			nfields;
} DpHelperOrder;

/* A field's type as the leader knows it; it must be the helper's as well. */
typedef struct DpHelperType
{
	Oid			type;
	int32		typmod;
} DpHelperType;

typedef struct DpSlotRecord
{
	uint32		start;			/* of its text, in the slot */
	int32		len;
	bool		skip;			/* the leader knows already what is wrong with it */
} DpSlotRecord;

typedef struct DpSlotReject
{
	int32		record;
	int32		sqlerrcode;
	uint32		stage;			/* texts in the slot; 0: none */
	uint32		column;
	uint32		message;
} DpSlotReject;

typedef struct DpSlot
{
	/* from the leader */
	int			n;
	int64		first_offset;
	uint32		records;		/* DpSlotRecord[n] */
	uint32		end;			/* of what is used so far */
	/* from the helper */
	bool		overflow;		/* the values did not fit: the leader decodes it */
	uint32		values;			/* Datum[n * nfields] */
	uint32		isnull;			/* bool[n * nfields] */
	int			nrejects;
	uint32		rejects;		/* DpSlotReject[nrejects] */
} DpSlot;

/* SIZE bytes of the slot, aligned; 0 when there is no room. */
static inline uint32
dp_slot_alloc(DpSlot *slot, Size size)
{
	uint32		start = MAXALIGN(slot->end);

	if (size > DP_SLOT_SIZE - start)
		return 0;
	slot->end = start + size;
	return start;
}

static inline void *
dp_slot_at(DpSlot *slot, uint32 offset)
{
	return (char *) slot + offset;
}

#endif							/* DP_SLOT_H */
