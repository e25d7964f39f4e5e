-- Gold kept by recomputing the groups touched: the statements, and that the
-- planner narrows the recomputation by the keys.
SET client_min_messages = error;
\pset format unaligned
CREATE SERVER groups_kafka TYPE 'kafka' FOREIGN DATA WRAPPER dynpipe
    OPTIONS (bootstrap_servers 'localhost:1', security_protocol 'plaintext');
CREATE TABLE groups_dim (region text, name text);
SELECT count(*) FROM dynpipe.apply($$
pipelines:
  - name: orders
    enabled: false
    source: kafka://groups_kafka/orders
    format: json
    bronze: false
    schema:
      - {name: id, type: int}
      - {name: qty, type: int}
      - {name: region, type: text}
    silver: {table: groups_t.s, key: [id]}
    gold:
      - table: groups_t.top
        query: SELECT qty, max(id) AS newest FROM groups_t.s GROUP BY qty HAVING count(*) > 1
      - table: groups_t.named
        query: >-
          SELECT d.name, groups_t.s.region, count(DISTINCT id) AS ids
          FROM groups_t.s JOIN public.groups_dim AS d USING (region)
          WHERE groups_t.s.qty > 0 GROUP BY d.name, groups_t.s.region
      - table: groups_t.pairs
        query: SELECT DISTINCT x.region, x.qty FROM groups_t.s x
      - table: groups_t.rank
        query: SELECT region, rank() OVER (ORDER BY count(*)) FROM groups_t.s GROUP BY region
      - table: groups_t.today
        query: SELECT count(*) AS n, current_date AS d FROM groups_t.s
        refresh: 5 min
$$);
SELECT section, item, value FROM dynpipe.explain('orders') WHERE section LIKE 'gold%';

-- the keys reach the index
CREATE INDEX s_qty ON groups_t.s (qty);
INSERT INTO groups_t.s SELECT i, i / 4, 'eu' FROM generate_series(1, 20000) AS i;
ANALYZE groups_t.s;
CREATE TEMP TABLE dynpipe_new AS SELECT * FROM groups_t.s WHERE id < 8;
CREATE TEMP TABLE dynpipe_old AS SELECT * FROM groups_t.s WHERE id < 4;
CREATE FUNCTION pg_temp.uses(statement text, index text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    plan text;
BEGIN
    EXECUTE 'EXPLAIN (FORMAT json, COSTS off) ' || statement INTO plan;
    RETURN plan LIKE '%' || index || '%';
END $$;
SELECT pg_temp.uses(value, 's_qty') FROM dynpipe.explain('orders')
    WHERE section = 'gold groups_t.top' AND item = 'statement 2';

DROP SCHEMA groups_t CASCADE;
DROP TABLE groups_dim;
SELECT dynpipe.drop('orders');
DROP SERVER groups_kafka;
