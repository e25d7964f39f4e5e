/*
 * refusal.h
 *	  Why something cannot be used, before it is decided how to tell it: a
 *	  checker adds it to a document's problems, the run loop raises it.
 */
#ifndef DP_REFUSAL_H
#define DP_REFUSAL_H

#include "postgres.h"

typedef struct DpRefusal
{
	int			sqlstate;		/* 0: nothing failed */
	char	   *message;		/* lower case, no stop */
	char	   *detail;			/* sentences, or NULL */
	char	   *hint;			/* sentences, or NULL */
} DpRefusal;

/* Record a refusal; texts are made in the current memory context.  Returns false, always. */
extern bool dp_refusal_set(DpRefusal *refusal, int sqlstate, const char *hint,
						   const char *fmt,...) pg_attribute_printf(4, 5);
/* ereport(ERROR) it. */
extern void dp_refusal_raise(const DpRefusal *refusal) pg_attribute_noreturn();

#endif							/* DP_REFUSAL_H */
