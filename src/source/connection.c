/*
 * connection.c
 *	  From a server's oid and a role to a connection that can be used: the
 *	  catalogs are read, rights are checked, secrets are fetched.
 *
 * All of it lives in the current memory context.  Catalog tuples are released
 * before anything can fail, so a caller may turn a refusal into anything.
 */
#include "dynpipe.h"

#include "access/htup_details.h"
#include "access/reloptions.h"
#include "catalog/pg_foreign_server.h"
#include "catalog/pg_user_mapping.h"
#include "commands/defrem.h"
#include "common/hashfn.h"
#include "foreign/foreign.h"
#include "miscadmin.h"
#include "source/connection.h"
#include "source/connection_options.h"
#include "utils/acl.h"
#include "utils/builtins.h"
#include "utils/syscache.h"

#define DP_CONNECTION_TYPE(name, mark, check) \
	extern bool check(const DpConnection *conn, DpRefusal *refusal);
#include "source/connection_type_list.h"
#undef DP_CONNECTION_TYPE

static const DpConnectionType types[] = {
#define DP_CONNECTION_TYPE(name, mark, check) {#name, mark, check},
#include "source/connection_type_list.h"
#undef DP_CONNECTION_TYPE
};

static bool check_server(const ForeignServer *server, const char *type, Oid userid,
						 DpRefusal *refusal);
static const DpConnectionType *find_type(const char *name);
static char *type_names(void);
static bool find_mapping(Oid serverid, Oid userid, List **options);
static bool check_options(const DpConnection *conn, Oid server_owner, DpRefusal *refusal);
static bool read_files(DpConnection *conn, DpRefusal *refusal);

DpConnection *
dp_connection_resolve(Oid serverid, const char *type, Oid userid, bool read_secrets,
					  DpRefusal *refusal)
{
	ForeignServer *server = GetForeignServerExtended(serverid, FSV_MISSING_OK);
	DpConnection *conn = palloc0(sizeof(DpConnection));
	List	   *mapping = NIL;

	if (server == NULL)
	{
		dp_refusal_set(refusal, ERRCODE_UNDEFINED_OBJECT,
					   "Use CREATE SERVER ... FOREIGN DATA WRAPPER dynpipe.",
					   "the server of this pipeline does not exist");
		return NULL;
	}
	if (!check_server(server, type, userid, refusal))
		return NULL;
	conn->type = find_type(type);
	conn->server = server->servername;
	conn->serverid = serverid;
	conn->role = GetUserNameFromId(userid, false);
	conn->mapped = find_mapping(serverid, userid, &mapping);
	conn->options = list_concat(server->options, mapping);
	if (!check_options(conn, server->owner, refusal) ||
		!conn->type->check(conn, refusal) ||
		(read_secrets && !read_files(conn, refusal)))
		return NULL;
	return conn;
}

/* Is it a server of ours, of the right type, and may USERID use it? */
static bool
check_server(const ForeignServer *server, const char *type, Oid userid, DpRefusal *refusal)
{
	const char *name = server->servername;

	if (strcmp(GetForeignDataWrapper(server->fdwid)->fdwname, "dynpipe") != 0)
		return dp_refusal_set(refusal, ERRCODE_WRONG_OBJECT_TYPE,
							  "Use a server that was made with FOREIGN DATA WRAPPER dynpipe.",
							  "server \"%s\" belongs to another foreign data wrapper", name);
	if (server->servertype == NULL || find_type(server->servertype) == NULL)
		return dp_refusal_set(refusal, ERRCODE_WRONG_OBJECT_TYPE,
							  psprintf("Make it again with CREATE SERVER %s TYPE '...'; "
									   "types are: %s.", quote_identifier(name), type_names()),
							  "server \"%s\" has no type that is known", name);
	if (strcmp(server->servertype, type) != 0)
		return dp_refusal_set(refusal, ERRCODE_WRONG_OBJECT_TYPE,
							  psprintf("Write %s://%s/... or name a server of type \"%s\".",
									   server->servertype, name, type),
							  "server \"%s\" is of type \"%s\", not \"%s\"",
							  name, server->servertype, type);
	if (dp_server_aclcheck(server->serverid, userid, ACL_USAGE) != ACLCHECK_OK)
		return dp_refusal_set(refusal, ERRCODE_INSUFFICIENT_PRIVILEGE,
							  psprintf("Use GRANT USAGE ON FOREIGN SERVER %s TO %s.",
									   quote_identifier(name),
									   quote_identifier(GetUserNameFromId(userid, false))),
							  "permission denied for foreign server \"%s\"", name);
	return true;
}

static const DpConnectionType *
find_type(const char *name)
{
	for (int i = 0; i < lengthof(types); i++)
		if (strcmp(types[i].name, name) == 0)
			return &types[i];
	return NULL;
}

static char *
type_names(void)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < lengthof(types); i++)
		appendStringInfo(&buf, "%s%s", i > 0 ? ", " : "", types[i].name);
	return buf.data;
}

/* The role's own mapping, else that of PUBLIC: GetUserMapping that does not raise. */
static bool
find_mapping(Oid serverid, Oid userid, List **options)
{
	HeapTuple	tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(userid),
										ObjectIdGetDatum(serverid));
	Datum		datum;
	bool		isnull;

	if (!HeapTupleIsValid(tuple))
		tuple = SearchSysCache2(USERMAPPINGUSERSERVER, ObjectIdGetDatum(InvalidOid),
								ObjectIdGetDatum(serverid));
	if (!HeapTupleIsValid(tuple))
		return false;
	datum = SysCacheGetAttr(USERMAPPINGUSERSERVER, tuple, Anum_pg_user_mapping_umoptions, &isnull);
	*options = isnull ? NIL : untransformRelOptions(datum);
	ReleaseSysCache(tuple);
	return true;
}

/* What the validator could not know: the server's type, and its owner now. */
static bool
check_options(const DpConnection *conn, Oid server_owner, DpRefusal *refusal)
{
	ListCell   *lc;

	foreach(lc, conn->options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);
		const char *name = def->defname;
		const DpOption *option = dp_option_find(name, DP_OPTION_SERVER);

		if (option == NULL)
			option = dp_option_find(name, DP_OPTION_MAPPING);
		if (option == NULL || (option->types & conn->type->mark) == 0)
			return dp_refusal_set(refusal, ERRCODE_FDW_INVALID_OPTION_NAME,
								  psprintf("Use ALTER %s ... OPTIONS (DROP %s).",
										   option == NULL || option->place == DP_OPTION_SERVER ?
										   "SERVER" : "USER MAPPING", quote_identifier(name)),
								  "option \"%s\" does not apply to servers of type \"%s\"",
								  name, conn->type->name);
		if ((option->flags & DP_OPTION_SUPERUSER) && !superuser_arg(server_owner))
			return dp_refusal_set(refusal, ERRCODE_INSUFFICIENT_PRIVILEGE,
								  "Have the server owned by a superuser, who answers for where "
								  "it leads.",
								  "option \"%s\" needs a server that is owned by a superuser", name);
		if (option->kind == DP_OPTION_ENDPOINT && !superuser_arg(server_owner) &&
			strncmp(defGetString(def), "https://", 8) != 0)
			return dp_refusal_set(refusal, ERRCODE_INSUFFICIENT_PRIVILEGE,
								  "Give an https:// URL, or have the server owned by a superuser.",
								  "option \"%s\" without TLS needs a server that is owned by a "
								  "superuser", name);
	}
	return true;
}

/* Put the text of each x_file into x.  ssl_ca_file becomes the client's own option. */
static bool
read_files(DpConnection *conn, DpRefusal *refusal)
{
	ListCell   *lc;

	foreach(lc, conn->options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);
		Size		len = strlen(def->defname);
		bool		ca = strcmp(def->defname, "ssl_ca_file") == 0;
		char	   *text;

		if (len <= 5 || strcmp(def->defname + len - 5, "_file") != 0)
			continue;
		text = dp_secret_read(def->defname, defGetString(def),
							  ca ? DP_MAX_CA_SIZE : DP_MAX_SECRET_SIZE, refusal);
		if (text == NULL)
			return false;
		def->defname = ca ? "ssl.ca.pem" : pnstrdup(def->defname, len - 5);
		def->arg = (Node *) makeString(text);
		if (strcmp(def->defname, "connection_string") == 0 &&
			!dp_secret_check_connection_string(text, NULL, NULL, refusal))
			return false;
	}
	return true;
}

const char *
dp_connection_get(const DpConnection *conn, const char *name)
{
	ListCell   *lc;

	foreach(lc, conn->options)
		if (strcmp(lfirst_node(DefElem, lc)->defname, name) == 0)
			return defGetString(lfirst_node(DefElem, lc));
	return NULL;
}

bool
dp_connection_has(const DpConnection *conn, const char *name)
{
	return dp_connection_get(conn, name) != NULL ||
		dp_connection_get(conn, psprintf("%s_file", name)) != NULL;
}

bool
dp_connection_flag(const DpConnection *conn, const char *name)
{
	const char *value = dp_connection_get(conn, name);
	bool		flag;

	return value != NULL && parse_bool(value, &flag) && flag;
}

bool
dp_connection_needs(const DpConnection *conn, const char *option, const char *object,
					const char *hint, DpRefusal *refusal)
{
	if (dp_connection_get(conn, option) != NULL)
		return true;
	return dp_refusal_set(refusal, ERRCODE_FDW_OPTION_NAME_NOT_FOUND,
						  psprintf("Use ALTER %s ... OPTIONS (ADD %s ...). %s", object, option, hint),
						  "option \"%s\" is missing for server \"%s\"", option, conn->server);
}

List *
dp_connection_client_options(const DpConnection *conn)
{
	List	   *result = NIL;
	ListCell   *lc;

	foreach(lc, conn->options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);
		const DpOption *option = dp_option_find(def->defname, DP_OPTION_SERVER);
		DpClientOption *client;

		if (option == NULL || (option->flags & DP_OPTION_CLIENT) == 0)
			continue;
		client = palloc(sizeof(DpClientOption));
		client->name = option->name;
		client->value = defGetString(def);
		result = lappend(result, client);
	}
	return result;
}

void
dp_connection_forget(DpConnection *conn)
{
	ListCell   *lc;

	foreach(lc, conn->options)
	{
		DefElem    *def = lfirst_node(DefElem, lc);
		const DpOption *option = dp_option_find(def->defname, DP_OPTION_MAPPING);

		if (option != NULL && (option->flags & DP_OPTION_SECRET))
			dp_secret_wipe(defGetString(def));
	}
	conn->options = NIL;
}

uint64
dp_connection_fingerprint(const DpConnection *conn)
{
	uint64		print = conn->serverid;
	ListCell   *lc;

	foreach(lc, conn->options)
	{
		DefElem    *option = lfirst(lc);
		const char *value = defGetString(option);

		print = hash_combine64(print, hash_bytes_extended((const unsigned char *) option->defname,
														  strlen(option->defname), 0));
		print = hash_combine64(print, hash_bytes_extended((const unsigned char *) value,
														  strlen(value), 0));
	}
	return print;
}
