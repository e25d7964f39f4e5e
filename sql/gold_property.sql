-- Property: after every batch silver equals a reference that takes the records
-- one by one, and every gold table equals its query.
--
-- Random batches (inserts, updates, deletes, tombstones, records out of order,
-- ties, nulls, NaN, infinities, rows that move between groups) go through the
-- statements that dynpipe.explain shows; temporary tables stand for the batch's
-- relations.  Another :batches or :seed by hand searches further.
SET client_min_messages = error;
\pset format unaligned
\set batches 40
\set seed 0.25
CREATE SERVER property_kafka TYPE 'kafka' FOREIGN DATA WRAPPER dynpipe
    OPTIONS (bootstrap_servers 'localhost:1', security_protocol 'plaintext');
CREATE TABLE property_dim (region text, name text, w int);
INSERT INTO property_dim VALUES
    ('eu', 'Europe', 1), ('us', 'America', 2), ('us', 'USA', 3), (NULL, 'none', 4);

CREATE FUNCTION pg_temp.doc(silver text) RETURNS text LANGUAGE sql AS $$ SELECT format($d$
pipelines:
  - name: property
    enabled: false
    source: kafka://property_kafka/events
    format: json
    bronze: false
    schema:
      - {name: id, type: int}
      - {name: sub, type: text}
      - {name: ts, type: int}
      - {name: amount, type: "numeric(12,2)"}
      - {name: qty, type: int}
      - {name: region, type: text}
      - {name: op, type: text}
      - {name: flag, type: boolean}
      - {name: big, type: bigint}
      - {name: num, type: numeric}
    silver: {table: property.s, %s}
    gold:
      - table: property.a
        query: >-
          SELECT region, qty %% 3 AS m, count(*) AS n, count(qty), sum(qty) AS sq, sum(big) AS sb,
            count(amount) FILTER (WHERE op = 'I') AS ci, sum(amount) AS sa, sum(num) AS sn,
            avg(qty) AS aq, avg(amount) FILTER (WHERE flag) AS af, avg(big) AS ab
          FROM property.s GROUP BY region, m
      - table: property.b
        query: SELECT count(*) AS n, sum(amount) AS s, avg(qty) FROM property.s AS x WHERE x.flag
      - table: property.c
        query: >-
          SELECT flag, min(amount), max(qty), count(DISTINCT id) AS d
          FROM property.s GROUP BY 1 HAVING count(*) > 1
      - table: property.d
        query: >-
          SELECT d.name, property.s.region, sum(amount * w) AS aw,
            percentile_disc(0.5) WITHIN GROUP (ORDER BY qty) AS median
          FROM property.s JOIN public.property_dim AS d
            ON d.region IS NOT DISTINCT FROM property.s.region
          WHERE property.s.op IS DISTINCT FROM 'U' GROUP BY d.name, property.s.region
      - table: property.e
        query: SELECT DISTINCT region, flag FROM property.s
      - table: property.f
        query: >-
          SELECT id, sum(amount::float8) AS fs, avg(num) AS an
          FROM property.s LEFT JOIN public.property_dim USING (region) GROUP BY id
      - table: property.g
        query: SELECT sum(qty) AS q, max(amount) AS m FROM property.s
      - table: property.h
        query: SELECT region, rank() OVER (ORDER BY sum(amount)) FROM property.s GROUP BY region
$d$, silver) $$;

-- the generated statement ITEM, NULL when the plan has none
CREATE FUNCTION pg_temp.stmt(wanted text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
    RETURN (SELECT value FROM pg_temp.statements WHERE section = 'silver' AND item = wanted);
END $$;

CREATE FUNCTION pg_temp.pick(VARIADIC choice text[]) RETURNS text LANGUAGE sql AS
    $$ SELECT choice[1 + floor(random() * cardinality(choice))::int] $$;

-- N records into dynpipe_batch, as of batch B
CREATE FUNCTION pg_temp.produce(b int, n int, tombstones boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    p int;
BEGIN
    FOR i IN 0 .. n - 1 LOOP
        p := floor(random() * 3);
        IF tombstones AND random() < 0.15 THEN
            INSERT INTO dynpipe_batch (id, sub, _partition, _offset, _n, _tombstone)
                VALUES (floor(random() * 12), pg_temp.pick('a', 'b'), p, b * 1000 + i, i, true);
            CONTINUE;
        END IF;
        INSERT INTO dynpipe_batch VALUES (
            floor(random() * 12), pg_temp.pick('a', 'b'),
            CASE WHEN random() > 0.03 THEN b + floor(random() * 8) END,
            CASE WHEN random() < 0.03 THEN 'NaN' WHEN random() > 0.2 THEN random() * 100 END,
            CASE WHEN random() > 0.2 THEN floor(random() * 20) - 5 END,
            pg_temp.pick('eu', 'us', 'jp', NULL), pg_temp.pick('I', 'U', 'U', 'D', 'X', NULL),
            pg_temp.pick('t', 'f', NULL)::bool,
            CASE WHEN random() > 0.2 THEN floor(random() * 1e12) END,
            CASE WHEN random() < 0.04 THEN pg_temp.pick('NaN', 'Infinity', '-Infinity')::numeric
                WHEN random() > 0.1 THEN (random() * 100)::numeric(20,5) END,
            p, b * 1000 + i, now(), NULL, i, false);
    END LOOP;
END $$;

-- what one record does: the definition of an upsert
CREATE FUNCTION pg_temp.refer(r record, sequenced boolean) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    known record;
BEGIN
    SELECT * INTO known FROM reference AS k WHERE k.id = r.id AND k.sub = r.sub;
    IF NOT FOUND THEN
        IF NOT (r._tombstone AND sequenced) THEN
            INSERT INTO reference VALUES
                (r.id, r.sub, r.ts, r._partition, r._offset, NOT r._delete, r.amount);
        END IF;
    ELSIF r._tombstone AND sequenced THEN
        UPDATE reference AS k SET alive = false WHERE k.id = r.id AND k.sub = r.sub;
    ELSIF NOT sequenced OR
        (r.ts, r._partition, r._offset) > (known.ts, known._partition, known._offset) THEN
        UPDATE reference AS k SET (ts, _partition, _offset, alive, amount) =
            (r.ts, r._partition, r._offset, NOT r._delete, r.amount)
            WHERE k.id = r.id AND k.sub = r.sub;
    END IF;
END $$;

CREATE FUNCTION pg_temp.write_upsert(b int, sequenced boolean) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    r record;
    wrong bigint;
BEGIN
    EXECUTE 'INSERT INTO dynpipe_found ' || pg_temp.stmt('1 find and lock');
    EXECUTE 'INSERT INTO dynpipe_winners ' || pg_temp.stmt('2 newest per key');
    EXECUTE 'INSERT INTO dynpipe_old ' || pg_temp.stmt('3 replaced rows');
    EXECUTE 'WITH w AS (' || pg_temp.stmt('4 upsert') || ')
        INSERT INTO dynpipe_written SELECT * FROM w';
    INSERT INTO dynpipe_new SELECT (jsonb_populate_record(NULL::property.s, to_jsonb(w))).*
        FROM dynpipe_written AS w;
    EXECUTE pg_temp.stmt('5 delete');
    IF sequenced THEN
        EXECUTE pg_temp.stmt('6 remember deletes');
    END IF;
    FOR r IN SELECT x.*, d._tombstone FROM dynpipe_rows AS x JOIN dynpipe_batch AS d USING (_n)
        ORDER BY _n LOOP
        PERFORM pg_temp.refer(r, sequenced);
    END LOOP;
    WITH found AS (SELECT id, sub, ts, _partition, _offset, amount FROM property.s),
        expected AS (SELECT id, sub, ts, _partition, _offset, amount FROM reference WHERE alive)
    SELECT count(*) INTO wrong FROM (
        (TABLE found EXCEPT ALL TABLE expected) UNION ALL
        (TABLE expected EXCEPT ALL TABLE found)) AS x;
    IF wrong > 0 THEN
        RAISE EXCEPTION 'silver differs after batch %', b;
    END IF;
END $$;

CREATE FUNCTION pg_temp.check_gold(b int) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    s record;
BEGIN
    FOR s IN SELECT value FROM pg_temp.statements
        WHERE section LIKE 'gold %' AND item LIKE 'statement %' ORDER BY no LOOP
        EXECUTE s.value;
    END LOOP;
    FOR s IN SELECT * FROM dynpipe.verify('property') WHERE name LIKE 'gold %' AND NOT ok LOOP
        RAISE EXCEPTION 'after batch %: %: %', b, s.name, s.found;
    END LOOP;
END $$;

CREATE FUNCTION pg_temp.simulate(silver text, batches int, sequenced boolean) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
    upsert boolean;
    columns text := 'id, sub, ts, amount, qty, region, op, flag, big, num, _partition, _offset';
    result text;
BEGIN
    PERFORM dynpipe.apply(pg_temp.doc(silver));
    CREATE TEMP TABLE statements AS SELECT row_number() OVER () AS no, * FROM dynpipe.explain('property');
    upsert := pg_temp.stmt('4 upsert') IS NOT NULL;
    CREATE TEMP TABLE dynpipe_batch (id int, sub text, ts int, amount numeric(12,2), qty int,
        region text, op text, flag bool, big int8, num numeric, _partition int, _offset int8,
        _timestamp timestamptz, _key bytea, _n int, _tombstone bool);
    CREATE TEMP TABLE dynpipe_new (LIKE property.s);
    CREATE TEMP TABLE dynpipe_old (LIKE property.s);
    CREATE TEMP TABLE dynpipe_found (LIKE property.s);
    CREATE TEMP TABLE dynpipe_written AS SELECT *, true AS _inserted FROM property.s;
    CREATE TEMP TABLE dynpipe_rows AS SELECT *, 0 AS _n, false AS _delete FROM property.s;
    CREATE TEMP TABLE dynpipe_winners (LIKE dynpipe_rows);
    CREATE TEMP TABLE transformed AS SELECT *, 0 AS _verdict, 0::int8 AS _warned FROM dynpipe_rows;
    CREATE TEMP TABLE reference AS
        SELECT id, sub, ts, _partition, _offset, true AS alive, amount FROM property.s;
    FOR b IN 1 .. batches LOOP
        TRUNCATE dynpipe_batch, dynpipe_rows, dynpipe_found, dynpipe_winners, dynpipe_new,
            dynpipe_old, dynpipe_written, transformed;
        PERFORM pg_temp.produce(b, (random() * 30)::int, upsert);
        EXECUTE 'INSERT INTO transformed ' || pg_temp.stmt('transform');
        EXECUTE format('INSERT INTO dynpipe_rows SELECT %s, _n, _delete FROM transformed
            WHERE _verdict = 0 ORDER BY _n', columns);
        IF upsert THEN
            PERFORM pg_temp.write_upsert(b, sequenced);
        ELSE
            EXECUTE format('INSERT INTO dynpipe_new SELECT %s FROM dynpipe_rows', columns);
            INSERT INTO property.s SELECT * FROM dynpipe_new;
        END IF;
        PERFORM pg_temp.check_gold(b);
    END LOOP;
    SELECT string_agg(section || ' ' || value, ', ' ORDER BY no) INTO result
        FROM statements WHERE item = 'strategy';
    DROP TABLE statements, dynpipe_batch, dynpipe_new, dynpipe_old, dynpipe_found,
        dynpipe_written, dynpipe_rows, dynpipe_winners, transformed, reference;
    PERFORM dynpipe.drop('property', true);
    RETURN result;
END $$;

SELECT setseed(:seed);
-- newest wins, deletes are remembered
SELECT pg_temp.simulate($$key: [id, sub], sequence_by: ts, delete_when: "op = 'D'",
    where: "op <> 'X'"$$, :batches, true);
-- last wins
SELECT pg_temp.simulate($$key: [sub, id], delete_when: "op = 'D'"$$, :batches, false);
-- append-only
SELECT pg_temp.simulate($$where: "op <> 'X'"$$, :batches, false);

DROP SCHEMA property CASCADE;
DROP TABLE property_dim;
DROP SERVER property_kafka;
