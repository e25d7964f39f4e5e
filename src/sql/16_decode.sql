-- Try a message on a schema without a pipeline.

CREATE FUNCTION dynpipe.decode(
	format   text,
	columns  jsonb,
	value    bytea,
	key      bytea DEFAULT NULL,
	options  jsonb DEFAULT '{}')
RETURNS TABLE ("column" text, type text, value text, stage text, sqlstate text, message text)
LANGUAGE C STABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'dynpipe_decode';
COMMENT ON FUNCTION dynpipe.decode(text, jsonb, bytea, bytea, jsonb) IS
	'what a pipeline with this format and schema makes of a message: its columns, or why it is refused; a null value is a tombstone';
