/*
 * http_guard.h
 *	  The gate of all outgoing requests: which hosts, which addresses.
 *
 * A list is dynpipe.allowed_hosts: entries separated by commas, each a host
 * name, *.suffix, an IP address or a network (10.0.0.0/8, fd00::/8), with :port
 * for that port only; IPv6 before a port in brackets.  An empty list stands for
 * the cloud services' own names.  The functions over lists are pure and
 * allocate nothing, so they may be called from within libcurl.
 */
#ifndef DP_HTTP_GUARD_H
#define DP_HTTP_GUARD_H

#include <sys/socket.h>

#include "postgres.h"

/* Is LIST well-formed?  If not, *BAD is where its first wrong entry begins, *LEN its length. */
extern bool dp_guard_list_valid(const char *list, const char **bad, int *len);
/* May HOST (no brackets) be asked for on PORT? */
extern bool dp_guard_host(const char *list, const char *host, int port);
/* May a connection be made to ADDRESS? */
extern bool dp_guard_address(const char *list, const struct sockaddr *address);
/* Is HOST the address that clouds give metadata and tokens out at? */
extern bool dp_guard_is_metadata(const char *host);

/* Raise 42501 unless HOST may be asked for; WHAT is for the message. */
extern void dp_guard_check_host(const char *host, int port, const char *what);
extern void dp_guard_raise_host(const char *host, const char *what) pg_attribute_noreturn();
extern void dp_guard_raise_address(const char *host, const char *what) pg_attribute_noreturn();

#endif							/* DP_HTTP_GUARD_H */
