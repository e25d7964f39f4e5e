/*
 * refusal.c
 *	  Keeping and raising a DpRefusal: see refusal.h.
 */
#include "dynpipe.h"

#include "lib/stringinfo.h"
#include "source/refusal.h"

bool
dp_refusal_set(DpRefusal *refusal, int sqlstate, const char *hint, const char *fmt,...)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, fmt);
		needed = appendStringInfoVA(&buf, fmt, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&buf, needed);
	}
	refusal->sqlstate = sqlstate;
	refusal->message = buf.data;
	refusal->detail = NULL;
	refusal->hint = hint != NULL ? pstrdup(hint) : NULL;
	return false;
}

void
dp_refusal_raise(const DpRefusal *refusal)
{
	ereport(ERROR,
			(errcode(refusal->sqlstate),
			 errmsg_internal("%s", refusal->message),
			 refusal->detail != NULL ? errdetail_internal("%s", refusal->detail) : 0,
			 refusal->hint != NULL ? errhint("%s", refusal->hint) : 0));
	pg_unreachable();
}
