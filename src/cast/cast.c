/*
 * cast.c
 *	  Chooses the parser of a type, and says why a value was refused.
 *
 *	  dp_cast_init(type) -> table below -> own parser      (cast_number.c,
 *	                                       |               cast_datetime.c,
 *	                                       |               cast_text.c)
 *	                                       v unusual or wrong
 *	                     other types -> dp_cast_input      (cast_generic.c)
 *	                     domains -----> base type's parser, then the checks
 *
 * A DpCast belongs to whoever declared it; what it points to lives in the
 * context given to dp_cast_init.  Results are made in the current context.
 */
#include "dynpipe.h"

#include "cast/parsers.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "utils/lsyscache.h"

/* A refusal must stay readable in a quarantine row, whatever was quoted in it. */
#define MAX_MESSAGE 1000

static const struct
{
	Oid			type;
	DpCastFn	fn;
}			parsers[] =
{
	{BOOLOID, dp_cast_bool},
	{INT2OID, dp_cast_int2},
	{INT4OID, dp_cast_int4},
	{INT8OID, dp_cast_int8},
	{FLOAT4OID, dp_cast_float4},
	{FLOAT8OID, dp_cast_float8},
	{NUMERICOID, dp_cast_numeric},
	{TEXTOID, dp_cast_string},
	{VARCHAROID, dp_cast_string},
	{BPCHAROID, dp_cast_bpchar},
	{BYTEAOID, dp_cast_bytea},
	{DATEOID, dp_cast_date},
	{TIMESTAMPOID, dp_cast_timestamp},
	{TIMESTAMPTZOID, dp_cast_timestamptz},
	{UUIDOID, dp_cast_uuid},
	{JSONOID, dp_cast_json},
	{JSONBOID, dp_cast_json},
};

void
dp_cast_init(DpCast *cast, Oid type, int32 typmod, MemoryContext cxt)
{
	Oid			infunc;

	memset(cast, 0, sizeof(*cast));
	cast->type = type;
	cast->typmod = typmod;
	getTypeInputInfo(type, &infunc, &cast->ioparam);
	fmgr_info_cxt(infunc, &cast->in, cxt);

	if (get_typtype(type) == TYPTYPE_DOMAIN)
	{
		dp_cast_init_domain(cast, cxt);
		return;
	}

	cast->may_throw = !dp_cast_is_pure(type, infunc);
	cast->fn = dp_cast_input;
	for (int i = 0; i < lengthof(parsers); i++)
	{
		if (parsers[i].type == type)
			cast->fn = parsers[i].fn;
	}
}

bool
dp_reject(DpReject *reject, const char *stage, const char *column,
		  int sqlerrcode, const char *fmt,...)
{
	char		buf[MAX_MESSAGE];
	va_list		args;
	int			len;

	va_start(args, fmt);
	len = vsnprintf(buf, sizeof(buf), fmt, args);
	va_end(args);
	if (len >= (int) sizeof(buf))
		len = pg_mbcliplen(buf, sizeof(buf) - 1, sizeof(buf) - 1);

	reject->stage = stage;
	reject->column = column;
	reject->sqlerrcode = sqlerrcode;
	reject->message = pnstrdup(buf, Max(len, 0));
	return false;
}
