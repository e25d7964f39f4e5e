-- The life of a pipeline without a broker: apply, dry run, export, change,
-- start, stop, history, drop, and what each refuses.  Nothing is read here.
SET client_min_messages = error;
SET timezone = 'UTC';
CREATE ROLE regress_pipeline_owner SUPERUSER;
SET SESSION AUTHORIZATION regress_pipeline_owner;
CREATE SERVER pipeline_test TYPE 'kafka' FOREIGN DATA WRAPPER dynpipe
    OPTIONS (bootstrap_servers '127.0.0.1:1');
CREATE USER MAPPING FOR CURRENT_USER SERVER pipeline_test;

\set doc '{"pipelines": [{"name": "Shop Sales", "enabled": false, "source": "kafka://pipeline_test/sales", "schema": ["id", {"name": "amount", "type": "numeric(12,2)", "description": "in euros"}], "silver": {"where": "amount > 0"}, "gold": [{"table": "gold.shop_total", "query": "SELECT count(*) AS n, sum(amount) AS total FROM silver.shop_sales"}]}]}'

-- A dry run says what would be done and does nothing.
SELECT * FROM dynpipe.apply(:'doc', dry_run => true);
SELECT count(*) FROM dynpipe.status;
SELECT to_regclass('silver.shop_sales');

-- So does a transaction that is rolled back.
BEGIN;
SELECT count(*) > 0 AS applied FROM dynpipe.apply(:'doc');
SELECT to_regclass('silver.shop_sales');
ROLLBACK;
SELECT to_regclass('silver.shop_sales');

SELECT * FROM dynpipe.apply(:'doc');
SELECT * FROM dynpipe.apply(:'doc');
SELECT * FROM dynpipe.apply(dynpipe.export()::text);
SELECT jsonb_pretty(dynpipe.export('Shop Sales'));
\d silver.shop_sales
SELECT col_description('silver.shop_sales'::regclass, 2);
SELECT n, total FROM gold.shop_total;
SELECT section, item, value FROM dynpipe.explain('Shop Sales')
 WHERE section IN ('source', 'bronze', 'decode', 'silver') ORDER BY section COLLATE "C", item COLLATE "C";
SELECT * FROM dynpipe.verify('Shop Sales');

-- A column more is a column more in silver; its type cannot change.
SELECT * FROM dynpipe.apply('{"pipelines": [{"name": "Shop Sales", "enabled": false, "source": "kafka://pipeline_test/sales", "schema": ["id", {"name": "amount", "type": "numeric(12,2)"}, {"name": "region", "type": "text"}], "gold": [{"table": "gold.shop_total", "query": "SELECT region, count(*) AS n FROM silver.shop_sales GROUP BY region"}]}]}');
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
 WHERE attrelid = 'silver.shop_sales'::regclass AND attnum > 0 ORDER BY attnum;
SELECT attname FROM pg_attribute
 WHERE attrelid = 'gold.shop_total'::regclass AND attnum > 0 AND attname !~ '^_' AND NOT attisdropped ORDER BY attnum;
SELECT * FROM dynpipe.apply('{"pipelines": [{"name": "Shop Sales", "enabled": false, "source": "kafka://pipeline_test/sales", "schema": [{"name": "id", "type": "bigint"}]}]}');
SELECT pipeline, version FROM dynpipe.history ORDER BY version;

-- Two pipelines never write the same table.
SELECT * FROM dynpipe.apply('{"pipelines": [{"name": "other", "enabled": false, "source": "kafka://pipeline_test/sales", "schema": ["id"], "silver": {"table": "silver.shop_sales"}, "bronze": false}]}');

-- All problems of a document at once, those of names and types included.
SELECT * FROM dynpipe.apply('{"pipelines": [{"name": "a", "source": "kafka://nowhere/sales", "schema": [{"name": "id", "type": "bigit"}], "silver": {"where": "nosuch > 1", "derive": {"d": "1, 2"}, "expect": [{"name": "x", "check": "id +"}]}}, {"name": "b", "source": "kafka://pipeline_test/sales", "shema": []}]}');
SELECT count(*) FROM dynpipe.status;

-- A dry run that fails leaves the session as it was.
SELECT * FROM dynpipe.apply('pipelines: [{name: x}]', dry_run => true);
SELECT 'still here' AS session;

-- Destinations: a table is silver's name, a URL is not written to.
SELECT action, object, name FROM dynpipe.apply('{"pipelines": [{"name": "d", "source": "kafka://pipeline_test/sales", "schema": ["id"], "bronze": false, "destination": "silver.elsewhere"}]}', dry_run => true);
SELECT * FROM dynpipe.apply('{"pipelines": [{"name": "d", "source": "kafka://pipeline_test/sales", "schema": ["id"], "destination": "kafka://pipeline_test/out"}]}');

SELECT dynpipe.start('Shop Sales');
SELECT enabled FROM dynpipe.status;
SELECT dynpipe.stop('Shop Sales');
SELECT enabled, state FROM dynpipe.status;
SELECT kind, severity, message ~ 'by' AS says_who FROM dynpipe.event_log
 WHERE pipeline = 'Shop Sales' ORDER BY at, id;

-- What was stopped by hand stays stopped when the document changes.
SELECT action, object, name FROM dynpipe.apply((dynpipe.export('Shop Sales') #- '{pipelines,0,enabled}')::text);
SELECT dynpipe.stop('Shop Sales');
SELECT action, object, name FROM dynpipe.apply(jsonb_set(dynpipe.export('Shop Sales'), '{pipelines,0,description}', '"sold"')::text);
SELECT enabled FROM dynpipe.status;

-- Functions say what they refuse.
SELECT dynpipe.start('nosuch');
SELECT dynpipe.seek('Shop Sales', 0, 5);
SELECT dynpipe.seek('Shop Sales', 0, -5);
SELECT * FROM dynpipe.apply_file('/nonexistent/document.yaml');

-- Another role sees nothing of it and may do nothing with it.
CREATE ROLE regress_pipeline_other;
SET ROLE regress_pipeline_other;
SELECT count(*) FROM dynpipe.status;
SELECT count(*) FROM dynpipe.history;
SELECT dynpipe.stop('Shop Sales');
SELECT dynpipe.drop('Shop Sales');
SELECT * FROM dynpipe.verify('Shop Sales');
SELECT dynpipe.export();
SELECT * FROM dynpipe.apply_file('/etc/hostname');
SELECT count(*) FROM dynpipe.pipeline;
RESET ROLE;
DROP ROLE regress_pipeline_other;

-- Prune removes what the document lacks; tables stay until they are asked for.
SELECT * FROM dynpipe.apply('{"prune": true, "pipelines": [{"name": "keeper", "enabled": false, "source": "kafka://pipeline_test/sales", "schema": ["id"], "bronze": false}]}');
SELECT to_regclass('silver.shop_sales');
SELECT dynpipe.drop('keeper', tables => true);
SELECT to_regclass('silver.keeper');
DROP TABLE silver.shop_sales, bronze.shop_sales, gold.shop_total;
SELECT count(*) FROM dynpipe.status;
DROP SERVER pipeline_test CASCADE;
DROP SCHEMA IF EXISTS bronze, silver, gold;
RESET SESSION AUTHORIZATION;
DROP ROLE regress_pipeline_owner;
