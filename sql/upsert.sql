-- Silver: the statements that are made of derive, where, expect, key,
-- sequence_by and delete_when, and what is refused.
SET client_min_messages = error;
\pset format unaligned
CREATE SERVER upsert_kafka TYPE 'kafka' FOREIGN DATA WRAPPER dynpipe
    OPTIONS (bootstrap_servers 'localhost:1', security_protocol 'plaintext');
-- the document with SILVER for what varies
CREATE FUNCTION pg_temp.doc(silver text) RETURNS text LANGUAGE sql AS $$ SELECT format($d$
{"pipelines": [{"name": "orders", "enabled": false, "source": "kafka://upsert_kafka/orders",
  "format": "json", "bronze": false,
  "schema": [{"name": "id", "type": "bigint"}, {"name": "sub", "type": "text"},
             {"name": "ts", "type": "timestamptz"}, {"name": "amount", "type": "numeric(12,2)",
              "description": "in euro"}, {"name": "op", "type": "text"}],
  "silver": {"table": "upsert_silver.orders" %s}}]}
$d$, silver) $$;
CREATE VIEW pg_temp.explained AS
    SELECT item, value FROM dynpipe.explain('orders') WHERE section = 'silver' AND item <> 'table';

-- append: nothing to transform, then every kind of step
SELECT * FROM dynpipe.apply(pg_temp.doc(''));
TABLE pg_temp.explained;
SELECT * FROM dynpipe.apply(pg_temp.doc($$, "derive": {"day": "ts::date -- of the order",
    "op": "upper(op)"}, "where": "amount > 0", "expect": [
    {"name": "known", "check": "op IN ('I', 'U')"},
    {"name": "small", "check": "amount < 1000", "otherwise": "warn"},
    {"name": "sane", "check": "amount < 1e6", "otherwise": "fail"},
    {"name": "recent", "check": "day > '2020-01-01'", "otherwise": "warn"}]$$));
TABLE pg_temp.explained;
-- the same again changes nothing
SELECT * FROM dynpipe.apply(dynpipe.export('orders')::text);
-- a key cannot be given to the table of an append
SELECT * FROM dynpipe.apply(pg_temp.doc($$, "key": ["id"]$$));
SELECT dynpipe.drop('orders', true);

-- upsert: the last wins, the newest wins, the newest of several columns
SELECT * FROM dynpipe.apply(pg_temp.doc($$, "key": ["id"]$$));
TABLE pg_temp.explained;
SELECT dynpipe.drop('orders', true);
SELECT * FROM dynpipe.apply(pg_temp.doc($$, "key": ["id", "sub"], "sequence_by": "ts",
    "where": "amount > 0", "delete_when": "op = 'D'", "derive": {"sub": "coalesce(sub, '')",
    "day": "ts::date"}, "expect": [{"name": "known", "check": "op IN ('I', 'U')"}]$$));
TABLE pg_temp.explained;
\d upsert_silver.*
SELECT dynpipe.drop('orders', true);
SELECT * FROM dynpipe.apply(pg_temp.doc($$, "key": ["id"], "sequence_by": ["ts", "id"]$$));
SELECT value FROM pg_temp.explained WHERE item LIKE '6%';
SELECT dynpipe.drop('orders', true);

-- tables of the user's own
CREATE TABLE upsert_silver.orders (op text COLLATE "C", id bigint, sub varchar, note text);
SELECT * FROM dynpipe.apply(pg_temp.doc($$, "key": ["op"]$$));
ALTER TABLE upsert_silver.orders ALTER sub TYPE text;
SELECT * FROM dynpipe.apply(pg_temp.doc($$, "key": ["op"]$$));
CREATE UNIQUE INDEX ON upsert_silver.orders (op);
SELECT * FROM dynpipe.apply(pg_temp.doc($$, "key": ["op"]$$));
SELECT * FROM dynpipe.apply(pg_temp.doc($$, "key": ["op"]$$));
SELECT dynpipe.drop('orders');
ALTER TABLE upsert_silver.orders DROP COLUMN sub, ADD COLUMN sub text GENERATED ALWAYS AS ('x') STORED;
SELECT * FROM dynpipe.apply(pg_temp.doc($$, "key": ["op"]$$));

-- expressions that are none, and what they may not do
SELECT * FROM dynpipe.apply(pg_temp.doc($$, "derive": {"a": "1) , (2", "b": "amont + 1",
    "c": "row(1, 2)", "d": "1 /* x", "e": "id; SELECT 1", "f": "id FROM x", "g": "id x",
    "h": "sum(id)", "i": "generate_series(1, 2)", "j": "'x", "k": "(SELECT id)",
    "l": "row_number() OVER ()", "m": "*", "n": "id, id"}$$));
SELECT * FROM dynpipe.apply(pg_temp.doc($$, "key": ["id", "op"], "sequence_by": "p",
    "derive": {"p": "point(1, 2)"}, "where": "amount", "delete_when": "id = 'D'",
    "expect": [{"name": "a", "check": "id > 0 -- fine"}, {"name": "b", "check": "'t'"},
               {"name": "c", "check": "count(*) > 1"}]$$));
SELECT * FROM dynpipe.apply(replace(replace(pg_temp.doc(''), 'bigint', 'bigin'),
    '"description"', '"default": "x", "description"'));

DROP SCHEMA upsert_silver CASCADE;
DROP SERVER upsert_kafka;
