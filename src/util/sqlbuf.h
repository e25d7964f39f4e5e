/*
 * sqlbuf.h
 *	  The only place where names and values become SQL text.
 *
 * The appenders understand %I (identifier), %L (string literal), %T
 * (DpTableName *, quoted and qualified), %s (SQL text made by dynpipe itself,
 * never a user's), %E (a user's expression that dp_sql_check_expr accepted:
 * wrapped in parentheses), %d, %ld (int64), %%.
 */
#ifndef DP_SQLBUF_H
#define DP_SQLBUF_H

#include "lib/stringinfo.h"
#include "config/spec.h"

extern void dp_sql_append(StringInfo buf, const char *fmt,...);
extern char *dp_sql(const char *fmt,...);
extern char *dp_sql_va(const char *fmt, va_list args);

/*
 * Is EXPR exactly one SQL expression (no second column, no FROM, no statement
 * after it)?  Returns NULL when it is, else the parser's message, with
 * *position the 1-based character where it went wrong (0 unknown).
 */
extern char *dp_sql_check_expr(const char *expr, int *position);

#endif							/* DP_SQLBUF_H */
