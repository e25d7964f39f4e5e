/*
 * connection_validator.c
 *	  The validator of foreign data wrapper dynpipe: what CREATE and ALTER
 *	  SERVER and USER MAPPING accept.
 *
 * It is given all options that the object would have and the kind of object,
 * not the server's type: whether an option suits the type, and whether enough
 * is given, is checked when a pipeline is applied (connection.c).
 *
 *	  each option:  known here? -> may this role set it? -> value in range?
 *	  together:     x and x_file, two ways to authenticate, halves of a pair
 *	  last:         can this build do it at all?
 */
#include "dynpipe.h"

#include "access/reloptions.h"
#include "catalog/pg_authid.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "config/config.h"
#include "fmgr.h"
#include "miscadmin.h"
#include "source/connection.h"
#include "source/connection_options.h"
#include "source/source_feature.h"
#include "utils/acl.h"
#include "utils/builtins.h"

PGDLLEXPORT Datum dynpipe_connection_validator(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(dynpipe_connection_validator);

static void check_name(const DefElem *def, DpOptionPlace place);
static char *valid_names(DpOptionPlace place, const char *name);
static void check_rights(const DpOption *option);
static void check_value(const DpOption *option, const char *value);
static const char *wrong_value(const DpOption *option, const char *value);
static const char *wrong_endpoint(const char *value);
static const char *wrong_int(const DpOption *option, const char *value);
static const char *wrong_enum(const DpOption *option, const char *value);
static bool only_of(const char *text, const char *extra);
static void check_together(List *options, DpOptionPlace place);
static void refuse_both(List *options, const char *a, const char *b);
static void require(List *options, const char *given, const char *needed);
static bool given(List *options, const char *name);
static bool asks_for(const DpOption *option, const char *value);

Datum
dynpipe_connection_validator(PG_FUNCTION_ARGS)
{
	List	   *options = untransformRelOptions(PG_GETARG_DATUM(0));
	Oid			catalog = PG_GETARG_OID(1);
	DpOptionPlace place = catalog == UserMappingRelationId ? DP_OPTION_MAPPING : DP_OPTION_SERVER;
	ListCell   *lc;

	if (catalog != ForeignServerRelationId && catalog != UserMappingRelationId)
	{
		if (options != NIL)
			ereport(ERROR,
					(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
					 errmsg("invalid option \"%s\"", ((DefElem *) linitial(options))->defname),
					 errhint("Only servers and user mappings of foreign data wrapper "
							 "\"dynpipe\" have options.")));
		PG_RETURN_VOID();
	}
	foreach(lc, options)
		check_name(lfirst_node(DefElem, lc), place);
	foreach(lc, options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);
		const DpOption *option = dp_option_find(def->defname, place);

		check_rights(option);
		check_value(option, defGetString(def));
	}
	check_together(options, place);
	foreach(lc, options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);
		const DpOption *option = dp_option_find(def->defname, place);
		DpRefusal	refusal;

		if (asks_for(option, defGetString(def)) &&
			!dp_source_has_feature(option->feature, &refusal))
			dp_refusal_raise(&refusal);
	}
	PG_RETURN_VOID();
}

/* Is DEF an option of this kind of object?  Secrets on a server get their own answer. */
static void
check_name(const DefElem *def, DpOptionPlace place)
{
	const char *name = def->defname;
	const DpOption *other;

	if (dp_option_find(name, place) != NULL)
		return;
	other = dp_option_find(name, place == DP_OPTION_SERVER ? DP_OPTION_MAPPING : DP_OPTION_SERVER);
	if (other == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("invalid option \"%s\"", name),
				 place == DP_OPTION_SERVER && strstr(name, "password") != NULL ?
				 errdetail("Secrets are options of user mappings.") : 0,
				 errhint("%s", valid_names(place, name))));
	if (other->place == DP_OPTION_SERVER)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("option \"%s\" belongs to a server, not to a user mapping", name),
				 errhint("Use ALTER SERVER ... OPTIONS (ADD \"%s\" ...).", name)));
	if (other->flags & DP_OPTION_SECRET)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("option \"%s\" is a secret and cannot be set on a server", name),
				 errdetail("Every user of the database can read the options of a server."),
				 errhint("Use CREATE USER MAPPING FOR role SERVER ... OPTIONS (%s ...), "
						 "or better %s_file.", name, name)));
	ereport(ERROR,
			(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
			 errmsg("option \"%s\" belongs to a user mapping, not to a server", name),
			 errhint("Use CREATE USER MAPPING FOR role SERVER ... OPTIONS (%s ...).", name)));
}

/* The hint for an unknown NAME: the nearest one, and all of them. */
static char *
valid_names(DpOptionPlace place, const char *name)
{
	const char **names = palloc0((dp_noptions + 1) * sizeof(char *));
	const char *nearest;
	StringInfoData buf;
	int			n = 0;

	for (int i = 0; i < dp_noptions; i++)
		if (dp_options[i].place == place)
			names[n++] = dp_options[i].name;
	initStringInfo(&buf);
	nearest = dp_nearest(name, names);
	if (nearest != NULL)
		appendStringInfo(&buf, "Perhaps you meant \"%s\". ", nearest);
	appendStringInfo(&buf, "Valid options of a %s are: ",
					 place == DP_OPTION_SERVER ? "server" : "user mapping");
	for (int i = 0; i < n; i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", names[i]);
	appendStringInfoChar(&buf, '.');
	return buf.data;
}

static void
check_rights(const DpOption *option)
{
	if ((option->flags & DP_OPTION_SUPERUSER) && !superuser())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"%s\"", option->name),
				 errhint("Only a superuser may set it.")));
	if ((option->flags & DP_OPTION_FILE) &&
		!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to set option \"%s\"", option->name),
				 errdetail("The option names a file on the server."),
				 errhint("Only roles with the privileges of role \"%s\" may set it.",
						 "pg_read_server_files")));
}

/* Never shows the value: a secret may have been given to the wrong option. */
static void
check_value(const DpOption *option, const char *value)
{
	const char *wrong;

	if (option->kind == DP_OPTION_CONNECTION_STRING)
	{
		DpRefusal	refusal;

		if (!dp_secret_check_connection_string(value, NULL, NULL, &refusal))
			dp_refusal_raise(&refusal);
		return;
	}
	wrong = wrong_value(option, value);
	if (wrong != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE),
				 errmsg("invalid value for option \"%s\"", option->name),
				 errhint("%s", wrong)));
}

/* What would be right, NULL when VALUE is. */
static const char *
wrong_value(const DpOption *option, const char *value)
{
	bool		flag;

	switch (option->kind)
	{
		case DP_OPTION_NAME:
			return only_of(value, ".-_") ? NULL :
				"Give a name made of letters, digits, \".\", \"-\" and \"_\".";
		case DP_OPTION_HOSTS:
			return only_of(value, ".-_:,[]") ? NULL :
				"Give HOST:PORT, several separated by commas.";
		case DP_OPTION_URL:
			return strncmp(value, "https://", 8) == 0 && only_of(value + 8, ".-_:/%?=&~+") ? NULL :
				"Give an https:// URL.";
		case DP_OPTION_ENDPOINT:
			return wrong_endpoint(value);
		case DP_OPTION_PATH:
			return is_absolute_path(value) ? NULL : "Give the absolute path of a file.";
		case DP_OPTION_PEM:
			return strncmp(value, "-----BEGIN ", 11) == 0 &&
				(strstr(value, "PRIVATE KEY") == NULL || (option->flags & DP_OPTION_SECRET)) ? NULL :
				"Give the PEM text, which begins with \"-----BEGIN\"; "
				"private keys belong to user mappings.";
		case DP_OPTION_BOOL:
			return parse_bool(value, &flag) ? NULL : "Give true or false.";
		case DP_OPTION_INT:
			return wrong_int(option, value);
		case DP_OPTION_ENUM:
			return wrong_enum(option, value);
		default:
			return *value != '\0' ? NULL : "It cannot be empty.";
	}
}

/* Whether http:// may stay is asked again of the server's owner, when it is used. */
static const char *
wrong_endpoint(const char *value)
{
	Size		scheme = strncmp(value, "https://", 8) == 0 ? 8 :
		superuser() && strncmp(value, "http://", 7) == 0 ? 7 : 0;

	return scheme > 0 && only_of(value + scheme, ".-_:/[]%?=&~+") && value[scheme] != '/' ? NULL :
		"Give an https:// URL; http:// is for superusers only.";
}

static const char *
wrong_int(const DpOption *option, const char *value)
{
	char	   *end;
	long		number;

	errno = 0;
	number = strtol(value, &end, 10);
	if (errno == 0 && end != value && *end == '\0' &&
		number >= option->min && number <= option->max)
		return NULL;
	return psprintf("Give a whole number from %d to %d.", option->min, option->max);
}

static const char *
wrong_enum(const DpOption *option, const char *value)
{
	Size		len = strlen(value);

	for (const char *one = option->allowed; *one != '\0';)
	{
		Size		one_len = strcspn(one, ",");

		if (one_len == len && strncmp(one, value, len) == 0)
			return NULL;
		one += one_len;
		one += strspn(one, ", ");
	}
	return psprintf("Allowed values are: %s.", option->allowed);
}

static bool
only_of(const char *text, const char *extra)
{
	if (*text == '\0')
		return false;
	for (; *text != '\0'; text++)
		if (!((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
			  (*text >= '0' && *text <= '9') || strchr(extra, *text) != NULL))
			return false;
	return true;
}

/* Which options exclude or need each other. */
static void
check_together(List *options, DpOptionPlace place)
{
	static const char *const ways[] = {
		"connection_string", "client_secret", "managed_identity", "password", "account_key",
		"sas_token", "secret_access_key", "anonymous", NULL
	};

	if (place == DP_OPTION_SERVER)
	{
		refuse_both(options, "ssl_ca_file", "ssl.ca.pem");
		return;
	}
	for (int i = 0; i < dp_noptions; i++)
		if (dp_options[i].flags & DP_OPTION_SECRET)
			refuse_both(options, dp_options[i].name, psprintf("%s_file", dp_options[i].name));
	for (int i = 0; ways[i] != NULL; i++)
		for (int j = i + 1; ways[j] != NULL; j++)
			if (given(options, ways[i]) && given(options, ways[j]))
				ereport(ERROR,
						(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
						 errmsg("options \"%s\" and \"%s\" are two ways to authenticate",
								ways[i], ways[j]),
						 errhint("Give one of them.")));
	require(options, "username", "password");
	require(options, "password", "username");
	require(options, "client_secret", "client_id");
	require(options, "tenant_id", "client_secret");
	require(options, "access_key_id", "secret_access_key");
	require(options, "secret_access_key", "access_key_id");
	require(options, "session_token", "secret_access_key");
	require(options, "ssl_certificate", "ssl_key");
	require(options, "ssl_key", "ssl_certificate");
	require(options, "ssl_key_password", "ssl_key");
}

static void
refuse_both(List *options, const char *a, const char *b)
{
	bool		a_given = false;
	bool		b_given = false;
	ListCell   *lc;

	foreach(lc, options)
	{
		a_given |= strcmp(lfirst_node(DefElem, lc)->defname, a) == 0;
		b_given |= strcmp(lfirst_node(DefElem, lc)->defname, b) == 0;
	}
	if (a_given && b_given)
		ereport(ERROR,
				(errcode(ERRCODE_FDW_INVALID_OPTION_NAME),
				 errmsg("options \"%s\" and \"%s\" exclude each other", a, b),
				 errhint("Give one of them.")));
}

static void
require(List *options, const char *name, const char *needed)
{
	const DpOption *option = dp_option_find(needed, DP_OPTION_MAPPING);

	if (!given(options, name) || given(options, needed))
		return;
	ereport(ERROR,
			(errcode(ERRCODE_FDW_OPTION_NAME_NOT_FOUND),
			 errmsg("option \"%s\" needs option \"%s\"", name, needed),
			 (option->flags & DP_OPTION_SECRET) ?
			 errhint("Add \"%s\" or \"%s_file\".", needed, needed) :
			 errhint("Add \"%s\".", needed)));
}

/* Is NAME there, by value or by file?  A flag counts when it is true. */
static bool
given(List *options, const char *name)
{
	ListCell   *lc;

	foreach(lc, options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);
		Size		len = strlen(name);

		if (strncmp(def->defname, name, len) == 0 &&
			(def->defname[len] == '\0' || strcmp(def->defname + len, "_file") == 0))
			return asks_for(dp_option_find(def->defname, DP_OPTION_MAPPING), defGetString(def));
	}
	return false;
}

/* managed_identity 'false' asks for nothing. */
static bool
asks_for(const DpOption *option, const char *value)
{
	bool		flag;

	return option->kind != DP_OPTION_BOOL || (parse_bool(value, &flag) && flag);
}
