/*
 * place.c
 *	  Do two URLs lead to one place?  See place.h.
 *
 *	  file:///data/./in//x      data/in/x; links of the folders followed
 *	  file://localhost/x        the host of file:///x
 *	  abfss://c@a.dfs.HOST/x    the container of az://c@a/x, and of az://c/x with a server of a
 *
 * Keys of S3 and Azure storage have no detours: "//" is part of a key.
 */
#include "dynpipe.h"

#include <limits.h>
#include <stdlib.h>

#include "catalog/pg_authid.h"
#include "output/place.h"
#include "utils/acl.h"

static char *resolve(const char *path);
static char *without_detours(const char *path);
static bool is_azure(const char *scheme);
static bool same_container(const char *a, const char *b);
static bool same_host(const char *a, const char *b);

char *
dp_place_path(const char *scheme, const char *path, Oid owner)
{
	if (strcmp(scheme, "file") != 0)
		return pstrdup(path);
	if (OidIsValid(owner) && has_privs_of_role(owner, ROLE_PG_WRITE_SERVER_FILES))
		return resolve(path);
	return without_detours(path);
}

/* The longest part that is there as the system knows it, the rest as it is written. */
static char *
resolve(const char *path)
{
	Size		len = strcspn(path, "*?[{$\\");
	char		real[PATH_MAX];

	/* A part with a pattern is no name yet. */
	while (path[len] != '\0' && len > 0 && path[len - 1] != '/')
		len--;
	for (;;)
	{
		char	   *head = psprintf("/%.*s", (int) len, path);

		if (realpath(head, real) != NULL)
			return without_detours(psprintf("%s/%s", real, path + len));
		if (len == 0)
			return without_detours(path);
		while (len > 0 && path[len - 1] == '/')
			len--;
		while (len > 0 && path[len - 1] != '/')
			len--;
	}
}

/* Without parts that are empty or "."; a '/' at the end stays, it means something in a pattern. */
static char *
without_detours(const char *path)
{
	StringInfoData buf;

	initStringInfo(&buf);
	while (*path != '\0')
	{
		Size		len = strcspn(path, "/");

		if (len > 1 || (len == 1 && path[0] != '.'))
			appendBinaryStringInfo(&buf, path, len + (path[len] == '/' ? 1 : 0));
		path += len;
		path += *path == '/' ? 1 : 0;
	}
	return buf.data;
}

bool
dp_place_same(const char *scheme_a, const char *authority_a,
			  const char *scheme_b, const char *authority_b)
{
	if (is_azure(scheme_a) && is_azure(scheme_b))
		return same_container(authority_a, authority_b);
	if (strcmp(scheme_a, scheme_b) != 0)
		return false;
	return strcmp(scheme_a, "file") == 0 || strcmp(authority_a, authority_b) == 0;
}

static bool
is_azure(const char *scheme)
{
	return strcmp(scheme, "az") == 0 || strcmp(scheme, "abfss") == 0;
}

/* CONTAINER[@ACCOUNT[.HOST]]: an account that is not told may be the other's. */
static bool
same_container(const char *a, const char *b)
{
	Size		len = strcspn(a, "@");

	if (len != strcspn(b, "@") || strncmp(a, b, len) != 0)
		return false;
	return a[len] == '\0' || b[len] == '\0' || same_host(a + len + 1, b + len + 1);
}

/* By the account, which is the first label; it has no upper case, hosts may. */
static bool
same_host(const char *a, const char *b)
{
	Size		len = strcspn(a, ".");

	return len == strcspn(b, ".") && pg_strncasecmp(a, b, len) == 0;
}
