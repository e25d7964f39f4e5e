/*
 * connection_test.c
 *	  dynpipe.test_connection(server, topic): can the caller use this server?
 *
 * Opens a source like a worker would, as the caller, and asks for the topic's
 * partitions.  How far that came is told by the class of the error:
 *
 *	  settings -> reach -> authenticate -> topic
 *
 * The attempt runs in a subtransaction, so an error becomes a row; a cancel
 * stays an error.  Whatever happens the client is closed with its memory.
 */
#include "dynpipe.h"

#include "foreign/foreign.h"
#include "funcapi.h"
#include "miscadmin.h"
#include "source/connection.h"
#include "source/source.h"
#include "storage/latch.h"
#include "util/attempt.h"
#include "utils/builtins.h"
#include "utils/memutils.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

#define TEST_MS		10500		/* in all: a little more than a source waits */
#define NAP_MS		50

PGDLLEXPORT Datum dynpipe_test_connection(PG_FUNCTION_ARGS);

PG_FUNCTION_INFO_V1(dynpipe_test_connection);

typedef enum Step
{
	STEP_SETTINGS,
	STEP_REACH,
	STEP_AUTHENTICATE,
	STEP_TOPIC,
	STEPS
} Step;

static const char *const step_names[] = {"settings", "reach", "authenticate", "topic"};

typedef struct Attempt
{
	DpSourceSpec spec;
	bool		opened;
	DpPartition *partitions;
	int			n;
} Attempt;

static void run(void *arg);
static Step step_of(const ErrorData *error, bool opened);
static char *describe(const ErrorData *error);
static void put_row(ReturnSetInfo *rsinfo, Step step, bool ok, const char *detail);

Datum
dynpipe_test_connection(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Attempt		attempt = {0};
	ForeignServer *server;
	ErrorData  *error;
	Step		failed;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("server name must not be null")));
	InitMaterializedSRF(fcinfo, 0);
	server = GetForeignServerByName(NameStr(*PG_GETARG_NAME(0)), false);
	attempt.spec = (DpSourceSpec)
	{
		.pipeline = "test_connection",
			.scheme = server->servertype != NULL ? server->servertype : "",
			.authority = server->servername,
			.path = PG_ARGISNULL(1) ? NULL : text_to_cstring(PG_GETARG_TEXT_PP(1)),
			.serverid = server->serverid,
			.owner = GetUserId(),
			.shard_count = 1,
			.wake_fd = -1,
	};
	error = dp_attempt(run, &attempt);
	failed = error != NULL ? step_of(error, attempt.opened) : STEPS;

	for (Step step = STEP_SETTINGS; step < STEPS && step <= failed; step++)
	{
		if (step == STEP_TOPIC && attempt.spec.path == NULL)
			break;
		if (step == failed)
			put_row(rsinfo, step, false, describe(error));
		else if (step == STEP_TOPIC)
			put_row(rsinfo, step, true, psprintf("%d partitions", attempt.n));
		else
			put_row(rsinfo, step, true, NULL);
	}
	return (Datum) 0;
}

/* dp_attempt: open, and wait for the partitions. */
static void
run(void *arg)
{
	Attempt    *attempt = arg;
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), TEST_MS);
	MemoryContext cxt = AllocSetContextCreate(CurTransactionContext, "dynpipe connection test",
											  ALLOCSET_DEFAULT_SIZES);
	MemoryContext old = MemoryContextSwitchTo(cxt);
	const DpSourceOps *ops = dp_source_find(attempt->spec.scheme);
	DpSource   *source;

	if (ops == NULL || ops->discover == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_WRONG_OBJECT_TYPE),
				 errmsg("server \"%s\" has no type that can be tested", attempt->spec.authority),
				 errhint("Types of streams are: %s. For a server of files "
						 "dynpipe.list_files(url, connection) shows whether it can be read.",
						 dp_source_names())));
	source = ops->open(&attempt->spec);
	attempt->opened = true;
	while (!ops->discover(source, &attempt->partitions, &attempt->n))
	{
		if (GetCurrentTimestamp() >= until)
			ereport(ERROR,
					(errcode(ERRCODE_CONNECTION_FAILURE),
					 errmsg("no answer from server \"%s\" within %d seconds",
							attempt->spec.authority, TEST_MS / 1000)));
		(void) WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, NAP_MS,
						 PG_WAIT_EXTENSION);
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	ops->close(source);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(cxt);
}

static Step
step_of(const ErrorData *error, bool opened)
{
	if (!opened)
		return STEP_SETTINGS;
	switch (ERRCODE_TO_CATEGORY(error->sqlerrcode))
	{
		case ERRCODE_CONNECTION_EXCEPTION:
			return STEP_REACH;
		case ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION:
			return STEP_AUTHENTICATE;
		default:
			return STEP_TOPIC;
	}
}

static char *
describe(const ErrorData *error)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoString(&buf, error->message);
	if (error->detail != NULL)
		appendStringInfo(&buf, "\n%s", error->detail);
	if (error->hint != NULL)
		appendStringInfo(&buf, "\n%s", error->hint);
	return buf.data;
}

static void
put_row(ReturnSetInfo *rsinfo, Step step, bool ok, const char *detail)
{
	Datum		values[3];
	bool		nulls[3] = {false, false, detail == NULL};

	values[0] = CStringGetTextDatum(step_names[step]);
	values[1] = BoolGetDatum(ok);
	values[2] = detail != NULL ? CStringGetTextDatum(detail) : (Datum) 0;
	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
}
