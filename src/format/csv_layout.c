/*
 * csv_layout.c
 *	  How a file's records are written, as text that another process or a later
 *	  one can decode by; and where its header has the columns.
 *
 * The text is ASCII: "2c 22 22 0 id,amount": delimiter, quote and escape in
 * hexadecimal (00: none), trim, and the header's names, in which any byte but
 * letters, digits and underscore is %xx.
 */
#include "dynpipe.h"

#include "format/csv_dialect.h"
#include "format/field.h"
#include "lib/stringinfo.h"

/* ---------- text ---------- */

char *
dp_csv_describe(const DpCsvDialect *dialect)
{
	StringInfoData buf;

	initStringInfo(&buf);
	if (dialect->delimiter == '\t')
		appendStringInfoString(&buf, "delimiter tab");
	else
		appendStringInfo(&buf, "delimiter %c", dialect->delimiter);
	appendStringInfoString(&buf, dialect->header ? ", header" : ", no header");
	if (dialect->quote)
		appendStringInfo(&buf, ", quote %c", dialect->quote);
	if (dialect->escape && dialect->escape != dialect->quote)
		appendStringInfo(&buf, ", escape %c", dialect->escape);
	return buf.data;
}

static DpSetting *
setting(const char *name, const char *value)
{
	DpSetting  *result = palloc(sizeof(DpSetting));

	result->name = pstrdup(name);
	result->value = pstrdup(value);
	return result;
}

List *
dp_csv_found(const DpCsvOptions *options, const DpCsvDialect *dialect)
{
	List	   *found = NIL;

	if (options->delimiter == '\0')
		found = lappend(found, setting("delimiter", dialect->delimiter == '\t' ? "tab" :
									   psprintf("%c", dialect->delimiter)));
	if (options->header == DP_CSV_HEADER_DETECT)
		found = lappend(found, setting("header", dialect->header ? "yes" : "no"));
	return found;
}

static void
write_name(StringInfo buf, const char *name)
{
	for (; *name; name++)
	{
		if (isalnum((unsigned char) *name) && !IS_HIGHBIT_SET(*name))
			appendStringInfoChar(buf, *name);
		else
			appendStringInfo(buf, *name == '_' ? "_" : "%%%02x", (unsigned char) *name);
	}
}

char *
dp_csv_layout_write(const DpCsvDialect *dialect)
{
	StringInfoData buf;
	ListCell   *lc;

	initStringInfo(&buf);
	appendStringInfo(&buf, "%02x %02x %02x %d", (unsigned char) dialect->delimiter,
					 (unsigned char) dialect->quote, (unsigned char) dialect->escape,
					 dialect->trim);
	foreach(lc, dialect->header)
	{
		appendStringInfoChar(&buf, foreach_current_index(lc) == 0 ? ' ' : ',');
		write_name(&buf, lfirst(lc));
	}
	return buf.data;
}

static int
hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : (c - 'a' + 10) & 15;
}

/* The name at *S, which is behind it then. */
static char *
read_name(const char **s)
{
	StringInfoData name;

	initStringInfo(&name);
	for (; **s && **s != ','; (*s)++)
	{
		if (**s == '%' && (*s)[1] && (*s)[2])
		{
			appendStringInfoChar(&name, hex_digit((*s)[1]) << 4 | hex_digit((*s)[2]));
			*s += 2;
		}
		else
			appendStringInfoChar(&name, **s);
	}
	return name.data;
}

void
dp_csv_layout_read(const char *layout, DpCsvDialect *dialect)
{
	unsigned int delimiter,
				quote,
				escape;
	int			trim,
				used = 0;

	memset(dialect, 0, sizeof(*dialect));
	if (sscanf(layout, "%2x %2x %2x %d%n", &delimiter, &quote, &escape, &trim, &used) < 4)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid layout of a CSV file: \"%.64s\"", layout)));
	dialect->delimiter = delimiter;
	dialect->quote = quote;
	dialect->escape = escape;
	dialect->trim = trim != 0;
	for (layout += used; *layout;)
	{
		layout++;				/* the blank or comma before a name */
		dialect->header = lappend(dialect->header, read_name(&layout));
	}
}

/* ---------- header ---------- */

/* The place of NAME in the header, exactly or else nearly; -1: not there, -2: twice. */
static int
header_position(List *header, const char *name)
{
	int			found[2] = {-1, -1};
	ListCell   *lc;

	foreach(lc, header)
	{
		for (int nearly = 0; nearly < 2; nearly++)
		{
			if (nearly ? dp_csv_same_name(lfirst(lc), name) : strcmp(lfirst(lc), name) == 0)
				found[nearly] = found[nearly] == -1 ? foreach_current_index(lc) : -2;
		}
	}
	return found[0] != -1 ? found[0] : found[1];
}

static void
append_name(StringInfo buf, const char *name)
{
	if (buf->len < 1000)
		appendStringInfo(buf, "%s\"%.64s\"", buf->len > 0 ? ", " : "", name);
	else if (buf->data[buf->len - 1] != '.')
		appendStringInfoString(buf, ", ...");
}

static void
raise_missing(List *header, const char *missing, const char *twice)
{
	StringInfoData names;
	ListCell   *lc;

	if (header == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
				 errmsg("file has no header line to find columns %s in", missing),
				 errhint("Set header: yes if it has one, else give the fields' numbers with "
						 "from, or their names with the option columns.")));
	initStringInfo(&names);
	foreach(lc, header)
		append_name(&names, lfirst(lc));
	if (*missing == '\0')
		ereport(ERROR,
				(errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
				 errmsg("file has more than one column named %s", twice),
				 errdetail("Its header is %s.", names.data),
				 errhint("Say which one by its number: from: \"3\".")));
	ereport(ERROR,
			(errcode(ERRCODE_BAD_COPY_FILE_FORMAT),
			 errmsg("file lacks columns %s", missing),
			 errdetail("Its header is %s.", names.data),
			 errhint("Name the column of the file with from, give the column a default, or set "
					 "header: no if that line is none.")));
}

void
dp_csv_place_by_header(List *header, const DpField *fields, int nfields, int *ordinal)
{
	StringInfoData missing;
	StringInfoData twice;

	initStringInfo(&missing);
	initStringInfo(&twice);
	for (int i = 0; i < nfields; i++)
	{
		const DpField *field = &fields[i];
		const char *path = dp_field_path(field);
		const char *name = path ? path : field->name;

		ordinal[i] = -1;
		if (field->from != DP_FROM_VALUE)
			continue;
		ordinal[i] = header_position(header, name);
		if (ordinal[i] == -1 && dp_csv_ordinal(path) > 0)
			ordinal[i] = dp_csv_ordinal(path) - 1;
		if (ordinal[i] == -2)
			append_name(&twice, name);
		else if (ordinal[i] == -1 && (field->required || !field->has_default))
			append_name(&missing, name);
	}
	if (missing.len > 0 || twice.len > 0)
		raise_missing(header, missing.data, twice.data);
}


/* A file without header: only places can be used. */
void
dp_csv_need_no_header(const DpField *fields, int nfields)
{
	StringInfoData missing;

	initStringInfo(&missing);
	for (int i = 0; i < nfields; i++)
	{
		const char *path = dp_field_path(&fields[i]);

		if (fields[i].from == DP_FROM_VALUE && path != NULL && dp_csv_ordinal(path) == 0)
			append_name(&missing, path);
	}
	if (missing.len > 0)
		raise_missing(NIL, missing.data, "");
}
