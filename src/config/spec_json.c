/*
 * spec_json.c
 *	  A spec as canonical JSON, and back.
 *
 * The text is written by the same tables that the checker reads with: keys in
 * the table's order, a key left out when its value is written like that of a
 * fresh struct.  Both ends use the database's encoding; nothing here touches
 * jansson.
 */
#include "dynpipe.h"

#include "config/check.h"
#include "utils/json.h"

/* The canonical text of SPEC. */
char *
dp_spec_to_json(const DpPipelineSpec *spec)
{
	StringInfoData buf;

	initStringInfo(&buf);
	dp_write_members(&buf, &dp_shape_pipeline, spec);
	return buf.data;
}

/* The value of one key in that text, as it would be written. */
char *
dp_spec_member_to_json(const DpPipelineSpec *spec, const char *name)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (const DpKey *key = dp_shape_pipeline.keys; key->name != NULL; key++)
		if (strcmp(key->name, name) == 0)
			key->kind->write(&buf, key, (const char *) spec + key->offset);
	return buf.data;
}

/* The spec back from its canonical text; raises when that is not valid (any more). */
DpPipelineSpec *
dp_spec_from_json(const char *json)
{
	DpDocument *doc = dp_config_parse(psprintf("{\"pipelines\": [%s]}", json));

	dp_config_raise(doc);
	if (list_length(doc->pipelines) != 1)
		elog(ERROR, "definition holds %d pipelines", list_length(doc->pipelines));
	return linitial(doc->pipelines);
}

/* Append the object that TARGET's members make, without those at their default. */
void
dp_write_members(StringInfo buf, const DpShape *shape, const void *target)
{
	const void *fresh = dp_check_new(shape);
	StringInfoData value;
	StringInfoData absent;
	const char *comma = "";

	initStringInfo(&value);
	initStringInfo(&absent);
	appendStringInfoChar(buf, '{');
	for (const DpKey *key = shape->keys; key->name != NULL; key++)
	{
		resetStringInfo(&value);
		resetStringInfo(&absent);
		key->kind->write(&value, key, (const char *) target + key->offset);
		key->kind->write(&absent, key, (const char *) fresh + key->offset);
		if (strcmp(value.data, absent.data) == 0)
			continue;
		appendStringInfoString(buf, comma);
		dp_write_text(buf, key->name);
		appendStringInfo(buf, ": %s", value.data);
		comma = ", ";
	}
	appendStringInfoChar(buf, '}');
}

/* Append TEXT as a JSON string, NULL as null. */
void
dp_write_text(StringInfo buf, const char *text)
{
	if (text == NULL)
		appendStringInfoString(buf, "null");
	else
		escape_json(buf, text);
}

/* Append the members that SETTINGS make, the first after COMMA; those of one name as a list. */
void
dp_write_settings(StringInfo buf, List *settings, const char *comma)
{
	const char *before = "";
	ListCell   *lc;

	foreach(lc, settings)
	{
		const DpSetting *setting = lfirst(lc);
		const DpSetting *next = lnext(settings, lc) ? lfirst(lnext(settings, lc)) : NULL;
		bool		first = strcmp(before, setting->name) != 0;
		bool		last = next == NULL || strcmp(next->name, setting->name) != 0;

		appendStringInfoString(buf, comma);
		if (first)
		{
			dp_write_text(buf, setting->name);
			appendStringInfoString(buf, last ? ": " : ": [");
		}
		dp_write_text(buf, setting->value);
		if (last && !first)
			appendStringInfoChar(buf, ']');
		before = setting->name;
		comma = ", ";
	}
}
