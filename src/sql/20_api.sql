-- What users call.  Each function acts for its caller; who may do what is
-- decided inside (owner of the pipeline, or a member of that role).

CREATE FUNCTION dynpipe.apply(document text, dry_run boolean DEFAULT false)
RETURNS TABLE (action text, object text, name text, detail text)
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'dynpipe_apply';
COMMENT ON FUNCTION dynpipe.apply(text, boolean) IS
'create and change pipelines and their tables from a JSON or YAML document; one row per change. With dry_run the same rows and no change. All errors of the document are reported at once. Example: SELECT * FROM dynpipe.apply($$ pipelines: [{name: sales, source: "kafka://broker/sales", schema: [id, amount]}] $$)';

CREATE FUNCTION dynpipe.apply_file(path text, dry_run boolean DEFAULT false)
RETURNS TABLE (action text, object text, name text, detail text)
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'dynpipe_apply_file';
COMMENT ON FUNCTION dynpipe.apply_file(text, boolean) IS
'dynpipe.apply for a file on the server; needs the privileges of pg_read_server_files. Example: SELECT * FROM dynpipe.apply_file(''/etc/dynpipe/sales.yaml'')';

CREATE FUNCTION dynpipe.start(pipeline text) RETURNS void
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'dynpipe_start';
COMMENT ON FUNCTION dynpipe.start(text) IS
'enable a pipeline; workers take it up at commit. Also acknowledges a pipeline that came here by restore or copy. Example: SELECT dynpipe.start(''sales'')';

CREATE FUNCTION dynpipe.stop(pipeline text) RETURNS void
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'dynpipe_stop';
COMMENT ON FUNCTION dynpipe.stop(text) IS
'disable a pipeline; returns when no batch is in flight. Example: SELECT dynpipe.stop(''sales'')';

CREATE FUNCTION dynpipe.drop(pipeline text, tables boolean DEFAULT false) RETURNS void
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'dynpipe_drop';
COMMENT ON FUNCTION dynpipe.drop(text, boolean) IS
'remove a pipeline with its position, ledger and quarantine; its bronze, silver and gold tables only when tables is true. Example: SELECT dynpipe.drop(''sales'')';

CREATE FUNCTION dynpipe.export(pipeline text DEFAULT NULL) RETURNS jsonb
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'dynpipe_export';
COMMENT ON FUNCTION dynpipe.export(text) IS
'the document of one pipeline, or of all that the caller may change; applying it again changes nothing. Example: SELECT jsonb_pretty(dynpipe.export(''sales''))';

CREATE FUNCTION dynpipe.explain(pipeline text)
RETURNS TABLE (section text, item text, value text)
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'dynpipe_explain';
COMMENT ON FUNCTION dynpipe.explain(text) IS
'what will run: source, decode plan, write path and why, the SQL generated for silver and gold. Example: SELECT * FROM dynpipe.explain(''sales'')';

CREATE FUNCTION dynpipe.verify(pipeline text)
RETURNS TABLE (name text, expected text, found text, ok boolean)
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'dynpipe_verify';
COMMENT ON FUNCTION dynpipe.verify(text) IS
'prove the invariants of a pipeline in one snapshot: the ledger adds up, bronze, silver and quarantine hold what it says, gold equals its query; one row each. Example: SELECT * FROM dynpipe.verify(''sales'') WHERE NOT ok';

CREATE FUNCTION dynpipe.seek(pipeline text, "partition" integer, next_offset bigint) RETURNS void
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'dynpipe_seek';
COMMENT ON FUNCTION dynpipe.seek(text, integer, bigint) IS
'set the offset that a partition is read from next; for a topic that was recreated or a gap to step over. Records read twice are loaded twice. Example: SELECT dynpipe.seek(''sales'', 0, 0)';

CREATE FUNCTION dynpipe.refresh(pipeline text) RETURNS void
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'dynpipe_refresh';
COMMENT ON FUNCTION dynpipe.refresh(text) IS
'recompute the gold tables of a pipeline from silver, in one transaction; for queries that join tables which changed. Example: SELECT dynpipe.refresh(''sales'')';

CREATE FUNCTION dynpipe.run(pipeline text, params jsonb DEFAULT '{}')
RETURNS TABLE (file text, state text, "partition" integer, from_offset bigint, to_offset bigint,
	consumed bigint, loaded bigint, deduplicated bigint, dropped bigint, quarantined bigint,
	message text)
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'dynpipe_run';
COMMENT ON FUNCTION dynpipe.run(text, jsonb) IS
'load now what is there: files that are new or changed, or what has arrived in a stream, in the caller''s transaction; needs no worker. One row per file, or per partition that had records. params are put in for ${name} in the source. Example: SELECT * FROM dynpipe.run(''sales'', ''{"day": "2026-11-22"}'')';

CREATE FUNCTION dynpipe.unload(pipeline text, file text) RETURNS bigint
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'dynpipe_unload';
COMMENT ON FUNCTION dynpipe.unload(text, text) IS
'take a file''s rows out of bronze, silver and gold, as if it had never been loaded; file is its URL or its id in dynpipe.file. It is not loaded again until it changes or dynpipe.reload is called. Returns the number of versions that were unloaded. Example: SELECT dynpipe.unload(''sales'', ''s3://data/sales.csv'')';

CREATE FUNCTION dynpipe.reload(pipeline text, file text) RETURNS bigint
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'dynpipe_reload';
COMMENT ON FUNCTION dynpipe.reload(text, text) IS
'unload a file if it is loaded and let it wait to be loaded again; file is its URL or its id in dynpipe.file. Returns the number of files that wait now. Example: SELECT dynpipe.reload(''sales'', ''s3://data/sales.csv'')';

CREATE FUNCTION dynpipe.publish(pipeline text)
RETURNS TABLE (url text, action text, rows bigint, bytes bigint, state text, message text, hint text)
LANGUAGE c STRICT VOLATILE AS 'MODULE_PATHNAME', 'dynpipe_publish';
COMMENT ON FUNCTION dynpipe.publish(text) IS
'write the objects of a pipeline''s destination that are wanted now; one row per object. Each is visible at once and marked as written when the caller commits; after a rollback it is written again. Example: SELECT * FROM dynpipe.publish(''sales'')';

CREATE FUNCTION dynpipe.list_files(url text, connection text DEFAULT NULL)
RETURNS TABLE (file text, size bigint, version text, modified timestamptz)
LANGUAGE c VOLATILE AS 'MODULE_PATHNAME', 'dynpipe_list_files';
COMMENT ON FUNCTION dynpipe.list_files(text, text) IS
'the files that a URL or a pattern names, as a pipeline of the caller would find them; connection is the server to use. Example: SELECT * FROM dynpipe.list_files(''s3://data/in/*.csv'')';
