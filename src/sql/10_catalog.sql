-- Catalog tables.  Written by the extension's C code only; users see the
-- views of 30_views.sql, which show each role what it may see.

CREATE TABLE dynpipe.pipeline (
	id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	name        text NOT NULL UNIQUE,
	owner       regrole NOT NULL,
	version     integer NOT NULL DEFAULT 1,
	definition  text NOT NULL,
	enabled     boolean NOT NULL DEFAULT true,
	-- The cluster and database in which the owner enabled it: a copy made by
	-- dump and restore or CREATE DATABASE ... TEMPLATE has another home, so it
	-- stays disabled there until dynpipe.start() acknowledges it.
	home        text NOT NULL,
	workers     integer NOT NULL DEFAULT 1 CHECK (workers BETWEEN 1 AND 64),
	streaming   boolean NOT NULL,
	-- Run by workers: a stream, or files with watch, schedule or a destination.
	served      boolean NOT NULL,
	created_at  timestamptz NOT NULL DEFAULT pg_catalog.now(),
	changed_at  timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE dynpipe.pipeline IS 'one row per pipeline; definition is its canonical JSON document';

CREATE TABLE dynpipe.pipeline_version (
	pipeline_id bigint NOT NULL,
	version     integer NOT NULL,
	definition  text NOT NULL,
	applied_by  text NOT NULL,
	applied_at  timestamptz NOT NULL DEFAULT pg_catalog.now(),
	PRIMARY KEY (pipeline_id, version)
);
COMMENT ON TABLE dynpipe.pipeline_version IS 'every version a pipeline ever had';

-- Who writes which table: no two pipelines may write the same one.
CREATE TABLE dynpipe.pipeline_table (
	table_schema text NOT NULL,
	table_name   text NOT NULL,
	pipeline_id  bigint NOT NULL,
	layer        text NOT NULL CHECK (layer IN ('bronze', 'silver', 'gold')),
	PRIMARY KEY (table_schema, table_name)
);
COMMENT ON TABLE dynpipe.pipeline_table IS 'the tables that each pipeline writes';

-- G1 and G2: position and conservation ledger, moved in the rows' transaction.
CREATE TABLE dynpipe.checkpoint (
	pipeline_id  bigint NOT NULL,
	partition    integer NOT NULL,
	next_offset  bigint NOT NULL CHECK (next_offset >= 0),
	first_offset bigint NOT NULL,
	consumed     bigint NOT NULL DEFAULT 0,
	loaded       bigint NOT NULL DEFAULT 0,
	deduplicated bigint NOT NULL DEFAULT 0,
	dropped      bigint NOT NULL DEFAULT 0,
	quarantined  bigint NOT NULL DEFAULT 0,
	late         bigint NOT NULL DEFAULT 0,
	warned       bigint NOT NULL DEFAULT 0,
	inserted     bigint NOT NULL DEFAULT 0,
	updated      bigint NOT NULL DEFAULT 0,
	deleted      bigint NOT NULL DEFAULT 0,
	bronze       bigint NOT NULL DEFAULT 0,
	bytes        bigint NOT NULL DEFAULT 0,
	last_timestamp timestamptz,
	last_batch   bigint,
	version      integer,
	PRIMARY KEY (pipeline_id, partition),
	CONSTRAINT conservation
		CHECK (consumed = loaded + deduplicated + dropped + quarantined + late)
) WITH (fillfactor = 50);
COMMENT ON TABLE dynpipe.checkpoint IS 'next position of each partition and what became of every record before it';

-- Which configuration a batch ran under: the row with the greatest first_batch
-- not above the batch, for its partition.
CREATE TABLE dynpipe.adoption (
	pipeline_id bigint NOT NULL,
	partition   integer NOT NULL,
	version     integer NOT NULL,
	first_batch bigint NOT NULL,
	adopted_at  timestamptz NOT NULL DEFAULT pg_catalog.now(),
	PRIMARY KEY (pipeline_id, partition, first_batch)
);
COMMENT ON TABLE dynpipe.adoption IS 'from which batch on a partition was read under which version of its pipeline';

CREATE TABLE dynpipe.gap (
	pipeline_id bigint NOT NULL,
	partition   integer NOT NULL,
	from_offset bigint NOT NULL,
	to_offset   bigint NOT NULL,
	count       bigint GENERATED ALWAYS AS (to_offset - from_offset) STORED,
	reason      text NOT NULL,
	recorded_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
	PRIMARY KEY (pipeline_id, partition, from_offset)
);
COMMENT ON TABLE dynpipe.gap IS 'ranges that the broker no longer had when the pipeline came to read them';

CREATE TABLE dynpipe.quarantine_record (
	pipeline_id bigint NOT NULL,
	partition   integer NOT NULL,
	"offset"    bigint NOT NULL,
	"timestamp" timestamptz,
	key         bytea,
	value       bytea,
	headers     jsonb,
	stage       text NOT NULL,
	column_name text,
	rule        text,
	sqlstate    text NOT NULL,
	message     text NOT NULL,
	batch       bigint,
	version     integer,
	at          timestamptz NOT NULL DEFAULT pg_catalog.now(),
	line        bigint
);
CREATE INDEX quarantine_record_pipeline ON dynpipe.quarantine_record (pipeline_id, at);
-- A file that is unloaded takes its records along.
CREATE INDEX quarantine_record_position ON dynpipe.quarantine_record
	(pipeline_id, partition, "offset");
COMMENT ON TABLE dynpipe.quarantine_record IS 'records that could not be used, raw, with the reason';

-- G1 for files: one row per version of an object; id is the partition of its
-- rows, and of its row in dynpipe.checkpoint.
CREATE TABLE dynpipe.source_file (
	id          integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	pipeline_id bigint NOT NULL,
	url         text NOT NULL,
	version     text NOT NULL,
	size        bigint,
	modified_at timestamptz,
	state       text NOT NULL DEFAULT 'pending' CHECK (state IN
		('pending', 'loaded', 'failed', 'replaced', 'unloaded', 'gone')),
	-- The newest version of its object that was seen.
	current     boolean NOT NULL DEFAULT true,
	-- How its records are decoded (delimiter, header ...): for a replay from bronze.
	layout      text,
	batch       bigint,
	seen_at     timestamptz NOT NULL DEFAULT pg_catalog.now(),
	tried_at    timestamptz,
	finished_at timestamptz,
	failures    integer NOT NULL DEFAULT 0,
	sqlstate    text,
	message     text,
	detail      text,
	hint        text,
	next_try_at timestamptz
);
CREATE UNIQUE INDEX source_file_current ON dynpipe.source_file (pipeline_id, url) WHERE current;
CREATE INDEX source_file_url ON dynpipe.source_file (pipeline_id, url);
CREATE INDEX source_file_waiting ON dynpipe.source_file (pipeline_id, modified_at NULLS FIRST, id)
	WHERE state IN ('pending', 'failed') AND current;
COMMENT ON TABLE dynpipe.source_file IS 'every version of every file that a pipeline has seen, and what became of it';

CREATE TABLE dynpipe.event (
	id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
	at          timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
	pipeline_id bigint,
	pipeline    text,
	kind        text NOT NULL,
	severity    text NOT NULL DEFAULT 'info' CHECK (severity IN ('info', 'warning', 'error')),
	message     text NOT NULL,
	detail      jsonb
);
CREATE INDEX event_pipeline ON dynpipe.event (pipeline_id, at);
COMMENT ON TABLE dynpipe.event IS 'what happened when: applied, started, stopped, failed, recovered, gap';

-- Failures outlive the transaction they aborted: written by a follow-up one.
CREATE TABLE dynpipe.failure (
	pipeline_id  bigint NOT NULL,
	shard        integer NOT NULL,
	failures     integer NOT NULL,
	sqlstate     text NOT NULL,
	message      text NOT NULL,
	detail       text,
	hint         text,
	context      text,
	first_at     timestamptz NOT NULL,
	last_at      timestamptz NOT NULL,
	next_try_at  timestamptz,
	PRIMARY KEY (pipeline_id, shard)
);
COMMENT ON TABLE dynpipe.failure IS 'shards that are failing now, with the last error and the next try';

CREATE TABLE dynpipe.gold_refresh (
	pipeline_id  bigint NOT NULL,
	gold         text NOT NULL,
	refreshed_at timestamptz NOT NULL,
	PRIMARY KEY (pipeline_id, gold)
);
COMMENT ON TABLE dynpipe.gold_refresh IS 'when each gold table was last recomputed in full';

-- What a destination must get, noted in the transaction of the rows; published
-- after it, as often as it takes.
CREATE TABLE dynpipe.output_object (
	pipeline_id  bigint NOT NULL,
	key          text NOT NULL,
	url          text NOT NULL,
	source       text NOT NULL,
	file_id      integer NOT NULL,
	action       text NOT NULL DEFAULT 'write' CHECK (action IN ('write', 'remove')),
	state        text NOT NULL DEFAULT 'wanted' CHECK (state IN ('wanted', 'failed', 'written')),
	generation   bigint NOT NULL DEFAULT 1,
	rows         bigint,
	bytes        bigint,
	attempts     integer NOT NULL DEFAULT 0,
	sqlstate     text,
	message      text,
	hint         text,
	wanted_at    timestamptz NOT NULL DEFAULT pg_catalog.now(),
	next_try_at  timestamptz NOT NULL DEFAULT pg_catalog.now(),
	written_at   timestamptz,
	PRIMARY KEY (pipeline_id, key)
) WITH (fillfactor = 70);
CREATE INDEX output_object_due ON dynpipe.output_object (pipeline_id, next_try_at, key)
	WHERE state <> 'written';
CREATE INDEX output_object_file ON dynpipe.output_object (pipeline_id, file_id);
CREATE INDEX output_object_source ON dynpipe.output_object (pipeline_id, source, file_id);
COMMENT ON TABLE dynpipe.output_object IS 'objects of destinations: to be written, to be removed, written';

CREATE TABLE dynpipe.tick (
	pipeline_id  bigint PRIMARY KEY,
	ticked_at    timestamptz NOT NULL
);
COMMENT ON TABLE dynpipe.tick IS 'when the schedule of each pipeline was last kept';

CREATE SEQUENCE dynpipe.batch_id;
COMMENT ON SEQUENCE dynpipe.batch_id IS 'numbers batches, across pipelines';

SELECT pg_catalog.pg_extension_config_dump('dynpipe.pipeline', '');
SELECT pg_catalog.pg_extension_config_dump('dynpipe.pipeline_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('dynpipe.pipeline_version', '');
SELECT pg_catalog.pg_extension_config_dump('dynpipe.pipeline_table', '');
SELECT pg_catalog.pg_extension_config_dump('dynpipe.checkpoint', '');
SELECT pg_catalog.pg_extension_config_dump('dynpipe.adoption', '');
SELECT pg_catalog.pg_extension_config_dump('dynpipe.gap', '');
SELECT pg_catalog.pg_extension_config_dump('dynpipe.quarantine_record', '');
SELECT pg_catalog.pg_extension_config_dump('dynpipe.source_file', '');
SELECT pg_catalog.pg_extension_config_dump('dynpipe.source_file_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('dynpipe.event', '');
SELECT pg_catalog.pg_extension_config_dump('dynpipe.event_id_seq', '');
SELECT pg_catalog.pg_extension_config_dump('dynpipe.gold_refresh', '');
SELECT pg_catalog.pg_extension_config_dump('dynpipe.output_object', '');
SELECT pg_catalog.pg_extension_config_dump('dynpipe.tick', '');
SELECT pg_catalog.pg_extension_config_dump('dynpipe.batch_id', '');
