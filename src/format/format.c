/*
 * format.c
 *	  The registry of formats, and how a column's from: is read.
 */
#include "dynpipe.h"

#include "format/field.h"
#include "lib/stringinfo.h"
#include "store/bytes.h"

static const DpFormatOps *const formats[] = {
#define DP_FORMAT(name) &dp_format_##name##_ops,
#include "format/format_list.h"
#undef DP_FORMAT
};

const DpFormatOps *
dp_format_find(const char *name)
{
	for (int i = 0; i < lengthof(formats); i++)
	{
		if (strcmp(formats[i]->name, name) == 0)
			return formats[i];
	}
	return NULL;
}

const char *
dp_format_names(void)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < lengthof(formats); i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", formats[i]->name);
	return buf.data;
}

DpFieldFrom
dp_field_from(const char *from, const char **path)
{
	static const struct
	{
		const char *name;
		DpFieldFrom from;
	}			metadata[] =
	{
		{"@value", DP_FROM_RAW},
		{"@key", DP_FROM_KEY},
		{"@timestamp", DP_FROM_TIMESTAMP},
		{"@partition", DP_FROM_PARTITION},
		{"@offset", DP_FROM_OFFSET},
		{"@topic", DP_FROM_TOPIC},
		{"@headers", DP_FROM_HEADERS},
	};

	*path = NULL;
	for (int i = 0; from != NULL && i < lengthof(metadata); i++)
	{
		if (strcmp(from, metadata[i].name) == 0)
			return metadata[i].from;
	}
	if (from != NULL && strncmp(from, "@key/", 5) == 0)
	{
		*path = from + 4;
		return DP_FROM_KEY;
	}
	if (from != NULL && strncmp(from, "@headers/", 9) == 0)
	{
		*path = from + 9;
		return DP_FROM_HEADERS;
	}
	*path = from;
	return DP_FROM_VALUE;
}

bool
dp_format_of_messages(const DpPipelineSpec *spec)
{
	return spec->scheme == NULL || spec->streams;
}

const char *
dp_format_option(const DpPipelineSpec *spec, const char *name)
{
	ListCell   *lc;

	foreach(lc, spec->format_options)
	{
		DpSetting  *setting = lfirst(lc);

		if (strcmp(setting->name, name) == 0)
			return setting->value;
	}
	return NULL;
}

void
dp_format_check_files_only(const DpPipelineSpec *spec, DpDocument *doc, const char *name)
{
	if (dp_format_option(spec, name) != NULL && dp_format_of_messages(spec))
		dp_config_add_problem(doc, psprintf("%s/format/%s", spec->pointer, name),
							  "Leave it out: each message is one record.",
							  "option %s is for files", name);
}

void
dp_format_check_encoding(const DpPipelineSpec *spec, DpDocument *doc)
{
	const char *value = dp_format_option(spec, "encoding");
	StringInfoData names;

	dp_format_check_files_only(spec, doc, "encoding");
	if (value == NULL)
		return;
	initStringInfo(&names);
	for (const char *const *name = dp_encoding_names; *name; name++)
	{
		if (strcmp(*name, value) == 0)
			return;
		appendStringInfo(&names, "%s%s", names.len > 0 ? ", " : "", *name);
	}
	dp_config_add_problem(doc, psprintf("%s/format/encoding", spec->pointer),
						  psprintf("Valid values are %s.", names.data),
						  "unknown encoding \"%s\"", value);
}

void
dp_format_init(DpFormat *format, const DpFormatOps *ops, DpField *fields, int nfields,
			   const char *topic)
{
	format->ops = ops;
	format->fields = fields;
	format->nfields = nfields;
	format->topic = topic ? pstrdup(topic) : NULL;
	dp_key_open(format);
}
