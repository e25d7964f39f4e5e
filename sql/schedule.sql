-- When schedules are due: dynpipe.schedule_preview, with the clocks of the zone.
\set ECHO none
\set QUIET on
\pset format unaligned
\pset tuples_only on
SET timezone = 'UTC';
SET datestyle = 'ISO, YMD';

-- The times as UTC, and as the zone's clocks show them.
CREATE FUNCTION pg_temp.due(schedule text, zone text, after text, n int DEFAULT 4)
RETURNS text LANGUAGE sql AS $$
	SELECT schedule || ' ' || zone || ' after ' || after || E'\n' ||
		string_agg('    ' || to_char(at, 'YYYY-MM-DD HH24:MI:SS') || ' UTC  ' ||
			to_char(at AT TIME ZONE zone, 'Dy YYYY-MM-DD HH24:MI'), E'\n' ORDER BY o)
	FROM dynpipe.schedule_preview(schedule, zone, n, after::timestamptz) WITH ORDINALITY d (at, o)
$$;

\echo == fields
SELECT pg_temp.due(schedule, 'UTC', '2026-01-30 23:58:30+00') FROM (VALUES
	(1, '* * * * *'), (2, '*/15 * * * *'), (3, '5/20 * * * *'), (4, '0 6 * * *'), (5, '30 0,12 * * *'),
	(6, '0 8-18/5 * * mon-fri'), (7, '0 0 1 * *'), (8, '0 0 31 * *'), (9, '0 0 29 2 *'),
	(10, '0 0 1 jan,Jul *'), (11, '0 0 * * 0'), (12, '0 0 * * 7'), (13, '0 0 * * SUN'),
	(14, '0 0 * * fri-sun'), (15, '0 0 * * sun-tue'), (16, '59 23 31 12 *'), (17, '0 0 28-31 2 *'),
	(18, '0	6   *  * 1'))
	s (n, schedule) ORDER BY n;

\echo == day and weekday: either is enough, unless one begins with "*"
SELECT pg_temp.due(schedule, 'UTC', '2026-02-01 00:00+00', 6) FROM (VALUES
	(1, '0 0 13 * fri'), (2, '0 0 13 * *'), (3, '0 0 * * fri'), (4, '0 0 */10 * fri'),
	(5, '0 0 13 * */2'), (6, '0 0 31 2 mon')) s (n, schedule) ORDER BY n;

\echo == names
SELECT pg_temp.due(schedule, 'Europe/Berlin', '2026-06-10 11:59:59.999999+02', 2) FROM (VALUES
	(1, '@hourly'), (2, '@daily'), (3, '@midnight'), (4, '@weekly'), (5, '@monthly'), (6, '@yearly'),
	(7, '@annually'), (8, ' @Daily ')) s (n, schedule) ORDER BY n;

\echo == intervals
SELECT pg_temp.due(schedule, 'UTC', '2026-01-30 23:58:30+00', 3) FROM (VALUES
	(1, '1s'), (2, '90 s'), (3, '15min'), (4, '1h'), (5, '7 h'), (6, '1d'), (7, '7d'), (8, '1500ms'))
	s (n, schedule) ORDER BY n;
SELECT pg_temp.due('7d', 'UTC', '1969-12-31 12:00+00', 2);
SELECT pg_temp.due('1h', 'UTC', '2026-01-01 12:00:00+00', 1);

\echo == Berlin: 29 March 2026 has no 02:00 to 03:00, 25 October has it twice
SELECT pg_temp.due(schedule, 'Europe/Berlin', after, 5) FROM (VALUES
	(1, '30 2 * * *', '2026-03-27 12:00+01'),
	(2, '0 2 * * *', '2026-03-28 12:00+01'),
	(3, '*/20 2 * * *', '2026-03-28 02:30+01'),
	(4, '0 1,2,3 * * *', '2026-03-29 00:00+01'),
	(5, '30 * * * *', '2026-03-29 00:30+01'),
	(6, '0 4 * * *', '2026-03-28 12:00+01'),
	(7, '30 2 * * *', '2026-10-23 12:00+02'),
	(8, '30 2 * * *', '2026-10-25 02:30+02'),
	(9, '30 2 * * *', '2026-10-25 02:10+01'),
	(10, '*/20 2 * * *', '2026-10-25 02:00+02'),
	(11, '0 1-4 * * *', '2026-10-25 00:00+02'),
	(12, '30 * * * *', '2026-10-25 00:30+02'),
	(13, '*/30 * * * *', '2026-10-25 02:10+02'),
	(14, '@hourly', '2026-10-25 01:10+02'),
	(15, '0 3 * * *', '2026-10-24 12:00+02')) s (n, schedule, after) ORDER BY n;

\echo == New York: 8 March 2026 has no 02:00 to 03:00, 1 November has 01:00 to 02:00 twice
SELECT pg_temp.due(schedule, 'America/New_York', after, 3) FROM (VALUES
	(1, '30 2 * * *', '2026-03-07 12:00-05'),
	(2, '15,45 2 8 3 *', '2026-03-01 12:00-05'),
	(3, '30 1 * * *', '2026-10-31 12:00-04'),
	(4, '30 1 * * sun', '2026-11-01 01:45-05'),
	(5, '0 * * * *', '2026-11-01 00:00-04'),
	(6, '0 0 1 * *', '2026-10-15 12:00-04')) s (n, schedule, after) ORDER BY n;

\echo == elsewhere: half an hour (Lord Howe), a midnight that does not exist (Cairo), a lost day (Apia)
SELECT pg_temp.due('15,45 * * * *', 'Australia/Lord_Howe', '2026-04-05 01:00+11', 6);
SELECT pg_temp.due('15 2 * * *', 'Australia/Lord_Howe', '2026-10-03 12:00+10:30', 2);
SELECT pg_temp.due('@daily', 'Africa/Cairo', '2026-04-22 12:00+02', 3);
SELECT pg_temp.due('0 12 * * *', 'Pacific/Apia', '2011-12-28 18:00-10', 3);
SELECT pg_temp.due('0 0 * * *', 'Asia/Kathmandu', '2026-01-01 00:00+00', 2);

\echo == 29 February across a century without one
SELECT pg_temp.due('0 0 29 2 *', 'UTC', '2096-02-29 00:00+00', 2);
SELECT pg_temp.due('0 0 29 2 *', 'UTC', '1896-03-01 00:00+00', 2);

-- Over two years, every five minutes: due is what the zone's clocks show when
-- they show it first; for a schedule of every hour, whenever they show it.
\echo == against a plain count of minutes
CREATE TEMP TABLE minute AS
SELECT at, zone, at AT TIME ZONE zone AS wall,
	extract(minute FROM at AT TIME ZONE zone)::int AS mi, extract(hour FROM at AT TIME ZONE zone)::int AS h,
	extract(day FROM at AT TIME ZONE zone)::int AS d, extract(month FROM at AT TIME ZONE zone)::int AS mo,
	extract(dow FROM at AT TIME ZONE zone)::int AS w
FROM unnest(ARRAY['Europe/Berlin', 'America/New_York']) zone,
	generate_series('2025-01-01 00:00+00'::timestamptz, '2026-12-31 23:55+00', '5 min') at;
CREATE FUNCTION pg_temp.counted(schedule text, zone_name text, condition text, once text)
RETURNS TABLE (counted bigint, missing bigint, surplus bigint) LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE format($q$
		WITH counted AS (
			SELECT min(at) AS at FROM minute WHERE zone = %L AND %s GROUP BY %s
		), due AS (
			SELECT at FROM dynpipe.schedule_preview(%L, %L, 10000, '2024-12-31 23:59+00') at
			WHERE at < '2027-01-01 00:00+00'
		)
		SELECT count(counted.at), count(*) FILTER (WHERE due.at IS NULL),
			count(*) FILTER (WHERE counted.at IS NULL)
		FROM counted FULL JOIN due ON due.at = counted.at$q$,
		zone_name, condition, once, schedule, zone_name);
END $$;
SELECT schedule, zone, c.* FROM (VALUES
	('0,30 2,3 * * *', 'mi IN (0, 30) AND h IN (2, 3)', 'wall'),
	('15 1 * * 1-5', 'mi = 15 AND h = 1 AND w BETWEEN 1 AND 5', 'wall'),
	('15,40 1 * * sun', 'mi IN (15, 40) AND h = 1 AND w = 0', 'wall'),
	('0 0 1,15 * wed', 'mi = 0 AND h = 0 AND (d IN (1, 15) OR w = 3)', 'wall'),
	('*/5 12 31 */2 *', 'h = 12 AND d = 31 AND mo % 2 = 1', 'wall'),
	('20 * * 3,10-11 0', 'mi = 20 AND mo IN (3, 10, 11) AND w = 0', 'at'),
	('*/15 0-23 25-31 mar,oct *', 'mi % 15 = 0 AND d >= 25 AND mo IN (3, 10)', 'at'))
	s (schedule, condition, once),
	unnest(ARRAY['Europe/Berlin', 'America/New_York']) zone,
	pg_temp.counted(schedule, zone, condition, once) c
ORDER BY 1, 2;

\echo == limits
SELECT count(*) FROM dynpipe.schedule_preview('* * * * *', n => 10000);
SELECT count(*) FROM dynpipe.schedule_preview('@daily', n => 0);
SELECT count(*) FROM dynpipe.schedule_preview('@daily');
SELECT bool_and(d > now()) FROM dynpipe.schedule_preview('@hourly') d;
SELECT count(*) FROM dynpipe.schedule_preview('@daily', after => '294270-01-01');
SELECT count(*) FROM dynpipe.schedule_preview('1h', after => '294276-12-31 22:59:59+00');
SELECT * FROM dynpipe.schedule_preview('@daily', n => 2, after => '4713-01-01 00:00 BC');
SELECT count(*) FROM dynpipe.schedule_preview(NULL);

\set SHOW_CONTEXT never
\echo == errors
DO $$
DECLARE
	query text;
	hint text;
BEGIN
	FOREACH query IN ARRAY ARRAY[
		$q$('* * * *')$q$, $q$('0 0 31 2 *')$q$, $q$('')$q$, $q$('   ')$q$, $q$('0ms')$q$,
		$q$('@daily', 'Mars/Olympus')$q$, $q$('@daily', 'UTC+3')$q$, $q$('@daily', '')$q$,
		$q$('@daily', n => -1)$q$, $q$('@daily', n => 10001)$q$,
		$q$('@daily', after => 'infinity')$q$, $q$('1h', after => '-infinity')$q$]
	LOOP
		BEGIN
			EXECUTE 'SELECT count(*) FROM dynpipe.schedule_preview' || query;
			RAISE INFO '%: no error', query;
		EXCEPTION WHEN OTHERS THEN
			GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
			RAISE INFO USING MESSAGE = query || ': ' || SQLSTATE || ' ' || SQLERRM || ' | ' || hint;
		END;
	END LOOP;
END $$;
