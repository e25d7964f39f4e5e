/*
 * json_paths.c
 *	  Members and pointers named by the schema -> slots and steps.
 */
#include "dynpipe.h"

#include "catalog/pg_type.h"
#include "format/field.h"
#include "format/json_paths.h"
#include "mb/pg_wchar.h"
#include "port/pg_bitutils.h"
#include "utils/lsyscache.h"

/* The next step of an RFC 6901 pointer; *P stands behind a slash and moves behind the next. */
static JsonStep
next_step(const char **p)
{
	JsonStep	step;
	char	   *name = palloc(strlen(*p) + 1);
	char	   *end = name;

	while (**p && **p != '/')
	{
		if (**p == '~' && ((*p)[1] == '0' || (*p)[1] == '1'))
			*end++ = *++(*p) == '0' ? '~' : '/';
		else
			*end++ = **p;
		(*p)++;
	}
	*end = '\0';
	step.name = name;
	step.len = end - name;
	step.index = -1;
	if (step.len > 0 && step.len < 10 && strspn(name, "0123456789") == step.len &&
		(name[0] != '0' || step.len == 1))
		step.index = atoi(name);
	return step;
}

static int
add_slot(JsonPaths *paths, JsonStep step)
{
	int			slot = dp_json_find_slot(paths, step.name, step.len);
	int		   *bucket = &paths->buckets[dp_json_hash(step.name, step.len) & paths->mask];

	if (slot >= 0)
		return slot;
	slot = paths->nslots++;
	paths->slots[slot].step = step;
	paths->slots[slot].next = *bucket;
	*bucket = slot;
	return slot;
}

static void
open_field(JsonPaths *paths, const DpField *field, JsonPath *out)
{
	bool		named = dp_field_path(field) == NULL;
	const char *name = named ? field->name : field->path;
	const char *path = pg_server_to_any(name, strlen(name), PG_UTF8);
	Oid			base = getBaseType(field->type);
	JsonStep	first;

	out->taker = base == JSONOID || base == JSONBOID ? TAKE_JSON
		: base == TEXTOID || base == VARCHAROID || base == BPCHAROID ? TAKE_TEXT
		: base == INT2OID || base == INT4OID || base == INT8OID ? TAKE_INTEGER : TAKE_SCALAR;
	out->slot = JSON_NOWHERE;
	if (field->from != DP_FROM_VALUE)
		return;
	if (*path == '\0' && !named)
	{
		out->slot = JSON_ROOT;
		paths->any_root = true;
		return;
	}
	if (*path != '/' || named)
	{
		first = (JsonStep) {pstrdup(path), strlen(path), -1};
		out->slot = add_slot(paths, first);
		return;
	}
	path++;
	first = next_step(&path);
	out->slot = add_slot(paths, first);
	out->steps = palloc(sizeof(JsonStep) * (strlen(path) + 1));
	while (*path == '/')
	{
		path++;
		out->steps[out->nsteps++] = next_step(&path);
	}
}

void
dp_json_open_paths(JsonPaths *paths, const DpField *fields, int nfields)
{
	uint32		nbuckets = pg_nextpower2_32(Max(nfields, 1) * 4);

	paths->fields = palloc0(sizeof(JsonPath) * (nfields + 1));
	paths->slots = palloc0(sizeof(JsonSlot) * (nfields + 1));
	paths->buckets = palloc(sizeof(int) * nbuckets);
	memset(paths->buckets, -1, sizeof(int) * nbuckets);
	paths->mask = nbuckets - 1;
	for (int i = 0; i < nfields; i++)
		open_field(paths, &fields[i], &paths->fields[i]);
}
