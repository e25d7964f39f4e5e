/*
 * list_api.c
 *	  dynpipe.list_files: what a URL or a pattern of files names, seen with the
 *	  caller's own rights, as a pipeline of the caller would.
 */
#include "dynpipe.h"

#include "api/api.h"
#include "miscadmin.h"
#include "store/store.h"
#include "utils/builtins.h"
#include "utils/formatting.h"
#include "utils/timestamp.h"
#include "utils/tuplestore.h"

PGDLLEXPORT Datum dynpipe_list_files(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(dynpipe_list_files);

typedef struct Listing
{
	ReturnSetInfo *rsinfo;
	const char *place;			/* scheme://authority/ */
} Listing;

static void split(const char *url, DpStoreSpec *spec, const char **path);
static void check(const DpStoreOps *ops, const DpStoreSpec *spec, const char *path);
static void put_object(const DpObject *object, void *arg);

Datum
dynpipe_list_files(PG_FUNCTION_ARGS)
{
	char	   *url = dp_api_text_arg(fcinfo, 0);
	char	   *connection = dp_api_text_arg(fcinfo, 1);
	DpStoreSpec spec = {.pipeline = "list_files",.user = GetUserId()};
	const DpStoreOps *ops;
	const char *path;
	Listing		listing = {(ReturnSetInfo *) fcinfo->resultinfo};
	DpStore    *store;

	if (url == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("URL must not be null")));
	InitMaterializedSRF(fcinfo, 0);
	split(url, &spec, &path);
	ops = dp_store_find(spec.scheme);
	if (ops == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("there are no files behind scheme \"%.40s\"", spec.scheme),
				 errhint("Schemes of files are: %s.", dp_store_names())));
	spec.serverid = dp_store_server(spec.scheme, spec.authority, connection, spec.user);
	store = dp_store_open(&spec);
	check(ops, &spec, path);
	if (dp_glob_is_pattern(path) && !ops->lists && strpbrk(path, "*") != NULL)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("files of scheme \"%s\" cannot be listed", spec.scheme),
				 errhint("Name one file.")));
	listing.place = psprintf("%s://%s/", spec.scheme, spec.authority);
	dp_store_glob(store, path, put_object, &listing);
	ops->close(store);
	return (Datum) 0;
}

/* scheme://authority/path; a URL that is none is not repeated, for it may hold a secret. */
static void
split(const char *url, DpStoreSpec *spec, const char **path)
{
	const char *colon = strstr(url, "://");
	const char *rest = colon != NULL ? colon + 3 : "";
	int			authority = strcspn(rest, "/");

	if (colon == NULL || colon == url || rest[authority] != '/')
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("this is not the URL of files"),
				 errhint("Write scheme://authority/path; schemes of files are: %s.",
						 dp_store_names())));
	spec->scheme = asc_tolower(url, colon - url);
	spec->authority = pnstrdup(rest, authority);
	*path = rest + authority + 1;
}

/* What a document with this URL would be told, one problem at a time. */
static void
check(const DpStoreOps *ops, const DpStoreSpec *spec, const char *path)
{
	DpDocument	doc = {0};
	const DpProblem *problem;

	ops->check(spec, path, "", &doc);
	if (doc.problems == NIL)
		return;
	problem = linitial(doc.problems);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg_internal("%s", problem->message),
			 problem->hint != NULL ? errhint("%s", problem->hint) : 0));
}

static void
put_object(const DpObject *object, void *arg)
{
	Listing    *listing = arg;
	Datum		values[4];
	bool		nulls[4] = {false, object->size < 0, object->version == NULL,
	object->modified_ms < 0};

	values[0] = CStringGetTextDatum(psprintf("%s%s", listing->place, object->key));
	values[1] = Int64GetDatum(object->size);
	values[2] = nulls[2] ? (Datum) 0 : CStringGetTextDatum(object->version);
	values[3] = TimestampTzGetDatum((object->modified_ms -
									 (POSTGRES_EPOCH_JDATE - UNIX_EPOCH_JDATE) *
									 (int64) SECS_PER_DAY * 1000) * 1000);
	tuplestore_putvalues(listing->rsinfo->setResult, listing->rsinfo->setDesc, values, nulls);
}
