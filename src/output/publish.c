/*
 * publish.c
 *	  Objects of a destination, one at a time: see publish.h.
 *
 *	  executor -> receive_row -> encoder -> buffer -> [gzip] -> counted -> store
 *
 * One row is in memory at a time, and a buffer of BUFFER_SIZE.  All of an
 * object's memory is in one context, which outlives the subtransaction: after
 * a failure the put is aborted and only then freed.  A store that has failed
 * is closed and opened anew for the next object.
 */
#include "dynpipe.h"

#include "access/relation.h"
#include "access/xact.h"
#include "access/xlog.h"
#include "catalog/namespace.h"
#include "catalog/output.h"
#include "common/pg_prng.h"
#include "executor/spi.h"
#include "mb/pg_wchar.h"
#include "output/encode.h"
#include "output/output.h"
#include "output/publish.h"
#include "store/pack.h"
#include "util/as_owner.h"
#include "util/guard.h"
#include "util/sqlbuf.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

#define BUFFER_SIZE		(64 * 1024)
/* A buffer that a huge row has stretched is not kept. */
#define BUFFER_KEPT		(1024 * 1024)
/* Objects looked at before it is clear that others work on all of them. */
#define LOOK_AHEAD		100

struct DpPublisher
{
	MemoryContext cxt;
	MemoryContext store_cxt;	/* the store; reset to close it */
	const DpPipelineSpec *spec;
	int64		id;
	int32		version;
	Oid			owner;
	const char *name;
	DpStore    *store;			/* NULL: not open */
	void		(*progress) (void);
	bool		worker;			/* a cancel is the worker's own, for lack of time */
};

/* Sees what really goes to the store. */
typedef struct CountedPut
{
	DpPut		base;
	DpPut	   *below;
	int64		bytes;
} CountedPut;

/* One object being published. */
typedef struct Job
{
	DpPublisher *publisher;
	const DpOutputRow *row;
	const DpEncoderOps *ops;
	DpEncoder  *encoder;
	MemoryContext cxt;			/* of the object */
	MemoryContext row_cxt;
	StringInfoData buffer;
	DpPut	   *put;			/* top of the stack while it is unfinished */
	CountedPut *counted;
	int64		rows;
} Job;

typedef struct RowReceiver
{
	DestReceiver pub;
	Job		   *job;
} RowReceiver;

/* A user's code that is run by a query must not publish in its turn. */
static bool publishing = false;

static void check_callable(void);
static bool publish(DpPublisher *publisher, const DpOutputRow *row, DpPublished *result);
static void run_job(void *arg);
static void keep_commits(void);
static void open_store(DpPublisher *publisher);
static void close_store(DpPublisher *publisher);
static void write_object(Job *job);
static void open_put(Job *job);
static DpPut *put_counted(DpPut *below);
static void counted_write(DpPut *put, const char *buf, Size len);
static void counted_finish(DpPut *put);
static void counted_abort(DpPut *put);
static List *silver_columns(const DpTableName *name);
static void send_rows(Job *job, const char *sql);
static void receive_start(DestReceiver *self, int operation, TupleDesc desc);
static bool receive_row(TupleTableSlot *slot, DestReceiver *self);
static void receive_end(DestReceiver *self);
static void send_buffer(Job *job);
static void mark(DpPublisher *publisher, const Job *job, DpPublished *result);
static void mark_failed(DpPublisher *publisher, const DpOutputRow *row,
						const ErrorData *error, DpPublished *result);
static bool is_to_bear(const DpPublisher *publisher, const ErrorData *error);

DpPublisher *
dp_publisher_open(const DpPipelineRow *row, MemoryContext parent)
{
	MemoryContext cxt = AllocSetContextCreate(parent, "dynpipe publisher",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	DpPublisher *publisher = palloc0(sizeof(DpPublisher));

	publisher->cxt = cxt;
	publisher->store_cxt = AllocSetContextCreate(cxt, "dynpipe destination",
												 ALLOCSET_DEFAULT_SIZES);
	publisher->spec = dp_spec_from_json(row->definition);
	publisher->id = row->id;
	publisher->version = row->version;
	publisher->owner = row->owner;
	publisher->name = pstrdup(row->name);
	MemoryContextSwitchTo(old);
	return publisher;
}

void
dp_publisher_close(DpPublisher *publisher)
{
	close_store(publisher);
	MemoryContextDelete(publisher->cxt);
}

void
dp_publisher_progress(DpPublisher *publisher, void (*progress) (void))
{
	publisher->progress = progress;
}

bool
dp_publisher_next(DpPublisher *publisher, DpPublished *result)
{
	List	   *keys = dp_catalog_output_due(publisher->id, false, LOOK_AHEAD);
	ListCell   *lc;

	foreach(lc, keys)
		if (dp_publisher_key(publisher, lfirst(lc), result))
			return true;
	return false;
}

/* The lock comes first: what is read under it stays true while it is held. */
bool
dp_publisher_key(DpPublisher *publisher, const char *key, DpPublished *result)
{
	DpOutputRow *row;

	check_callable();
	if (publisher->spec->target.url == NULL || !OidIsValid(publisher->owner))
		return false;
	if (!dp_catalog_output_lock(publisher->id, key))
		return false;
	row = dp_catalog_output_read(publisher->id, key);
	/* of a destination that is not the one of this definition: somebody has a newer one */
	if (row == NULL || strcmp(row->url, dp_output_url(publisher->spec, key)) != 0)
		return false;
	return publish(publisher, row, result);
}

bool
dp_publish_next(const DpPipelineRow *row, void (*progress) (void))
{
	DpPublisher *publisher = dp_publisher_open(row, CurrentMemoryContext);
	DpPublished result;
	bool		tried;

	dp_publisher_progress(publisher, progress);
	publisher->worker = true;
	tried = dp_publisher_next(publisher, &result);
	if (tried && result.state == DP_PUBLISH_FAILED)
		ereport(LOG,
				(errmsg("pipeline \"%s\" could not publish \"%s\": %s",
						row->name, result.url, result.message),
				 result.hint ? errhint("%s", result.hint) : 0));
	dp_publisher_close(publisher);
	return tried;
}

/*
 * The protocol needs each statement to see what is committed by then: with a
 * snapshot from before, old rows could replace an object made of newer ones.
 */
static void
check_callable(void)
{
	if (publishing)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("cannot publish from within a query that is being published")));
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_ACTIVE_SQL_TRANSACTION),
				 errmsg("cannot publish in a transaction with isolation level %s",
						IsolationIsSerializable() ? "serializable" : "repeatable read"),
				 errhint("Use a transaction with isolation level read committed.")));
}

static bool
publish(DpPublisher *publisher, const DpOutputRow *row, DpPublished *result)
{
	MemoryContext caller = CurrentMemoryContext;
	Job			job = {.publisher = publisher, .row = row};
	ErrorData  *error;

	memset(result, 0, sizeof(*result));
	result->url = row->url;
	result->remove = row->remove;
	result->rows = result->bytes = -1;
	job.cxt = AllocSetContextCreate(caller, "dynpipe object", ALLOCSET_DEFAULT_SIZES);
	MemoryContextSwitchTo(job.cxt);
	error = dp_guard_run(run_job, &job, true);
	publishing = false;
	if (error != NULL)
	{
		if (job.put != NULL)
			job.put->abort(job.put);
		close_store(publisher);
		if (!is_to_bear(publisher, error))
			ReThrowError(error);
	}
	MemoryContextSwitchTo(caller);
	if (error != NULL)
		mark_failed(publisher, row, error, result);
	else
		mark(publisher, &job, result);
	MemoryContextDelete(job.cxt);
	return true;
}

/* All that can fail for reasons of the object, the store or the owner's rights. */
static void
run_job(void *arg)
{
	Job		   *job = arg;
	DpPublisher *publisher = job->publisher;

	publishing = true;
	keep_commits();
	open_store(publisher);
	if (job->row->remove)
		publisher->store->ops->remove(publisher->store, job->row->key);
	else
		write_object(job);
}

/*
 * Loads commit without waiting for the disk.  A crash must not forget the load
 * or unload that the world has already been shown.
 */
static void
keep_commits(void)
{
	XLogFlush(GetXLogInsertRecPtr());
}

static void
open_store(DpPublisher *publisher)
{
	const DpDestinationSpec *target = &publisher->spec->target;
	MemoryContext old;
	DpStoreSpec spec = {
		.pipeline = publisher->name,
		.scheme = target->scheme,
		.authority = target->authority,
		.user = publisher->owner,
		.writing = true
	};

	if (publisher->store != NULL)
		return;
	old = MemoryContextSwitchTo(publisher->store_cxt);
	spec.serverid = dp_store_server(target->scheme, target->authority, target->connection,
									publisher->owner);
	publisher->store = dp_store_open(&spec);
	MemoryContextSwitchTo(old);
}

static void
close_store(DpPublisher *publisher)
{
	if (publisher->store != NULL)
		publisher->store->ops->close(publisher->store);
	publisher->store = NULL;
	MemoryContextReset(publisher->store_cxt);
}

static void
write_object(Job *job)
{
	const DpPipelineSpec *spec = job->publisher->spec;

	job->ops = dp_encoder_of(spec);
	job->row_cxt = AllocSetContextCreate(job->cxt, "dynpipe row", ALLOCSET_DEFAULT_SIZES);
	initStringInfo(&job->buffer);
	open_put(job);
	send_rows(job, job->ops->query(&spec->silver_table, silver_columns(&spec->silver_table)));
	send_buffer(job);
	job->put->finish(job->put);
	job->put = NULL;
}

static void
open_put(Job *job)
{
	const DpPipelineSpec *spec = job->publisher->spec;
	DpStore    *store = job->publisher->store;
	bool		gzip = spec->target.compression && strcmp(spec->target.compression, "gzip") == 0;

	job->put = store->ops->put(store, job->row->key,
							   gzip ? "application/gzip" : job->ops->content_type);
	job->put = put_counted(job->put);
	job->counted = (CountedPut *) job->put;
	if (gzip)
		job->put = dp_put_gzip(job->put);
}

static DpPut *
put_counted(DpPut *below)
{
	CountedPut *counted = palloc0(sizeof(CountedPut));

	counted->base.write = counted_write;
	counted->base.finish = counted_finish;
	counted->base.abort = counted_abort;
	counted->below = below;
	return &counted->base;
}

static void
counted_write(DpPut *put, const char *buf, Size len)
{
	CountedPut *counted = (CountedPut *) put;

	counted->below->write(counted->below, buf, len);
	counted->bytes += len;
}

static void
counted_finish(DpPut *put)
{
	CountedPut *counted = (CountedPut *) put;

	counted->below->finish(counted->below);
}

static void
counted_abort(DpPut *put)
{
	CountedPut *counted = (CountedPut *) put;

	counted->below->abort(counted->below);
}

/* The names of the table's columns in order, without those that begin with "_". */
static List *
silver_columns(const DpTableName *name)
{
	Oid			schema = get_namespace_oid(name->schema, true);
	Oid			relid = OidIsValid(schema) ? get_relname_relid(name->table, schema) : InvalidOid;
	Relation	rel = OidIsValid(relid) ? try_relation_open(relid, AccessShareLock) : NULL;
	List	   *columns = NIL;

	if (rel == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("silver table %s does not exist", dp_sql("%T", name)),
				 errhint("Apply the pipeline's document again: it makes the table anew.")));
	for (int i = 0; i < RelationGetDescr(rel)->natts; i++)
	{
		Form_pg_attribute att = TupleDescAttr(RelationGetDescr(rel), i);

		if (!att->attisdropped && NameStr(att->attname)[0] != '_')
			columns = lappend(columns, pstrdup(NameStr(att->attname)));
	}
	relation_close(rel, NoLock);
	return columns;
}

/* Run SQL as the owner; each row goes on its way before the next is made. */
static void
send_rows(Job *job, const char *sql)
{
	RowReceiver receiver = {
		.pub = {
			.receiveSlot = receive_row,
			.rStartup = receive_start,
			.rShutdown = receive_end,
			.rDestroy = receive_end,
			.mydest = DestTuplestore
		},
		.job = job
	};
	SPIExecuteOptions options = {.dest = &receiver.pub};
	MemoryContext old = CurrentMemoryContext;
	DpRole		role;
	int			rc;

	options.params = makeParamList(1);
	options.params->params[0].value = Int32GetDatum(job->row->file_id);
	options.params->params[0].isnull = false;
	options.params->params[0].pflags = PARAM_FLAG_CONST;
	options.params->params[0].ptype = INT4OID;
	dp_role_become_owner(&role, job->publisher->owner);
	SPI_connect();
	rc = SPI_execute_extended(sql, &options);
	if (rc < 0)
		elog(ERROR, "cannot run: %s: %s", SPI_result_code_string(rc), sql);
	SPI_finish();
	dp_role_restore(&role);
	MemoryContextSwitchTo(old);
}

static void
receive_start(DestReceiver *self, int operation, TupleDesc desc)
{
	Job		   *job = ((RowReceiver *) self)->job;
	MemoryContext old = MemoryContextSwitchTo(job->cxt);

	job->encoder = job->ops->open(&job->publisher->spec->target, CreateTupleDescCopy(desc));
	job->ops->begin(job->encoder, &job->buffer);
	MemoryContextSwitchTo(old);
}

static bool
receive_row(TupleTableSlot *slot, DestReceiver *self)
{
	Job		   *job = ((RowReceiver *) self)->job;
	MemoryContext old = MemoryContextSwitchTo(job->row_cxt);

	job->ops->row(job->encoder, slot, &job->buffer);
	job->rows++;
	MemoryContextSwitchTo(job->cxt);
	MemoryContextReset(job->row_cxt);
	if (job->buffer.len >= BUFFER_SIZE)
		send_buffer(job);
	MemoryContextSwitchTo(old);
	return true;
}

static void
receive_end(DestReceiver *self)
{
}

/* The buffer holds whole rows, so whole characters: it is converted as it is. */
static void
send_buffer(Job *job)
{
	char	   *text = job->buffer.data;
	char	   *utf8 = pg_server_to_any(text, job->buffer.len, PG_UTF8);

	job->put->write(job->put, utf8, utf8 == text ? job->buffer.len : strlen(utf8));
	if (utf8 != text)
		pfree(utf8);
	if (job->buffer.maxlen > BUFFER_KEPT)
	{
		pfree(text);
		initStringInfo(&job->buffer);
	}
	else
		resetStringInfo(&job->buffer);
	if (job->publisher->progress != NULL)
		job->publisher->progress();
}

static void
mark(DpPublisher *publisher, const Job *job, DpPublished *result)
{
	bool		marked;

	if (job->row->remove)
		marked = dp_catalog_output_removed(publisher->id, publisher->version, job->row);
	else
	{
		result->rows = job->rows;
		result->bytes = job->counted->bytes;
		marked = dp_catalog_output_written(publisher->id, publisher->version, job->row,
										   result->rows, result->bytes);
	}
	result->state = marked ? DP_PUBLISH_DONE : DP_PUBLISH_SUPERSEDED;
}

/* The wait doubles with each failure, as for pipelines (run/schedule.h). */
static void
mark_failed(DpPublisher *publisher, const DpOutputRow *row, const ErrorData *error,
			DpPublished *result)
{
	int64		delay = Min((int64) dp_retry_initial << Min(row->attempts, 20), dp_retry_max);

	delay -= (int64) (delay * 0.15 * pg_prng_double(&pg_global_prng_state));
	result->message = pstrdup(error->message ? error->message : "unknown error");
	result->hint = error->hint ? pstrdup(error->hint) : NULL;
	result->state = dp_catalog_output_failed(publisher->id, row, error, delay) ?
		DP_PUBLISH_FAILED : DP_PUBLISH_SUPERSEDED;
}

/*
 * A cancel or a shutdown is meant for the caller, not for the object.  Workers
 * cancel what takes too long: that one object must not hold up the others.
 */
static bool
is_to_bear(const DpPublisher *publisher, const ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_QUERY_CANCELED)
		return publisher->worker;
	return ERRCODE_TO_CATEGORY(error->sqlerrcode) !=
		ERRCODE_TO_CATEGORY(ERRCODE_OPERATOR_INTERVENTION);
}
