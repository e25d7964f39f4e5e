/*
 * answer.c
 *	  One member of a service's JSON answer.
 *
 * The result is allocated before the parser's tree exists, so nothing can
 * raise while that has no owner.
 */
#include "dynpipe.h"

#include "config/answer.h"
#include "config/tree.h"

char *
dp_answer_text(const char *json, Size len, const char *name)
{
	char	   *result = palloc(len + 32);
	json_t	   *root = json_loadb(json, len, JSON_REJECT_DUPLICATES, NULL);
	json_t	   *member = root != NULL ? json_object_get(root, name) : NULL;
	bool		found = true;

	if (json_is_string(member))
		strlcpy(result, json_string_value(member), len + 32);
	else if (json_is_integer(member))
		snprintf(result, len + 32, "%lld", (long long) json_integer_value(member));
	else
		found = false;
	json_decref(root);
	return found ? result : NULL;
}
