-- What users see.  Tables of dynpipe.* are not granted to anybody: these views
-- show each role the pipelines of roles whose privileges it has, and all of
-- them to members of pg_monitor.

CREATE FUNCTION dynpipe.home() RETURNS text
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dynpipe_home';
COMMENT ON FUNCTION dynpipe.home() IS
'identity of this database among all clusters: pipelines enabled elsewhere do not run here';

CREATE FUNCTION dynpipe.preloaded() RETURNS boolean
	LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'dynpipe_preloaded';
COMMENT ON FUNCTION dynpipe.preloaded() IS
'was dynpipe loaded by shared_preload_libraries, which streams need?';

CREATE FUNCTION dynpipe.shard_state(
	OUT pipeline_id bigint, OUT shard integer, OUT shards integer, OUT state text,
	OUT worker_pid integer, OUT failures integer, OUT next_try_at timestamptz,
	OUT error_at timestamptz, OUT sqlstate text, OUT message text, OUT detail text,
	OUT hint text, OUT context text,
	OUT lag bigint, OUT partitions integer, OUT version integer, OUT batches bigint,
	OUT records bigint, OUT bytes bigint, OUT batch_rows integer, OUT batch_ms float8,
	OUT records_per_second float8, OUT bytes_per_second float8, OUT load float8,
	OUT latency_p50_ms float8, OUT latency_p99_ms float8,
	OUT last_commit_at timestamptz, OUT newest_record_at timestamptz)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'dynpipe_shard_state';
COMMENT ON FUNCTION dynpipe.shard_state() IS
'what the workers of this database do now, one row per shard that the caller may see';

CREATE FUNCTION dynpipe.partition_end(
	OUT pipeline_id bigint, OUT partition integer, OUT high bigint)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL SAFE ROWS 10 AS 'MODULE_PATHNAME', 'dynpipe_partition_end';
COMMENT ON FUNCTION dynpipe.partition_end() IS
'newest known end of the partitions that are being read, for pipelines that the caller may see';

CREATE FUNCTION dynpipe.load_state(
	OUT pipeline_id bigint, OUT pid integer, OUT file_id integer, OUT started_at timestamptz,
	OUT files bigint, OUT files_done bigint, OUT bytes_total bigint, OUT bytes bigint,
	OUT file_bytes_total bigint, OUT file_bytes bigint, OUT records bigint,
	OUT file_records bigint, OUT file_quarantined bigint)
	RETURNS SETOF record
	LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED ROWS 4
	AS 'MODULE_PATHNAME', 'dynpipe_load_state';
COMMENT ON FUNCTION dynpipe.load_state() IS
'the loads of files that sessions and workers of this database do now';

-- May the caller see what belongs to this owner?
CREATE FUNCTION dynpipe.may_see(owner oid) RETURNS boolean
	LANGUAGE sql STABLE PARALLEL SAFE
	RETURN pg_catalog.pg_has_role(owner, 'USAGE')
		OR pg_catalog.pg_has_role('pg_monitor', 'USAGE');
COMMENT ON FUNCTION dynpipe.may_see(oid) IS
'has the caller the privileges of this owner of a pipeline, or those of pg_monitor?';

CREATE VIEW dynpipe.status WITH (security_barrier) AS
WITH shard AS (
	SELECT s.pipeline_id,
		-- The state that matters most among the shards of a pipeline.
		(ARRAY['failed', 'retrying', 'waiting for a worker slot', 'stopping', 'connecting',
			   'running', 'caught up'])
		[pg_catalog.min(pg_catalog.array_position(ARRAY['failed', 'retrying', 'waiting for a worker slot', 'stopping',
			   'connecting', 'running', 'caught up'], s.state))] AS state,
		pg_catalog.sum(s.lag)::bigint AS lag,
		pg_catalog.bool_and(s.lag IS NOT NULL) AS lag_known,
		pg_catalog.sum(s.records_per_second) AS records_per_second,
		pg_catalog.sum(s.bytes_per_second) AS bytes_per_second,
		pg_catalog.max(s.batch_rows) AS batch_rows,
		pg_catalog.max(s.batch_ms) AS batch_ms,
		pg_catalog.max(s.latency_p50_ms) AS latency_p50_ms,
		pg_catalog.max(s.latency_p99_ms) AS latency_p99_ms,
		pg_catalog.max(s.last_commit_at) AS last_commit_at,
		pg_catalog.min(s.newest_record_at) AS newest_record_at,
		pg_catalog.sum(s.partitions)::integer AS partitions,
		pg_catalog.min(s.version) AS version,
		pg_catalog.max(s.next_try_at) FILTER (WHERE s.state IN ('failed', 'retrying')) AS next_try_at,
		pg_catalog.max(s.error_at) AS error_at,
		(pg_catalog.array_agg(s.sqlstate ORDER BY s.error_at DESC NULLS LAST))[1] AS sqlstate,
		(pg_catalog.array_agg(s.message ORDER BY s.error_at DESC NULLS LAST))[1] AS message,
		(pg_catalog.array_agg(s.detail ORDER BY s.error_at DESC NULLS LAST))[1] AS detail,
		(pg_catalog.array_agg(s.hint ORDER BY s.error_at DESC NULLS LAST))[1] AS hint,
		(pg_catalog.array_agg(s.context ORDER BY s.error_at DESC NULLS LAST))[1] AS context
	FROM dynpipe.shard_state() AS s
	GROUP BY s.pipeline_id
), ledger AS (
	SELECT c.pipeline_id, pg_catalog.count(*)::integer AS partitions,
		pg_catalog.sum(c.consumed)::bigint AS records, pg_catalog.sum(c.loaded)::bigint AS loaded,
		pg_catalog.sum(c.deduplicated)::bigint AS deduplicated, pg_catalog.sum(c.dropped)::bigint AS dropped,
		pg_catalog.sum(c.quarantined)::bigint AS quarantined, pg_catalog.sum(c.late)::bigint AS late
	FROM dynpipe.checkpoint AS c
	GROUP BY c.pipeline_id
), files AS (
	SELECT s.pipeline_id,
		pg_catalog.count(*) FILTER (WHERE s.state = 'loaded') AS loaded,
		pg_catalog.count(*) FILTER (WHERE s.state = 'pending' AND s.current) AS pending,
		pg_catalog.count(*) FILTER (WHERE s.state = 'failed' AND s.current) AS failed,
		(pg_catalog.array_agg(s.message ORDER BY s.tried_at DESC)
			FILTER (WHERE s.state = 'failed' AND s.current))[1] AS message,
		pg_catalog.min(s.next_try_at) FILTER (WHERE s.state = 'failed' AND s.current) AS next_try_at
	FROM dynpipe.source_file AS s
	GROUP BY s.pipeline_id
), stored AS (
	SELECT DISTINCT ON (f.pipeline_id) f.*
	FROM dynpipe.failure AS f
	ORDER BY f.pipeline_id, f.last_at DESC
), known AS (
	SELECT p.*, s.state AS shard_state, s.lag, s.lag_known, s.records_per_second,
		s.bytes_per_second, s.batch_rows, s.batch_ms, s.latency_p50_ms, s.latency_p99_ms,
		s.last_commit_at, s.newest_record_at, s.version AS running_version, s.next_try_at,
		-- from the first failure until a batch, or the end of the log, proves that it works again
		f.pipeline_id IS NOT NULL AS failing,
		coalesce(s.partitions, l.partitions, 0) AS partitions,
		coalesce(s.error_at, f.last_at) AS error_at,
		CASE WHEN s.error_at IS NULL THEN f.sqlstate ELSE s.sqlstate END AS error_state,
		CASE WHEN s.error_at IS NULL THEN f.message ELSE s.message END AS error_message,
		CASE WHEN s.error_at IS NULL THEN f.detail ELSE s.detail END AS error_detail,
		CASE WHEN s.error_at IS NULL THEN f.hint ELSE s.hint END AS error_hint,
		CASE WHEN s.error_at IS NULL THEN f.context ELSE s.context END AS error_context,
		coalesce(l.records, 0) AS records, coalesce(l.loaded, 0) AS loaded,
		coalesce(l.deduplicated, 0) AS deduplicated, coalesce(l.dropped, 0) AS dropped,
		coalesce(l.quarantined, 0) AS quarantined, coalesce(l.late, 0) AS late,
		CASE WHEN NOT p.streaming THEN coalesce(i.loaded, 0) END AS files_loaded,
		CASE WHEN NOT p.streaming THEN coalesce(i.pending, 0) END AS files_pending,
		CASE WHEN NOT p.streaming THEN coalesce(i.failed, 0) END AS files_failed,
		i.message AS file_message, i.next_try_at AS file_next_try_at,
		CASE
			WHEN NOT p.served THEN 'batch only'
			WHEN NOT p.enabled THEN 'stopped'
			WHEN p.home <> dynpipe.home() THEN 'restored'
			WHEN NOT dynpipe.preloaded() THEN 'not preloaded'
			WHEN pg_catalog.pg_is_in_recovery() THEN 'stopped'
			ELSE coalesce(s.state, 'waiting for a worker slot')
		END AS shown_state
	FROM dynpipe.pipeline AS p
	LEFT JOIN shard AS s ON s.pipeline_id = p.id
	LEFT JOIN ledger AS l ON l.pipeline_id = p.id
	LEFT JOIN files AS i ON i.pipeline_id = p.id
	LEFT JOIN stored AS f ON f.pipeline_id = p.id
)
SELECT k.name AS pipeline, k.owner::text AS owner, k.enabled, k.shown_state AS state,
	CASE
		WHEN k.files_failed > 0 AND k.shown_state IN ('batch only', 'running', 'caught up') THEN
			pg_catalog.format('%s of its files could not be loaded, the last one because: %s', k.files_failed, k.file_message)
		WHEN k.shown_state = 'batch only' THEN 'It has neither watch nor schedule: it loads when dynpipe.run is called.'
		WHEN NOT k.enabled THEN 'It is not enabled.'
		WHEN k.shown_state = 'restored' THEN 'This database is a copy: it was enabled in another one, which may still read the source.'
		WHEN k.shown_state = 'not preloaded' THEN 'dynpipe was not loaded by shared_preload_libraries, so there are no workers.'
		WHEN k.shown_state = 'stopped' THEN 'This server is a standby.'
		WHEN k.shard_state IS NULL THEN 'No process has taken it up yet.'
		WHEN k.shown_state = 'waiting for a worker slot' THEN 'All worker processes are in use.'
		WHEN k.shown_state = 'stopping' THEN 'Its last batch is being finished.'
		WHEN k.shown_state IN ('connecting', 'running') AND k.failing THEN pg_catalog.format('It is being tried again after: %s', k.error_message)
		WHEN k.shown_state = 'connecting' THEN 'The source has not answered yet.'
		WHEN k.shown_state IN ('failed', 'retrying') THEN k.error_message
	END AS reason,
	CASE
		WHEN k.files_failed > 0 AND k.shown_state IN ('batch only', 'running', 'caught up') THEN
			pg_catalog.format('SELECT file, message, hint FROM dynpipe.file WHERE pipeline = %L AND state = ''failed'';', k.name)
		WHEN k.shown_state = 'batch only' THEN pg_catalog.format('Call dynpipe.run(%L).', k.name)
		WHEN NOT k.enabled THEN pg_catalog.format('Call dynpipe.start(%L).', k.name)
		WHEN k.shown_state = 'restored' THEN pg_catalog.format('If it shall read the source from here too, call dynpipe.start(%L).', k.name)
		WHEN k.shown_state = 'not preloaded' THEN 'Add dynpipe to shared_preload_libraries and restart the server.'
		WHEN k.shown_state = 'stopped' THEN 'It starts by itself when the server is promoted.'
		WHEN k.shard_state IS NULL THEN 'If this lasts longer than some seconds, increase max_worker_processes or dynpipe.max_shards; the server log says which.'
		WHEN k.shown_state = 'waiting for a worker slot' THEN 'Increase dynpipe.max_workers or max_worker_processes; the server log says which.'
		WHEN k.shown_state = 'failed' THEN coalesce(k.error_hint, 'Repair what the last error names; it is tried again when that changes.')
		WHEN k.shown_state = 'retrying' AND k.error_state = '57014' THEN 'A batch took longer than dynpipe.batch_timeout: make its SQL cheaper or increase the setting.'
		WHEN k.shown_state IN ('connecting', 'running') AND k.failing THEN coalesce(k.error_hint, 'Nothing, if the cause is temporary.')
		WHEN k.shown_state = 'retrying' THEN coalesce(k.error_hint, 'Nothing, if the cause is temporary: it is tried again by itself.')
	END AS advice,
	CASE WHEN k.lag_known THEN k.lag END AS lag,
	CASE WHEN k.lag = 0 AND k.lag_known THEN interval '0'
		ELSE greatest(pg_catalog.statement_timestamp() - k.newest_record_at, interval '0') END AS lag_time,
	pg_catalog.round(k.records_per_second::numeric, 1) AS records_per_second,
	pg_catalog.round(k.bytes_per_second::numeric, 0) AS bytes_per_second,
	k.batch_rows,
	pg_catalog.round(k.batch_ms::numeric, 2) AS batch_ms,
	pg_catalog.round(k.latency_p50_ms::numeric, 1) AS latency_p50_ms,
	pg_catalog.round(k.latency_p99_ms::numeric, 1) AS latency_p99_ms,
	k.error_message AS last_error, k.error_state AS last_error_sqlstate,
	k.error_detail AS last_error_detail, k.error_hint AS last_error_hint,
	k.error_context AS last_error_context, k.error_at AS last_error_at,
	CASE WHEN k.next_try_at IS NULL AND k.shown_state <> 'batch only' THEN k.file_next_try_at
		ELSE k.next_try_at END AS next_try_at, k.last_commit_at, k.partitions,
	k.version, k.running_version,
	k.records, k.loaded, k.deduplicated, k.dropped, k.quarantined, k.late,
	k.files_loaded, k.files_pending, k.files_failed
FROM known AS k
WHERE dynpipe.may_see(k.owner);

CREATE VIEW dynpipe.partitions WITH (security_barrier) AS
SELECT p.name AS pipeline, c.partition, c.first_offset, c.next_offset, e.high,
	greatest(e.high - c.next_offset, 0) AS lag,
	c.consumed AS records, c.loaded, c.deduplicated, c.dropped, c.quarantined, c.late, c.warned,
	c.inserted, c.updated, c.deleted, c.bronze, c.bytes,
	c.last_timestamp, c.last_batch, c.version
FROM dynpipe.checkpoint AS c
JOIN dynpipe.pipeline AS p ON p.id = c.pipeline_id
LEFT JOIN dynpipe.partition_end() AS e
	ON e.pipeline_id = c.pipeline_id AND e.partition = c.partition
WHERE dynpipe.may_see(p.owner);

CREATE VIEW dynpipe.quarantine WITH (security_barrier) AS
SELECT p.name AS pipeline, q.partition, q."offset", q."timestamp", q.key, q.value, q.headers,
	q.stage, q.column_name, q.rule, q.sqlstate, q.message, q.batch, q.version, q.at,
	s.url AS file, q.line
FROM dynpipe.quarantine_record AS q
JOIN dynpipe.pipeline AS p ON p.id = q.pipeline_id
LEFT JOIN dynpipe.source_file AS s ON s.pipeline_id = q.pipeline_id AND s.id = q.partition
WHERE dynpipe.may_see(p.owner);

-- Events outlive their pipeline; afterwards only pg_monitor and superusers see them.
CREATE VIEW dynpipe.event_log WITH (security_barrier) AS
SELECT e.id, e.at, coalesce(p.name, e.pipeline) AS pipeline, e.kind, e.severity, e.message, e.detail
FROM dynpipe.event AS e
LEFT JOIN dynpipe.pipeline AS p ON p.id = e.pipeline_id
WHERE CASE WHEN p.id IS NOT NULL THEN dynpipe.may_see(p.owner)
	ELSE pg_catalog.pg_has_role('pg_monitor', 'USAGE') END;

CREATE VIEW dynpipe.history WITH (security_barrier) AS
SELECT p.name AS pipeline, v.version, v.version = p.version AS current,
	v.definition::jsonb AS definition, v.applied_by, v.applied_at
FROM dynpipe.pipeline_version AS v
JOIN dynpipe.pipeline AS p ON p.id = v.pipeline_id
WHERE dynpipe.may_see(p.owner);

CREATE VIEW dynpipe.gaps WITH (security_barrier) AS
SELECT p.name AS pipeline, g.partition, g.from_offset, g.to_offset, g.count, g.reason, g.recorded_at
FROM dynpipe.gap AS g
JOIN dynpipe.pipeline AS p ON p.id = g.pipeline_id
WHERE dynpipe.may_see(p.owner);

CREATE VIEW dynpipe.file WITH (security_barrier) AS
SELECT p.name AS pipeline, s.url AS file, s.state, s.id, s.version, s.size, s.modified_at,
	c.consumed AS records, c.loaded, c.deduplicated, c.dropped, c.quarantined,
	s.message, s.detail, s.hint, s.sqlstate, s.failures,
	CASE WHEN s.state = 'failed' THEN s.next_try_at END AS next_try_at,
	s.seen_at, s.finished_at, s.current
FROM dynpipe.source_file AS s
JOIN dynpipe.pipeline AS p ON p.id = s.pipeline_id
LEFT JOIN dynpipe.checkpoint AS c ON c.pipeline_id = s.pipeline_id AND c.partition = s.id
WHERE dynpipe.may_see(p.owner);

CREATE VIEW dynpipe.progress WITH (security_barrier) AS
SELECT p.name AS pipeline, l.pid, s.url AS file, done.percent,
	CASE WHEN done.percent IS NOT NULL THEN
		pg_catalog.rpad(pg_catalog.repeat('#', (done.percent / 5)::integer), 20, '.') END AS bar,
	l.records, l.bytes, nullif(l.bytes_total, 0) AS bytes_total, l.files_done, l.files,
	pg_catalog.round(l.records / spent.seconds) AS records_per_second,
	pg_catalog.round(l.bytes / spent.seconds) AS bytes_per_second,
	pg_catalog.make_interval(secs => pg_catalog.round(spent.seconds)::float8) AS elapsed,
	CASE WHEN l.bytes > 0 AND l.bytes_total > 0 THEN pg_catalog.make_interval(secs =>
		pg_catalog.round(spent.seconds * greatest(l.bytes_total - l.bytes, 0) / l.bytes)::float8)
		END AS remaining,
	l.file_records, l.file_quarantined, l.file_bytes, nullif(l.file_bytes_total, 0) AS file_bytes_total
FROM dynpipe.load_state() AS l
JOIN dynpipe.pipeline AS p ON p.id = l.pipeline_id
LEFT JOIN dynpipe.source_file AS s ON s.id = l.file_id
CROSS JOIN LATERAL (SELECT CASE WHEN l.bytes_total > 0 THEN
	least(pg_catalog.round(100.0 * l.bytes / l.bytes_total, 1), 100.0) END AS percent) AS done
CROSS JOIN LATERAL (SELECT greatest(pg_catalog.date_part('epoch',
	pg_catalog.clock_timestamp() - l.started_at)::numeric, 0.001) AS seconds) AS spent
WHERE dynpipe.may_see(p.owner);

CREATE VIEW dynpipe.outputs WITH (security_barrier) AS
SELECT p.name AS pipeline, o.source AS file, o.url, o.action, o.state, o.rows, o.bytes,
	o.attempts, o.message AS last_error, o.sqlstate AS last_error_sqlstate,
	o.hint AS last_error_hint,
	CASE WHEN o.state <> 'written' THEN o.next_try_at END AS next_try_at,
	o.wanted_at, o.written_at
FROM dynpipe.output_object AS o
JOIN dynpipe.pipeline AS p ON p.id = o.pipeline_id
WHERE dynpipe.may_see(p.owner);

GRANT USAGE ON SCHEMA dynpipe TO PUBLIC;
GRANT SELECT ON dynpipe.status, dynpipe.partitions, dynpipe.quarantine, dynpipe.event_log,
	dynpipe.history, dynpipe.gaps, dynpipe.file, dynpipe.progress, dynpipe.outputs TO PUBLIC;
