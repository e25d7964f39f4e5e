# Rows of silver as files: what is in them, that they are whole or not there, and
# that whatever happens in between they are written again.
#
# The pipelines are disabled and what must be written is noted by hand, so that
# nobody publishes but this test.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use IO::Uncompress::Gunzip qw(gunzip);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use DynpipeTest;

my $db = 'postgres';
my $dir = PostgreSQL::Test::Utils::tempdir();
my $node = DynpipeTest->start_node('destination', conf => 'dynpipe.retry_initial = 1h
dynpipe.retry_max = 1h');
mkdir "$dir/in";

$node->safe_psql($db, q{CREATE EXTENSION dynpipe; CREATE ROLE etl; CREATE ROLE other;
    GRANT CREATE ON DATABASE postgres TO etl;
    GRANT pg_read_server_files, pg_write_server_files TO etl});

# One pipeline per format, over one kind of rows.
sub document {
    my ($name, $destination, $schema, %more) = @_;
    my $source = delete $more{source} || qq("file://$dir/in/$name-*.csv");
    $more{bronze} ||= 'false';
    my $rest = join '', map { qq{, "$_": $more{$_}} } sort keys %more;
    return qq({"pipelines": [{"name": "$name", "source": $source,
        "enabled": false, "format": "csv", "schema": $schema, "destination": $destination$rest}]});
}

# Note an object by hand, as a load does.
sub want {
    my ($name, $file, $object) = @_;
    $node->safe_psql($db, qq{INSERT INTO dynpipe.output_object
        (pipeline_id, key, url, source, file_id)
        SELECT id, ltrim('$dir/$object', '/'), 'file://$dir/$object', '$name-$file.csv', $file
        FROM dynpipe.pipeline WHERE name = '$name'
        ON CONFLICT (pipeline_id, key) DO UPDATE SET state = 'wanted', action = 'write',
            generation = output_object.generation + 1, next_try_at = now()});
}

sub publish {
    my ($name, $columns) = @_;
    $columns ||= 'state, rows';
    return $node->safe_psql($db, "SET statement_timeout = '60s';
        SET ROLE etl; SELECT $columns FROM dynpipe.publish('$name')");
}

sub state_of {
    my ($name) = @_;
    return $node->safe_psql($db, "SELECT state FROM dynpipe.outputs WHERE pipeline = '$name'");
}

sub refused {
    my ($what, $document, $like) = @_;
    my ($code, $out, $err) =
      $node->psql($db, "SET ROLE etl; SELECT * FROM dynpipe.apply(\$doc\$$document\$doc\$)");
    return subtest($what, sub { isnt($code, 0, 'refused'); like($err, $like, 'with the reason') });
}

sub gate_waits {
    return DynpipeTest->wait_until($node, $db,
        q{SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted}, 1);
}

sub hidden { return glob "$dir/$_[0]/.*.tmp" }

my $ids = '[{"name": "id", "type": "text"}]';
my $id_t = '[{"name": "id", "type": "text"}, {"name": "t", "type": "text"}]';

# --- What is in an object.
my @kinds = (
    [ id => 'integer' ], [ t => 'text' ], [ n => 'numeric' ], [ f => 'float8' ],
    [ b => 'boolean' ], [ d => 'date' ], [ ts => 'timestamptz' ], [ j => 'json' ],
    [ jb => 'jsonb' ], [ u => 'uuid' ], [ by => 'bytea' ], [ a => '"int4[]"' ],
    [ 'odd, "name"' => 'text' ]);
my $schema = '[' . join(', ', map {
    my ($name, $type) = @$_;
    $name =~ s/"/\\"/g;
    $type =~ s/"//g;
    qq({"name": "$name", "type": "$type"}) } @kinds) . ']';
my $rows = q{
    (1, 'plain', 1.50, 0.1, true, '2024-02-29', '2024-02-29 12:00:00.5+02', '{"a": [1, 2]}',
     '{"b": null}', '00000000-0000-0000-0000-000000000001', '\x00ff', '{1,NULL,3}', 'x', 7, 0),
    (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 7, 1),
    (3, '', 0, 'NaN', false, 'infinity', '-infinity', '""', '[]', NULL, '', '{}', '', 7, 2),
    (4, E'a,b "q"\r\n c\\\\d', 12345678901234567890.123, '-Infinity', NULL, NULL, NULL,
     E'{"x":\n 1,\r\n "y": "a\\\\\\\\nb"}', '"\u00e9"', NULL, NULL, NULL, '\.', 7, 3),
    (5, E'\u00e4\u20ac\U0001F600', 'NaN', 1e300, NULL, '0044-03-15 BC', NULL, 'null', 'null', NULL,
     NULL, NULL, ' blank ', 7, 4),
    (6, '\.', 0.0, '-0', NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, E'\t', 7, 5),
    (99, 'of another file', 1, 1, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, 8, 0)};
my %golden = (csv => <<'CSV', json => <<'JSON');
id,t,n,f,b,d,ts,j,jb,u,by,a,"odd, ""name"""
1,plain,1.50,0.1,true,2024-02-29,2024-02-29 10:00:00.5+00,"{""a"": [1, 2]}","{""b"": null}",00000000-0000-0000-0000-000000000001,"\x00ff","{1,NULL,3}",x
2,,,,,,,,,,,,
3,"",0,NaN,false,infinity,-infinity,"""""",[],,"\x",{},""
4,"a,b ""q""@
 c\d",12345678901234567890.123,-Infinity,,,,"{""x"":
 1,@
 ""y"": ""a\\nb""}","""é""",,,,"\."
5,ä€😀,NaN,1e+300,,0044-03-15 BC,,null,null,,,," blank "
6,"\.",0.0,-0,,,,,,,,,"	"
CSV
{"id":1,"t":"plain","n":1.50,"f":0.1,"b":true,"d":"2024-02-29","ts":"2024-02-29T10:00:00.5+00:00","j":{"a": [1, 2]},"jb":{"b": null},"u":"00000000-0000-0000-0000-000000000001","by":"\\x00ff","a":[1,null,3],"odd, \"name\"":"x"}
{"id":2,"t":null,"n":null,"f":null,"b":null,"d":null,"ts":null,"j":null,"jb":null,"u":null,"by":null,"a":null,"odd, \"name\"":null}
{"id":3,"t":"","n":0,"f":"NaN","b":false,"d":"infinity","ts":"-infinity","j":"","jb":[],"u":null,"by":"\\x","a":[],"odd, \"name\"":""}
{"id":4,"t":"a,b \"q\"\r\n c\\d","n":12345678901234567890.123,"f":"-Infinity","b":null,"d":null,"ts":null,"j":{"x":  1,   "y": "a\\nb"},"jb":"é","u":null,"by":null,"a":null,"odd, \"name\"":"\\."}
{"id":5,"t":"ä€😀","n":"NaN","f":1e+300,"b":null,"d":"0044-03-15 BC","ts":null,"j":null,"jb":null,"u":null,"by":null,"a":null,"odd, \"name\"":" blank "}
{"id":6,"t":"\\.","n":0.0,"f":-0,"b":null,"d":null,"ts":null,"j":null,"jb":null,"u":null,"by":null,"a":null,"odd, \"name\"":"\t"}
JSON
$golden{csv} =~ s/@/\r/g;

for my $format ('csv', 'json') {
    my $name = "nasty_$format";
    my $object = $format eq 'csv' ? 'x.csv' : 'x.ndjson';
    DynpipeTest->apply($node, $db, document($name,
        qq({"url": "file://$dir/$name", "format": "$format"}), $schema), role => 'etl');
    $node->safe_psql($db, "SET standard_conforming_strings = on;
        INSERT INTO silver.$name VALUES $rows; SET timezone = 'Asia/Tokyo'");
    want($name, 7, "$name/$object");
    is($node->safe_psql($db, "SET ROLE etl; SET timezone = 'Asia/Tokyo'; SET datestyle = german;
        SET extra_float_digits = -5; SET bytea_output = escape;
        SELECT state, rows FROM dynpipe.publish('$name')"), 'written|6', "$format: published");
    is(slurp_file("$dir/$name/$object"), $golden{$format}, "$format: as it should be");
    is($node->safe_psql($db, "SELECT url = 'file://$dir/$name/$object', rows, bytes, attempts,
        last_error IS NULL, next_try_at IS NULL, written_at > wanted_at FROM dynpipe.outputs
        WHERE pipeline = '$name'"), 't|6|' . (-s "$dir/$name/$object") . '|1|t|t|t',
        "$format: the view says so");
    is(publish($name), '', "$format: nothing is left to do");
}

my $columns = join ', ', map { my $name = $_->[0] =~ s/"/""/gr; qq("$name") } @kinds;
$node->safe_psql($db, qq{CREATE TABLE back AS SELECT $columns FROM silver.nasty_csv LIMIT 0;
    COPY back FROM '$dir/nasty_csv/x.csv' (FORMAT csv, HEADER match)});
is($node->safe_psql($db, q{SELECT count(*) FROM back}), 6, 'COPY reads it back');
for my $way ([ 'back', 'silver' ], [ 'silver', 'back' ]) {
    my %query = (back => 'SELECT whole::text FROM back whole',
        silver => "SELECT whole::text FROM (SELECT $columns FROM silver.nasty_csv
            WHERE _partition = 7) whole");
    is($node->safe_psql($db, "SET extra_float_digits = 1;
        SELECT count(*) FROM ($query{$way->[0]} EXCEPT ALL $query{$way->[1]}) x"), 0,
        "the same rows: $way->[0] - $way->[1]");
}
is($node->safe_psql($db, qq{SELECT count(*) FROM (SELECT json_array_elements(
    ('[' || rtrim(replace(pg_read_file('$dir/nasty_json/x.ndjson'), E'\\n', ','), ',') || ']')::json)
    ) x}), 6, 'every line is JSON');

# --- Choices: gzip, no header, an empty object.
DynpipeTest->apply($node, $db, document('zipped',
    qq({"url": "file://$dir/zipped/", "compression": "gzip", "header": false}),
    $id_t), role => 'etl');
$node->safe_psql($db, q{INSERT INTO silver.zipped (id, t, _partition, _offset)
    SELECT i, repeat(md5(i::text), 10), 1, i FROM generate_series(1, 20000) i});
want('zipped', 1, 'zipped/big.csv.gz');
want('zipped', 2, 'zipped/none.csv.gz');
is(publish('zipped', 'state, rows, bytes > 0'), "written|20000|t\nwritten|0|t", 'gzip: published');
my ($packed, $text) = (slurp_file("$dir/zipped/big.csv.gz"));
gunzip(\$packed => \$text);
is(md5_hex($text), $node->safe_psql($db, q{SELECT md5(string_agg(id || ',' || t || E'\n', ''
    ORDER BY _offset)) FROM silver.zipped}), 'gzip: unpacked it is what it was');
cmp_ok(length $packed, '<', length($text) / 3, 'gzip: it is smaller');
want('zipped', 1, 'zipped/big.csv.gz');
publish('zipped');
ok(slurp_file("$dir/zipped/big.csv.gz") eq $packed, 'gzip: the same rows give the same bytes');
my $none = slurp_file("$dir/zipped/none.csv.gz");
gunzip(\$none => \my $nothing);
is($nothing, '', 'gzip: an object without rows');

# --- Crashes.  A policy holds the publisher at row 5000, after others went out.
DynpipeTest->apply($node, $db,
    document('crash', qq("file://$dir/crash"), $id_t), role => 'etl');
$node->safe_psql($db, q{
    INSERT INTO silver.crash (id, t, _partition, _offset)
        SELECT i, repeat('x', 100), 1, i FROM generate_series(1, 5000) i;
    CREATE INDEX ON silver.crash (_partition, _offset);
    CREATE FUNCTION public.gate(id text) RETURNS boolean LANGUAGE plpgsql AS $$BEGIN
        IF id = '5000' THEN PERFORM pg_catalog.pg_advisory_xact_lock_shared(4711); END IF;
        RETURN true; END$$;
    ALTER TABLE silver.crash ENABLE ROW LEVEL SECURITY;
    ALTER TABLE silver.crash FORCE ROW LEVEL SECURITY;
    CREATE POLICY gate ON silver.crash USING (public.gate(id));
    ALTER DATABASE postgres SET enable_sort = off;
    ALTER DATABASE postgres SET enable_seqscan = off;
    ALTER DATABASE postgres SET enable_bitmapscan = off});

# A session that publishes and one that holds it; kill and come back.
sub begin_publishing {
    my $gate = DynpipeTest->open_session($node, $db);
    $gate->('SELECT pg_advisory_lock(4711)');
    my ($in, $out, $err) = ("SET ROLE etl; SELECT state, message FROM dynpipe.publish('crash')\n",
        '', '');
    my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr($db), '-c', $in ],
        '<', \undef, '>', \$out, '2>', \$err, IPC::Run::timeout(120));
    ok(gate_waits(), 'the publisher is in the middle of it');
    return ($psql, $gate, \$out, \$err);
}

sub die_and_return {
    my ($pid) = @_;
    kill 'KILL', $pid;
    return DynpipeTest->wait_until($node, $db, "SELECT count(*) FROM pg_stat_activity
        WHERE pid = $pid", 0);
}

want('crash', 1, 'crash/a.csv');
{
    my ($psql, $gate) = begin_publishing();
    my $pid = $node->safe_psql($db, q{SELECT pid FROM pg_stat_activity
        WHERE query ~ 'FROM dynpipe.publish' AND pid <> pg_backend_pid()});
    my ($hidden) = hidden('crash');
    cmp_ok(-s $hidden, '>', 65535, 'half of it is on the disk, under a hidden name');
    ok(die_and_return($pid), 'killed between write and finish');
    eval { $psql->finish };
    eval { $gate->() };
    ok(!-e "$dir/crash/a.csv", 'no object');
    is(state_of('crash'), 'wanted', 'it is wanted still');
    is(publish('crash'), 'written|5000', 'written by the next');
    is(() = slurp_file("$dir/crash/a.csv") =~ /^/mg, 5001, 'whole');
}
my $whole = slurp_file("$dir/crash/a.csv");

want('crash', 1, 'crash/a.csv');
unlink "$dir/crash/a.csv";
{
    my $session = DynpipeTest->open_session($node, $db);
    my ($pid) = $session->('SELECT pg_backend_pid()') =~ /(\d+)/;
    $session->("BEGIN; SET ROLE etl; SELECT state FROM dynpipe.publish('crash')");
    ok(slurp_file("$dir/crash/a.csv") eq $whole, 'visible before the commit');
    ok(die_and_return($pid), 'killed between finish and commit');
    eval { $session->() };
    is(state_of('crash'), 'wanted', 'it is wanted still');
    is(publish('crash'), 'written|5000', 'written again');
    ok(slurp_file("$dir/crash/a.csv") eq $whole, 'the same bytes under the same name');
}
want('crash', 1, 'crash/a.csv');
$node->safe_psql($db, "BEGIN; SET ROLE etl; SELECT * FROM dynpipe.publish('crash'); ROLLBACK");
is(state_of('crash'), 'wanted', 'after a rollback it is wanted still');

# --- What the world has seen a crash does not forget, though loads do not wait for the disk.
{
    my $writer = $node->safe_psql($db,
        "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'");
    kill 'STOP', $writer;
    my $session = DynpipeTest->open_session($node, $db);
    $session->('SET synchronous_commit = off');
    $session->("UPDATE dynpipe.output_object SET state = 'wanted', generation = generation + 1,
        next_try_at = now() WHERE key LIKE '%crash/a.csv'");
    my $load = $session->('SELECT pg_current_wal_insert_lsn()') =~ s/\s//gr;
    is($session->("SELECT pg_current_wal_flush_lsn() < '$load'"), "t\n", 'a load is not on the disk');
    $session->("BEGIN; SET ROLE etl; SELECT state FROM dynpipe.publish('crash')");
    is($session->("SELECT pg_current_wal_flush_lsn() >= '$load'"), "t\n",
        'before its object is in the store it is');
    $session->('ROLLBACK');
    $session->();
    kill 'CONT', $writer;
}

# --- Two publishers, and a load meanwhile.
{
    my ($psql, $gate, $out, $err) = begin_publishing();
    is(publish('crash'), '', 'a second publisher leaves it to the first');
    $node->safe_psql($db, "SET lock_timeout = '10s'; INSERT INTO silver.crash (id, t, _partition,
        _offset) VALUES (5001, 'late', 1, 5001)");
    want('crash', 1, 'crash/a.csv');
    pass('a load that wants it again need not wait');
    $gate->('SELECT pg_advisory_unlock_all()');
    $psql->finish;
    is($$out . $$err, "wanted|It was wanted anew while it was published.\n",
        'what the first wrote does not count');
    is(state_of('crash'), 'wanted', 'it is wanted still');
    is(publish('crash'), 'written|5001', 'the newest is written');
    is(() = slurp_file("$dir/crash/a.csv") =~ /^/mg, 5002, 'and is what stays');
    $gate->();
}
my $changing = DynpipeTest->open_session($node, $db);
want('crash', 1, 'crash/a.csv');
$changing->('BEGIN; UPDATE dynpipe.output_object SET generation = generation + 1');
is(publish('crash'), '', 'what a load is changing is left alone');
$changing->('ROLLBACK');
$changing->();
for my $level ('REPEATABLE READ', 'SERIALIZABLE') {
    my ($code, $out, $err) = $node->psql($db,
        "BEGIN ISOLATION LEVEL $level; SET ROLE etl; SELECT * FROM dynpipe.publish('crash')");
    like($err, qr/cannot publish in a transaction with isolation level/, "not with $level");
}
{
    my $hidden = () = hidden('crash');
    my ($psql, $gate, $out, $err) = begin_publishing();
    $node->safe_psql($db, q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity
        WHERE query ~ 'FROM dynpipe.publish' AND pid <> pg_backend_pid()});
    $psql->finish;
    like($$err, qr/canceling statement due to user request/, 'it can be cancelled');
    is(scalar(() = hidden('crash')), $hidden, 'which leaves nothing');
    is(state_of('crash'), 'wanted', 'and it is wanted still');
    $gate->();
}

# --- Removal.
publish('crash');
$node->safe_psql($db, q{UPDATE dynpipe.output_object SET action = 'remove', state = 'wanted',
    generation = generation + 1 WHERE url ~ 'crash'});
is(publish('crash', 'action, state, rows IS NULL'), 'remove|removed|t', 'removed');
ok(!-e "$dir/crash/a.csv", 'the object is gone');
is(state_of('crash'), '', 'and so is its row');

# --- What fails is told and tried again, the rest goes on.
mkdir "$dir/locked";
DynpipeTest->apply($node, $db,
    document('broken', qq("file://$dir/broken"), $ids), role => 'etl');
$node->safe_psql($db, 'INSERT INTO silver.broken (id, _partition, _offset) VALUES (1, 1, 1),
    (2, 2, 1)');
want('broken', 1, 'broken/no/a.csv');
want('broken', 2, 'broken/b.csv');
mkdir "$dir/broken";
mkdir "$dir/broken/no";
chmod 0555, "$dir/broken/no";
is(publish('broken', 'state, message, hint IS NOT NULL'), "failed|could not create file "
    . "\"$dir/broken/no/a.csv\": Permission denied|t\nwritten||f", 'one fails, the other is written');
is($node->safe_psql($db, q{SELECT state, attempts, last_error_sqlstate, last_error ~ 'Permission',
    last_error_hint IS NOT NULL, next_try_at > now() + interval '30 minutes'
    FROM dynpipe.outputs WHERE url ~ 'broken/no'}), 'failed|1|42501|t|t|t', 'the view says why');
publish('broken');
is($node->safe_psql($db, q{SELECT attempts FROM dynpipe.outputs WHERE url ~ 'broken/no'}), 2,
    'by hand it is tried at once');
chmod 0755, "$dir/broken/no";
is(publish('broken'), 'written|1', 'and written when it can be');
is($node->safe_psql($db, q{SELECT attempts, last_error IS NULL, last_error_hint IS NULL
    FROM dynpipe.outputs WHERE url ~ 'broken/no'}), '3|t|t', 'the error is gone');

# --- Rights: the owner's, then and now; who may see and call.
want('broken', 2, 'broken/b.csv');
$node->safe_psql($db, 'REVOKE pg_write_server_files FROM etl');
like($node->safe_psql($db, q{SELECT state, message FROM dynpipe.publish('broken')}),
    qr/^failed\|permission denied to write files of the server$/,
    'a superuser publishes with the rights of the owner');
$node->safe_psql($db, 'GRANT pg_write_server_files TO etl; REVOKE SELECT ON silver.broken FROM etl');
like($node->safe_psql($db, q{SELECT state, message FROM dynpipe.publish('broken')}),
    qr/^failed\|permission denied for table broken$/, 'rows, too, are read as the owner');
ok(!hidden('broken'), 'which leaves nothing');
$node->safe_psql($db, 'GRANT SELECT ON silver.broken TO etl');
is(publish('broken'), 'written|1', 'with them it works again');
my ($code, $out, $err) = $node->psql($db, q{SET ROLE other; SELECT * FROM dynpipe.publish('broken')});
like($err, qr/must be owner of pipeline "broken"/, 'others may not');
is($node->safe_psql($db, 'SET ROLE other; SELECT count(*) FROM dynpipe.outputs'), 0, 'nor see it');
($code) = $node->psql($db, 'SET ROLE etl; TABLE dynpipe.output_object');
isnt($code, 0, 'the table is for nobody');
$node->safe_psql($db, q{CREATE FUNCTION public.again(id text) RETURNS boolean LANGUAGE plpgsql
    AS $$BEGIN PERFORM * FROM dynpipe.publish('broken'); RETURN true; END$$;
    ALTER TABLE silver.broken ENABLE ROW LEVEL SECURITY;
    ALTER TABLE silver.broken FORCE ROW LEVEL SECURITY;
    CREATE POLICY again ON silver.broken USING (public.again(id))});
want('broken', 2, 'broken/b.csv');
is(publish('broken', 'state, message'),
    'failed|cannot publish from within a query that is being published', 'not within itself');

# --- What is refused when it is applied.
$node->safe_psql($db, 'REVOKE pg_write_server_files FROM etl');
refused('without the right to write', document('r1', qq("file://$dir/r1"), $ids),
    qr/permission denied to write files of the server|pg_write_server_files/);
$node->safe_psql($db, 'GRANT pg_write_server_files TO etl');
refused('to where the source looks', document('r2', qq("file://$dir/in"), $ids,
    source => qq("file://$dir/in/*")), qr/would read what it has written/);
refused('in the place of the source itself', document('r3', qq("file://$dir/in"), $ids,
    source => qq("file://$dir/in/a.csv")), qr/would read what it has written/);
refused('below a source that looks everywhere', document('r4', qq("file://$dir/in/deep"), $ids,
    source => qq("file://$dir/in/**")), qr/would read what it has written/);
symlink("$dir/in", "$dir/link") or die $!;
for (["$dir/./in//", 'a detour'], ["$dir/link", 'a link']) {
    refused("to where the source looks, by $_->[1]", document('r9', qq("file://$_->[0]"), $ids,
        source => qq("file://$dir/in/*")), qr/would read what it has written/);
}
refused('to where the source looks, which is a link', document('r9', qq("file://$dir/in"), $ids,
    source => qq("file://$dir/link/a.csv")), qr/would read what it has written/);
refused('to where another pipeline writes, by a detour', document('r5', qq("file://$dir//crash"),
    $ids), qr/another pipeline writes to "file:.*" already/);
refused('to one container by two schemes', document('r9', '"az://c@a/in"', $ids,
    source => '"abfss://c@a.dfs.core.windows.net/in/*"'), qr/would read what it has written/);
refused('to where another pipeline writes', document('r5', qq("file://$dir/crash/"), $ids),
    qr/another pipeline writes to "file:.*" already/);
refused('without silver', document('r6', qq("file://$dir/r6"), $ids, silver => 'false',
    bronze => 'true'), qr/destination/);
refused('of a stream', document('r7', qq("file://$dir/r7"), $ids, source => '"kafka://shop/x"'),
    qr/stream/);
refused('over https', document('r8', '"https://example.com/x"', $ids), qr/https/);

# --- A destination that changes: what was written there stays, and is no longer ours.
DynpipeTest->apply($node, $db, document('zipped', qq("file://$dir/elsewhere"), $id_t),
    role => 'etl');
is(state_of('zipped'), '', 'the objects of the old destination are forgotten');
ok(-e "$dir/zipped/big.csv.gz", 'and stay');
$node->safe_psql($db, q{SELECT dynpipe.drop('nasty_csv')});
is($node->safe_psql($db, q{SELECT count(*) FROM dynpipe.output_object o WHERE NOT EXISTS
    (SELECT FROM dynpipe.pipeline p WHERE p.id = o.pipeline_id)}), 0, 'drop forgets them too');

DynpipeTest->check_log($node);
done_testing();
