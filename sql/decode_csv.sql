-- CSV messages: one record each, fields by position, name or ordinal.
SET lc_messages = 'C';
CREATE FUNCTION pg_temp.show(cols jsonb, payload bytea, options jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(
		CASE WHEN stage IS NULL THEN format('%s=%s', "column", coalesce('[' || value || ']', 'null'))
		ELSE format('%s %s %s%s', stage, sqlstate, "column" || ': ', message) END, ', ')
	FROM dynpipe.decode('csv', cols, payload, NULL, options)
$$;
CREATE FUNCTION pg_temp.show(cols jsonb, payload text, options jsonb DEFAULT '{}') RETURNS text LANGUAGE sql AS $$
	SELECT pg_temp.show(cols, convert_to(payload, 'UTF8'), options)
$$;

-- By position; NULL is an empty field without quotes, as for COPY; blanks are kept.
SELECT pg_temp.show('[{"name":"id","type":"int"},"b",{"name":"c","type":"numeric(6,2)"}]', p) FROM unnest(ARRAY[
	'1,x,2.5', E'1,x,2.5\n', E'1,x,2.5\r\n', '1,,', '1,"",', '1," a ""q"" ",2', '1, a ,2', E'1,"line\nbreak",2', '1,"a,b",2', '1,äö,2', 'x,y,1']) p;
-- By ordinal: order is free, more fields may follow.
SELECT pg_temp.show('[{"name":"b","from":"2"},{"name":"z","from":"4"},{"name":"a","from":"1"}]', p) FROM unnest(ARRAY['1,2,3,4,5', '1,2,3']) p;
-- Without from, a name is only a name.
SELECT pg_temp.show('["3", "2", {"name":"1","from":"1"}]', 'x,y,z');
-- By name, with option columns.
SELECT pg_temp.show('["b", {"name":"x","from":"a"}, {"name":"third","from":"3"}]', p, '{"columns":"a, b ,c"}') FROM unnest(ARRAY['1,2,3', '1,2', '1,2,3,4']) p;
-- delimiter, quote, null.
SELECT pg_temp.show('["a","b"]', p, o::jsonb) FROM (VALUES
	('1;"2;3"', '{"delimiter":";"}'), (E'1\t2', '{"delimiter":"tab"}'), (E'1\t2', '{"delimiter":"\\t"}'), ('1|''x|y''', '{"delimiter":"|","quote":"''"}'),
	('NA,', '{"null":"NA"}'), ('"NA",\N', '{"null":"\\N"}')) v (p, o);
-- Metadata, clean, default, required take part as in any format.
SELECT pg_temp.show('[{"name":"raw","from":"@value"},{"name":"a","clean":["trim","upper"]},{"name":"b","type":"int","default":5},{"name":"o","type":"int","from":"@offset"}]', ' x ,');
SELECT pg_temp.show('[{"name":"a","required":true},"b"]', ',x');

-- Refused.
SELECT pg_temp.show('["a","b"]', p) FROM unnest(ARRAY[
	'', E'\n', '1', '1,2,3', '1,2,', E'1,2\n3,4', '"1,2', '1",2', '"1"x,2', '"1" ,2', '1,"2', '"']) p;
SELECT pg_temp.show('["a"]', p) FROM unnest(ARRAY['\xff', '\x6100', '\xefbbbf61', '\xefbbbf', '\xc3']::bytea[]) p;
-- Sizes.
SELECT mb, length(pg_temp.show('["a","b"]', '"' || repeat('x', mb * 1048576) || '",' || repeat('y', 10))) FROM unnest(ARRAY[1, 16]) mb;
SELECT pg_temp.show('[{"name":"z","from":"100000"}]', repeat('1,', 99999) || 'end');
SELECT pg_temp.show('["a"]', repeat(',', 1000000));

-- Bad options.
\set VERBOSITY terse
SELECT pg_temp.show('["a"]', '', '{"delimiter":",,"}');
SELECT pg_temp.show('["a"]', '', '{"delimiter":"ä"}');
SELECT pg_temp.show('["a"]', '', '{"delimiter":""}');
SELECT pg_temp.show('["a"]', '', '{"quote":"\n"}');
SELECT pg_temp.show('["a"]', '', '{"quote":","}');
SELECT pg_temp.show('["a"]', '', '{"header":true}');
SELECT pg_temp.show('["a"]', '', '{"columns":"b,c"}');
SELECT pg_temp.show('[{"name":"a","from":"amount"}]', '1');
