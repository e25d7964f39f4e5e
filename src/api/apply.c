/*
 * apply.c
 *	  Bring one pipeline from what it is to what its spec says: tables as the
 *	  owner, then the catalog row.
 *
 * Whatever changes an existing pipeline first takes its lock, which waits for
 * batches in flight and holds back new ones until the transaction ends: a
 * change is always at a batch edge.  Problems are collected, not raised, so
 * that the user sees those of all pipelines at once.
 */
#include "dynpipe.h"

#include "api/api.h"
#include "catalog/namespace.h"
#include "catalog/output.h"
#include "config/params.h"
#include "foreign/foreign.h"
#include "load/infer.h"
#include "miscadmin.h"
#include "output/destination.h"
#include "output/output.h"
#include "source/source.h"
#include "store/store.h"
#include "util/sqlbuf.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

typedef void (*TableVisit) (int64 id, const char *layer, const DpTableName *name,
							const char *pointer, DpDocument *doc);

static void resolve_names(DpPipelineSpec *spec);
static void resolve(DpTableName *name);
static void check_source(const DpPipelineSpec *spec, Oid owner, DpDocument *doc);
static void infer_columns(DpPipelineSpec *spec, const DpPipelineSpec *before, Oid owner,
						  DpDocument *doc, List **applied);
static void check_destination(const DpPipelineSpec *spec, int64 id, Oid owner, DpDocument *doc);
static void change_destination(const DpPlan *plan);
static void check_same_stream(const DpPipelineSpec *spec, const DpPipelineSpec *before,
							  const DpPipelineRow *row, DpDocument *doc);
static void each_table(const DpPipelineSpec *spec, int64 id, DpDocument *doc, TableVisit visit);
static void check_writer(int64 id, const char *layer, const DpTableName *name,
						 const char *pointer, DpDocument *doc);
static void add_table(int64 id, const char *layer, const DpTableName *name,
					  const char *pointer, DpDocument *doc);
static void run_changes(List *changes, Oid owner, List **applied);
static void save(const DpPipelineSpec *spec, const DpPipelineRow *row,
				 const DpPipelineSpec *before, Oid caller, const char *definition,
				 bool changed, List **applied);
static void add(List **applied, const char *action, const char *object,
				const char *name, const char *detail);
static void drop_table(const DpTableName *name, Oid owner, List **applied);

void
dp_apply_pipeline(DpPipelineSpec *spec, Oid caller, DpDocument *doc, List **applied)
{
	DpPipelineRow *row = dp_catalog_find(spec->name, true);
	Oid			owner = row ? row->owner : caller;
	DpPipelineSpec *before = NULL;
	DpPlan	   *old = NULL;
	DpPlan	   *plan;
	List	   *changes;
	char	   *definition;
	int			problems = list_length(doc->problems);

	if (row != NULL)
	{
		dp_catalog_check_owner(row, caller);
		dp_catalog_lock(row->id, ExclusiveLock, false);
		row = dp_catalog_find(spec->name, false);
		before = dp_spec_from_json(row->definition);
		old = dp_plan_build(before, row->id, row->version, owner, true,
							 palloc0(sizeof(DpDocument)), CurrentMemoryContext);
	}
	resolve_names(spec);
	check_source(spec, owner, doc);
	check_destination(spec, row ? row->id : 0, owner, doc);
	if (before != NULL)
		check_same_stream(spec, before, row, doc);
	each_table(spec, row ? row->id : 0, doc, check_writer);
	if (spec->silver && dp_store_find(spec->scheme) != NULL)
	{
		/* Without types nothing sensible can be said about the rest. */
		if (list_length(doc->problems) == problems)
			infer_columns(spec, before, owner, doc, applied);
		if (list_length(doc->problems) > problems)
			return;
	}
	plan = dp_plan_build(spec, row ? row->id : 0, row ? row->version + 1 : 1, owner, false, doc,
						 CurrentMemoryContext);
	if (plan == NULL || list_length(doc->problems) > problems)
		return;
	changes = dp_plan_changes(plan, old, doc);
	if (list_length(doc->problems) > problems)
		return;

	definition = dp_spec_to_json(spec);
	if (before != NULL && !dp_output_same_target(before, spec))
		change_destination(plan);
	save(spec, row, before, caller, definition,
		 row == NULL || strcmp(row->definition, definition) != 0, applied);
	run_changes(changes, owner, applied);
}

void
dp_apply_drop(const DpPipelineRow *row, bool tables, List **applied)
{
	DpPipelineSpec *spec = dp_spec_from_json(row->definition);
	ListCell   *lc;

	dp_catalog_lock(row->id, ExclusiveLock, false);
	if (tables && OidIsValid(row->owner))
	{
		foreach(lc, spec->gold)
			drop_table(&((DpGoldSpec *) lfirst(lc))->table, row->owner, applied);
		if (spec->silver)
		{
			drop_table(&spec->silver_table, row->owner, applied);
			drop_table(dp_plan_tombstones(spec), row->owner, applied);
		}
		if (spec->bronze)
			drop_table(&spec->bronze_table, row->owner, applied);
	}
	dp_catalog_delete(row->id);
	dp_catalog_event(row->id, row->name, "dropped", "info",
					 psprintf("dropped by %s", GetUserNameFromId(GetUserId(), false)), NULL);
	add(applied, "drop", "pipeline", row->name, tables ? "with its tables" : "tables kept");
}

/* Names without schema are the caller's current_schema, written back into the spec. */
static void
resolve_names(DpPipelineSpec *spec)
{
	ListCell   *lc;

	if (spec->bronze)
		resolve(&spec->bronze_table);
	if (spec->silver)
		resolve(&spec->silver_table);
	foreach(lc, spec->gold)
		resolve(&((DpGoldSpec *) lfirst(lc))->table);
}

static void
resolve(DpTableName *name)
{
	List	   *path;

	if (name->schema != NULL)
		return;
	path = fetch_search_path(false);
	if (path == NIL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_SCHEMA),
				 errmsg("no schema has been selected to create table \"%s\" in", name->table),
				 errhint("Qualify the table's name or set search_path.")));
	name->schema = get_namespace_name(linitial_oid(path));
}

/* The URL's source must be usable by this build, with this server, by the owner. */
static void
check_source(const DpPipelineSpec *spec, Oid owner, DpDocument *doc)
{
	const DpSourceOps *source = dp_source_find(spec->scheme);
	const DpStoreOps *store = dp_store_find(spec->scheme);

	if (source != NULL)
	{
		ForeignServer *server = GetForeignServerByName(
			spec->connection ? spec->connection : spec->authority, true);

		source->check(spec, server ? server->serverid : InvalidOid, owner, doc);
	}
	else if (store != NULL)
	{
		DpStoreSpec where = {
			.pipeline = spec->name,
			.scheme = spec->scheme,
			.authority = spec->authority,
			.serverid = dp_store_server(spec->scheme, spec->authority, spec->connection, owner),
			.user = owner
		};

		store->check(&where, spec->path, psprintf("%s/source", spec->pointer), doc);
	}
}

/* What files decide: names and types that the document leaves open; told in the result. */
static void
infer_columns(DpPipelineSpec *spec, const DpPipelineSpec *before, Oid owner, DpDocument *doc,
			  List **applied)
{
	const char *seen = dp_infer_columns(spec, before, owner, NULL, doc);
	ListCell   *lc;

	foreach(lc, seen ? spec->columns : NIL)
	{
		DpColumnSpec *column = lfirst(lc);

		if (column->inferred && (before == NULL || dp_infer_known(before, column->name) == NULL))
			add(applied, "infer", "column", dp_sql("%T.%I", &spec->silver_table, column->name),
				psprintf("%s, from %s", column->type, seen));
	}
}

/* A URL to write to: of the owner's, by files, and nobody else's. */
static void
check_destination(const DpPipelineSpec *spec, int64 id, Oid owner, DpDocument *doc)
{
	if (spec->target.url != NULL && spec->silver && dp_store_find(spec->scheme) != NULL)
		dp_destination_check(spec, id, owner, doc);
}

/* What the former one has stays there; the new one gets what is loaded already. */
static void
change_destination(const DpPlan *plan)
{
	const DpPipelineSpec *spec = plan->spec;
	const char *problem = NULL;
	const char *hint = NULL;
	char	   *folder;

	dp_catalog_output_forget(plan->pipeline_id);
	if (spec->target.url == NULL)
		return;
	folder = dp_params_put(spec->target.path, spec->params, GetCurrentTimestamp(),
						   pg_tzset("UTC"), &problem, &hint);
	if (folder != NULL)
		dp_output_write_all(plan, folder);
	else
		ereport(NOTICE,
				(errmsg("files that are loaded already are not written to \"%s\"",
						spec->target.url),
				 errdetail("They were loaded for parameters that the document does not know.")));
}

/* Positions belong to one topic: another one would be read from the middle. */
static void
check_same_stream(const DpPipelineSpec *spec, const DpPipelineSpec *before,
				  const DpPipelineRow *row, DpDocument *doc)
{
	bool		streams = dp_source_find(spec->scheme) != NULL ||
		dp_source_find(before->scheme) != NULL;

	if (streams && strcmp(spec->path, before->path) != 0 &&
		dp_catalog_checkpoints(row->id) != NIL)
		dp_config_add_problem(doc, psprintf("%s/source", spec->pointer),
							  psprintf("Give the new source a pipeline of its own, or "
									   "SELECT dynpipe.drop('%s') first; its tables stay.",
									   spec->name),
							  "pipeline \"%s\" has read \"%s\" and cannot go on in \"%s\"",
							  spec->name, before->path, spec->path);
}

/* VISIT every table that the pipeline writes, with its place in the document. */
static void
each_table(const DpPipelineSpec *spec, int64 id, DpDocument *doc, TableVisit visit)
{
	ListCell   *lc;

	if (spec->bronze)
		visit(id, "bronze", &spec->bronze_table, psprintf("%s/bronze/table", spec->pointer), doc);
	if (spec->silver)
		visit(id, "silver", &spec->silver_table, psprintf("%s/silver/table", spec->pointer), doc);
	foreach(lc, spec->gold)
		visit(id, "gold", &((DpGoldSpec *) lfirst(lc))->table,
			  psprintf("%s/gold/%d/table", spec->pointer, foreach_current_index(lc)), doc);
}

static void
check_writer(int64 id, const char *layer, const DpTableName *name, const char *pointer,
			 DpDocument *doc)
{
	if (dp_catalog_table_taken(id, name->schema, name->table))
		dp_config_add_problem(doc, pointer,
							  "Give each pipeline tables of its own; a gold query or a view can "
							  "bring them together.",
							  "table %s is written by another pipeline already",
							  dp_sql("%T", name));
}

static void
add_table(int64 id, const char *layer, const DpTableName *name, const char *pointer,
		  DpDocument *doc)
{
	dp_catalog_add_table(id, layer, name->schema, name->table);
}

static void
run_changes(List *changes, Oid owner, List **applied)
{
	ListCell   *lc;

	foreach(lc, changes)
	{
		DpChange   *change = lfirst(lc);

		dp_plan_run_change(change, owner);
		add(applied, change->action, change->object, change->name, change->detail);
	}
}

/* Insert or update the catalog row and log it. */
static void
save(const DpPipelineSpec *spec, const DpPipelineRow *row, const DpPipelineSpec *before,
	 Oid caller, const char *definition, bool changed, List **applied)
{
	bool		streaming = dp_source_find(spec->scheme) != NULL;
	bool		served = streaming || spec->watch_ms > 0 || spec->schedule != NULL ||
		spec->target.url != NULL;
	const char *action = row == NULL ? "create" : changed ? "alter" : "unchanged";
	/* stopped by hand stays stopped, unless the document now says otherwise */
	bool		enabled = before != NULL && before->enabled == spec->enabled ?
		row->enabled : spec->enabled;
	int64		id;

	if (row == NULL)
		id = dp_catalog_insert(spec->name, caller, definition, spec->enabled, spec->workers,
							   streaming, served);
	else
	{
		id = row->id;
		if (changed)
			dp_catalog_update(id, definition, enabled, spec->workers, streaming, served);
	}
	if (changed)
		dp_catalog_event(id, spec->name, "applied", "info",
						 psprintf("version %d applied by %s", row ? row->version + 1 : 1,
								  GetUserNameFromId(caller, false)), NULL);
	if (changed && served && spec->enabled)
		dp_api_warn_not_preloaded();
	if (changed)
	{
		dp_catalog_clear_tables(id);
		each_table(spec, id, NULL, add_table);
	}
	add(applied, action, "pipeline", spec->name,
		psprintf("version %d", row == NULL ? 1 : changed ? row->version + 1 : row->version));
}

static void
add(List **applied, const char *action, const char *object, const char *name,
	const char *detail)
{
	DpApplied  *a = palloc0(sizeof(DpApplied));

	a->action = action;
	a->object = object;
	a->name = name;
	a->detail = detail;
	*applied = lappend(*applied, a);
}

static void
drop_table(const DpTableName *name, Oid owner, List **applied)
{
	List	   *changes = NIL;
	DpChange	change = {
		.action = "drop", .object = "table", .name = dp_sql("%T", name), .detail = NULL,
		.sql = dp_sql("DROP TABLE %T", name)
	};
	Oid			schema = get_namespace_oid(name->schema, true);

	if (!OidIsValid(schema) || !OidIsValid(get_relname_relid(name->table, schema)))
		return;
	changes = list_make1(&change);
	run_changes(changes, owner, applied);
}
