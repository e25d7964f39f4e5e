-- Text messages: the whole payload is the value.
SET lc_messages = 'C';
SELECT * FROM dynpipe.decode('text', '["line", {"name":"trimmed","clean":["trim"]}, {"name":"raw","type":"bytea","from":"@value"}]',
	convert_to(E' a\tb \n', 'UTF8'));
SELECT * FROM dynpipe.decode('text', '[{"name":"n","type":"int"}]', '42');
SELECT * FROM dynpipe.decode('text', '[{"name":"n","type":"int"}]', 'x42');
SELECT * FROM dynpipe.decode('text', '["line"]', '');
SELECT * FROM dynpipe.decode('text', '[{"name":"line","clean":["empty_as_null"],"required":true}]', '');
SELECT p, message, sqlstate FROM unnest(ARRAY['\xff', '\x610062', '\x61c3', '\xc0af', '\xeda080', '\xf4908080']::bytea[]) p, dynpipe.decode('text', '["line"]', p);
-- Bytes that are no text can still be kept as bytea.
SELECT * FROM dynpipe.decode('json', '[{"name":"raw","type":"bytea","from":"@value"}]', '\x7b7d20');
-- A tombstone's key is text as it is.
SELECT * FROM dynpipe.decode('text', '[{"name":"id","key":true},"b"]', NULL, '"k"');
SELECT length(value) FROM dynpipe.decode('text', '["line"]', convert_to(repeat('ä', 8000000), 'UTF8'));
