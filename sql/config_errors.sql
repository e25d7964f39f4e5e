-- Every rule of the checker refuses the document that breaks it and names the
-- place: the documents are in test/data/documents, the answers here.
\set ECHO none
\set QUIET on
\pset format unaligned
\pset tuples_only on
-- Read by psql: the server may run as somebody who may not.
CREATE TEMP TABLE line (n serial, text text);
CREATE TEMP TABLE document (id serial, kind text, text text);

-- One document a line.
\set documents `cat "$PG_ABS_SRCDIR/test/data/documents/structure.jsonl"`
INSERT INTO line (text) SELECT nullif(l, '') FROM string_to_table(:'documents', E'\n') l;
INSERT INTO document (kind, text) SELECT 'structure', text FROM line ORDER BY n;
TRUNCATE line;
\set documents `cat "$PG_ABS_SRCDIR/test/data/documents/meaning.jsonl"`
INSERT INTO line (text) SELECT nullif(l, '') FROM string_to_table(:'documents', E'\n') l;
INSERT INTO document (kind, text) SELECT 'meaning', text FROM line ORDER BY n;
TRUNCATE line;

-- Documents with lines of their own, divided by lines of "=====".
CREATE FUNCTION pg_temp.divide(kind text) RETURNS void LANGUAGE sql AS $$
	INSERT INTO document (kind, text)
	SELECT $1, string_agg(coalesce(text, ''), E'\n' ORDER BY n)
	FROM (SELECT *, count(*) FILTER (WHERE text = '=====') OVER (ORDER BY n) AS part FROM line) l
	WHERE text IS DISTINCT FROM '====='
	GROUP BY part ORDER BY part;
	TRUNCATE line;
$$;
\set documents `cat "$PG_ABS_SRCDIR/test/data/documents/syntax.json"`
INSERT INTO line (text) SELECT nullif(l, '') FROM string_to_table(:'documents', E'\n') l;
SELECT pg_temp.divide('json') \g /dev/null
\set documents `cat "$PG_ABS_SRCDIR/test/data/documents/syntax.yaml"`
INSERT INTO line (text) SELECT nullif(l, '') FROM string_to_table(:'documents', E'\n') l;
SELECT pg_temp.divide('yaml') \g /dev/null

-- Which sources and formats there are is not this test's business.
SELECT id || ' ' || kind || ' ' ||
	CASE WHEN length(d.text) > 240 THEN left(d.text, 240) || '...' ELSE d.text END ||
	coalesce(string_agg(E'\n    ' || concat_ws(' ', nullif(pointer, ''),
		'line ' || line || ' column ' || "column") || ': ' || message ||
		coalesce(E'\n        ' || regexp_replace(hint, '(of this build[a-z ]*|Its options): .*', '\1: ...'), ''), ''
		ORDER BY p.ordinality), E'\n    no problem')
FROM document d
LEFT JOIN LATERAL dynpipe.validate(d.text) WITH ORDINALITY p ON true
GROUP BY id, kind, d.text
ORDER BY id;

\echo == documents that pass although they should not
SELECT id, text FROM document WHERE NOT EXISTS (SELECT FROM dynpipe.validate(text));

\echo == kinds of error raised
CREATE FUNCTION pg_temp.raised(document text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	PERFORM dynpipe.canonical(document);
	RETURN 'none';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE || ' ' || regexp_replace(SQLERRM, '\d+ problems?, .*', '...');
END $$;
SELECT kind, pg_temp.raised(text) AS error, count(*) > 0
FROM document GROUP BY 1, 2 ORDER BY 1, 2;
SELECT count(*) >= 200 AS enough FROM document;

\echo == the error as the user sees it
\pset format aligned
DO $$
DECLARE
	detail text;
	hint text;
BEGIN
	PERFORM dynpipe.canonical('{"pipelines": [{"nme": "p", "source": "kafka://s/t", "workers": 0}]}');
EXCEPTION WHEN invalid_parameter_value THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RAISE INFO E'%\nDETAIL:  %\nHINT:  %', SQLERRM, detail, hint;
END $$;

\echo == a document that is too large, and one with too many mistakes
SELECT * FROM dynpipe.validate(repeat(' ', 16 * 1024 * 1024 + 1));
SELECT count(*), max(message) FILTER (WHERE pointer = '') AS last
FROM dynpipe.validate('[' || repeat('1,', 2000) || '1]');
SELECT count(*), max(message) FILTER (WHERE pointer = '') AS last
FROM dynpipe.validate('{"pipelines": [' || repeat('1,', 2000) || '1]}');
SELECT pointer, message FROM dynpipe.validate(
	'{"pipelines": [' || repeat('{},', 10000) || '{}]}');
SELECT pointer, message FROM dynpipe.validate(
	'{"pipelines": [{"name": "p", "source": "kafka://s/t", "schema": [' ||
	(SELECT string_agg(format('"c%s"', i), ',') FROM generate_series(1, 1501) i) || ']}]}');

-- dynpipe.apply refuses each of them too, dry or not, and nothing is changed.
CREATE FUNCTION pg_temp.refused(document text, dry_run boolean) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	PERFORM dynpipe.apply(document, dry_run);
	RETURN false;
EXCEPTION WHEN invalid_parameter_value OR invalid_text_representation THEN
	RETURN true;
END $$;
SELECT 'not refused by apply: ' || id || ' ' || text FROM document
 WHERE NOT pg_temp.refused(text, true) OR NOT pg_temp.refused(text, false);
SELECT count(*) || ' pipelines' FROM dynpipe.status;
