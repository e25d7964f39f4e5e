/*
 * api.c
 *	  What the SQL functions share: arguments, result rows, access.
 */
#include "dynpipe.h"

#include "access/xact.h"
#include "api/api.h"
#include "miscadmin.h"
#include "batch/batch.h"
#include "utils/builtins.h"
#include "utils/jsonb.h"
#include "utils/numeric.h"

char *
dp_api_text_arg(FunctionCallInfo fcinfo, int n)
{
	return PG_ARGISNULL(n) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(n));
}

DpPipelineRow *
dp_api_pipeline_arg(FunctionCallInfo fcinfo, int n)
{
	char	   *name = dp_api_text_arg(fcinfo, n);
	DpPipelineRow *row;

	if (name == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("pipeline name must not be null")));
	row = dp_catalog_find(name, false);
	dp_catalog_check_owner(row, GetUserId());
	return row;
}

List *
dp_api_params_arg(FunctionCallInfo fcinfo, int n)
{
	Jsonb	   *params = PG_GETARG_JSONB_P(n);
	JsonbIterator *it = JsonbIteratorInit(&params->root);
	JsonbValue	value;
	JsonbIteratorToken token;
	List	   *settings = NIL;
	DpSetting  *setting = NULL;

	if (JB_ROOT_IS_OBJECT(params))
		(void) JsonbIteratorNext(&it, &value, true);
	while (JB_ROOT_IS_OBJECT(params) &&
		   (token = JsonbIteratorNext(&it, &value, true)) != WJB_END_OBJECT)
	{
		if (token == WJB_KEY)
		{
			setting = palloc0(sizeof(DpSetting));
			setting->name = pnstrdup(value.val.string.val, value.val.string.len);
			continue;
		}
		if (value.type != jbvString && value.type != jbvNumeric && value.type != jbvBool)
			break;
		setting->value = value.type == jbvString ?
			pnstrdup(value.val.string.val, value.val.string.len) :
			value.type == jbvBool ? pstrdup(value.val.boolean ? "true" : "false") :
			numeric_normalize(value.val.numeric);
		settings = lappend(settings, setting);
		setting = NULL;
	}
	if (!JB_ROOT_IS_OBJECT(params) || setting != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("params must be a JSON object of texts, numbers and booleans"),
				 errhint("For example: '{\"day\": \"2026-11-22\"}'.")));
	return settings;
}

DpPipelineRow *
dp_api_lock(const DpPipelineRow *row)
{
	DpPipelineRow *locked;

	dp_api_check_outside();
	dp_catalog_lock(row->id, ExclusiveLock, false);
	locked = dp_catalog_get(row->id);
	if (locked == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("pipeline \"%s\" was dropped meanwhile", row->name)));
	dp_catalog_check_owner(locked, GetUserId());
	return locked;
}

/* A batch that ran, changed or dropped pipelines would do so from within itself, for ever. */
void
dp_api_check_outside(void)
{
	if (dp_batch_is_running())
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("pipelines cannot be run or changed from within a batch"),
				 errhint("Take the call out of the expression, trigger or function that the "
						 "pipeline executes.")));
}

void
dp_api_put_row(FunctionCallInfo fcinfo, const char *const *columns, int n)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	AttInMetadata *meta = TupleDescGetAttInMetadata(rsinfo->setDesc);
	char	  **values = palloc0(sizeof(char *) * n);

	for (int i = 0; i < n; i++)
		values[i] = unconstify(char *, columns[i]);
	tuplestore_puttuple(rsinfo->setResult, BuildTupleFromCStrings(meta, values));
}

DpPlan *
dp_api_plan(const DpPipelineRow *row)
{
	return dp_plan_build(dp_spec_from_json(row->definition), row->id, row->version, row->owner,
						 true, NULL, CurrentMemoryContext);
}

/* The definition is fine without; only nothing will read the stream. */
void
dp_api_warn_not_preloaded(void)
{
	if (!dp_preloaded)
		ereport(WARNING,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("streams are not read until dynpipe is preloaded"),
				 errhint("Add dynpipe to shared_preload_libraries and restart the server. "
						 "Until then dynpipe.run() reads what has arrived.")));
}
