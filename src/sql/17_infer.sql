-- Look at files before there is a pipeline.

CREATE FUNCTION dynpipe.infer(
	url        text,
	connection text DEFAULT NULL,
	format     text DEFAULT NULL,
	options    jsonb DEFAULT '{}')
RETURNS jsonb
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'dynpipe_infer';
COMMENT ON FUNCTION dynpipe.infer(text, text, text, jsonb) IS
'a document for files that are not described yet: names and types of their columns from a sample; dynpipe.apply takes it as it stands. Example: SELECT jsonb_pretty(dynpipe.infer(''file:///data/sales.csv''))';
