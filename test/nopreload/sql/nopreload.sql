-- Without shared_preload_libraries documents can be applied and looked at, and
-- the status says what is missing for streams.
CREATE SERVER shop TYPE 'kafka' FOREIGN DATA WRAPPER dynpipe
    OPTIONS (bootstrap_servers '127.0.0.1:9');
CREATE USER MAPPING FOR CURRENT_USER SERVER shop;
SELECT action, object, name FROM dynpipe.apply($$
pipelines:
  - name: sales
    source: kafka://shop/sales
    schema: [{name: id, type: bigint}]
$$) ORDER BY 1, 2, 3;
SELECT pipeline, state, reason, advice FROM dynpipe.status;
SELECT name, found, ok FROM dynpipe.verify('sales') WHERE NOT ok;
SELECT dynpipe.drop('sales', true);
