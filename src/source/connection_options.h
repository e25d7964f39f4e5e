/*
 * connection_options.h
 *	  The table of all options of servers and user mappings, for the validator
 *	  and for whoever resolves a connection.
 */
#ifndef DP_CONNECTION_OPTIONS_H
#define DP_CONNECTION_OPTIONS_H

#include "postgres.h"

typedef enum DpOptionPlace
{
	DP_OPTION_SERVER,
	DP_OPTION_MAPPING
} DpOptionPlace;

typedef enum DpOptionKind
{
	DP_OPTION_TEXT,
	DP_OPTION_NAME,				/* host name, GUID: letters, digits, . - _ */
	DP_OPTION_HOSTS,			/* host[:port],... */
	DP_OPTION_URL,				/* https://... */
	DP_OPTION_ENDPOINT,			/* the same; http:// too on servers of superusers */
	DP_OPTION_PATH,				/* absolute path of a file on the server */
	DP_OPTION_PEM,
	DP_OPTION_CONNECTION_STRING,
	DP_OPTION_BOOL,
	DP_OPTION_INT,				/* min .. max */
	DP_OPTION_ENUM				/* one of allowed, separated by ", " */
} DpOptionKind;

#define DP_OPTION_SECRET	0x01	/* never on a server, never in a message */
#define DP_OPTION_CLIENT	0x02	/* passed to the client under its own name */
#define DP_OPTION_SUPERUSER	0x04	/* set by superusers, on servers of superusers */
#define DP_OPTION_FILE		0x08	/* names a file: needs pg_read_server_files */

typedef struct DpOption
{
	const char *name;
	DpOptionPlace place;
	int			types;			/* DP_TYPE_... marks */
	int			flags;
	DpOptionKind kind;
	int			min;
	int			max;
	const char *allowed;
	const char *feature;		/* the build must have it; NULL: none */
} DpOption;

extern const DpOption dp_options[];
extern const int dp_noptions;

/* The entry for NAME at PLACE, NULL when there is none. */
extern const DpOption *dp_option_find(const char *name, DpOptionPlace place);

#endif							/* DP_CONNECTION_OPTIONS_H */
