/*
 * connection.h
 *	  What a SERVER and a USER MAPPING say, checked and with secrets read.
 *
 *	  CREATE SERVER / USER MAPPING --> validator (connection_options.c): names,
 *	      values, conflicts, who may use what; it does not know the type
 *	  a pipeline is applied        --> dp_connection_resolve, no secrets: type,
 *	      rights, completeness
 *	  a pipeline's client is built --> dp_connection_resolve with secrets
 *
 * A type of server is one line in connection_type_list.h; its options are
 * lines of the table in connection_options.c that carry its mark, and its own
 * demands are one function.  No error, detail or hint ever holds the value of
 * an option: a secret may stand in the wrong one.
 */
#ifndef DP_CONNECTION_H
#define DP_CONNECTION_H

#include "nodes/pg_list.h"
#include "source/refusal.h"

/* Marks in the option table: which types take the option. */
#define DP_TYPE_EVENTHUBS	0x01
#define DP_TYPE_KAFKA		0x02
#define DP_TYPE_S3			0x08
#define DP_TYPE_ADLS		0x10

typedef struct DpConnection DpConnection;

typedef struct DpConnectionType
{
	const char *name;			/* TYPE of the server and scheme of its URLs */
	int			mark;
	/* Complete, possible with this build, consistent?  No I/O, may not raise. */
	bool		(*check) (const DpConnection *conn, DpRefusal *refusal);
} DpConnectionType;

struct DpConnection
{
	const DpConnectionType *type;
	char	   *server;
	Oid			serverid;
	List	   *options;		/* DefElem *, of server and mapping */
	char	   *role;			/* whose mapping is used */
	bool		mapped;			/* is there one? */
};

/* An option that goes to the client under its own name. */
typedef struct DpClientOption
{
	const char *name;
	const char *value;
} DpClientOption;

/*
 * Look up SERVERID for role USERID and check all of it.  Returns NULL and says
 * why in *refusal, never raises for what a user did.  With READ_SECRETS every
 * x_file option is replaced by an option x with the file's text.
 */
extern DpConnection *dp_connection_resolve(Oid serverid, const char *type, Oid userid,
										   bool read_secrets, DpRefusal *refusal);

/* An option's value, NULL when it is not given. */
extern const char *dp_connection_get(const DpConnection *conn, const char *name);
/* Is NAME given, by value or as NAME_file? */
extern bool dp_connection_has(const DpConnection *conn, const char *name);
/* Is the boolean option NAME given, and true? */
extern bool dp_connection_flag(const DpConnection *conn, const char *name);
/*
 * Is OPTION given?  Else *refusal says that OBJECT, "SERVER" or "USER MAPPING",
 * must get it; HINT is a sentence more.
 */
extern bool dp_connection_needs(const DpConnection *conn, const char *option,
								const char *object, const char *hint, DpRefusal *refusal);
/* The options that are passed to the client, as DpClientOption *. */
extern List *dp_connection_client_options(const DpConnection *conn);
/* A hash of all options and their values: equal for an equal connection. */
extern uint64 dp_connection_fingerprint(const DpConnection *conn);
/* Overwrite the secrets; nothing is left to read afterwards. */
extern void dp_connection_forget(DpConnection *conn);

/* connection_secret.c: a secret's file, and an Event Hubs connection string. */
#define DP_MAX_SECRET_SIZE	(64 * 1024)
#define DP_MAX_CA_SIZE		(1024 * 1024)
extern char *dp_secret_read(const char *option, const char *path, Size max, DpRefusal *refusal);
extern bool dp_secret_check_connection_string(const char *text, char **host, char **entity,
											  DpRefusal *refusal);
extern void dp_secret_wipe(char *text);

#endif							/* DP_CONNECTION_H */
