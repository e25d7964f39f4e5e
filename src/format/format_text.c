/*
 * format_text.c
 *	  A message is one text: every column that comes from the value gets the
 *	  whole payload.
 */
#include "dynpipe.h"

#include "format/field.h"

static void text_check(const DpPipelineSpec *spec, DpDocument *doc);
static DpFormat *text_open(const DpPipelineSpec *spec, DpField *fields, int nfields,
						   const char *topic);
static bool text_decode(DpFormat *format, const DpRecord *rec,
						Datum *values, bool *isnull, DpReject *reject);
static void text_adopt(DpFormat *format, const char *layout);

static const char *const text_options[] = {"encoding", NULL};

const DpFormatOps dp_format_text_ops = {
	.name = "text",
	.options = text_options,
	.check = text_check,
	.open = text_open,
	.decode = text_decode,
	.splitter = dp_text_splitter,
	.split = dp_text_split,
	.adopt = text_adopt,
};

static void
text_check(const DpPipelineSpec *spec, DpDocument *doc)
{
	dp_format_check_encoding(spec, doc);
}

/* Every file is like any other. */
static void
text_adopt(DpFormat *format, const char *layout)
{
}

static DpFormat *
text_open(const DpPipelineSpec *spec, DpField *fields, int nfields, const char *topic)
{
	DpFormat   *format = palloc0(sizeof(DpFormat));

	dp_format_init(format, &dp_format_text_ops, fields, nfields, topic);
	return format;
}

static bool
text_decode(DpFormat *format, const DpRecord *rec,
			Datum *values, bool *isnull, DpReject *reject)
{
	dp_field_begin(format, values, isnull);
	if (!dp_field_verify(rec->value, rec->value_len, "message", reject))
		return false;
	for (int i = 0; i < format->nfields; i++)
	{
		if (format->fields[i].from == DP_FROM_VALUE &&
			!dp_field_store(format, i, rec->value, rec->value_len, values, isnull, reject))
			return false;
	}
	return dp_field_finish(format, rec, values, isnull, reject);
}
