/*
 * http_guard.c
 *	  The gate: is this host, and then this very address, allowed?
 *
 *	  URL -> libcurl's parser -> host -> dp_guard_host        before DNS
 *	                              DNS -> dp_guard_address     before connect()
 *
 * The second look is at the address that the socket is about to be connected
 * to, so names that resolve to special addresses, rebinding and odd spellings
 * gain nothing.  Special (loopback, link-local, metadata, multicast, reserved,
 * and IPv6 forms that embed such an IPv4 address) is let through only when an
 * entry is that address or a network around it; private addresses are fine for
 * a name that is allowed, since private endpoints have them.
 *
 * Everything but the raising functions is pure and allocates nothing.
 */
#include "dynpipe.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include "store/http_guard.h"

/* What an empty setting allows. */
static const char cloud_hosts[] =
	"*.amazonaws.com:443, *.amazonaws.com.cn:443, "
	"*.blob.core.windows.net:443, *.dfs.core.windows.net:443, *.storage.azure.net:443, "
	"*.blob.core.usgovcloudapi.net:443, *.dfs.core.usgovcloudapi.net:443, "
	"*.blob.core.chinacloudapi.cn:443, *.dfs.core.chinacloudapi.cn:443, "
	"login.microsoftonline.com:443, login.microsoftonline.us:443, "
	"login.partner.microsoftonline.cn:443, login.chinacloudapi.cn:443";

typedef struct Network
{
	int			family;
	uint8		bytes[16];
	int			bits;
} Network;

typedef struct Entry
{
	const char *name;			/* not an address: the host, or what follows "*" */
	int			name_len;
	bool		suffix;
	bool		is_network;
	Network		network;
	int			port;			/* 0: any */
} Entry;

/* Never connected to unless an entry says so. */
static const struct
{
	const char *address;
	int			bits;
}			special[] = {
	{"0.0.0.0", 8}, {"127.0.0.0", 8}, {"169.254.0.0", 16}, {"192.0.0.0", 24},
	{"192.0.2.0", 24}, {"192.88.99.0", 24}, {"198.18.0.0", 15}, {"198.51.100.0", 24},
	{"203.0.113.0", 24}, {"224.0.0.0", 3},
	{"168.63.129.16", 32}, {"100.100.100.200", 32},
	{"::", 127}, {"100::", 64}, {"64:ff9b:1::", 48}, {"2001::", 23}, {"2001:db8::", 32},
	{"fe80::", 10}, {"fec0::", 10}, {"ff00::", 8},
	{"fd00:ec2::254", 128}, {"fd20:ce::254", 128},
};

static const char *next_entry(const char *list, Entry *entry, bool *valid);
static bool parse_entry(const char *text, int len, Entry *entry);
static bool parse_port(const char *text, int len, int *port);
static bool parse_network(const char *text, int len, Network *network);
static bool is_host_name(const char *text, int len);
static bool looks_numeric(const char *host, int len);
static bool entry_allows_name(const Entry *entry, const char *host, int len);
static bool list_has_address(const char *list, const Network *address, int port);
static bool in_network(const Network *network, const Network *address);
static bool is_special(const Network *address);
static bool embedded_ipv4(const Network *address, Network *ipv4);
static const char *list_or_default(const char *list);

bool
dp_guard_list_valid(const char *list, const char **bad, int *len)
{
	Entry		entry;
	bool		valid = true;

	for (const char *at = list; at != NULL && *at != '\0';)
	{
		const char *start = at + strspn(at, " \t\n,");

		at = next_entry(at, &entry, &valid);
		if (!valid)
		{
			*bad = start;
			*len = strcspn(start, ",");
			return false;
		}
	}
	return true;
}

bool
dp_guard_host(const char *list, const char *host, int port)
{
	int			len = strlen(host);
	Network		address;
	Entry		entry;
	bool		valid;

	if (parse_network(host, len, &address))
		return strchr(host, '/') == NULL && list_has_address(list_or_default(list), &address, port);
	if (len > 0 && host[len - 1] == '.')
		len--;
	if (!is_host_name(host, len) || looks_numeric(host, len))
		return false;
	for (const char *at = list_or_default(list); *at != '\0';)
	{
		at = next_entry(at, &entry, &valid);
		if (valid && (entry.port == 0 || entry.port == port) &&
			entry_allows_name(&entry, host, len))
			return true;
	}
	return false;
}

bool
dp_guard_address(const char *list, const struct sockaddr *address)
{
	Network		found = {.family = address->sa_family};
	int			port;

	if (address->sa_family == AF_INET)
	{
		memcpy(found.bytes, &((const struct sockaddr_in *) address)->sin_addr, 4);
		port = ntohs(((const struct sockaddr_in *) address)->sin_port);
		found.bits = 32;
	}
	else if (address->sa_family == AF_INET6)
	{
		memcpy(found.bytes, &((const struct sockaddr_in6 *) address)->sin6_addr, 16);
		port = ntohs(((const struct sockaddr_in6 *) address)->sin6_port);
		found.bits = 128;
	}
	else
		return false;
	return !is_special(&found) || list_has_address(list_or_default(list), &found, port);
}

bool
dp_guard_is_metadata(const char *host)
{
	return strcmp(host, "169.254.169.254") == 0;
}

void
dp_guard_check_host(const char *host, int port, const char *what)
{
	if (!dp_guard_host(dp_allowed_hosts, host, port))
		dp_guard_raise_host(host, what);
}

void
dp_guard_raise_host(const char *host, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("host \"%.100s\" is not allowed", host),
			 errdetail("It was asked for by \"%.200s\". Nothing was sent.", what),
			 errhint("Have a superuser add it to the setting dynpipe.allowed_hosts, if the server "
					 "is to reach it.")));
	pg_unreachable();
}

/* The address itself is for the log alone: the caller could map a network with it. */
void
dp_guard_raise_address(const char *host, const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("host \"%.100s\" has an address that is not allowed", host),
			 errdetail("It was asked for by \"%.200s\". Nothing was sent.", what),
			 errhint("Loopback, link-local, metadata and other special addresses are reached only "
					 "when the setting dynpipe.allowed_hosts names the address itself or a network "
					 "around it.")));
	pg_unreachable();
}

/* The entry at LIST into *ENTRY; returns what follows it. */
static const char *
next_entry(const char *list, Entry *entry, bool *valid)
{
	const char *start = list + strspn(list, " \t\n,");
	int			len = strcspn(start, ",");
	const char *next = start + len;

	while (len > 0 && strchr(" \t\n", start[len - 1]) != NULL)
		len--;
	memset(entry, 0, sizeof(*entry));
	*valid = len == 0 || parse_entry(start, len, entry);
	if (len == 0)
		entry->name = "";
	return next;
}

static bool
parse_entry(const char *text, int len, Entry *entry)
{
	const char *colon;

	if (parse_network(text, len, &entry->network))
	{
		entry->is_network = true;
		return true;
	}
	if (text[0] == '[')
	{
		const char *end = memchr(text, ']', len);
		int			rest = end != NULL ? len - (end + 1 - text) : 0;

		entry->is_network = true;
		return end != NULL && parse_network(text + 1, end - text - 1, &entry->network) &&
			entry->network.family == AF_INET6 &&
			(rest == 0 || (end[1] == ':' && parse_port(end + 2, rest - 1, &entry->port)));
	}
	colon = memchr(text, ':', len);
	if (colon != NULL)
	{
		if (!parse_port(colon + 1, len - (colon + 1 - text), &entry->port))
			return false;
		len = colon - text;
		if (parse_network(text, len, &entry->network))
		{
			entry->is_network = true;
			return entry->network.family == AF_INET;
		}
	}
	entry->suffix = len > 2 && text[0] == '*' && text[1] == '.';
	entry->name = text + (entry->suffix ? 1 : 0);
	entry->name_len = len - (entry->suffix ? 1 : 0);
	return is_host_name(text + (entry->suffix ? 2 : 0), len - (entry->suffix ? 2 : 0)) &&
		!looks_numeric(text, len);
}

static bool
parse_port(const char *text, int len, int *port)
{
	*port = 0;
	if (len < 1 || len > 5)
		return false;
	for (int i = 0; i < len; i++)
	{
		if (text[i] < '0' || text[i] > '9')
			return false;
		*port = *port * 10 + (text[i] - '0');
	}
	return *port > 0 && *port <= 65535;
}

/* ADDRESS or ADDRESS/BITS in the one spelling that inet_pton takes. */
static bool
parse_network(const char *text, int len, Network *network)
{
	char		copy[64];
	const char *slash = memchr(text, '/', len);
	int			address_len = slash != NULL ? slash - text : len;
	int			max;
	int			bits = 0;

	if (address_len >= (int) sizeof(copy))
		return false;
	memset(network, 0, sizeof(*network));
	memcpy(copy, text, address_len);
	copy[address_len] = '\0';
	if (inet_pton(AF_INET, copy, network->bytes) == 1)
		network->family = AF_INET;
	else if (inet_pton(AF_INET6, copy, network->bytes) == 1)
		network->family = AF_INET6;
	else
		return false;
	max = network->family == AF_INET ? 32 : 128;
	if (slash == NULL)
		bits = max;
	else
	{
		if (len - address_len < 2 || len - address_len > 4)
			return false;
		for (const char *at = slash + 1; at < text + len; at++)
		{
			if (*at < '0' || *at > '9')
				return false;
			bits = bits * 10 + (*at - '0');
		}
	}
	network->bits = bits;
	return bits <= max;
}

static bool
is_host_name(const char *text, int len)
{
	if (len < 1 || len > 253 || text[0] == '.' || text[0] == '-')
		return false;
	for (int i = 0; i < len; i++)
		if (!((text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') ||
			  (text[i] >= '0' && text[i] <= '9') || text[i] == '-' || text[i] == '_' ||
			  (text[i] == '.' && text[i - 1] != '.')))
			return false;
	return true;
}

/* Would a lenient reader take it for an IPv4 address: is its last part a number, or hex? */
static bool
looks_numeric(const char *host, int len)
{
	int			start = len;

	while (start > 0 && host[start - 1] != '.')
		start--;
	if (len - start >= 2 && host[start] == '0' && (host[start + 1] | 0x20) == 'x')
		return true;
	for (int i = start; i < len; i++)
		if (host[i] < '0' || host[i] > '9')
			return false;
	return true;
}

static bool
entry_allows_name(const Entry *entry, const char *host, int len)
{
	if (entry->is_network || entry->name_len == 0)
		return false;
	if (!entry->suffix)
		return len == entry->name_len && pg_strncasecmp(host, entry->name, len) == 0;
	return len > entry->name_len &&
		pg_strncasecmp(host + len - entry->name_len, entry->name, entry->name_len) == 0;
}

/* Is there an entry that is ADDRESS or a network around it?  Also in its IPv4 form. */
static bool
list_has_address(const char *list, const Network *address, int port)
{
	Network		ipv4;
	bool		embeds = embedded_ipv4(address, &ipv4);
	Entry		entry;
	bool		valid;

	for (const char *at = list; *at != '\0';)
	{
		at = next_entry(at, &entry, &valid);
		if (!valid || !entry.is_network || (entry.port != 0 && entry.port != port))
			continue;
		if (in_network(&entry.network, address) || (embeds && in_network(&entry.network, &ipv4)))
			return true;
	}
	return false;
}

static bool
in_network(const Network *network, const Network *address)
{
	int			whole = network->bits / 8;
	int			rest = network->bits % 8;

	if (network->family != address->family ||
		memcmp(network->bytes, address->bytes, whole) != 0)
		return false;
	return rest == 0 ||
		((network->bytes[whole] ^ address->bytes[whole]) & (0xff00 >> rest) & 0xff) == 0;
}

static bool
is_special(const Network *address)
{
	Network		ipv4;

	for (int i = 0; i < lengthof(special); i++)
	{
		Network		network;

		if (parse_network(special[i].address, strlen(special[i].address), &network))
		{
			network.bits = special[i].bits;
			if (in_network(&network, address))
				return true;
		}
	}
	return embedded_ipv4(address, &ipv4) && is_special(&ipv4);
}

/* The IPv4 address that an IPv6 address stands for or is tunnelled to. */
static bool
embedded_ipv4(const Network *address, Network *ipv4)
{
	static const uint8 nat64[12] = {0x00, 0x64, 0xff, 0x9b};
	static const uint8 zero[12] = {0};
	static const uint8 mapped[12] = {[10] = 0xff,[11] = 0xff};
	static const uint8 translated[12] = {[8] = 0xff,[9] = 0xff};
	const uint8 *bytes = address->bytes;
	int			at;

	if (address->family != AF_INET6)
		return false;
	if (memcmp(bytes, mapped, 12) == 0 || memcmp(bytes, zero, 12) == 0 ||
		memcmp(bytes, nat64, 12) == 0 || memcmp(bytes, translated, 12) == 0)
		at = 12;
	else if (bytes[0] == 0x20 && bytes[1] == 0x02)
		at = 2;					/* 6to4 */
	else if ((bytes[8] & 0xfd) == 0 && bytes[9] == 0 && bytes[10] == 0x5e && bytes[11] == 0xfe)
		at = 12;				/* ISATAP */
	else
		return false;
	*ipv4 = (Network)
	{
		.family = AF_INET,.bits = 32
	};
	memcpy(ipv4->bytes, bytes + at, 4);
	return true;
}

static const char *
list_or_default(const char *list)
{
	return list == NULL || list[strspn(list, " \t\n,")] == '\0' ? cloud_hosts : list;
}
