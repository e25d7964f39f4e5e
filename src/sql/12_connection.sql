-- Connections: ordinary servers and user mappings of a foreign data wrapper
-- that only checks their options.

CREATE FUNCTION dynpipe.connection_validator(options text[], catalog oid)
RETURNS void
AS 'MODULE_PATHNAME', 'dynpipe_connection_validator'
LANGUAGE C STRICT;
COMMENT ON FUNCTION dynpipe.connection_validator(text[], oid)
    IS 'checks the options of servers and user mappings of foreign data wrapper dynpipe';

CREATE FOREIGN DATA WRAPPER dynpipe NO HANDLER VALIDATOR dynpipe.connection_validator;
COMMENT ON FOREIGN DATA WRAPPER dynpipe
    IS 'connections of pipelines: servers of type eventhubs and kafka, credentials in user mappings';

CREATE FUNCTION dynpipe.test_connection(server name, topic text DEFAULT NULL)
RETURNS TABLE (step text, ok boolean, detail text)
AS 'MODULE_PATHNAME', 'dynpipe_test_connection'
LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION dynpipe.test_connection(name, text)
    IS 'tries a connection as the caller: settings, reaching and authenticating, the topic; at most 10 seconds';
