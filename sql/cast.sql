-- Casts accept what PostgreSQL's input functions accept, with the same result,
-- and refuse what they refuse, with the same SQLSTATE and message.
SET TimeZone = 'America/New_York';
SET lc_messages = 'C';
CREATE SCHEMA cast_test;
SET search_path = cast_test, public;

-- The reference: the type's input function, as an INSERT of a parameter would call it.
CREATE FUNCTION real_cast(t text, typmod int, s text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	r text;
	y pg_type;
BEGIN
	SELECT * INTO y FROM pg_type WHERE oid = t::regtype;
	EXECUTE format('SELECT %s(%s(%L%s))', y.typoutput, y.typinput, s,
				   CASE WHEN (SELECT pronargs FROM pg_proc WHERE oid = y.typinput) = 3
				   THEN format(', %s::oid, %s', CASE WHEN y.typelem <> 0 THEN y.typelem ELSE y.oid END, typmod)
				   ELSE '' END) INTO r;
	RETURN 'ok ' || r;
EXCEPTION WHEN OTHERS THEN
	RETURN 'no ' || SQLSTATE || ' ' || SQLERRM;
END $$;

CREATE FUNCTION our_cast(t text, s text) RETURNS text LANGUAGE sql AS $$
	SELECT CASE WHEN sqlstate IS NULL THEN 'ok ' || value ELSE 'no ' || sqlstate || ' ' || message END
	FROM dynpipe.decode('text', jsonb_build_array(jsonb_build_object('name', 'c', 'type', t)),
						convert_to(s, 'UTF8'))
$$;

CREATE FUNCTION typmod_of(t text) RETURNS int LANGUAGE plpgsql AS $$
DECLARE
	m int;
BEGIN
	EXECUTE format('CREATE TEMP TABLE probe (c %s)', t);
	SELECT atttypmod INTO m FROM pg_attribute WHERE attrelid = 'pg_temp.probe'::regclass AND attname = 'c';
	DROP TABLE pg_temp.probe;
	RETURN m;
END $$;

-- Each seed as it is, then N random mutations of each: characters replaced, removed, doubled.
CREATE FUNCTION mutations(seeds text[], pool text, n int) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE
	seed text;
	s text;
	p int;
BEGIN
	FOREACH seed IN ARRAY seeds LOOP
		RETURN NEXT seed;
		FOR i IN 1..n LOOP
			s := seed;
			FOR k IN 0..(random() * 2)::int LOOP
				p := 1 + (random() * length(s))::int;
				s := CASE (random() * 3)::int
					WHEN 0 THEN overlay(s PLACING '' FROM p FOR 1)
					WHEN 1 THEN overlay(s PLACING substr(s, p, 1) FROM p FOR 0)
					ELSE overlay(s PLACING substr(pool, 1 + (random() * (length(pool) - 1))::int, 1) FROM p FOR 1)
					END;
			END LOOP;
			RETURN NEXT s;
		END LOOP;
	END LOOP;
END $$;

-- How many of the strings are cast differently, and the first of them.
CREATE FUNCTION differences(t text, seeds text[], pool text, n int)
RETURNS TABLE (differ bigint, example text) LANGUAGE sql AS $$
	WITH m AS MATERIALIZED (SELECT typmod_of(t) AS typmod),
	r AS (
		SELECT s, real_cast(regexp_replace(t, '\(.*\)', ''), m.typmod, s) AS expected, our_cast(t, s) AS got
		FROM m, mutations(seeds, pool, n) s)
	SELECT count(*), min(format('%L: expected %s, got %s', s, left(expected, 200), left(got, 200)))
	FROM r WHERE expected IS DISTINCT FROM got
$$;

\set n 60
\pset tuples_only on

SELECT t, d.* FROM unnest(ARRAY['bool']) t,
	differences(t, ARRAY['t', 'true', 'TRUE', 'f', 'false', 'yes', 'no', 'on', 'off', '1', '0', ' tru ', 'of', 'o', ''],
				'truefalsyno10 ', :n) d;

SELECT t, d.* FROM unnest(ARRAY['int2', 'int4', 'int8']) t,
	differences(t, ARRAY['0', '-1', '+7', '32767', '-32768', '32768', '2147483647', '-2147483648', '2147483648',
		'9223372036854775807', '-9223372036854775808', '9223372036854775808', '18446744073709551616',
		' 12 ', '1.5', '1e3', '0x1F', '1_000', '', '-', '00000000000000000000012', 'abc', '--1', '٣'],
				'0123456789+-. exX_', :n) d;

SELECT t, d.* FROM unnest(ARRAY['float4', 'float8']) t,
	differences(t, ARRAY['0', '-0', '1.5', '.5', '5.', '1e10', '1E-5', '-1.7976931348623157e308', '1e309', '4.9e-324', '1e-400',
		'3.4028235e38', '3.5e38', '1.17549435e-38', '123456789012345', '9007199254740993', '0.1', '0.30000000000000004',
		'NaN', 'nan', 'Infinity', '-infinity', 'inf', '+INF', ' 1 ', '1e', '1e+', 'e5', '.', '', '1.2.3', '16777217', '8.5899346e9',
		'1e22', '1e23', '123456e-22', '0e9999', '0.000000000000000000001'],
				'0123456789.eE+-', :n) d;

SELECT t, d.* FROM unnest(ARRAY['numeric', 'numeric(12,2)', 'numeric(5)', 'numeric(3,3)', 'numeric(18,6)',
								'numeric(30,10)', 'numeric(4,-2)', 'numeric(2,5)']) t,
	differences(t, ARRAY['0', '-0', '-0.00', '1', '1.0', '1.00', '1.005', '-1.005', '0.995', '.5', '5.', '999.9996', '9999999999.99',
		'9999999999.995', '9999999999.994', '99999', '99999.5', '123456789012345678', '1234567890123456789', '0.000000000000000001',
		'0.0000000000000000001', '1e5', '1.5e-3', 'NaN', 'Infinity', '-inf', '+3', ' 4 ', '', '.', '-', '1..2', '1e999999', '0001.500',
		'10000', '100000000', '0.0001', '123456.789', '99.99', '-12345678.9'],
				'0123456789.e+-', :n) d;

SELECT t, d.* FROM unnest(ARRAY['date', 'timestamp', 'timestamptz', 'timestamp(3)', 'timestamptz(0)']) t,
	differences(t, ARRAY['2024-02-29', '2023-02-29', '0001-01-01', '0000-01-01', '9999-12-31', '10000-01-01', '2024-13-01', '2024-00-10',
		'2024-04-31', '2024-01-02T03:04:05Z', '2024-01-02T03:04:05.123456Z', '2024-01-02 03:04:05.1234567+02', '2024-01-02T03:04:05.9999995',
		'2024-01-02T03:04:05.0000005Z', '2024-01-02T03:04:05,123Z', '2024-01-02T23:59:59.9999999-05:30', '2024-01-02T03:04+0530',
		'2024-01-02 03:04', '2024-01-02T24:00:00Z', '2024-01-02T23:59:60Z', '2024-03-10 02:30:00', '2024-11-03 01:30:00',
		'1883-11-18 12:00:00', '2024-01-02T03:04:05 UTC', '2024-01-02T03:04:05 Europe/Paris', 'Jan 2 2024', '2024-01-02 BC', 'now x',
		'infinity', '-infinity', 'epoch', '20240102T030405', '2024-01-02t03:04:05z', '2024-01-02T03:04:05+15:59', '2024-01-02T03:04:05+16',
		'2024-01-02T03:04:05-14:60', '', ' 2024-01-02 ', '2024-01-02T', '2024-01-02T03', '2024-01-02 03:04:05.', '12:00', '1700000000',
		'2024-01-02T03:04:05.123456789012345Z', '2024-01-02T03:04:05.1234567890123456Z', '2024-1-2'],
				'0123456789:-+TZ. ', :n) d;

SELECT t, d.* FROM unnest(ARRAY['text', 'varchar', 'varchar(3)', 'bpchar(3)', 'char(5)', 'bpchar']) t,
	differences(t, ARRAY['', 'a', 'abc', 'abcd', 'abc  ', '   ', 'ab    ', 'äöü', 'äöüß', 'äö  ', '日本語', '日本語x', E'a\nb'],
				'ab äß日', :n) d;

SELECT t, d.* FROM unnest(ARRAY['bytea']) t,
	differences(t, ARRAY['', 'abc', '\x', '\x00ff', '\xABcd', '\x0', '\x 0a 0b', '\xgg', '\001', '\\', 'a\', '\400', '\x0a0', 'äö'],
				'\x0123abfg ', :n) d;

SELECT t, d.* FROM unnest(ARRAY['uuid']) t,
	differences(t, ARRAY['a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11', '{a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11}',
		'A0EEBC999C0B4EF8BB6D6BB9BD380A11', 'a0ee-bc99-9c0b-4ef8-bb6d-6bb9-bd38-0a11', '', 'x'],
				'0123456789abcdefABg-{}', :n) d;

SELECT t, d.* FROM unnest(ARRAY['json', 'jsonb']) t,
	differences(t, ARRAY['{}', '[1,2]', '{"a":{"b":[true,false,null]}}', '"x"', '1e5', '"\u00e4"', '"\u0000"', '"\ud800"', '"\ud83d\ude00"',
		'{"a":1,"a":2}', '', ' ', '{', '{"a"}', '[1,]', 'nul', '01', '{"a":1e999999}', '1.50'],
				'{}[]":,0123eautrnl\ ', :n) d;

SELECT t, d.* FROM unnest(ARRAY['time', 'interval', 'inet', 'bit(4)', 'money', 'point', 'oid', 'int4[]', 'text[]', 'macaddr', 'xid8']) t,
	differences(t, ARRAY['12:00', '1 day', '10.0.0.1', '1010', '$1.50', '(1,2)', '42', '{1,2}', '{a,"b c"}', '08:00:2b:01:02:03', '{{1},{2}}'],
				'0123456789:{}[](),."$', :n / 2) d;

\pset tuples_only off

-- Enums and domains.
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE DOMAIN percent AS numeric(5,2) CHECK (VALUE BETWEEN 0 AND 100);
CREATE DOMAIN present AS text NOT NULL;
SELECT s, our_cast('cast_test.mood', s) FROM unnest(ARRAY['ok', 'bad', repeat('x', 70)]) s;
SELECT s, our_cast('cast_test.percent', s) FROM unnest(ARRAY['12.345', 'x', '1000000']) s;
DO $$
BEGIN
	-- On 15 a domain's constraint is raised, later it is a refusal; either way this is what it says.
	RAISE NOTICE '%', our_cast('cast_test.percent', '100.01');
EXCEPTION WHEN OTHERS THEN
	RAISE NOTICE 'no % %', SQLSTATE, SQLERRM;
END $$;
SELECT our_cast('cast_test.present', 'x');
SELECT our_cast('int4range', s) FROM unnest(ARRAY['[1,5)', '[5,1)', 'x']) s;

-- A refused value is quoted in part only.
SELECT our_cast('bigint', repeat('9', 100000));
SELECT our_cast('date', repeat('ä', 1000));

-- Deep documents: refused, never a crash.
SELECT t, n, left(our_cast(t, repeat('[', n) || repeat(']', n)), 60)
FROM unnest(ARRAY['json', 'jsonb']) t, unnest(ARRAY[1000, 6400, 6401, 100000]) n;

-- Sizes.
SELECT t, length(our_cast(t, '"' || repeat('x', 1000000) || '"')) FROM unnest(ARRAY['text', 'json', 'jsonb']) t;

SET client_min_messages = warning;
DROP SCHEMA cast_test CASCADE;
