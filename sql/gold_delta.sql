-- Gold: which queries are kept by deltas, the statements, and what is refused.
SET client_min_messages = error;
\pset format unaligned
CREATE SERVER gold_kafka TYPE 'kafka' FOREIGN DATA WRAPPER dynpipe
    OPTIONS (bootstrap_servers 'localhost:1', security_protocol 'plaintext');
CREATE TABLE gold_dim (region text, name text, w int);
CREATE FUNCTION pg_temp.doc(query text, silver text DEFAULT '', gold text DEFAULT '')
RETURNS text LANGUAGE sql AS $$ SELECT format($d$
{"pipelines": [{"name": "orders", "enabled": false, "source": "kafka://gold_kafka/orders",
  "format": "json", "bronze": false,
  "schema": [{"name": "id", "type": "int"}, {"name": "qty", "type": "int"},
             {"name": "amount", "type": "numeric(12,2)"}, {"name": "rate", "type": "float8"},
             {"name": "region", "type": "text"}],
  "silver": {"table": "gold_t.s" %s}, "gold": [{"table": "gold_t.g", "query": %s %s}]}]}
$d$, silver, to_json(query), gold) $$;
-- the strategy of a query and why, or why it is refused; nothing stays
CREATE FUNCTION pg_temp.try(query text, silver text DEFAULT '', gold text DEFAULT '')
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    result text;
    detail text;
BEGIN
    PERFORM dynpipe.apply(pg_temp.doc(query, silver, gold));
    SELECT string_agg(value, ': ' ORDER BY item DESC) INTO result
        FROM dynpipe.explain('orders') WHERE item IN ('strategy', 'reason');
    RAISE EXCEPTION '%', result;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
    RETURN coalesce(nullif(detail, ''), SQLERRM);
END $$;
CREATE VIEW pg_temp.explained AS
    SELECT item, value FROM dynpipe.explain('orders') WHERE section LIKE 'gold%';

-- append-only
SELECT count(*) FROM dynpipe.apply(pg_temp.doc(
    'SELECT region, id % 2 AS odd, count(*) AS n, sum(qty), avg(amount) FILTER (WHERE id > 3) AS a,
     max(gold_t.s.id) -- greatest
     FROM gold_t.s WHERE gold_t.s.qty IS DISTINCT FROM 3 GROUP BY 1, odd'));
TABLE pg_temp.explained;
\d gold_t.g
SELECT dynpipe.drop('orders', true);
-- one group
SELECT count(*) FROM dynpipe.apply(pg_temp.doc('SELECT count(*), min(x.qty) FROM gold_t.s AS x'));
TABLE pg_temp.explained;
SELECT dynpipe.drop('orders', true);
-- rows are replaced
SELECT count(*) FROM dynpipe.apply(pg_temp.doc(
    'SELECT region, count(qty) AS n, sum(qty), avg(amount) FILTER (WHERE id > 3) AS a
     FROM gold_t.s WHERE qty > 3 GROUP BY region', ', "key": ["id"]'));
TABLE pg_temp.explained;
\d gold_t.g
SELECT dynpipe.drop('orders', true);

-- what is a delta
SELECT pg_temp.try('SELECT id "from", count(*) AS group, qty AS where FROM gold_t.s GROUP BY 1, 3');
SELECT pg_temp.try('SELECT id, count(*) FROM ONLY gold_t . s AS "X" GROUP BY 1 ORDER BY 2;');
SELECT pg_temp.try('SELECT id IS DISTINCT FROM 3 AS f, sum(ALL amount) FROM gold_t.s GROUP BY f');
SELECT pg_temp.try('SELECT x.k, count(*) FROM gold_t.s AS x(k) GROUP BY 1 /* x */ -- y');
SELECT pg_temp.try('SELECT qty, avg(amount * 1.1) FROM gold_t.s GROUP BY qty');
SELECT pg_temp.try(E'SELECT qty -- a\n, count(*) -- b\nFROM gold_t.s x -- c\nWHERE id > 1 -- d\nGROUP BY qty -- e',
    ', "key": ["id"]');
-- and what is not
SELECT pg_temp.try('SELECT qty, avg(amount * 1.1) FROM gold_t.s GROUP BY qty', ', "key": ["id"]');
SELECT pg_temp.try('SELECT qty, max(id) FROM gold_t.s GROUP BY qty', ', "key": ["id"]');
SELECT pg_temp.try('SELECT qty, sum(rate) FROM gold_t.s GROUP BY qty');
SELECT pg_temp.try('SELECT qty, count(DISTINCT id) FROM gold_t.s GROUP BY qty');
SELECT pg_temp.try('SELECT qty, count(*) FROM gold_t.s GROUP BY qty HAVING count(*) > 1');
SELECT pg_temp.try('SELECT qty, coalesce(sum(id), 0) AS s FROM gold_t.s GROUP BY qty');
SELECT pg_temp.try('SELECT qty, (sum(id)) AS s FROM gold_t.s GROUP BY qty');
SELECT pg_temp.try('SELECT qty, count(gold_t.s.*) FROM gold_t.s GROUP BY qty');
SELECT pg_temp.try('SELECT qty, array_agg(id) FROM gold_t.s GROUP BY qty');
SELECT pg_temp.try('SELECT count(*) FROM gold_t.s GROUP BY qty');
SELECT pg_temp.try('SELECT DISTINCT qty FROM gold_t.s');
SELECT pg_temp.try('SELECT region, count(*) FROM gold_t.s JOIN public.gold_dim USING (region) GROUP BY 1');
SELECT pg_temp.try('SELECT qty, count(*) FROM gold_t.s WHERE id IN (SELECT w FROM public.gold_dim) GROUP BY 1');
SELECT pg_temp.try('SELECT name, count(id) FROM gold_t.s LEFT JOIN public.gold_dim USING (region) GROUP BY 1');
SELECT pg_temp.try('SELECT name, count(id) FROM public.gold_dim LEFT JOIN gold_t.s USING (region) GROUP BY 1');
SELECT pg_temp.try('SELECT id, count(*) FROM gold_t.s JOIN gold_t.s AS b USING (id) GROUP BY 1');
SELECT pg_temp.try('SELECT qty, count(*) FROM gold_t.s GROUP BY 1 ORDER BY 2 LIMIT 3');
SELECT pg_temp.try('SELECT qty, rank() OVER (ORDER BY count(*)) FROM gold_t.s GROUP BY 1');
SELECT pg_temp.try('SELECT qty, id, count(*) FROM gold_t.s GROUP BY CUBE (1, 2)');
SELECT pg_temp.try('SELECT qty, count(*) FROM gold_t.s GROUP BY 1 UNION ALL SELECT 1, 2');
SELECT pg_temp.try('WITH x AS (SELECT * FROM gold_t.s) SELECT count(*) FROM x');
SELECT pg_temp.try('SELECT current_date AS d, count(*) FROM gold_t.s', '', ', "refresh": "1 h"');

-- refused
SELECT pg_temp.try('SELECT 1 AS a');
SELECT pg_temp.try('SELECT count(*) FROM s');
SELECT pg_temp.try('SELECT count(*) FROM gold_t.s, t');
SELECT pg_temp.try('SELECT count(*), now() FROM gold_t.s');
SELECT pg_temp.try('SELECT current_date AS d, count(*) FROM gold_t.s GROUP BY 1');
SELECT pg_temp.try('SELECT qty, random() AS r FROM gold_t.s');
SELECT pg_temp.try('SELECT 1 + 1, qty AS _x, qty, qty FROM gold_t.s');
SELECT pg_temp.try('DELETE FROM gold_t.s');
SELECT pg_temp.try('SELECT qty FROM gold_t.s; SELECT 1');
SELECT pg_temp.try('SELECT foo FROM gold_t.s');
SELECT pg_temp.try('SELECT qty FROM gold_t.s GROUP');
SELECT pg_temp.try('SELECT $1 AS p FROM gold_t.s');
SELECT pg_temp.try('SELECT row(1, 2) AS r FROM gold_t.s');
SELECT pg_temp.try('SELECT qty FROM gold_t.s FOR UPDATE');

-- a changed query fills the table again, changed columns make it anew
SELECT * FROM dynpipe.apply(pg_temp.doc('SELECT qty, count(*) FROM gold_t.s GROUP BY 1'));
SELECT * FROM dynpipe.apply(pg_temp.doc('SELECT qty, count(*) FROM gold_t.s WHERE id > 1 GROUP BY 1'));
SELECT * FROM dynpipe.apply(pg_temp.doc('SELECT qty, count(*), avg(id) FROM gold_t.s GROUP BY 1'));
SELECT * FROM dynpipe.apply(pg_temp.doc('SELECT qty, count(*), avg(id) FROM gold_t.s GROUP BY 1', '',
    ', "description": "by quantity"'));
SELECT * FROM dynpipe.apply(pg_temp.doc('SELECT qty, count(*), avg(id) FROM gold_t.s GROUP BY 1', '',
    ', "description": "by quantity"'));
-- a table that is left is taken over if it fits
SELECT dynpipe.drop('orders');
SELECT pg_temp.try('SELECT region, count(*) FROM gold_t.s GROUP BY 1');
SELECT pg_temp.try('SELECT id AS qty, count(*), avg(qty) FROM gold_t.s GROUP BY 1');
ALTER TABLE gold_t.g DROP COLUMN _n_avg;
SELECT pg_temp.try('SELECT id AS qty, count(*), avg(qty) FROM gold_t.s GROUP BY 1');

DROP SCHEMA gold_t CASCADE;
DROP TABLE gold_dim;
DROP SERVER gold_kafka;
