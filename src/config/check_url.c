/*
 * check_url.c
 *	  URLs of sources and destinations.
 *
 * They are taken apart here and looked at no further than their scheme's
 * registry entry; whether server and hub exist is asked by plan.c, what a
 * store can do by the store.  Messages never repeat a URL, since it may carry
 * a secret.
 */
#include "dynpipe.h"

#include "config/check.h"
#include "config/params.h"
#include "utils/formatting.h"

static bool split_url(const char *text, DpUrl *url);
static void check_parts(DpCheck *chk, const char *what, const DpUrl *url);
static void check_authority(DpCheck *chk, const char *what, const DpUrl *url);

/* Take TEXT apart and look at its parts; WHAT names the key in messages. */
void
dp_check_url(DpCheck *chk, const char *what, const char *text, DpUrl *url)
{
	if (!split_url(text, url))
		dp_check_problem(chk, "Write scheme://authority/path, as in eventhubs://server/hub or "
						 "file:///folder/*.csv.", "%s is not a URL", what);
	else if (dp_name_has_control(text))
		dp_check_problem(chk, NULL, "%s has control characters", what);
	else if (!dp_registry_scheme_exists(url->scheme))
		dp_check_problem(chk, dp_registry_scheme_hint(url->scheme), "unknown scheme \"%s\" in %s",
						 dp_tree_clip(url->scheme, DP_MAX_QUOTED), what);
	else
		check_parts(chk, what, url);
}

/* Are the placeholders of PATH known and in a place where they may stand? */
void
dp_check_placeholders(DpCheck *chk, const char *place, const char *path, List *params)
{
	const char *problem;
	const char *hint;

	if (dp_params_put(path, params, 0, pg_tzset("UTC"), &problem, &hint) == NULL)
		dp_check_problem_in(chk, place, hint, "%s in %s", problem, place);
}

/* scheme://authority/path; the scheme in lower case, the rest as written. */
static bool
split_url(const char *text, DpUrl *url)
{
	int			len = strspn(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
							 "0123456789+.-");
	const char *rest = text + len + 3;
	int			authority;

	if (len == 0 || strncmp(text + len, "://", 3) != 0)
		return false;
	authority = strcspn(rest, "/");
	url->scheme = asc_tolower(text, len);
	url->authority = pnstrdup(rest, authority);
	url->path = pstrdup(rest[authority] == '/' ? rest + authority + 1 : "");
	return true;
}

static void
check_parts(DpCheck *chk, const char *what, const DpUrl *url)
{
	const char *at = strrchr(url->authority, '@');

	if (at != NULL && memchr(url->authority, ':', at - url->authority) != NULL)
		dp_check_problem(chk, "Put credentials in a user mapping of the connection's server.",
						 "%s must not carry a password", what);
	else if (dp_params_any(url->authority) ||
			 (dp_params_any(url->path) && dp_registry_scheme_streams(url->scheme)))
		dp_check_problem(chk, "${name} may stand in the path of files, behind the host or bucket.",
						 "%s has a placeholder where none is allowed", what);
	else
		check_authority(chk, what, url);
}

/* Every place has a name, but the server's own files, which have none. */
static void
check_authority(DpCheck *chk, const char *what, const DpUrl *url)
{
	bool		local = strcmp(url->scheme, "file") == 0;

	if (local && url->authority[0] != '\0')
		dp_check_problem(chk, "Write file:///folder/name, with three slashes: the files are those "
						 "of the database server.", "%s names a host", what);
	else if (url->authority[0] == '\0' && dp_registry_scheme_streams(url->scheme))
		dp_check_problem(chk, psprintf("Write %s://server/name, with a server made by "
									   "CREATE SERVER.", url->scheme), "%s names no server", what);
	else if (url->authority[0] == '\0' && !local)
		dp_check_problem(chk, psprintf("Write %s://NAME/path, with the name of the bucket, "
									   "container or host.", url->scheme),
						 "%s names no place", what);
	else if (url->path[0] == '\0')
		dp_check_problem(chk, psprintf("Write %s://%s/path.", url->scheme,
									   local ? "" : "authority"), "%s has no path", what);
}
