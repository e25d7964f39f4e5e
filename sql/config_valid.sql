-- Valid documents and their canonical form, which reads back as itself.
\set ECHO none
\set QUIET on
\pset format unaligned
\pset tuples_only on
-- Read by psql: the server may run as somebody who may not.
CREATE TEMP TABLE line (n serial, text text);
CREATE TEMP TABLE document (id serial, text text);
\set documents `cat "$PG_ABS_SRCDIR/test/data/documents/valid.jsonl"`
INSERT INTO line (text) SELECT nullif(l, '') FROM string_to_table(:'documents', E'\n') l;
INSERT INTO document (text) SELECT text FROM line ORDER BY n;
TRUNCATE line;
\set documents `cat "$PG_ABS_SRCDIR/test/data/documents/valid.yaml"`
INSERT INTO line (text) SELECT nullif(l, '') FROM string_to_table(:'documents', E'\n') l;
INSERT INTO document (text)
SELECT string_agg(coalesce(text, ''), E'\n' ORDER BY n)
FROM (SELECT *, count(*) FILTER (WHERE text = '=====') OVER (ORDER BY n) AS part FROM line) l
WHERE text IS DISTINCT FROM '====='
GROUP BY part ORDER BY part;

\echo == problems of valid documents
SELECT id, p.* FROM document, dynpipe.validate(text) p;

\echo == canonical form
SELECT id || ' ' || left(text, 200), E'\n    ' || left(canonical, 1000)
FROM document LEFT JOIN LATERAL dynpipe.canonical(text) AS canonical ON true
ORDER BY id;

\echo == canonical forms that change when read again
WITH once AS (
	SELECT id, canonical AS text FROM document, dynpipe.canonical(text) AS canonical
)
SELECT id, text, twice
FROM once LEFT JOIN LATERAL dynpipe.canonical('{"pipelines": [' || text || ']}') AS twice ON true
WHERE text IS DISTINCT FROM twice;

\echo == and after a way through jsonb, which loses the order of keys
WITH once AS (
	SELECT id, canonical AS text FROM document, dynpipe.canonical(text) AS canonical
)
SELECT id, text, twice
FROM once LEFT JOIN LATERAL
	dynpipe.canonical(jsonb_build_object('pipelines', jsonb_build_array(text::jsonb))::text) AS twice ON true
WHERE text IS DISTINCT FROM twice;

\echo == JSON and YAML say the same
SELECT count(DISTINCT c) FROM (
	SELECT dynpipe.canonical($${"pipelines": [{"name": "p", "source": "kafka://s/t",
		"schema": ["id", {"name": "n", "default": 1}], "silver": {"key": "id"}}]}$$)
	UNION ALL
	SELECT dynpipe.canonical($$
pipelines:
  - name: p
    source: kafka://s/t
    schema:
      - id
      - name: n
        default: 1
    silver:
      key: [id]
$$)) d (c);

\echo == the example of files
TRUNCATE line;
\set documents `cat "$PG_ABS_SRCDIR/examples/pipeline_config.json"`
INSERT INTO line (text) SELECT nullif(l, '') FROM string_to_table(:'documents', E'\n') l;
SELECT string_agg(coalesce(text, ''), E'\n' ORDER BY n) AS example FROM line \gset
SELECT * FROM dynpipe.validate(:'example');
SELECT * FROM dynpipe.canonical(:'example');

\echo == nothing asked, nothing said
SELECT count(*) FROM dynpipe.validate(NULL);
