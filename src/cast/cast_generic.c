/*
 * cast_generic.c
 *	  Casts through PostgreSQL's own input functions.
 *
 * Three degrees of trust:
 *	  pure built-ins	An error leaves nothing behind (no buffer, lock, snapshot
 *						or catalog reference), so it can be caught on the spot
 *						without a subtransaction.  Needed on every version: a
 *						soft error does not cover the stack depth check.
 *	  domains			The base value is cut out first, by the base type's
 *						parser; only the constraints, which are user code, run
 *						unguarded.
 *	  other types		Softly from 16 on; else unguarded, with may_throw set.
 *
 * Cancel, shutdown, out of memory and internal errors are never taken for bad
 * data: they are raised again.
 */
#include "dynpipe.h"

#include "cast/parsers.h"
#include "catalog/pg_type.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#ifdef DP_HAVE_SOFT_ERRORS
#include "nodes/miscnodes.h"
#endif
#include "utils/builtins.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"

#define SHOWN_CHARS 64			/* of a bad value, in a message */

typedef struct DomainState
{
	DpCast		base;
	MemoryContext cxt;
	void	   *checks;			/* domain_check's cache */
} DomainState;

static bool guarded_input(DpCast *cast, char *str, Datum *out, DpReject *reject);
static bool call_input(DpCast *cast, char *str, Datum *out, DpReject *reject);
static bool is_data_error(int sqlerrcode);
static bool refuse(DpReject *reject, const char *str, int sqlerrcode, const char *message);

/* Input functions of built-in types that touch nothing but their argument. */
static const Oid pure_functions[] = {
	F_BOOLIN, F_BYTEAIN, F_CHARIN, F_NAMEIN, F_INT2IN, F_INT4IN, F_INT8IN, F_OIDIN,
	F_TEXTIN, F_VARCHARIN, F_BPCHARIN, F_FLOAT4IN, F_FLOAT8IN, F_NUMERIC_IN,
	F_DATE_IN, F_TIME_IN, F_TIMETZ_IN, F_TIMESTAMP_IN, F_TIMESTAMPTZ_IN, F_INTERVAL_IN,
	F_UUID_IN, F_JSON_IN, F_JSONB_IN, F_JSONPATH_IN, F_INET_IN, F_CIDR_IN,
	F_MACADDR_IN, F_MACADDR8_IN, F_BIT_IN, F_VARBIT_IN, F_CASH_IN, F_PG_LSN_IN,
	F_POINT_IN, F_LSEG_IN, F_PATH_IN, F_BOX_IN, F_POLY_IN, F_LINE_IN, F_CIRCLE_IN,
	F_TSVECTORIN, F_XID8IN, F_ENUM_IN, F_INT2VECTORIN, F_TIDIN,
};

bool
dp_cast_is_pure(Oid type, Oid infunc)
{
	Oid			inner = InvalidOid;
	Oid			ioparam;

	for (int i = 0; i < lengthof(pure_functions); i++)
	{
		if (pure_functions[i] == infunc)
			return true;
	}

	/* An array or a range is as good as what it is made of. */
	if (infunc == F_ARRAY_IN)
		inner = get_element_type(type);
	else if (infunc == F_RANGE_IN)
		inner = get_range_subtype(type);
	if (!OidIsValid(inner) || get_typtype(inner) == TYPTYPE_DOMAIN)
		return false;
	getTypeInputInfo(inner, &infunc, &ioparam);
	return dp_cast_is_pure(inner, infunc);
}

/* Any type, by its input function. */
bool
dp_cast_input(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	char		small[256];
	char	   *str = len < (int) sizeof(small) ? small : palloc(len + 1);
	bool		ok;

	memcpy(str, s, len);
	str[len] = '\0';
	ok = cast->may_throw ? call_input(cast, str, out, reject)
		: guarded_input(cast, str, out, reject);
	if (str != small)
		pfree(str);
	return ok;
}

void
dp_cast_init_domain(DpCast *cast, MemoryContext cxt)
{
	DomainState *state = MemoryContextAllocZero(cxt, sizeof(DomainState));
	int32		typmod = cast->typmod;
	Oid			base = getBaseTypeAndTypmod(cast->type, &typmod);

	dp_cast_init(&state->base, base, typmod, cxt);
	state->cxt = cxt;
	cast->fn = dp_cast_domain;
	cast->state = state;
	cast->is_domain = true;
	cast->may_throw = true;
}

static bool
check_domain(DpCast *cast, Datum value, bool isnull, DpReject *reject)
{
	DomainState *state = cast->state;

#ifdef DP_HAVE_SOFT_DOMAIN_CHECK
	ErrorSaveContext soft = {T_ErrorSaveContext, .details_wanted = true};

	if (!domain_check_safe(value, isnull, cast->type, &state->checks, state->cxt,
						   (Node *) &soft))
		return dp_reject(reject, "cast", NULL, soft.error_data->sqlerrcode, "%s",
						 soft.error_data->message);
#else
	domain_check(value, isnull, cast->type, &state->checks, state->cxt);
#endif
	return true;
}

bool
dp_cast_domain(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	DomainState *state = cast->state;

	return dp_cast_text(&state->base, s, len, out, reject) &&
		check_domain(cast, *out, false, reject);
}

bool
dp_cast_null(DpCast *cast, DpReject *reject)
{
	return !cast->is_domain || check_domain(cast, (Datum) 0, true, reject);
}

/* Call a pure input function; an ERROR becomes a refusal. */
static bool
guarded_input(DpCast *cast, char *str, Datum *out, DpReject *reject)
{
	MemoryContext caller = CurrentMemoryContext;
	uint32		interrupt_holdoff = InterruptHoldoffCount;
	uint32		cancel_holdoff = QueryCancelHoldoffCount;
	volatile bool ok = false;

	PG_TRY();
	{
		ok = call_input(cast, str, out, reject);
	}
	PG_CATCH();
	{
		ErrorData  *err;

		if (!is_data_error(geterrcode()))
			PG_RE_THROW();
		MemoryContextSwitchTo(caller);
		err = CopyErrorData();
		FlushErrorState();

		/* errfinish() zeroed these on behalf of an abort that does not come. */
		InterruptHoldoffCount = interrupt_holdoff;
		QueryCancelHoldoffCount = cancel_holdoff;
		refuse(reject, str, err->sqlerrcode, err->message);
		FreeErrorData(err);
	}
	PG_END_TRY();
	return ok;
}

static bool
call_input(DpCast *cast, char *str, Datum *out, DpReject *reject)
{
#ifdef DP_HAVE_SOFT_ERRORS
	ErrorSaveContext soft = {T_ErrorSaveContext, .details_wanted = true};

	if (!InputFunctionCallSafe(&cast->in, str, cast->ioparam, cast->typmod,
							   (Node *) &soft, out))
		return refuse(reject, str, soft.error_data->sqlerrcode, soft.error_data->message);
#else
	*out = InputFunctionCall(&cast->in, str, cast->ioparam, cast->typmod);
#endif
	return true;
}

/* Errors that the value can be blamed for. */
static bool
is_data_error(int sqlerrcode)
{
	int			class = ERRCODE_TO_CATEGORY(sqlerrcode);

	return class == ERRCODE_DATA_EXCEPTION ||
		class == ERRCODE_PROGRAM_LIMIT_EXCEEDED ||
		class == ERRCODE_FEATURE_NOT_SUPPORTED ||
		class == ERRCODE_INTEGRITY_CONSTRAINT_VIOLATION ||
		class == ERRCODE_SYNTAX_ERROR_OR_ACCESS_RULE_VIOLATION;
}

/* Refuse with the server's words, but do not quote a megabyte of bad value. */
static bool
refuse(DpReject *reject, const char *str, int sqlerrcode, const char *message)
{
	const char *quoted;
	int			len = strlen(str);
	int			shown;

	if (len > SHOWN_CHARS && (quoted = strstr(message, str)) != NULL)
	{
		shown = pg_mbcharcliplen(str, len, SHOWN_CHARS);
		return dp_reject(reject, "cast", NULL, sqlerrcode, "%.*s%.*s...%s",
						 (int) (quoted - message), message, shown, str, quoted + len);
	}
	return dp_reject(reject, "cast", NULL, sqlerrcode, "%s", message);
}
