-- JSON messages: what is found, what becomes of each kind of value, and that
-- no message, whatever it holds, does more than be refused with a reason.
SET TimeZone = 'UTC';
SET DateStyle = 'ISO';
SET lc_messages = 'C';
\pset null '(null)'
-- b: text as bytea; show: what became of a message, in one line.
CREATE FUNCTION pg_temp.b(s text) RETURNS bytea LANGUAGE sql AS $$ SELECT convert_to(s, 'UTF8') $$;
CREATE FUNCTION pg_temp.show(cols jsonb, payload bytea, key bytea DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(
		CASE WHEN stage IS NULL THEN format('%s=%s', "column", coalesce(value, '(null)'))
		-- What the JSON reader says about a syntax error differs between its versions.
		ELSE format('%s %s %s%s', stage, sqlstate, "column" || ': ',
					regexp_replace(message, '(invalid JSON)( at byte \d+)?: .*', '\1')) END, ', ')
	FROM dynpipe.decode('json', cols, payload, key)
$$;
CREATE FUNCTION pg_temp.show(cols jsonb, payload text, key text DEFAULT NULL) RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.show(cols, convert_to(payload, 'UTF8'), convert_to(key, 'UTF8'))
$$;

-- The straight path, in full.
SELECT * FROM dynpipe.decode('json',
	'[{"name": "id", "type": "bigint", "required": true},
	  {"name": "date", "type": "timestamptz", "from": "/meta/ts"},
	  {"name": "amount", "type": "numeric(12,2)", "clean": ["trim", "empty_as_null"], "default": 0},
	  {"name": "region", "type": "text", "clean": ["trim", "lower"]},
	  "note"]',
	pg_temp.b('{"meta": {"ts": "2026-03-14T15:09:26.5Z"}, "id": 9007199254740993, "region": " EMEA ", "amount": " ", "x": 1}'));

-- Finding: order, pointers, escapes in names and pointers, arrays, missing steps.
SELECT pg_temp.show('["a", "b", "c"]', p) FROM unnest(ARRAY[
	'{"a":1,"b":2,"c":3}', '{"c":3,"b":2,"a":1}', '{"x":0,"b":2,"y":{},"a":1}', '{}', '{"\u0061":1,"b":"\u00e4\ud83d\ude00\"\\\n"}']) p;
SELECT pg_temp.show('[{"name":"v","from":"/a/b/1"},{"name":"w","from":"/a/x~1y"},{"name":"u","from":"/a/t~0z"},{"name":"s","from":"a/b"},{"name":"e","from":"/"}]', p)
FROM unnest(ARRAY['{"a":{"b":[10,20,30],"x/y":"slash","t~z":"tilde"},"a/b":"plain","":"empty"}',
	'{"a":{"b":{"1":"member"}}}', '{"a":{"b":[10]}}', '{"a":[1,2]}', '{"a":"text"}', '{"a":null}']) p;
SELECT pg_temp.show('[{"name":"v","from":"/a/01"},{"name":"w","from":"/a/-"}]', '{"a":[1,2]}');

-- Without from, a name is only a name.
SELECT pg_temp.show('["/a", "@key", {"name":"b","from":"/a"}]', '{"/a":1,"@key":2,"a":3}', 'k');

-- The same member into several columns; of duplicates the last wins, as in jsonb.
SELECT pg_temp.show('[{"name":"a","type":"int"},{"name":"t","from":"a"},{"name":"j","type":"jsonb","from":"/a"}]', '{"a":1,"a":2}');
SELECT pg_temp.show('[{"name":"v","from":"/a/b"},{"name":"j","type":"jsonb","from":"a"}]', '{"a":{"b":1},"a":{"b":2,"b":3}}');

-- Kinds of value by kind of column.
SELECT t, pg_temp.show(jsonb_build_array(jsonb_build_object('name', 'a', 'type', t)), '{"a":' || v || '}')
FROM unnest(ARRAY['text', 'varchar(5)', 'bigint', 'numeric', 'float8', 'boolean', 'jsonb', 'json', 'bytea', 'text[]']) t,
	 unnest(ARRAY['"x"', '12', '-1.50', '1e2', 'true', 'null', '{"k":[1, 2.50]}', '[]']) v;

-- Numbers keep all their digits.
SELECT pg_temp.show('[{"name":"a","type":"numeric"},{"name":"t","from":"a"},{"name":"j","type":"jsonb","from":"a"}]', '{"a":' || v || '}')
FROM unnest(ARRAY['123456789012345678901234567890.123456789', '0.10', '-0.0', '1E40', '1e-7']) v;
SELECT pg_temp.show('[{"name":"a","type":"bigint"}]', '{"a":' || v || '}')
FROM unnest(ARRAY['9223372036854775807', '-9223372036854775808', '9223372036854775808', '5.0', '1e3', '1.5e1', '1.25e1', '-0.0', '-2.5E+2',
				  '1e19', '92233720368547758.07e2', '1e-1', '10e-1', '0e99999', '1e999999999', '100000000000000000000.0']) v;
SELECT pg_temp.show(jsonb_build_array(jsonb_build_object('name', 'a', 'type', t)), '{"a":1e999999999}')
FROM unnest(ARRAY['numeric', 'float8', 'int', 'jsonb', 'json', 'text']) t;

-- clean, in the order given; default; required; domain.
SELECT pg_temp.show(jsonb_build_array(jsonb_build_object('name', 'a', 'clean', c::jsonb)), E'{"a":" \\t D  b\\n C "}')
FROM unnest(ARRAY['[]', '["trim"]', '["lower"]', '["upper"]', '["collapse"]', '["trim","collapse","upper"]']) c;
SELECT pg_temp.show('[{"name":"a","type":"int","clean":["trim","empty_as_null"],"default":7},{"name":"b","clean":["empty_as_null","trim"]},{"name":"c","required":true}]', p)
FROM unnest(ARRAY['{"a":"  ","b":" ","c":""}', '{"a":null,"c":1}', '{"a":" 5 "}', '{"c":null}']) p;
SELECT pg_temp.show('[{"name":"j","type":"jsonb","from":"a","clean":["trim","lower"]}]', '{"a":" Quote \" D "}');
CREATE DOMAIN pg_temp.present AS text NOT NULL;
DO $$ BEGIN
	RAISE NOTICE '%', pg_temp.show('[{"name":"a","type":"pg_temp.present"}]', '{}');
EXCEPTION WHEN not_null_violation THEN RAISE NOTICE 'cast 23502 a: %', SQLERRM;
END $$;

-- The whole document, and its metadata.
SELECT pg_temp.show('[{"name":"doc","type":"jsonb","from":""},{"name":"t","from":""},{"name":"a"}]', p)
FROM unnest(ARRAY['{"a": 1.0}', '[1, {"a":2}]', '"text"', '5', 'null', 'true']) p;
SELECT pg_temp.show('[{"name":"k","from":"@key"},{"name":"kb","type":"bytea","from":"@key"},{"name":"ki","type":"int","from":"@key/id"},
	{"name":"v","from":"@value"},{"name":"p","type":"int","from":"@partition"},{"name":"o","type":"bigint","from":"@offset"},
	{"name":"ts","type":"timestamptz","from":"@timestamp"},{"name":"tp","from":"@topic"},{"name":"h","type":"jsonb","from":"@headers"},
	{"name":"hx","from":"@headers/x"},{"name":"at","from":"/@key"}]', '{"a":1,"@key":"member"}', '{"id":5}');
SELECT pg_temp.show('[{"name":"k","from":"@key"},{"name":"ki","type":"int","from":"@key/id"}]', '{}', k)
FROM unnest(ARRAY['{"id":null}', '{"id":"x"}', 'plain', NULL]) k;
SELECT pg_temp.show('[{"name":"k","from":"@key"}]', '{}'::bytea, '\xff');

-- Tombstones: a message without value.
SELECT pg_temp.show('[{"name":"id","type":"int","key":true},{"name":"at","type":"timestamptz","default":"now"},{"name":"k","from":"@key"},{"name":"r","required":true}]', NULL, k)
FROM unnest(ARRAY['17', ' 17', '"17"', '{"id": 17}', '{"id": null}', '{}', '{"id"', 'x', '', NULL]) k;
SELECT pg_temp.show('[{"name":"id","type":"int","key":true,"from":"/k/id"},{"name":"site","key":true}]', NULL, k)
FROM unnest(ARRAY['{"site":"s","k":{"id":1}}', '{"site":"s"}', '17']) k;
SELECT pg_temp.show('[{"name":"id","key":true}]', NULL::bytea, '\xff00');
SELECT pg_temp.show('["a"]', NULL, 'k');

-- Poison.
SELECT pg_temp.show('[{"name":"a","type":"text"}]', p) FROM unnest(ARRAY[
	'', ' ', '{', '[]', '"x"', '17', 'true', 'null', '{"a":1}x', '{"a":1,}', '{"a":01}', '{"a":NaN}', '{''a'':1}', '{"a":"\ud800"}', '{"a":"\udc00x"}',
	'{"a":"\u0000"}', '{"b":"\u0000"}', E'{"a":"tab\there"}', '{"a":"\x41"}', '// c', '{"\u0000":1,"a":2}']) p;
SELECT pg_temp.show('["a"]', p) FROM unnest(ARRAY['\x7b2261223a22ff227d', '\x7b2261223a22c0af227d', '\x7b2261223a22eda080227d', '\x7b2261223a22f4908080227d',
	'\x7b2261223a22e282227d', '\x7b2261223a22610062227d', '\x007b7d', '\xefbbbf7b2261223a317d', '\xefbbbf', '\xff']::bytea[]) p;
SELECT t, pg_temp.show(jsonb_build_array(jsonb_build_object('name', 'a', 'type', t)), '{"a":{"k":"\u0000"}}') FROM unnest(ARRAY['text', 'json', 'jsonb']) t;
SELECT t, left(pg_temp.show(jsonb_build_array(jsonb_build_object('name', 'a', 'type', t)), '{"a":' || repeat('[', n) || repeat(']', n) || '}'), 50)
FROM unnest(ARRAY['text', 'json', 'jsonb', 'int']) t, unnest(ARRAY[6400, 6401, 100000]) n;
SELECT left(pg_temp.show('["a"]', repeat('{"a":', 100000)), 60);
SELECT pg_temp.show('["a"]', repeat('[', 100000));
SELECT pg_temp.show('["b"]', '{"a":' || repeat('{"a":', 100000) || '1' || repeat('}', 100000) || ',"b":2}');
SELECT mb, length(pg_temp.show('["a", "b"]', '{"a":"' || repeat('x', mb * 1048576) || '","b":"last"}')) FROM unnest(ARRAY[1, 10, 16]) mb;
SELECT right(pg_temp.show('["z"]', '{' || string_agg(format('"k%s":%s', i, i), ',') || ',"z":"found"}'), 20) FROM generate_series(1, 200000) i;
SELECT pg_temp.show('[{"name":"a","type":"int"}]', '{"a":"' || repeat('9', 1000000) || '"}');

SELECT length(pg_temp.show('["z"]', '[' || repeat('[1],', n) || '1]')), length(pg_temp.show('["z"]', '{"a":[' || repeat('[1],', n) || '1],"z":2}'))
FROM unnest(ARRAY[10, 1000, 100000, 2000000]) n;
SELECT pg_temp.show('["a"]', repeat('[', n)) FROM unnest(ARRAY[300, 100000, 4000000]) n;

-- jsonb agrees with PostgreSQL's parser about every damaged document, and so does a text member.
CREATE FUNCTION pg_temp.reference(s text, OUT j text, OUT a text) LANGUAGE plpgsql AS $$
BEGIN
	j := s::jsonb;
	a := CASE WHEN jsonb_typeof(s::jsonb -> 'a') = 'string' THEN s::jsonb ->> 'a' END;
EXCEPTION WHEN OTHERS THEN j := 'no';
END $$;
WITH damaged AS (
	SELECT overlay(overlay(s PLACING substr(pool, (random() * 40)::int, 1) FROM 1 + (random() * length(s))::int FOR (random() * 2)::int)
				   PLACING substr(pool, (random() * 40)::int, 1) FROM 1 + (random() * length(s))::int FOR (random() * 2)::int) AS s
	FROM unnest(ARRAY['{"a":"x\\n\u00e4","b":[1.5e3,-0,true,null]}', '{"a":"\ud83d\ude00","a":"twice","c":{"d":[{}]}}', '{"a": "ä" , "n":-12.50E+3}']) s,
		(VALUES ('{}[]",:\udc0918ef. -+tränl{"a":1}"\u')) v (pool), generate_series(1, 2000)
	UNION ALL SELECT s FROM unnest(ARRAY['{"a":"\u0000"}', '{"a":"1","b":"\u0000"}', '"a"', '[1]', '1', 'null', '', ' {} ', '{"a":"\/"}', E'{"a":"\x7f"}', E'{"a":\f1}']) s),
compared AS (
	SELECT s, r.j, r.a, coalesce(d.j, 'no') AS our_j, d.a AS our_a
	FROM damaged, pg_temp.reference(s) r,
		LATERAL (SELECT min(value) FILTER (WHERE "column" = 'j') AS j, min(value) FILTER (WHERE "column" = 'a') AS a
				 FROM dynpipe.decode('json', '[{"name":"j","type":"jsonb","from":""},{"name":"a"}]', pg_temp.b(s))) d
	WHERE btrim(s) <> 'null')	-- a null document is no value
SELECT count(*) > 5000 AS enough, count(*) FILTER (WHERE c.differ) AS differ,
	min(format('%s: %s %s, %s %s', s, j, a, our_j, our_a)) FILTER (WHERE c.differ) AS example
FROM compared, LATERAL (SELECT j <> our_j OR (a IS NOT NULL AND a IS DISTINCT FROM our_a) AS differ) c;

-- Many columns.
SELECT md5(pg_temp.show(jsonb_agg('c' || i ORDER BY i), '{' || string_agg(format('"c%s":%s', i, i), ',' ORDER BY i DESC) || '}')) =
	   md5(string_agg(format('c%s=%s', i, i), ', ' ORDER BY i))
FROM generate_series(1, 1500) i;

-- Bad arguments.
\set VERBOSITY terse
SELECT dynpipe.decode('xml', '[]', '');
SELECT dynpipe.decode('json', '{}', '');
SELECT dynpipe.decode('json', '[{"type":"int"}]', '');
SELECT dynpipe.decode('json', '[{"name":"a","typ":"int"}]', '');
SELECT dynpipe.decode('json', '[{"name":"a","type":"nosuch"}]', '');
SELECT dynpipe.decode('json', '[{"name":"a","clean":["scrub"]}]', '');
SELECT dynpipe.decode('json', '[{"name":"a","clean":"trim"}]', '');
SELECT dynpipe.decode('json', '[{"name":"a","required":"yes"}]', '');
SELECT dynpipe.decode('json', '[{"name":"a","type":"int","default":"x"}]', '');
SELECT dynpipe.decode('json', '["a"]', '', NULL, '{"delimiter":","}');
SELECT dynpipe.decode('json', '["a"]', '', NULL, '[]');
SELECT dynpipe.decode(NULL, '["a"]', '');
