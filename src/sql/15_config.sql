-- Looking at a document without applying it.

CREATE FUNCTION dynpipe.validate(document text)
RETURNS TABLE (pointer text, line integer, "column" integer, message text, hint text)
AS 'MODULE_PATHNAME', 'dynpipe_validate'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION dynpipe.validate(text) IS
	'what is wrong with a pipeline document (JSON or YAML): one row per problem, none when it is valid';

CREATE FUNCTION dynpipe.canonical(document text)
RETURNS SETOF text
AS 'MODULE_PATHNAME', 'dynpipe_canonical'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION dynpipe.canonical(text) IS
	'the pipelines of a document in canonical JSON: defaults left out, names written out';

CREATE FUNCTION dynpipe.schedule_preview(schedule text, timezone text DEFAULT 'UTC',
	n integer DEFAULT 5, after timestamptz DEFAULT pg_catalog.now())
RETURNS SETOF timestamptz
AS 'MODULE_PATHNAME', 'dynpipe_schedule_preview'
LANGUAGE C STABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION dynpipe.schedule_preview(text, text, integer, timestamptz) IS
	'the next n times after a moment at which a schedule (cron expression or interval) is due';
