/*
 * infer.c
 *	  Columns and their types from the files that a pipeline is to load.
 *
 *	  pieces of text (sample.c) ─reader─> records ─┬─ names: header, members, count
 *	                                               └─ decode as text ─> values ─> types
 *
 * Records are decoded by the pipeline's own format, with every column as text
 * and, of JSON, once more as json, which tells a string from a number.  So a
 * value is judged as it will be when it is loaded: found by from:, cleaned,
 * null where it will be null.  Records that do not decode are left out.
 *
 * All of it runs in a subtransaction: an error becomes a problem.  Memory: the
 * sample and the columns are in a context of their own, what a batch of
 * records needs is in another that is reset after it.
 */
#include "dynpipe.h"

#include "catalog/pg_type.h"
#include "config/params.h"
#include "load/infer.h"
#include "load/infer_names.h"
#include "load/sample.h"
#include "miscadmin.h"
#include "util/as_owner.h"
#include "util/attempt.h"
#include "utils/builtins.h"
#include "utils/memutils.h"

#define SAMPLE_RECORDS	10000	/* of one piece of text */
#define BATCH_RECORDS	1000
#define BATCH_BYTES		(1024 * 1024)

typedef struct Inference
{
	DpPipelineSpec *spec;
	Oid			owner;
	MemoryContext cxt;
	MemoryContext batch_cxt;
	List	   *texts;			/* DpSampleText * */
	const DpSampleText *text;	/* the one at hand */
	DpInferCasts casts;
	bool		json;
	int			ncolumns;
	DpField    *fields;			/* as text; for JSON followed by as many as json */
	DpInferColumn *columns;
	List	   *found;			/* DpSetting *: what the first file has shown */
	int64		records;
	int			files;
} Inference;

static bool keep(DpPipelineSpec *spec, const DpPipelineSpec *before);
static void keep_type(DpColumnSpec *column, const DpColumnSpec *before);
static bool only_empty_as_null(const DpColumnSpec *column);
static void type_metadata(DpPipelineSpec *spec);
static bool lacks_type(const DpPipelineSpec *spec);
static void infer(void *arg);
static char *key_of(const DpPipelineSpec *spec);
static void make_fields(Inference *inf);
static void make_field(DpField *field, const DpColumnSpec *column, Oid type);
static void see_text(void *arg);
static void see_record(Inference *inf, const Datum *values, const bool *isnull);
static DpInferKind kind_of(Datum json);
static void decide(Inference *inf);
static void see_default(Inference *inf, DpInferColumn *seen, const char *value);
static List *copy_settings(const List *settings);
static void add_problem(const DpPipelineSpec *spec, const ErrorData *error, DpDocument *doc);

const char *
dp_infer_columns(DpPipelineSpec *spec, const DpPipelineSpec *before, Oid owner, List **found,
				 DpDocument *doc)
{
	Inference	inf = {.spec = spec,.owner = owner};
	ErrorData  *error;

	if (before != NULL && keep(spec, before))
		return NULL;
	type_metadata(spec);
	if (spec->columns != NIL && !lacks_type(spec))
		return NULL;
	inf.cxt = AllocSetContextCreate(CurrentMemoryContext, "dynpipe sample",
									ALLOCSET_DEFAULT_SIZES);
	inf.batch_cxt = AllocSetContextCreate(inf.cxt, "dynpipe sample batch",
										  ALLOCSET_DEFAULT_SIZES);
	error = dp_attempt(infer, &inf);
	if (error != NULL)
		add_problem(spec, error, doc);
	else if (found != NULL)
		*found = copy_settings(inf.found);
	MemoryContextDelete(inf.cxt);
	return error != NULL ? NULL :
		psprintf(INT64_FORMAT " records of %d file%s", inf.records, inf.files,
				 inf.files == 1 ? "" : "s");
}

/*
 * Take over what BEFORE has inferred; true when nothing is left to infer.  A
 * document that names no columns keeps them all as long as its source is the
 * same; they must all have come from there.
 */
static bool
keep(DpPipelineSpec *spec, const DpPipelineSpec *before)
{
	ListCell   *lc;

	foreach(lc, spec->columns)
	{
		DpColumnSpec *column = lfirst(lc);
		DpColumnSpec *known = dp_infer_known(before, column->name);

		if (column->type == NULL && known != NULL)
			keep_type(column, known);
	}
	if (spec->columns != NIL)
		return !lacks_type(spec);
	if (strcmp(spec->source, before->source) != 0)
		return false;
	foreach(lc, before->columns)
		if (!((DpColumnSpec *) lfirst(lc))->inferred)
			return false;
	spec->columns = before->columns;
	return spec->columns != NIL;
}

DpColumnSpec *
dp_infer_known(const DpPipelineSpec *spec, const char *name)
{
	ListCell   *lc;

	foreach(lc, spec->columns)
	{
		DpColumnSpec *column = lfirst(lc);

		if (column->inferred && strcmp(column->name, name) == 0)
			return column;
	}
	return NULL;
}

static void
keep_type(DpColumnSpec *column, const DpColumnSpec *before)
{
	column->type = before->type;
	column->inferred = true;
	if (column->clean == NIL && only_empty_as_null(before))
		column->clean = before->clean;
}

/* Are the clean steps those that inference adds? */
static bool
only_empty_as_null(const DpColumnSpec *column)
{
	return list_length(column->clean) == 1 &&
		linitial_int(column->clean) == DP_CLEAN_EMPTY_AS_NULL;
}

/* What is known without looking: the columns that come from no field. */
static void
type_metadata(DpPipelineSpec *spec)
{
	static const char *const names[] = {
		[DP_FROM_RAW] = "text",[DP_FROM_KEY] = "text",[DP_FROM_TIMESTAMP] = "timestamptz",
		[DP_FROM_PARTITION] = "integer",[DP_FROM_OFFSET] = "bigint",[DP_FROM_TOPIC] = "text",
		[DP_FROM_HEADERS] = "jsonb"
	};
	ListCell   *lc;

	foreach(lc, spec->columns)
	{
		DpColumnSpec *column = lfirst(lc);
		const char *path = NULL;
		DpFieldFrom from = column->from ? dp_field_from(column->from, &path) : DP_FROM_VALUE;

		if (column->type != NULL || from == DP_FROM_VALUE)
			continue;
		column->type = pstrdup(from == DP_FROM_HEADERS && path ? "text" : names[from]);
		column->inferred = true;
	}
}

static bool
lacks_type(const DpPipelineSpec *spec)
{
	ListCell   *lc;

	foreach(lc, spec->columns)
		if (((DpColumnSpec *) lfirst(lc))->type == NULL)
			return true;
	return false;
}

/* dp_attempt: sample, names, types. */
static void
infer(void *arg)
{
	Inference  *inf = arg;
	MemoryContext caller = MemoryContextSwitchTo(inf->cxt);
	ErrorData  *first_error = NULL;
	DpRole		role;
	ListCell   *lc;

	inf->texts = dp_sample_read(inf->spec, key_of(inf->spec), inf->owner);
	if (inf->texts == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_NO_DATA_FOUND),
				 errmsg("there is no file at \"%s\" to take columns and types from",
						inf->spec->source)));
	dp_role_become_owner(&role, inf->owner);
	if (inf->spec->columns == NIL)
		inf->spec->columns = dp_infer_names(inf->spec, inf->texts, caller);
	make_fields(inf);
	foreach(lc, inf->texts)
	{
		ErrorData  *error;

		inf->text = lfirst(lc);
		error = dp_attempt(see_text, inf);
		/* One file may be unlike the others; loading it will say how. */
		if (error != NULL && first_error == NULL)
			first_error = error;
	}
	dp_role_restore(&role);
	if (inf->records == 0 && first_error != NULL)
		ReThrowError(first_error);
	MemoryContextSwitchTo(caller);
	decide(inf);
}

/* The path with the document's own parameters put in. */
static char *
key_of(const DpPipelineSpec *spec)
{
	pg_tz	   *zone = pg_tzset(spec->timezone ? spec->timezone : "UTC");
	const char *problem;
	const char *hint;
	char	   *key = dp_params_put(spec->path, spec->params, GetCurrentTimestamp(), zone,
									&problem, &hint);

	if (problem != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE), errmsg("%s", problem),
				 hint ? errhint("%s", hint) : 0));
	return key;
}

static void
make_fields(Inference *inf)
{
	ListCell   *lc;

	inf->json = strcmp(inf->spec->format, "json") == 0;
	inf->ncolumns = list_length(inf->spec->columns);
	inf->fields = palloc0(sizeof(DpField) * inf->ncolumns * 2);
	inf->columns = palloc0(sizeof(DpInferColumn) * inf->ncolumns);
	foreach(lc, inf->spec->columns)
	{
		int			i = foreach_current_index(lc);

		make_field(&inf->fields[i], lfirst(lc), TEXTOID);
		make_field(&inf->fields[i + inf->ncolumns], lfirst(lc), JSONOID);
		inf->fields[i + inf->ncolumns].nclean = 0;
		dp_infer_begin(&inf->columns[i]);
	}
	dp_infer_prepare(&inf->casts, dp_infer_comma(inf->spec), inf->cxt);
}

static void
make_field(DpField *field, const DpColumnSpec *column, Oid type)
{
	ListCell   *lc;

	field->name = column->name;
	field->type = type;
	field->typmod = -1;
	field->from = DP_FROM_VALUE;
	field->path = column->name;
	if (column->from)
		field->from = dp_field_from(column->from, &field->path);
	field->clean = palloc(sizeof(DpClean) * (list_length(column->clean) + 1));
	foreach(lc, column->clean)
		field->clean[field->nclean++] = lfirst_int(lc);
	dp_cast_init(&field->cast, field->type, field->typmod, CurrentMemoryContext);
}

/* dp_attempt: judge the values of one piece. */
static void
see_text(void *arg)
{
	Inference  *inf = arg;
	const DpFormatOps *ops = dp_format_find(inf->spec->format);
	DpReader   *reader = dp_sample_reader(inf->spec, inf->text);
	int			nfields = inf->json ? inf->ncolumns * 2 : inf->ncolumns;
	DpFormat   *format = ops->open(inf->spec, inf->fields, nfields, NULL);
	Datum	   *values = palloc(sizeof(Datum) * (nfields + 1));
	bool	   *isnull = palloc(sizeof(bool) * (nfields + 1));
	DpRecords	records = {0};

	ops->adopt(format, dp_reader_splitter(reader)->layout);
	if (inf->files == 0)
		inf->found = dp_reader_splitter(reader)->found;
	inf->files += inf->text->first;
	for (int seen = 0; seen < SAMPLE_RECORDS; seen += records.n)
	{
		if (!dp_reader_next(reader, 0, &records, BATCH_RECORDS, BATCH_BYTES))
			break;
		MemoryContextSwitchTo(inf->batch_cxt);
		for (int i = 0; i < records.n; i++)
		{
			DpReject	reject;

			if (records.rec[i].problem == NULL &&
				dp_format_decode(format, &records.rec[i], values, isnull, &reject))
				see_record(inf, values, isnull);
		}
		MemoryContextSwitchTo(inf->cxt);
		MemoryContextReset(inf->batch_cxt);
		CHECK_FOR_INTERRUPTS();
	}
}

static void
see_record(Inference *inf, const Datum *values, const bool *isnull)
{
	inf->records++;
	for (int i = 0; i < inf->ncolumns; i++)
	{
		text	   *value;

		if (isnull[i])
			continue;
		value = DatumGetTextPP(values[i]);
		dp_infer_see(&inf->columns[i], &inf->casts,
					 inf->json ? kind_of(values[inf->ncolumns + i]) : DP_INFER_FIELD,
					 VARDATA_ANY(value), VARSIZE_ANY_EXHDR(value));
	}
}

/* Of a json value that is not null. */
static DpInferKind
kind_of(Datum json)
{
	text	   *value = DatumGetTextPP(json);
	char		first = VARSIZE_ANY_EXHDR(value) > 0 ? *VARDATA_ANY(value) : '"';

	switch (first)
	{
		case '"':
			return DP_INFER_STRING;
		case '{':
		case '[':
			return DP_INFER_CONTAINER;
		case 't':
		case 'f':
			return DP_INFER_WORD;
		default:
			return DP_INFER_NUMBER;
	}
}

/* Write the types into the spec.  [in the caller's context] */
static void
decide(Inference *inf)
{
	ListCell   *lc;

	foreach(lc, inf->spec->columns)
	{
		DpColumnSpec *column = lfirst(lc);
		DpInferColumn *seen = &inf->columns[foreach_current_index(lc)];
		DpInferType type;

		if (column->type != NULL)
			continue;
		if (column->default_value != NULL && seen->values > 0)
			see_default(inf, seen, column->default_value);
		type = dp_infer_result(seen);
		column->type = pstrdup(dp_infer_type_name(type));
		column->inferred = true;
		if (seen->empty > 0 && type != DP_INFER_TEXT && column->clean == NIL)
			column->clean = list_make1_int(DP_CLEAN_EMPTY_AS_NULL);
	}
}

/* The type must hold the default too. */
static void
see_default(Inference *inf, DpInferColumn *seen, const char *value)
{
	DpInferKind kind = !inf->json ? DP_INFER_FIELD :
		*value == '{' || *value == '[' ? DP_INFER_CONTAINER : DP_INFER_FIELD;

	if (*value == '\0')
		seen->fits = 0;
	else
		dp_infer_see(seen, &inf->casts, kind, value, strlen(value));
}

static List *
copy_settings(const List *settings)
{
	List	   *copies = NIL;
	ListCell   *lc;

	foreach(lc, settings)
	{
		DpSetting  *copy = palloc(sizeof(DpSetting));

		copy->name = pstrdup(((DpSetting *) lfirst(lc))->name);
		copy->value = pstrdup(((DpSetting *) lfirst(lc))->value);
		copies = lappend(copies, copy);
	}
	return copies;
}

/* What is wrong with the place goes to source, what is wrong with its files to schema. */
static void
add_problem(const DpPipelineSpec *spec, const ErrorData *error, DpDocument *doc)
{
	bool		data = error->sqlerrcode == ERRCODE_NO_DATA_FOUND ||
		ERRCODE_TO_CATEGORY(error->sqlerrcode) == ERRCODE_DATA_EXCEPTION;

	dp_config_add_problem(doc, psprintf("%s/%s", spec->pointer, data ? "schema" : "source"),
						  error->hint != NULL ? error->hint :
						  "Give each column a type, or apply again when a file is there.",
						  "%s", error->message);
}
