/*
 * json_paths.h
 *	  Private to the JSON decoder: where fields are found in a document.
 *
 * A slot is a distinct first step of the fields' paths: a member of the root.
 * Several fields may share one; a field with a longer pointer descends from it
 * by its steps.  Knows nothing of the parser.
 */
#ifndef DP_JSON_PATHS_H
#define DP_JSON_PATHS_H

#include "format/format.h"

#define JSON_ROOT		(-1)	/* the whole document */
#define JSON_NOWHERE	(-2)	/* not from the document */

/* How a field's column takes a JSON value. */
typedef enum JsonTaker
{
	TAKE_SCALAR,				/* by text; no objects or arrays */
	TAKE_INTEGER,				/* same, and 1e3 is an integer */
	TAKE_TEXT,
	TAKE_JSON
} JsonTaker;

typedef struct JsonStep
{
	const char *name;			/* unescaped */
	int			len;
	int			index;			/* in an array; -1: not a number */
} JsonStep;

typedef struct JsonPath
{
	int			slot;			/* or JSON_ROOT, JSON_NOWHERE */
	int			nsteps;			/* below the slot */
	JsonStep   *steps;
	JsonTaker	taker;
} JsonPath;

typedef struct JsonSlot
{
	JsonStep	step;
	int			next;			/* in its hash bucket; -1: end */
} JsonSlot;

typedef struct JsonPaths
{
	JsonPath   *fields;			/* one for each field of the format */
	JsonSlot   *slots;
	int			nslots;
	int		   *buckets;		/* first slot of each hash value, or -1 */
	uint32		mask;
	bool		any_root;		/* a field takes the whole document, so it may be anything */
} JsonPaths;

/* Fill PATHS for FIELDS; in the current memory context. */
extern void dp_json_open_paths(JsonPaths *paths, const DpField *fields, int nfields);

static inline bool
dp_json_step_is(const JsonStep *step, const char *name, int len)
{
	return step->len == len && memcmp(step->name, name, len) == 0;
}

/* Bounded, since a member's name may be a megabyte. */
static inline uint32
dp_json_hash(const char *name, int len)
{
	uint32		hash = len;

	for (int i = 0; i < Min(len, 32); i++)
		hash = hash * 31 + (unsigned char) name[i];
	return hash;
}

/* The slot of that name, or -1. */
static inline int
dp_json_find_slot(const JsonPaths *paths, const char *name, int len)
{
	int			slot = paths->buckets[dp_json_hash(name, len) & paths->mask];

	while (slot >= 0 && !dp_json_step_is(&paths->slots[slot].step, name, len))
		slot = paths->slots[slot].next;
	return slot;
}

#endif							/* DP_JSON_PATHS_H */
