/*
 * field.h
 *	  Private to src/format: what every format does with a field it has found.
 *
 * A format's decode calls, in this order:
 *	  dp_field_begin	once: every field is NULL
 *	  dp_field_store	for each field found: clean, then cast
 *	  dp_field_finish	once: metadata, defaults, required
 * Each returns false after filling the reject, column included.
 *
 * Payload bytes become text at one door only: dp_field_verify, or a parser
 * that checks UTF-8 itself.  Text passed on from there is valid UTF-8 without
 * NUL, and dp_field_store brings it into the database's encoding.
 */
#ifndef DP_FIELD_H
#define DP_FIELD_H

#include "format/format.h"

#define DP_FORMAT(name) extern const DpFormatOps dp_format_##name##_ops;
#include "format/format_list.h"
#undef DP_FORMAT

extern void dp_field_begin(DpFormat *format, Datum *values, bool *isnull);
extern bool dp_field_verify(const char *s, int len, const char *what, DpReject *reject);
extern bool dp_field_store(DpFormat *format, int i, const char *s, int len,
						   Datum *values, bool *isnull, DpReject *reject);
extern bool dp_field_finish(DpFormat *format, const DpRecord *rec,
							Datum *values, bool *isnull, DpReject *reject);

/* Bring UTF-8 text into the database's encoding; *S and *LEN are replaced. */
extern bool dp_field_to_server(const char **s, int *len, DpReject *reject);

/* Apply the field's clean steps; *S may be replaced.  False: it became NULL. */
extern bool dp_field_clean(const DpField *field, const char **s, int *len);

/* json or jsonb, or a domain over one of them? */
extern bool dp_field_is_json(const DpField *field);

/* Common part of open: the base struct, and readers for what comes from the key. */
extern void dp_format_init(DpFormat *format, const DpFormatOps *ops, DpField *fields,
						   int nfields, const char *topic);

/* Checks of options: one that messages cannot have; the encoding of a file. */
extern void dp_format_check_files_only(const DpPipelineSpec *spec, DpDocument *doc,
									   const char *name);
extern void dp_format_check_encoding(const DpPipelineSpec *spec, DpDocument *doc);

/* Splitters that need not know their decoder (split_text.c, split_json.c). */
extern DpSplitter *dp_text_splitter(const DpPipelineSpec *spec, const char *sample, Size len,
									bool all);
extern DpSplit dp_text_split(DpSplitter *splitter, const char *s, Size len, bool at_end,
							 DpSpan *span);
extern DpSplitter *dp_json_splitter(const DpPipelineSpec *spec, const char *sample, Size len,
									bool all);
extern DpSplit dp_json_split(DpSplitter *splitter, const char *s, Size len, bool at_end,
							 DpSpan *span);

/* Fill a field that comes from the record itself (field_meta.c). */
extern bool dp_field_meta(DpFormat *format, int i, const DpRecord *rec,
						  Datum *values, bool *isnull, DpReject *reject);

/* Fields found inside the record's key (field_key.c). */
extern void dp_key_open(DpFormat *format);
extern bool dp_key_decode(DpFormat *format, const DpRecord *rec,
						  Datum *values, bool *isnull, DpReject *reject);

/* A JSON decoder over FIELDS that has no key readers of its own. */
extern DpFormat *dp_format_json_reader(DpField *fields, int nfields);

/* The path that from: gave; NULL: go by the name, which is no pointer or ordinal then. */
static inline const char *
dp_field_path(const DpField *field)
{
	return field->path == field->name ? NULL : field->path;
}

/* Skip a UTF-8 byte order mark. */
static inline void
dp_field_skip_bom(const char **s, int *len)
{
	if (*len >= 3 && memcmp(*s, "\xEF\xBB\xBF", 3) == 0)
	{
		*s += 3;
		*len -= 3;
	}
}

#endif							/* DP_FIELD_H */
