# From files to destinations by the loads themselves: what is loaded, changed and
# unloaded is written, written again and removed, by workers that are killed on
# the way, to files, S3 and Azure storage.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use DynpipeCloud;
use DynpipeTest;

my $db = 'postgres';
my $dir = PostgreSQL::Test::Utils::tempdir();
my $node = DynpipeTest->start_node('loads', conf => q{
dynpipe.retry_initial = 100ms
dynpipe.retry_max = 1s
dynpipe.check_interval = 500ms
dynpipe.allowed_hosts = '127.0.0.1'});
my $schema = '[{"name": "id", "type": "bigint"}, {"name": "t", "type": "text"}]';

$node->safe_psql($db, q{CREATE EXTENSION dynpipe; CREATE ROLE etl;
    GRANT CREATE ON DATABASE postgres TO etl;
    GRANT pg_read_server_files, pg_write_server_files TO etl});

sub sql { return $node->safe_psql($db, "SET ROLE etl; $_[0]") }
sub admin { return $node->safe_psql($db, $_[0]) }

sub file {
    my ($path, $content) = @_;
    (my $folder = "$dir/$path") =~ s{/[^/]*$}{};
    system('mkdir', '-p', $folder) == 0 or die "mkdir $folder";
    open my $out, '>', "$dir/$path.new" or die "$path: $!";
    print $out $content;
    close $out;
    rename "$dir/$path.new", "$dir/$path" or die "$path: $!";
    return;
}

# name, source below $dir (or a URL), destination likewise, more members
sub pipeline {
    my ($name, $source, $destination, $more) = @_;
    s{^(?!\w+://)}{file://$dir/} for $source, $destination;
    return DynpipeTest->apply($node, $db, qq({"pipelines": [{"name": "$name",
        "source": "$source", "format": "csv", "schema": $schema,
        "destination": {"url": "$destination"@{[$more ? ", $more" : '}']}}]}), role => 'etl');
}

sub load { return sql("SELECT state, loaded FROM dynpipe.run('$_[0]')") }

sub settled {
    my ($name, $n, $what) = @_;
    return ok(DynpipeTest->wait_until($node, $db, qq{SELECT count(*) || ' ' || count(*) FILTER
        (WHERE state = 'written') FROM dynpipe.outputs WHERE pipeline = '$name'}, "$n $n"), $what);
}

sub content { return -e "$dir/$_[0]" ? slurp_file("$dir/$_[0]") : undef }

# --- Names, and one object for each file.
file('in/2024/a.csv', "id,t\n1,x\n2,\n");
file('in/2024/a.txt', "id,t\n3,y\n");
file('in/b.csv', "id,t\n4,\"z,\"\"\"\n");
pipeline('plain', 'in/**', 'out/plain');
load('plain');
settled('plain', 3, 'every file has its object, written by a worker');
my %have = map { $_ => content("out/plain/$_") } ('2024/a.csv', 'b.csv');
my ($second) = glob "$dir/out/plain/2024/a-*.csv";
like($second, qr{/a-\d+\.csv$}, 'the second of one name has its number');
is(join('', sort(map { s/^id,t\n//r } $have{'2024/a.csv'}, slurp_file($second))),
    join('', sort("1,x\n2,\n", "3,y\n")), 'each has its own rows');
is($have{'b.csv'}, "id,t\n4,\"z,\"\"\"\n", 'as they were');
is(sql("SELECT count(*) FROM dynpipe.outputs o JOIN dynpipe.file f ON f.file = o.file"), 3,
    'the view names the files');

# --- Changed, unloaded.
file('in/b.csv', "id,t\n5,new\n6,newer\n");
load('plain');
settled('plain', 3, 'a changed file');
is(content('out/plain/b.csv'), "id,t\n5,new\n6,newer\n", 'overwrites its object');
sql("SELECT dynpipe.unload('plain', 'file://$dir/in/b.csv')");
settled('plain', 2, 'an unloaded file');
is(content('out/plain/b.csv'), undef, 'has no object');
my @all = glob "$dir/out/plain/2024/*";
is(scalar(@all), 2, 'the others are there');

# --- Rolled back: nothing.
my $before = join ',', glob "$dir/out/plain/{*,*/*}";
file('in/c.csv', "id,t\n7,never\n");
sql("BEGIN; SELECT * FROM dynpipe.run('plain'); ROLLBACK");
is(sql("SELECT count(*) FROM dynpipe.outputs WHERE pipeline = 'plain'"), 2,
    'a load that is rolled back wants nothing');
is(join(',', glob "$dir/out/plain/{*,*/*}"), $before, 'and leaves nothing');

# --- append: every version has its object.
file('versions/v.csv', "id,t\n1,one\n");
pipeline('versions', 'versions/*.csv', 'out/versions', q("compression": "none"}, "on_change":
    "append"));
load('versions');
file('versions/v.csv', "id,t\n1,one\n2,two\n");
load('versions');
settled('versions', 2, 'each version of a file');
is(scalar(() = glob "$dir/out/versions/v-*.csv"), 2, 'has an object of its own');

# --- Upserts: an unloaded file gives rows back to another.
file('keyed/1.csv', "id,t\n1,old\n2,kept\n");
pipeline('keyed', 'keyed/*.csv', 'out/keyed', q("format": "json"}, "silver": {"key": ["id"]}));
load('keyed');
settled('keyed', 1, 'keyed: the first file');
file('keyed/2.csv', "id,t\n1,new\n");
load('keyed');
settled('keyed', 2, 'keyed: the second');
is(content('out/keyed/2.ndjson'), qq({"id":1,"t":"new"}\n), 'keyed: it has the row');
sql("SELECT dynpipe.unload('keyed', 'file://$dir/keyed/2.csv')");
settled('keyed', 1, 'keyed: unloaded');
is(content('out/keyed/1.ndjson'), qq({"id":1,"t":"old"}\n{"id":2,"t":"kept"}\n),
    'keyed: the row is the first one\'s again, and in its object');

# --- Another destination gets all, with another format.
pipeline('plain', 'in/**', 'out/other', '"format": "json", "compression": "gzip"}');
settled('plain', 2, 'another destination gets what is loaded');
is(scalar(() = glob "$dir/out/other/2024/*.ndjson.gz"), 2, 'in its format');
is(scalar(() = glob "$dir/out/plain/2024/*.csv"), 2, 'the old one keeps its objects');

# --- Workers killed while they publish.
my $files = 150;
file("many/$_.csv", "id,t\n" . join('', map { "$_,row\n" } 1 .. $_)) for 1 .. $files;
pipeline('many', 'many/*.csv', 'out/many');
load('many');
my $kills = 0;
for my $share (10, 40, 70, 100) {
    DynpipeTest->wait_until($node, $db, qq{SELECT count(*) >= $share FROM dynpipe.outputs
        WHERE pipeline = 'many' AND state = 'written'});
    for my $pid (DynpipeTest->pids($node, 'worker')) {
        $kills += kill 'KILL', $pid;
        last;
    }
}
cmp_ok($kills, '>=', 3, "$kills workers were killed");
settled('many', $files, 'all is written in the end');
is(scalar(grep { content("out/many/$_.csv") ne content("many/$_.csv") } 1 .. $files), 0,
    'every object is what its file was');
is(scalar(() = glob "$dir/out/many/*"), $files, 'and there is no other');

# --- A query that hangs holds up its own object only.
file("hang/$_.csv", "id,t\n$_,x\n") for 1, 2;
pipeline('hang', 'hang/*.csv', 'out/hang');
sql("SELECT dynpipe.stop('hang')");
load('hang');
admin(q{CREATE FUNCTION public.hang(id bigint) RETURNS boolean LANGUAGE sql AS
        'SELECT CASE WHEN id = 1 THEN pg_catalog.pg_sleep(600) IS NOT NULL ELSE true END';
    ALTER TABLE silver.hang ENABLE ROW LEVEL SECURITY;
    ALTER TABLE silver.hang FORCE ROW LEVEL SECURITY;
    CREATE POLICY hang ON silver.hang USING (public.hang(id))});
$node->append_conf('postgresql.conf', 'dynpipe.batch_timeout = 2s');
$node->reload;
sql("SELECT dynpipe.start('hang')");
ok(DynpipeTest->wait_until($node, $db, q{SELECT string_agg(state || coalesce(' ' ||
    last_error_sqlstate, ''), ', ' ORDER BY url) FROM dynpipe.outputs WHERE pipeline = 'hang'},
    'failed 57014, written'), 'a worker gives up a query that hangs, and the next object is written');
is(sql("SELECT count(*) FROM dynpipe.event_log WHERE pipeline = 'hang' AND kind = 'failed'"), 0,
    'its pipeline has not failed for that');
admin('DROP POLICY hang ON silver.hang; ALTER TABLE silver.hang DISABLE ROW LEVEL SECURITY');
settled('hang', 2, 'and tries again');
$node->append_conf('postgresql.conf', 'dynpipe.batch_timeout = 5min');
$node->reload;

# --- The same in object stores: atomic, several parts, whole or not there.
sub check_store {
    my ($store, $kind, $url) = @_;
    my $rows = 150_000;
    $store->bucket('processed');
    file("$kind/big.csv", "id,t\n" . join('', map { "$_," . ('x' x 60) . "\n" } 1 .. $rows));
    file("$kind/small.csv", "id,t\n1,a\n");
    pipeline($kind, "$kind/*.csv", $url);
    sql("SELECT dynpipe.stop('$kind')");
    load($kind);
    is(sql("SELECT string_agg(state || ' ' || rows, ', ' ORDER BY rows)
        FROM dynpipe.publish('$kind')"), "written 1, written $rows", "$kind: published");
    is(join(',', sort $store->list('processed', 'sales/')), 'sales/big.csv,sales/small.csv',
        "$kind: the objects");
    ok($store->get('processed', 'sales/big.csv') eq content("$kind/big.csv"),
        "$kind: in several parts, the same bytes");
    sql("SELECT dynpipe.unload('$kind', 'file://$dir/$kind/small.csv')");
    is(sql("SELECT action, state FROM dynpipe.publish('$kind')"), 'remove|removed',
        "$kind: unloaded");
    is(join(',', $store->list('processed', 'sales/')), 'sales/big.csv', "$kind: removed");

    # A row late in the object cannot be written: nothing of the object stays.
    admin("UPDATE silver.$kind SET t = t || '!'; CREATE FUNCTION public.no_$kind(o bigint) RETURNS
        boolean LANGUAGE sql AS 'SELECT 1 / (o - 149990) IS NOT NULL';
        CREATE INDEX ON silver.$kind (_partition, _offset);
        ALTER TABLE silver.$kind ENABLE ROW LEVEL SECURITY;
        ALTER TABLE silver.$kind FORCE ROW LEVEL SECURITY;
        CREATE POLICY late ON silver.$kind USING (public.no_$kind(_offset));
        UPDATE dynpipe.output_object SET state = 'wanted', generation = generation + 1
         WHERE url = '$url/big.csv'");
    is($node->safe_psql($db, "SET enable_sort = off; SET enable_seqscan = off;
        SET enable_bitmapscan = off; SET ROLE etl;
        SELECT state, message FROM dynpipe.publish('$kind')"), 'failed|division by zero',
        "$kind: fails in its last part");
    ok($store->get('processed', 'sales/big.csv') eq content("$kind/big.csv"),
        "$kind: the object is what it was");
    is(scalar($store->uploads('processed')), 0, "$kind: no upload is left") if $kind eq 's3';
    admin("DROP POLICY late ON silver.$kind; ALTER TABLE silver.$kind DISABLE ROW LEVEL SECURITY");
    is(sql("SELECT state FROM dynpipe.publish('$kind')"), 'written', "$kind: then it is written");
    (my $expected = content("$kind/big.csv")) =~ s/(?<=x)$/!/mg;
    ok($store->get('processed', 'sales/big.csv') eq $expected, "$kind: with the newer rows");
    return;
}

SKIP: {
    my $s3 = DynpipeCloud->s3(auth => 1) or skip('no S3 server here', 10);
    admin("CREATE SERVER processed TYPE 's3' FOREIGN DATA WRAPPER dynpipe
            OPTIONS (endpoint '" . $s3->address . "', bucket 'processed', path_style 'true');
        CREATE USER MAPPING FOR etl SERVER processed OPTIONS (access_key_id '" . $s3->key . "',
            secret_access_key '" . $s3->secret . "');
        GRANT USAGE ON FOREIGN SERVER processed TO etl");
    check_store($s3, 's3', 's3://processed/sales');

    # Without credentials it fails with the reason, and goes on by itself when they are there.
    admin('ALTER USER MAPPING FOR etl SERVER processed OPTIONS (SET secret_access_key \'wrong\');
        UPDATE dynpipe.output_object SET state = \'wanted\', generation = generation + 1
         WHERE url ~ \'s3://\'');
    sql("SELECT dynpipe.start('s3')");
    ok(DynpipeTest->wait_until($node, $db, q{SELECT last_error_sqlstate = '28000' AND attempts > 1
        AND last_error_hint IS NOT NULL FROM dynpipe.outputs WHERE pipeline = 's3'}),
        's3: wrong credentials are told');
    unlike($node->safe_psql($db, 'SELECT row_to_json(o) FROM dynpipe.outputs o'), qr/wrong/,
        's3: but not which');
    admin("ALTER USER MAPPING FOR etl SERVER processed OPTIONS (SET secret_access_key '"
        . $s3->secret . "')");
    settled('s3', 1, 's3: with the right ones it goes on by itself');
}
SKIP: {
    my $azure = DynpipeCloud->azure or skip('no Azure storage here', 9);
    admin("CREATE SERVER lake TYPE 'adls' FOREIGN DATA WRAPPER dynpipe
            OPTIONS (endpoint '" . $azure->address . "', account '" . $azure->account . "');
        CREATE USER MAPPING FOR etl SERVER lake OPTIONS (account_key '" . $azure->key . "');
        GRANT USAGE ON FOREIGN SERVER lake TO etl");
    check_store($azure, 'azure', 'az://processed/sales');
}

is(sql("SELECT url, state, last_error FROM dynpipe.outputs WHERE state <> 'written'"), '',
    'nothing is left to do');
DynpipeTest->check_log($node);
done_testing();
