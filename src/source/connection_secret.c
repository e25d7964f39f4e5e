/*
 * connection_secret.c
 *	  Reading secrets: a file on the server, and the parts of an Event Hubs
 *	  connection string.
 *
 * Nothing here puts a secret, or a piece of one, into a message.  Texts are
 * made in the current memory context; dp_connection_forget wipes them.
 */
#include "dynpipe.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "source/connection.h"
#include "storage/fd.h"

static char *read_open_file(int fd, const char *option, Size max, DpRefusal *refusal);
static int	sqlstate_of_errno(int error);
static bool part_is(const char *part, Size len, const char *name);
static bool refuse_string(DpRefusal *refusal, const char *what);

/*
 * The text of the file at PATH without the line ends at its end, or NULL with
 * the reason in *refusal.  Opened non-blocking: a fifo cannot hold us.
 */
char *
dp_secret_read(const char *option, const char *path, Size max, DpRefusal *refusal)
{
	int			fd = OpenTransientFile(path, O_RDONLY | O_NONBLOCK | PG_BINARY);
	int			error = errno;
	char	   *text;

	if (fd < 0)
	{
		dp_refusal_set(refusal, sqlstate_of_errno(error),
					   "Check that the file exists and that the operating system user of the "
					   "server may read it.",
					   "could not open the file of option \"%s\": %s", option, strerror(error));
		return NULL;
	}
	text = read_open_file(fd, option, max, refusal);
	CloseTransientFile(fd);
	return text;
}

static char *
read_open_file(int fd, const char *option, Size max, DpRefusal *refusal)
{
	struct stat st;
	char	   *text;
	Size		len = 0;
	ssize_t		n;

	if (fstat(fd, &st) != 0 || !S_ISREG(st.st_mode))
	{
		dp_refusal_set(refusal, ERRCODE_WRONG_OBJECT_TYPE, NULL,
					   "the file of option \"%s\" is not a regular file", option);
		return NULL;
	}
	text = palloc(max + 2);
	while (len <= max &&
		   (n = read(fd, text + len, max + 1 - len)) > 0)
		len += n;
	while (len > 0 && len <= max &&
		   (text[len - 1] == '\n' || text[len - 1] == '\r'))
		len--;
	if (len == 0 || len > max || memchr(text, '\0', len) != NULL)
	{
		dp_refusal_set(refusal, ERRCODE_INVALID_PARAMETER_VALUE,
					   psprintf("The file must hold nothing but the value, at most %zu kB of it.",
								max / 1024),
					   "the file of option \"%s\" is empty, too large or not text", option);
		explicit_bzero(text, max + 2);
		pfree(text);
		return NULL;
	}
	text[len] = '\0';
	return text;
}

static int
sqlstate_of_errno(int error)
{
	switch (error)
	{
		case ENOENT:
		case ENOTDIR:
			return ERRCODE_UNDEFINED_FILE;
		case EACCES:
		case EPERM:
			return ERRCODE_INSUFFICIENT_PRIVILEGE;
		default:
			return ERRCODE_IO_ERROR;
	}
}

/*
 * Is TEXT of the form Endpoint=sb://HOST/;SharedAccessKeyName=..;
 * SharedAccessKey=..[;EntityPath=HUB]?  HOST and HUB are handed out when asked
 * for, HUB NULL when the string is for the whole namespace.
 */
bool
dp_secret_check_connection_string(const char *text, char **host, char **entity,
								  DpRefusal *refusal)
{
	bool		name_seen = false;
	bool		key_seen = false;
	char	   *host_seen = NULL;
	char	   *entity_seen = NULL;

	for (const char *part = text; *part != '\0';)
	{
		Size		len = strcspn(part, ";");
		const char *eq = memchr(part, '=', len);
		Size		value_len = eq != NULL ? len - (eq + 1 - part) : 0;

		if (part_is(part, len, "Endpoint") && value_len > 5 &&
			pg_strncasecmp(eq + 1, "sb://", 5) == 0)
			host_seen = pnstrdup(eq + 6, Min(strcspn(eq + 6, "/:;"), value_len - 5));
		else if (part_is(part, len, "SharedAccessKeyName"))
			name_seen = value_len > 0;
		else if (part_is(part, len, "SharedAccessKey"))
			key_seen = value_len > 0;
		else if (part_is(part, len, "EntityPath"))
			entity_seen = pnstrdup(eq + 1, value_len);
		part += len;
		if (*part == ';')
			part++;
	}
	if (host_seen == NULL || *host_seen == '\0')
		return refuse_string(refusal, "Endpoint=sb://...");
	if (!name_seen)
		return refuse_string(refusal, "SharedAccessKeyName=...");
	if (!key_seen)
		return refuse_string(refusal, "SharedAccessKey=...");
	if (host != NULL)
		*host = host_seen;
	if (entity != NULL)
		*entity = entity_seen;
	return true;
}

static bool
part_is(const char *part, Size len, const char *name)
{
	Size		name_len = strlen(name);

	return len > name_len && part[name_len] == '=' &&
		pg_strncasecmp(part, name, name_len) == 0;
}

static bool
refuse_string(DpRefusal *refusal, const char *what)
{
	return dp_refusal_set(refusal, ERRCODE_FDW_INVALID_ATTRIBUTE_VALUE,
						  "Copy it whole from the portal: namespace, Shared access policies, "
						  "the policy, Connection string-primary key.",
						  "connection string has no part \"%s\"", what);
}

void
dp_secret_wipe(char *text)
{
	if (text != NULL)
		explicit_bzero(text, strlen(text));
}
