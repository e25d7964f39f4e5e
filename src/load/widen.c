/*
 * widen.c
 *	  on_misfit: widen; see widen.h.
 *
 * The change is the one that apply makes when a document gives the column the
 * wider type: the same plan, the same DDL, a new version of the definition.
 */
#include "dynpipe.h"

#include "catalog/pg_type.h"
#include "load/widen.h"
#include "utils/builtins.h"

static DpFormat *open_as_text(const DpPlan *plan, const char *layout);
static void change(const DpPipelineRow *row, DpPipelineSpec *before, DpPipelineSpec *after);

const char *
dp_load_misfit(const DpPlan *plan, const char *layout, const DpRecord *record,
			   const char *column)
{
	for (int i = 0; column != NULL && i < plan->nfields; i++)
	{
		Datum	   *values;
		bool	   *isnull;
		DpReject	reject;
		const char *wider;
		text	   *value;

		if (strcmp(plan->fields[i].name, column) != 0)
			continue;
		values = palloc0(sizeof(Datum) * plan->nfields);
		isnull = palloc0(sizeof(bool) * plan->nfields);
		if (!dp_format_decode(open_as_text(plan, layout), record, values, isnull, &reject) ||
			isnull[i])
			return NULL;
		value = DatumGetTextPP(values[i]);
		return dp_infer_widen(plan, column, VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value),
							  &wider) ? wider : NULL;
	}
	return NULL;
}

/*
 * A decoder that takes every field as text, so that none of them is refused;
 * all of them, since their places may depend on each other.
 */
static DpFormat *
open_as_text(const DpPlan *plan, const char *layout)
{
	const DpFormatOps *ops = dp_format_find(plan->spec->format);
	DpField    *fields = palloc(sizeof(DpField) * plan->nfields);
	DpFormat   *format;

	memcpy(fields, plan->fields, sizeof(DpField) * plan->nfields);
	for (int i = 0; i < plan->nfields; i++)
	{
		fields[i].type = TEXTOID;
		fields[i].typmod = -1;
		fields[i].required = fields[i].has_default = false;
		dp_cast_init(&fields[i].cast, TEXTOID, -1, CurrentMemoryContext);
	}
	format = ops->open(plan->spec, fields, plan->nfields, NULL);
	ops->adopt(format, layout);
	return format;
}

bool
dp_load_widen(const DpPipelineRow *row, const char *column, const char *type)
{
	DpPipelineSpec *before;
	DpPipelineSpec *after;
	DpColumnSpec *known;
	char	   *old;

	dp_catalog_lock(row->id, ExclusiveLock, false);
	row = dp_catalog_get(row->id);
	if (row == NULL)
		return false;
	before = dp_spec_from_json(row->definition);
	after = dp_spec_from_json(row->definition);
	known = dp_infer_known(after, column);
	if (known == NULL || !dp_infer_is_narrower(known->type, type))
		return false;
	old = known->type;
	known->type = pstrdup(type);
	change(row, before, after);
	dp_catalog_event(row->id, row->name, "widened", "info",
					 psprintf("column \"%s\" widened from %s to %s", column, old, type), NULL);
	return true;
}

/* As apply does it: the new definition, then what it needs. */
static void
change(const DpPipelineRow *row, DpPipelineSpec *before, DpPipelineSpec *after)
{
	DpDocument *doc = palloc0(sizeof(DpDocument));
	DpPlan	   *old = dp_plan_build(before, row->id, row->version, row->owner, true, NULL,
									CurrentMemoryContext);
	DpPlan	   *plan = dp_plan_build(after, row->id, row->version + 1, row->owner, false, doc,
									 CurrentMemoryContext);
	List	   *changes;
	ListCell   *lc;

	dp_config_raise(doc);
	changes = dp_plan_changes(plan, old, doc);
	dp_config_raise(doc);
	dp_catalog_update(row->id, dp_spec_to_json(after), row->enabled, row->workers,
					  row->streaming, row->served);
	foreach(lc, changes)
		dp_plan_run_change(lfirst(lc), row->owner);
}
