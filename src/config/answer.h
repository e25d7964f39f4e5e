/*
 * answer.h
 *	  Reading the JSON answer of a service, where one member is all one needs.
 */
#ifndef DP_ANSWER_H
#define DP_ANSWER_H

#include "postgres.h"

/*
 * The text of member NAME of the object that JSON is, a string or a whole
 * number, palloc'd; NULL when there is none.  Never raises for what the text
 * holds, and none of it gets into a message.
 */
extern char *dp_answer_text(const char *json, Size len, const char *name);

#endif							/* DP_ANSWER_H */
