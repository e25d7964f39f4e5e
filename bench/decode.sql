-- Nanoseconds to decode one event in process, without SQL around it.
-- Build with: make COPT=-DDYNPIPE_BENCH install, then psql -f bench/decode.sql.
CREATE FUNCTION pg_temp.decode_bench(format text, columns jsonb, value bytea, key bytea, options jsonb, loops int, damage int DEFAULT 0)
RETURNS float8 LANGUAGE C AS '$libdir/dynpipe', 'dynpipe_decode_bench';

CREATE TEMP TABLE event (format text, columns jsonb, value bytea);
INSERT INTO event VALUES
('json', '[{"name":"id","type":"bigint"},{"name":"ts","type":"timestamptz"},{"name":"region","type":"text"},
           {"name":"product","type":"text"},{"name":"qty","type":"int"},{"name":"amount","type":"numeric(12,2)"},
           {"name":"email","type":"text"}]',
 convert_to('{"id": 1234567, "ts": "2026-03-14T15:09:26.535Z", "region": "emea-north", "product": "widget-0042 (blue)", "qty": 3, "amount": 1249.95, "email": "someone.somewhere@example.com", "v": 1}', 'UTF8')),
('csv', '[{"name":"id","type":"bigint"},{"name":"ts","type":"timestamptz"},{"name":"region","type":"text"},
           {"name":"product","type":"text"},{"name":"qty","type":"int"},{"name":"amount","type":"numeric(12,2)"},
           {"name":"email","type":"text"}]',
 convert_to('1234567,2026-03-14T15:09:26.535Z,emea-north,"widget-0042 (blue)",3,1249.95,someone.somewhere@example.com', 'UTF8')),
('text', '[{"name":"line","type":"text"}]', convert_to(repeat('0123456789', 18), 'UTF8'));

SELECT format, length(value) AS bytes,
	   round(min(ns)) AS best_ns, round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ns)) AS median_ns
FROM event, generate_series(1, 9) run,
	 LATERAL (SELECT pg_temp.decode_bench(format, columns, value, NULL, '{}', 200000 + run * 0) AS ns) b
GROUP BY format, value ORDER BY format;

-- One column of each type alone: what its cast costs on top of finding it.
SELECT type, round(min(pg_temp.decode_bench('json', jsonb_build_array(jsonb_build_object('name', 'a', 'type', type)),
	   convert_to('{"a": ' || text || '}', 'UTF8'), NULL, '{}', 200000 + run * 0))) AS best_ns
FROM generate_series(1, 5) run,
	(VALUES ('text', '"emea-north"'), ('bigint', '1234567'), ('int', '3'), ('numeric(12,2)', '1249.95'), ('numeric', '1249.95'),
			('timestamptz', '"2026-03-14T15:09:26.535Z"'), ('date', '"2026-03-14"'), ('float8', '1249.95'),
			('bool', 'true'), ('uuid', '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"'), ('jsonb', '{"x": [1, 2, "three"]}'),
			('json', '{"x": [1, 2, "three"]}'), ('timestamp', '"Mar 14 2026 15:09"')) t (type, text)
GROUP BY type ORDER BY 2;
