/*
 * csv_options.c
 *	  The options of format csv: read, and checked when a document is applied.
 */
#include "dynpipe.h"

#include "format/csv_dialect.h"
#include "format/field.h"

#define MAX_SKIP 1000000

int
dp_csv_list_position(const char *list, const char *name)
{
	int			len = strlen(name);

	for (int n = 0; list != NULL; n++)
	{
		const char *end = strchrnul(list, ',');
		const char *last = end;

		list += strspn(list, " ");
		while (last > list && last[-1] == ' ')
			last--;
		if (last - list == len && memcmp(list, name, len) == 0)
			return n;
		list = *end ? end + 1 : NULL;
	}
	return -1;
}

int
dp_csv_ordinal(const char *from)
{
	if (from == NULL || *from == '\0' || strspn(from, "0123456789") != strlen(from) ||
		strlen(from) > 6 || atoi(from) > DP_CSV_MAX_ORDINAL)
		return 0;
	return atoi(from);
}

/* ---------- reading ---------- */

/* A character that an option names; "none" and "" are none, tabs have two more names. */
static char
character(const char *value)
{
	if (strcmp(value, "tab") == 0 || strcmp(value, "\\t") == 0)
		return '\t';
	if (strcmp(value, "none") == 0)
		return '\0';
	return *value;
}

static char
character_option(const DpPipelineSpec *spec, const char *name, char absent)
{
	const char *value = dp_format_option(spec, name);

	return value ? character(value) : absent;
}

static char
delimiter_option(const DpPipelineSpec *spec)
{
	const char *value = dp_format_option(spec, "delimiter");

	if (value == NULL)
		return dp_format_of_messages(spec) ? ',' : '\0';
	return strcmp(value, "detect") == 0 ? '\0' : character(value);
}

static DpCsvHeader
header_option(const DpPipelineSpec *spec)
{
	const char *value = dp_format_option(spec, "header");

	if (value == NULL || strcmp(value, "detect") == 0)
		return DP_CSV_HEADER_DETECT;
	return strcmp(value, "yes") == 0 || strcmp(value, "true") == 0
		? DP_CSV_HEADER_YES : DP_CSV_HEADER_NO;
}

static bool
yes_option(const DpPipelineSpec *spec, const char *name)
{
	const char *value = dp_format_option(spec, name);

	return value != NULL && (strcmp(value, "yes") == 0 || strcmp(value, "true") == 0);
}

/* Fill OPTIONS; they point into the spec. */
void
dp_csv_read_options(const DpPipelineSpec *spec, DpCsvOptions *options)
{
	const char *skip = dp_format_option(spec, "skip");
	const char *decimal = dp_format_option(spec, "decimal");
	ListCell   *lc;

	memset(options, 0, sizeof(*options));
	options->delimiter = delimiter_option(spec);
	options->quote = character_option(spec, "quote", '"');
	options->escape = character_option(spec, "escape", options->quote);
	options->comment = character_option(spec, "comment", '\0');
	options->header = header_option(spec);
	options->skip = skip ? atoi(skip) : 0;
	options->decimal_comma = decimal != NULL && strcmp(decimal, ",") == 0;
	options->trim = yes_option(spec, "trim");
	options->columns = dp_format_option(spec, "columns");
	foreach(lc, spec->format_options)
	{
		DpSetting  *setting = lfirst(lc);

		if (strcmp(setting->name, "null") == 0)
			options->nulls = lappend(options->nulls, setting->value);
	}
}

/* ---------- checks ---------- */

static void
check_character(const DpPipelineSpec *spec, DpDocument *doc, const char *name, const char *word)
{
	const char *value = dp_format_option(spec, name);
	const char *pointer = psprintf("%s/format/%s", spec->pointer, name);

	if (value == NULL || (strcmp(value, word) == 0 &&
						  (strcmp(word, "detect") != 0 || !dp_format_of_messages(spec))))
		return;
	if (strcmp(name, "delimiter") == 0 && character(value) == '\t')
		return;
	if (strlen(value) != 1 || IS_HIGHBIT_SET(*value))
		dp_config_add_problem(doc, pointer, "Give one ASCII character.",
							  "%s must be a single character, not \"%s\"", name, value);
	else if (*value == '\n' || *value == '\r')
		dp_config_add_problem(doc, pointer, "Choose another character.",
							  "%s cannot be a line break", name);
}

static void
check_choice(const DpPipelineSpec *spec, DpDocument *doc, const char *name,
			 const char *const *choices, const char *hint)
{
	const char *value = dp_format_option(spec, name);

	if (value == NULL)
		return;
	while (*choices && strcmp(*choices, value) != 0)
		choices++;
	if (*choices == NULL)
		dp_config_add_problem(doc, psprintf("%s/format/%s", spec->pointer, name), hint,
							  "invalid value \"%s\" of option %s", value, name);
}

/* Two characters that mean different things cannot be one. */
static void
check_distinct(const DpPipelineSpec *spec, DpDocument *doc, const char *name, char c,
			   const char *other, char d)
{
	if (c != '\0' && c == d)
		dp_config_add_problem(doc, psprintf("%s/format/%s", spec->pointer, name),
							  "Choose another character for one of them.",
							  "%s and %s must differ", name, other);
}

static void
check_characters(const DpPipelineSpec *spec, DpDocument *doc)
{
	DpCsvOptions options;

	check_character(spec, doc, "delimiter", "detect");
	check_character(spec, doc, "quote", "none");
	check_character(spec, doc, "escape", "none");
	check_character(spec, doc, "comment", "none");
	dp_csv_read_options(spec, &options);
	check_distinct(spec, doc, "quote", options.quote, "delimiter", options.delimiter);
	check_distinct(spec, doc, "comment", options.comment, "delimiter", options.delimiter);
	check_distinct(spec, doc, "comment", options.comment, "quote", options.quote);
	if (options.escape != options.quote)
		check_distinct(spec, doc, "escape", options.escape, "delimiter", options.delimiter);
}

static void
check_values(const DpPipelineSpec *spec, DpDocument *doc)
{
	static const char *const headers[] = {"yes", "no", "true", "false", "detect", NULL};
	static const char *const yes_no[] = {"yes", "no", "true", "false", NULL};
	static const char *const decimals[] = {",", ".", NULL};
	const char *skip = dp_format_option(spec, "skip");

	check_choice(spec, doc, "header", headers, "Valid values are yes, no and detect.");
	check_choice(spec, doc, "trim", yes_no, "Valid values are yes and no.");
	check_choice(spec, doc, "decimal", decimals, "Valid values are \",\" and \".\".");
	if (skip != NULL && (*skip == '\0' || strspn(skip, "0123456789") != strlen(skip) ||
						 strlen(skip) > 7 || atoi(skip) > MAX_SKIP))
		dp_config_add_problem(doc, psprintf("%s/format/skip", spec->pointer),
							  "Give the number of lines before the header or the first record.",
							  "skip must be a number up to %d, not \"%s\"", MAX_SKIP, skip);
}

/* Can each column be found? */
static void
check_columns(const DpPipelineSpec *spec, DpDocument *doc)
{
	const char *columns = dp_format_option(spec, "columns");
	DpCsvHeader header = dp_format_of_messages(spec) ? DP_CSV_HEADER_NO : header_option(spec);
	ListCell   *lc;

	foreach(lc, spec->columns)
	{
		DpColumnSpec *column = lfirst(lc);
		const char *path;
		const char *wanted = column->from ? column->from : column->name;

		if (dp_field_from(column->from, &path) != DP_FROM_VALUE || dp_csv_ordinal(path) > 0)
			continue;
		if (columns != NULL && dp_csv_list_position(columns, wanted) < 0)
			dp_config_add_problem(doc, psprintf("%s/format/columns", spec->pointer),
								  "List the names of all fields of a record in their order.",
								  "columns does not list \"%s\"", wanted);
		else if (columns == NULL && path != NULL && header == DP_CSV_HEADER_NO)
			dp_config_add_problem(doc, psprintf("%s/schema/%d/from", spec->pointer,
												foreach_current_index(lc)),
								  "Give its number, such as \"3\", or set the option columns.",
								  "%s have no header line to find \"%s\" in",
								  dp_format_of_messages(spec) ? "messages" : "files with header: no",
								  path);
	}
}

void
dp_csv_check_options(const DpPipelineSpec *spec, DpDocument *doc)
{
	static const char *const of_files[] = {"header", "comment", "skip"};

	for (int i = 0; i < lengthof(of_files); i++)
		dp_format_check_files_only(spec, doc, of_files[i]);
	dp_format_check_encoding(spec, doc);
	check_characters(spec, doc);
	check_values(spec, doc);
	check_columns(spec, doc);
}
