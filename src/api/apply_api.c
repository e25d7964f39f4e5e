/*
 * apply_api.c
 *	  dynpipe.apply, apply_file: a document becomes pipelines and their tables.
 *
 *	  text ─parse─> specs ─each─> dp_apply_pipeline ─> result rows
 *	            problems ──────────────────┴─> one error with all of them
 *
 * A dry run does all of it in a subtransaction that is rolled back, so what it
 * reports is what apply would do.
 */
#include "dynpipe.h"

#include "api/api.h"
#include "catalog/pg_authid.h"
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "run/wake.h"
#include "storage/fd.h"
#include "util/guard.h"
#include "utils/acl.h"
#include "utils/builtins.h"

#define MAX_DOCUMENT (16 * 1024 * 1024)

PG_FUNCTION_INFO_V1(dynpipe_apply);
PG_FUNCTION_INFO_V1(dynpipe_apply_file);

typedef struct DryRun
{
	DpDocument *doc;
	List	   *applied;
} DryRun;

static void apply_text(FunctionCallInfo fcinfo, const char *text, bool dry_run);
static List *apply_document(DpDocument *doc);
static bool is_refused(const DpDocument *doc, const DpPipelineSpec *spec);
static List *apply_dry(DpDocument *doc);
static void run_dry(void *arg);
static void prune(DpDocument *doc, Oid caller, List **applied);
static char *read_document(const char *path);

Datum
dynpipe_apply(PG_FUNCTION_ARGS)
{
	apply_text(fcinfo, dp_api_text_arg(fcinfo, 0), PG_GETARG_BOOL(1));
	return (Datum) 0;
}

Datum
dynpipe_apply_file(PG_FUNCTION_ARGS)
{
	apply_text(fcinfo, read_document(dp_api_text_arg(fcinfo, 0)), PG_GETARG_BOOL(1));
	return (Datum) 0;
}

static void
apply_text(FunctionCallInfo fcinfo, const char *text, bool dry_run)
{
	DpDocument *doc;
	List	   *applied;
	ListCell   *lc;

	dp_api_check_outside();
	doc = dp_config_parse(text);
	InitMaterializedSRF(fcinfo, 0);
	if (doc->problems != NIL && doc->pipelines == NIL)
		dp_config_raise(doc);
	applied = dry_run ? apply_dry(doc) : apply_document(doc);
	foreach(lc, applied)
	{
		DpApplied  *a = lfirst(lc);
		const char *columns[] = {a->action, a->object, a->name, a->detail};

		dp_api_put_row(fcinfo, columns, lengthof(columns));
	}
	if (!dry_run)
		dp_run_wake_at_commit();
}

/* All pipelines are tried, so that all problems are known before one error. */
static List *
apply_document(DpDocument *doc)
{
	Oid			caller = GetUserId();
	List	   *applied = NIL;
	ListCell   *lc;

	foreach(lc, doc->pipelines)
		if (!is_refused(doc, lfirst(lc)))
			dp_apply_pipeline(lfirst(lc), caller, doc, &applied);
	if (doc->prune && doc->problems == NIL)
		prune(doc, caller, &applied);
	dp_config_raise(doc);
	return applied;
}

/* A pipeline that the checker found wrong may lack anything: nothing looks at it further. */
static bool
is_refused(const DpDocument *doc, const DpPipelineSpec *spec)
{
	size_t		len = spec->pointer != NULL ? strlen(spec->pointer) : 0;
	ListCell   *lc;

	if (len == 0 || spec->name == NULL)
		return true;
	foreach(lc, doc->problems)
	{
		const char *pointer = ((const DpProblem *) lfirst(lc))->pointer;

		if (strncmp(pointer, spec->pointer, len) == 0 &&
			(pointer[len] == '\0' || pointer[len] == '/'))
			return true;
	}
	return false;
}

static List *
apply_dry(DpDocument *doc)
{
	DryRun		run = {.doc = doc};
	ErrorData  *error = dp_guard_run(run_dry, &run, false);

	if (error != NULL)
		ReThrowError(error);
	return run.applied;
}

static void
run_dry(void *arg)
{
	DryRun	   *run = arg;

	run->applied = apply_document(run->doc);
}

/* Drop the caller's pipelines that the document does not name; tables stay. */
static void
prune(DpDocument *doc, Oid caller, List **applied)
{
	ListCell   *lc;
	ListCell   *ls;

	foreach(lc, dp_catalog_all())
	{
		DpPipelineRow *row = lfirst(lc);
		bool		named = false;

		foreach(ls, doc->pipelines)
			named |= strcmp(((DpPipelineSpec *) lfirst(ls))->name, row->name) == 0;
		if (!named && OidIsValid(row->owner) && has_privs_of_role(caller, row->owner))
			dp_apply_drop(row, false, applied);
	}
}

/* The file's text; checks the right to read files first. */
static char *
read_document(const char *path)
{
	FILE	   *file;
	StringInfoData text;
	char		chunk[8192];
	size_t		n;

	if (!has_privs_of_role(GetUserId(), ROLE_PG_READ_SERVER_FILES))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("permission denied to read files of the server"),
				 errhint("Only roles with privileges of pg_read_server_files may; "
						 "others pass the text to dynpipe.apply.")));
	file = AllocateFile(path, "r");
	if (file == NULL)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not open file \"%s\" for reading: %m", path)));
	initStringInfo(&text);
	while ((n = fread(chunk, 1, sizeof(chunk), file)) > 0 && text.len < MAX_DOCUMENT)
		appendBinaryStringInfo(&text, chunk, n);
	if (ferror(file))
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not read file \"%s\": %m", path)));
	FreeFile(file);
	return pg_any_to_server(text.data, text.len, PG_UTF8);
}
