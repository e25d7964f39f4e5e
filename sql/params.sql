-- ${name} in a source: what the document gives, what the time gives, what the
-- run gives; and what none of them may do.
\set ECHO none
\set QUIET on
\pset format unaligned
\pset tuples_only on
SET client_min_messages = error;
-- Files of the server's, in a folder that it has.
SELECT current_setting('data_directory') || '/dynpipe_params' AS top \gset
SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD') AS today,
	to_char(now() AT TIME ZONE 'Pacific/Kiritimati', 'YYYY/MM/DD-HH24') AS far \gset
CREATE FUNCTION pg_temp.put(top text, name text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE format('COPY (SELECT %L) TO PROGRAM %L', name,
		format('f=''%s/%s''; mkdir -p "$(dirname "$f")" && { echo name; cat; } > "$f"', top, name));
END $$;
SELECT count(pg_temp.put(:'top', name)) FROM unnest(ARRAY['eu/2026-01-31.csv', 'us/2026-01-31.csv',
	'us/x.csv', :'today' || '.csv', :'far' || '.csv', '$plain.csv', 'secret/a.csv']) name \g /dev/null

CREATE FUNCTION pg_temp.load(document text, params jsonb DEFAULT '{}') RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	result text;
	hint text;
BEGIN
	PERFORM dynpipe.apply('{"pipelines": [' || document || ']}');
	PERFORM dynpipe.run('p', params);
	SELECT string_agg(name, ', ' ORDER BY name) INTO result FROM silver.p;
	RAISE EXCEPTION USING ERRCODE = 'ZZZZZ', MESSAGE = coalesce(result, 'nothing');
EXCEPTION
	WHEN SQLSTATE 'ZZZZZ' THEN
		RETURN SQLERRM;
	WHEN OTHERS THEN
		GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
		RETURN SQLSTATE || ' ' || SQLERRM || ' | ' || hint;
END $$;
\set p '{"name": "p", "schema": [{"name": "name", "type": "text"}], "source": "file://' :top

\echo == from the document, from the run
SELECT pg_temp.load(:'p' || '/${region}/2026-01-31.csv", "params": {"region": "eu"}}');
SELECT pg_temp.load(:'p' || '/${region}/2026-01-31.csv", "params": {"region": "eu"}}', '{"region": "us"}');
SELECT pg_temp.load(:'p' || '/${region}/2026-01-31.csv", "params": {"region": "eu"}}', '{"region": "*"}');
SELECT pg_temp.load(:'p' || '/${region}/${n}.csv", "params": {"region": "us", "n": "no"}}', '{"n": "x"}');
SELECT pg_temp.load(:'p' || '/${path}.csv", "params": {"path": ""}}', '{"path": "us/x"}');
\echo == from the time, by the clocks of the time zone
SELECT pg_temp.load(:'p' || '/${date}.csv"}') = :'today' || '.csv';
SELECT pg_temp.load(:'p' || '/${year}/${month}/${day}-${hour}.csv", "schedule": "@daily",
	"timezone": "Pacific/Kiritimati", "enabled": false}') = :'far' || '.csv';
SELECT pg_temp.load(:'p' || '/eu/${date}.csv"}', '{"date": "2026-01-31"}');
\echo == the text itself, in which the braces are a glob
SELECT pg_temp.load(:'p' || '/$${plain}.csv"}');
\echo == refused
SELECT pg_temp.load(:'p' || '/us/${n}.csv", "params": {"n": "x"}}', '{"n": "../secret/a"}');
SELECT pg_temp.load(:'p' || '/us/${a}${b}/secret/a.csv", "params": {"a": "x", "b": "y"}}', '{"a": ".", "b": "."}');
SELECT pg_temp.load(:'p' || '/us/.${a}/secret/a.csv", "params": {"a": "x"}}', '{"a": "."}');
SELECT pg_temp.load(:'p' || '/us/${n}.csv", "params": {"n": "x"}}', '{"n": "a\nb"}');
SELECT pg_temp.load(:'p' || '/us/${n}.csv", "params": {"n": "x"}}', '{"n": "a\u007f"}');
SELECT pg_temp.load(:'p' || '/us/${n}.csv", "params": {"n": "x"}}', '{"n": null}');
SELECT pg_temp.load(:'p' || '/us/${n}.csv", "params": {"n": "x"}}', '["x"]');
SELECT pg_temp.load(:'p' || '/us/${n}.csv", "params": {"n": "x"}}', '{"m": "x"}');
COPY (SELECT) TO PROGRAM 'cat >/dev/null; rm -r dynpipe_params';
