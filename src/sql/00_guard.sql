-- dynpipe: metadata-driven real-time pipelines.  MIT License.
-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION dynpipe" to load this file. \quit

-- A schema that somebody prepared, or can add to, may hold functions and
-- operators that fit a call better than those that are meant.
DO LANGUAGE plpgsql $guard$
BEGIN
	IF EXISTS (
		SELECT FROM pg_catalog.pg_namespace AS n
		JOIN pg_catalog.pg_depend AS d
			ON d.refclassid OPERATOR(pg_catalog.=) 'pg_catalog.pg_namespace'::pg_catalog.regclass
			AND d.refobjid OPERATOR(pg_catalog.=) n.oid
		WHERE n.nspname OPERATOR(pg_catalog.=) 'dynpipe'
			AND d.classid OPERATOR(pg_catalog.<>) 'pg_catalog.pg_extension'::pg_catalog.regclass)
	THEN
		RAISE EXCEPTION 'schema "dynpipe" is not empty' USING
			ERRCODE = 'object_not_in_prerequisite_state',
			HINT = 'Drop the schema, or what is in it, before you create the extension.';
	END IF;
	IF EXISTS (
		SELECT FROM pg_catalog.pg_namespace AS n
		JOIN pg_catalog.pg_roles AS r ON r.oid OPERATOR(pg_catalog.=) n.nspowner
		WHERE n.nspname OPERATOR(pg_catalog.=) 'dynpipe'
			AND NOT r.rolsuper AND r.rolname OPERATOR(pg_catalog.<>) CURRENT_USER)
	THEN
		RAISE EXCEPTION 'schema "dynpipe" does not belong to a superuser' USING
			ERRCODE = 'object_not_in_prerequisite_state',
			HINT = 'Drop the schema, or change its owner, before you create the extension.';
	END IF;
END
$guard$;
