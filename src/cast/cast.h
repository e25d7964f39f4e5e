/*
 * cast.h
 *	  Text to Datum without throwing.
 *
 * dp_cast_init chooses a parser for a type once; dp_cast_text then turns bytes
 * into a Datum or fills a DpReject and returns false.  Own parsers exist for
 * the types that carry most data (bool, int2/4/8, float4/8, numeric, text,
 * varchar, bpchar, date, timestamp, timestamptz, uuid, json, jsonb, bytea);
 * all others go through the type's input function, softly where the server
 * can (16 and later).  On 15 an input function that is not known to be pure
 * may throw: the caller runs decode under the batch's subtransaction and
 * isolates the record by bisection.
 *
 * Results live in the current memory context.
 */
#ifndef DP_CAST_H
#define DP_CAST_H

#include "postgres.h"
#include "fmgr.h"

/* Why a record was not usable; text in the current memory context. */
typedef struct DpReject
{
	const char *stage;			/* "decode", "cast", "required", "key", "expect", "write", ... */
	const char *column;			/* or NULL */
	int			sqlerrcode;
	char	   *message;		/* primary text; bad values are cut to 64 characters */
} DpReject;

typedef struct DpCast DpCast;
typedef bool (*DpCastFn) (DpCast *cast, const char *s, int len, Datum *out, DpReject *reject);

struct DpCast
{
	DpCastFn	fn;
	Oid			type;			/* as declared, may be a domain */
	int32		typmod;
	bool		may_throw;		/* can reach code that is not known to be pure: call it
								 * where a subtransaction can undo it */
	bool		is_domain;		/* NULL must be shown to dp_cast_null */
	FmgrInfo	in;				/* the type's input function */
	Oid			ioparam;
	void	   *state;			/* private to fn */
};

/* Prepare CAST for (TYPE, TYPMOD); catalog lookups; FmgrInfo lives in CXT. */
extern void dp_cast_init(DpCast *cast, Oid type, int32 typmod, MemoryContext cxt);

/*
 * From now on refuse what the type would cut off: the time of a date, the zone
 * of a timestamp.  For columns whose type was inferred.
 */
extern void dp_cast_exact(DpCast *cast);

/* Can every value of type FROM be changed to type TO and still say what it said? */
extern bool dp_cast_widens(Oid from, Oid to);

/* Does a domain accept NULL?  True at once for any other type. */
extern bool dp_cast_null(DpCast *cast, DpReject *reject);

/* S is LEN bytes of database-encoded text, not NUL-terminated, never NULL. */
static inline bool
dp_cast_text(DpCast *cast, const char *s, int len, Datum *out, DpReject *reject)
{
	return cast->fn(cast, s, len, out, reject);
}

/* Fill REJECT; always returns false, so callers can "return dp_reject(...)". */
extern bool dp_reject(DpReject *reject, const char *stage, const char *column,
					  int sqlerrcode, const char *fmt,...) pg_attribute_printf(5, 6);

#endif							/* DP_CAST_H */
