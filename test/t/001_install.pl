# What an installation of the extension promises: every object that users see
# is commented, nothing is left to the public to write, nothing remains after
# DROP EXTENSION, and its functions do not depend on the caller's search_path.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use DynpipeTest;

my $node = DynpipeTest->start_node('install');
$node->safe_psql('postgres', 'CREATE EXTENSION dynpipe');

# Objects of the extension: classid, objid, and what they are called.
my $members = q{
    SELECT d.classid, d.objid,
           pg_describe_object(d.classid, d.objid, 0) AS name
      FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid
     WHERE d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e'
       AND e.extname = 'dynpipe'};

is( $node->safe_psql(
        'postgres', qq{
    SELECT name FROM ($members) m
     WHERE obj_description(objid, classid::regclass::text) IS NULL
       AND name !~ '^type |toast|^function dynpipe\\._|^event trigger'
       AND NOT (classid = 'pg_class'::regclass AND EXISTS (SELECT 1 FROM pg_depend
            WHERE classid = 'pg_class'::regclass AND pg_depend.objid = m.objid
              AND deptype IN ('a', 'i') AND refclassid = 'pg_class'::regclass))
     ORDER BY 1}),
    '', 'every public object is commented');

is( $node->safe_psql(
        'postgres', qq{
    SELECT m.name || ', column ' || a.attname
      FROM ($members) m JOIN pg_class c ON c.oid = m.objid
           AND m.classid = 'pg_class'::regclass AND c.relkind IN ('r', 'v')
      JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
     WHERE col_description(c.oid, a.attnum) IS NULL ORDER BY 1}),
    '', 'every column of tables and views is commented');

is( $node->safe_psql(
        'postgres', qq{
    SELECT m.name, a.privilege_type
      FROM ($members) m JOIN pg_class c ON c.oid = m.objid
           AND m.classid = 'pg_class'::regclass,
           LATERAL aclexplode(c.relacl) a
     WHERE a.grantee = 0 AND a.privilege_type <> 'SELECT'}),
    '', 'the public may write to no table of the extension');

is( $node->safe_psql(
        'postgres', qq{
    SELECT m.name
      FROM ($members) m JOIN pg_proc p ON p.oid = m.objid
           AND m.classid = 'pg_proc'::regclass
      JOIN pg_language l ON l.oid = p.prolang
     WHERE l.lanname IN ('sql', 'plpgsql') AND p.prosqlbody IS NULL
       AND NOT EXISTS (SELECT 1 FROM unnest(p.proconfig) s
                        WHERE s ~ '^search_path=pg_catalog')}),
    '', 'functions in SQL pin their search_path');

$node->safe_psql('postgres', 'DROP EXTENSION dynpipe');
is( $node->safe_psql('postgres', q{
    SELECT count(*) FROM pg_class WHERE relnamespace::regnamespace::text = 'dynpipe'}),
    '0', 'DROP EXTENSION leaves no relation');

# Nobody prepares the schema for whoever installs into it.
$node->safe_psql('postgres', 'DROP SCHEMA dynpipe');
for my $prepared (
    [ 'CREATE SCHEMA dynpipe; CREATE FUNCTION dynpipe.round(float8) RETURNS numeric RETURN 0',
        qr/schema "dynpipe" is not empty/ ],
    [ 'CREATE ROLE anybody; CREATE SCHEMA dynpipe AUTHORIZATION anybody',
        qr/schema "dynpipe" does not belong to a superuser/ ])
{
    my ($sql, $refusal) = @$prepared;
    $node->safe_psql('postgres', $sql);
    my (undef, undef, $err) = $node->psql('postgres', 'CREATE EXTENSION dynpipe');
    like($err, $refusal, "refused: $sql");
    $node->safe_psql('postgres', 'DROP SCHEMA dynpipe CASCADE');
}
$node->safe_psql('postgres', 'CREATE SCHEMA dynpipe; CREATE EXTENSION dynpipe');
pass('an empty schema of a superuser, as a restore makes it, is taken');

$node->stop;
done_testing();
