# Loads of files by dynpipe.run: each file once; a file that changes, goes or
# is unloaded takes exactly its effect out of every layer; one that cannot be
# loaded says why and stops no other.  Truth is a clean load of what lies there
# in the end.
use strict;
use warnings;
use IO::Compress::Gzip ();
use PostgreSQL::Test::Utils;
use Test::More;
use DynpipeTest;

my $dir  = PostgreSQL::Test::Utils::tempdir();
my $node = DynpipeTest->start_node('file_loads', conf => <<'CONF');
dynpipe.retry_initial = 100
dynpipe.retry_max = 1000
CONF

my $db;

sub sql { return $node->safe_psql($db, $_[0]) }

sub new_database {
    ($db) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $db");
    sql('CREATE EXTENSION dynpipe; CREATE SCHEMA bronze; CREATE SCHEMA silver; CREATE SCHEMA gold');
    return;
}

sub write_file {
    my ($name, $text, $time) = @_;
    my ($folder) = "$dir/$name" =~ m{^(.*)/};
    system 'mkdir', '-p', $folder;
    open my $out, '>:raw', "$dir/$name.new" or die "$name: $!";
    print $out $text;
    close $out or die "$name: $!";
    rename "$dir/$name.new", "$dir/$name" or die "$name: $!";
    utime $time, $time, "$dir/$name" if $time;
    return;
}

sub csv { return join '', "id,region,amount\n", map { "$_\n" } @_ }

sub apply { return sql("SELECT count(*) > 0 FROM dynpipe.apply(\$doc\$pipelines:\n$_[0]\$doc\$)") }

# A pipeline $name over $source with three gold tables, one of each strategy.
sub document {
    my ($name, $source, $more, $silver) = @_;
    return qq{
  - name: $name
    source: file://$dir/$source
    format: csv
    schema:
      - {name: id, type: bigint, required: true}
      - {name: region, type: text}
      - {name: amount, type: numeric}
    bronze: {table: bronze.$name}
    silver: {table: silver.$name, @{[ $silver // '' ]}}
    gold:
      - table: gold.${name}_delta
        query: SELECT region, count(*) AS n, sum(amount) AS total, avg(amount) AS mean
               FROM silver.$name GROUP BY region
      - table: gold.${name}_groups
        query: SELECT region, min(amount) AS least, max(amount) AS most
               FROM silver.$name GROUP BY region
      - table: gold.${name}_full
        query: SELECT r.label, sum(s.amount) AS total FROM silver.$name s
               JOIN public.regions r ON r.region = s.region GROUP BY r.label
@{[ $more // '' ]}};
}

sub run {
    my ($name, $params) = @_;
    my $args = "'$name'" . ($params ? ", '$params'" : '');
    return sql("SELECT string_agg(substring(file from '[^/]*\$') || ' ' || state || ' ' || loaded
        || '+' || quarantined, ', ' ORDER BY file) FROM dynpipe.run($args)");
}

# What is in every layer, without the numbers of the files.
sub content {
    my ($name) = @_;
    return sql("SELECT 'silver', id, region, amount FROM silver.$name ORDER BY 2, 3, 4;
        SELECT 'delta', region, n, total, round(mean, 6) FROM gold.${name}_delta ORDER BY 2;
        SELECT 'groups', region, least, most FROM gold.${name}_groups ORDER BY 2;
        SELECT 'full', label, total FROM gold.${name}_full ORDER BY 2");
}

sub check {
    my ($name, $label) = @_;
    is(sql("SELECT * FROM dynpipe.verify('$name') WHERE NOT ok"), '', "$label: verify");
    for my $pair ([ 'delta', "SELECT region, count(*), sum(amount), avg(amount) FROM silver.$name GROUP BY 1" ],
        [ 'groups', "SELECT region, min(amount), max(amount) FROM silver.$name GROUP BY 1" ],
        [ 'full', "SELECT r.label, sum(s.amount) FROM silver.$name s
                     JOIN public.regions r ON r.region = s.region GROUP BY 1" ]) {
        my ($gold, $query) = @$pair;
        my $columns = { delta => 'region, n, total, mean', groups => 'region, least, most',
            full => 'label, total' }->{$gold};
        my $table = "SELECT $columns FROM gold.${name}_$gold";
        is(sql("SELECT count(*) FROM (($table EXCEPT ALL $query) UNION ALL ($query EXCEPT ALL $table)) x"),
            0, "$label: gold $gold is its query");
    }
    return;
}

sub states {
    my ($name) = @_;
    return sql("SELECT string_agg(substring(file from '[^/]*\$') || ' ' || state, ', ' ORDER BY id)
        FROM dynpipe.file WHERE pipeline = '$name'");
}

# The same source loaded afresh by a pipeline of its own gives the same.
sub check_like_fresh {
    my ($name, $source, $more, $silver, $label) = @_;
    sql("SELECT dynpipe.drop('fresh', true) WHERE EXISTS
        (SELECT FROM dynpipe.status WHERE pipeline = 'fresh')");
    apply(document('fresh', $source, $more, $silver));
    run('fresh');
    is(content($name), content('fresh'), "$label: like a clean load");
    return;
}

new_database('loads');
sql("CREATE TABLE regions AS SELECT * FROM (VALUES ('n', 'North'), ('s', 'South'), ('w', 'West'))
     AS r(region, label)");

subtest 'each file once' => sub {
    write_file('once/a.csv', csv('1,n,10', '2,s,20', 'x,n,1'), 1000);
    write_file('once/b.csv', csv('3,n,30'), 2000);
    apply(document('once', 'once/*.csv'));
    is(run('once'), 'a.csv loaded 2+1, b.csv loaded 1+0', 'one row per file');
    is(run('once'), '', 'a second run loads nothing');
    is(sql("SELECT line, column_name, file LIKE '%/once/a.csv' FROM dynpipe.quarantine"), '4|id|t',
        'quarantine names file, line and column');
    check('once', 'once');
    is(sql("BEGIN; SELECT count(*) FROM dynpipe.reload('once', 'file://$dir/once/b.csv');
        SELECT count(*) FROM dynpipe.run('once'); ROLLBACK;
        SELECT count(*) FROM silver.once; SELECT count(*) FROM dynpipe.file"), "1\n1\n3\n2",
        'ROLLBACK leaves nothing behind');
    write_file('once/c.csv', csv('4,w,40'));
    is(sql("BEGIN; SELECT count(*) FROM dynpipe.run('once'); ROLLBACK;
        SELECT count(*) FROM dynpipe.file; SELECT count(*) FROM silver.once"), "1\n2\n3",
        'nor of a first load');
    is(run('once'), 'c.csv loaded 1+0', 'which then is as new');
};

for my $kind ([ 'replace', '4|240' ], [ 'append', '7|300' ], [ 'ignore', '4|100' ]) {
    my ($on_change, $expected) = @$kind;
    subtest "a changed file: $on_change" => sub {
        my $name = "change_$on_change";
        write_file("$name/a.csv", csv('1,n,10', '2,s,20', '3,w,30', 'x,,'), 1000);
        write_file("$name/b.csv", csv('4,n,40'), 2000);
        apply(document($name, "$name/*.csv", "    on_change: $on_change\n"));
        run($name);
        write_file("$name/a.csv", csv('1,n,100', '2,w,100', '3,w,0'), 3000);
        my $did = run($name);
        is($did, $on_change eq 'ignore' ? '' : 'a.csv loaded 3+0', 'run');
        is(sql("SELECT count(*), sum(amount) FROM silver.$name"), $expected, 'silver');
        check($name, $on_change);
        is(states($name), 'a.csv ' . ($on_change eq 'replace' ? 'replaced' : 'loaded') .
            ', b.csv loaded' . ($on_change eq 'ignore' ? '' : ', a.csv loaded'), 'ledger');
        is(sql("SELECT count(*) FROM bronze.$name"),
            { replace => 4, append => 8, ignore => 5 }->{$on_change}, 'bronze');
        is(sql("SELECT count(*) FROM dynpipe.quarantine WHERE pipeline = '$name'"),
            $on_change eq 'replace' ? 0 : 1, 'quarantine');
        is(run($name), '', 'loads nothing more');
        check_like_fresh($name, "$name/*.csv", '', '', 'replaced') if $on_change eq 'replace';
        my $old = sql("SELECT min(id) FROM dynpipe.file WHERE pipeline = '$name' AND NOT current");
        my ($code, $out, $err) = $node->psql($db, "SELECT dynpipe.reload('$name', '$old')");
        like($err, $old ? qr/a newer version took the place of file $old/ : qr/has no file ""/,
            'an old version cannot be loaded again');
        is(sql("SELECT count(*), sum(amount) FROM silver.$name"), $expected, 'and stays as it is');
    };
}

my %keyed = (
    append => '',
    by_key => 'key: [id]',
    by_sequence => 'key: [id], sequence_by: amount',
    deleting => q{key: [id], sequence_by: amount, delete_when: "region = 'gone'"},
    deleting_last => q{key: [id], delete_when: "region = 'gone'"});
for my $kind (sort keys %keyed) {
    subtest "unload, reload: $kind" => sub {
        my $name = "un_$kind";
        # b overwrites rows of a, deletes one, is overwritten by c
        write_file("$name/a.csv", csv('1,n,10', '2,s,20', '3,w,30', '4,n,50', 'bad,n,1'), 1000);
        write_file("$name/b.csv", csv('1,s,11', '2,gone,25', '3,n,5', '5,w,50', "6,\"n,5"), 2000);
        write_file("$name/c.csv", csv('1,w,12', '5,w,49', '6,s,60', '4,gone,51'), 3000);
        apply(document($name, "$name/*.csv", '', $keyed{$kind}));
        run($name);
        check($name, 'loaded');
        my $all = content($name);
        my $quarantine = "SELECT line, stage, column_name, message, value FROM dynpipe.quarantine
            WHERE pipeline = '$name' ORDER BY 1, 2, 3, 4";
        my $bad = sql($quarantine);
        is(sql("SELECT dynpipe.unload('$name', 'file://$dir/$name/b.csv')"), 1, 'unload');
        check($name, 'unloaded');
        system 'mkdir', '-p', "$dir/rest_$name";
        system 'cp', '-p', "$dir/$name/a.csv", "$dir/$name/c.csv", "$dir/rest_$name";
        check_like_fresh($name, "rest_$name/*.csv", '', $keyed{$kind}, 'unloaded');
        is(run($name), '', 'is not loaded again');
        is(states($name), 'a.csv loaded, b.csv unloaded, c.csv loaded', 'ledger');
        is(sql("SELECT dynpipe.reload('$name', '2')") , 1, 'reload')
            if sql("SELECT id FROM dynpipe.file WHERE pipeline = '$name' AND file LIKE '%b.csv'") == 2;
        sql("SELECT dynpipe.reload('$name', 'file://$dir/$name/b.csv')");
        is(run($name), sql("SELECT 'b.csv loaded ' || loaded || '+' || quarantined FROM dynpipe.file
            WHERE pipeline = '$name' AND file LIKE '%b.csv' AND state = 'loaded'"), 'reload');
        check($name, 'loaded again');
        is(content($name), $all, 'all is there again') if $kind =~ /append|by_sequence|deleting$/;
        is(sql($quarantine), $bad, 'and what was bad is known with its line');
    };
}

subtest 'files that go' => sub {
    for my $on_remove ('keep', 'unload') {
        my $name = "remove_$on_remove";
        write_file("$name/a.csv", csv('1,n,10'), 1000);
        write_file("$name/b.csv", csv('2,n,20'), 2000);
        apply(document($name, "$name/*.csv", "    on_remove: $on_remove\n"));
        run($name);
        unlink "$dir/$name/b.csv";
        run($name);
        is(states($name), 'a.csv loaded, b.csv ' . ($on_remove eq 'keep' ? 'loaded' : 'unloaded'),
            $on_remove);
        check($name, $on_remove);
        unlink "$dir/$name/a.csv";
        run($name);
        like(states($name), qr/^a.csv loaded/, 'an empty folder proves nothing');
        write_file("$name/b.csv", csv('2,n,21'), 3000);
        is(run($name), 'b.csv loaded 1+0', 'a file that comes back is new');
        check($name, "$on_remove, back");
    }
    # A version that could not be loaded, or one that was added, hides a loaded one.
    for my $on_change ('replace', 'append') {
        my $name = "vanish_$on_change";
        write_file("$name/a.csv", csv('1,n,10'), 1000);
        write_file("$name/b.csv", csv('2,n,20', '3,n,30'), 2000);
        apply(document($name, "$name/*.csv", "    on_remove: unload\n    max_bad_records: 0\n"
                  . "    on_change: $on_change\n"));
        run($name);
        write_file("$name/b.csv", csv($on_change eq 'append' ? '4,n,40' : '4,n,x'), 3000);
        run($name);
        unlink "$dir/$name/b.csv";
        rename "$dir/$name/a.csv", "$dir/$name/a.away";
        run($name);
        rename "$dir/$name/a.away", "$dir/$name/a.csv";
        run($name);
        is(sql("SELECT string_agg(id::text, ',') FROM silver.$name"), 1,
            "no version of a file that went is left ($on_change)");
        check($name, "vanished, $on_change");
    }
    write_file('gone/a.csv', csv('1,n,10'));
    write_file('gone/b.csv.gz', "\x1f\x8b\x08 no gzip");
    apply(document('gone', 'gone/*'));
    like(run('gone'), qr/b.csv.gz failed/, 'a broken one');
    unlink "$dir/gone/b.csv.gz";
    is(run('gone'), '', 'that is gone');
    is(states('gone'), 'a.csv loaded, b.csv.gz gone', 'is given up');
};

subtest 'another pattern misses nothing' => sub {
    write_file("days/$_/x.csv", csv("$_,n,1")) for 1, 2;
    write_file('days/2/broken.csv', "id\n1\n");
    apply(document('days', 'days/${day}/*.csv', "    on_remove: unload\n    params: {day: 1}\n"));
    is(run('days'), 'x.csv loaded 1+0', 'default');
    is(run('days', '{"day": "2"}'), 'broken.csv failed 0+0, x.csv loaded 1+0', 'another day');
    is(run('days'), 'broken.csv failed 0+0', 'back again');
    is(sql('SELECT count(*) FROM silver.days'), 2, 'all are still there');
    apply(document('days', 'elsewhere/*.csv', "    on_remove: unload\n"));
    write_file('elsewhere/y.csv', csv('9,w,1'));
    is(run('days'), 'broken.csv failed 0+0, y.csv loaded 1+0', 'another source');
    is(sql('SELECT count(*) FROM silver.days'), 3, 'leaves what it does not name');
    check('days', 'days');
};

subtest 'files that cannot be loaded' => sub {
    write_file('bad/a_good.csv', csv('1,n,1'), 1000);
    write_file('bad/b_gzip.csv.gz', "\x1f\x8b\x08\0broken", 2000);
    my $packed;
    my $text = csv(map { "$_,n,1" } 1 .. 5000);
    IO::Compress::Gzip::gzip(\$text => \$packed);
    write_file('bad/c_cut.csv.gz', substr($packed, 0, length($packed) / 2), 3000);
    write_file('bad/d_column.csv', "id,amount\n1,2\n", 4000);
    write_file('bad/e_dirty.csv', csv('x,n,1', '7,n,1', 'y,n,1'), 5000);
    write_file('bad/f_empty.csv', '', 5500);
    write_file('bad/g_good.csv', csv('2,n,2'), 6000);
    apply(document('bad', 'bad/*', "    max_bad_records: 1\n"));
    is(run('bad'), 'a_good.csv loaded 1+0, b_gzip.csv.gz failed 0+0, c_cut.csv.gz failed 0+0, '
        . 'd_column.csv failed 0+0, e_dirty.csv failed 0+0, f_empty.csv loaded 0+0, '
        . 'g_good.csv loaded 1+0', 'others load');
    check('bad', 'failed files');
    is(sql("SELECT count(*) FROM dynpipe.file WHERE pipeline = 'bad' AND state = 'failed'
        AND message IS NOT NULL AND hint IS NOT NULL AND next_try_at > seen_at AND failures = 1"), 4,
        'the ledger says why');
    is(sql("SELECT message, detail FROM dynpipe.file WHERE file LIKE '%e_dirty.csv'"),
        'too many bad records: 2 of 3 so far|The first one: line 2, column "id": '
        . sql("SELECT 'invalid input syntax for type bigint: \"x\"'"), 'too dirty, and where');
    is(sql("SELECT count(*) FROM dynpipe.quarantine WHERE pipeline = 'bad'"), 0,
        'nothing of it is left');
    write_file('bad/d_column.csv', csv('3,w,3'), 7000);
    write_file('bad/e_dirty.csv', csv('x,n,1', '7,n,1'), 8000);
    is(run('bad'), 'b_gzip.csv.gz failed 0+0, c_cut.csv.gz failed 0+0, d_column.csv loaded 1+0, '
        . 'e_dirty.csv loaded 1+1', 'run tries again; what was repaired loads');
    is(sql("SELECT DISTINCT failures FROM dynpipe.file WHERE pipeline = 'bad' AND state = 'failed'"),
        2, 'failures are counted');
    check('bad', 'repaired');

    write_file('share/a.csv', csv(map { $_ % 10 ? "$_,n,1" : 'x,n,1' } 1 .. 100));
    apply(document('share', 'share/*', "    max_bad_records: \"9.9%\"\n"));
    like(run('share'), qr/failed/, 'a share');
    apply(document('share', 'share/*', "    max_bad_records: \"10%\"\n"));
    is(run('share'), 'a.csv loaded 90+10', 'that is reached, not passed');
    write_file('share/b.csv', csv('x,n,1', '1,n,1'));
    apply(document('share', 'share/*', "    max_bad_records: 0\n"));
    like(run('share'), qr/b.csv failed/, 'none at all');
    apply(document('share', 'share/*', "    max_bad_records: \"0%\"\n"));
    like(run('share'), qr/b.csv failed/, 'nor any share');

    write_file('expect/a.csv', csv('1,n,-1'), 1000);
    write_file('expect/b.csv', csv('2,n,1'), 2000);
    apply(document('expect', 'expect/*', '',
        'expect: [{name: positive, check: "amount > 0", otherwise: fail}]'));
    is(run('expect'), 'a.csv failed 0+0, b.csv loaded 1+0', 'an expectation');
    like(sql("SELECT message FROM dynpipe.file WHERE file LIKE '%expect/a.csv'"), qr/positive/, 'which');
    sql('ALTER TABLE silver.expect ADD CHECK (amount < 100)');
    write_file('expect/c.csv', csv('3,n,1000', '4,n,4'), 3000);
    is(run('expect'), 'a.csv failed 0+0, c.csv loaded 1+1', 'a constraint costs its record');
    is(sql("SELECT line, stage FROM dynpipe.quarantine WHERE pipeline = 'expect'"), '2|silver',
        'which is in quarantine');
};

subtest 'wider types' => sub {
    my $doc = sub { return qq{
  - name: wide
    source: file://$dir/wide/*.csv
    on_misfit: widen
    schema: [id, amount]
    bronze: {table: bronze.wide}
    silver: {table: silver.wide}
    gold:
      - table: gold.wide
        query: SELECT id, sum(amount) AS total FROM silver.wide GROUP BY id
} };
    write_file('wide/a.csv', "id,amount\n1,10\n2,20\n", 1000);
    apply($doc->());
    run('wide');
    my $type = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attrelid = '%s'::regclass AND attname = '%s'";
    is(sql(sprintf $type, 'silver.wide', 'amount'), 'bigint', 'inferred');
    write_file('wide/b.csv', "id,amount\n1,10.5\n", 2000);
    is(run('wide'), 'b.csv loaded 1+0', 'a number with a fraction');
    is(sql(sprintf $type, 'silver.wide', 'amount'), 'numeric', 'widened');
    is(sql('SELECT id, total FROM gold.wide ORDER BY 1'), "1|20.5\n2|20", 'with gold');
    write_file('wide/c.csv', "id,amount\nx,1\n2.5,2\n", 3000);
    is(run('wide'), 'c.csv loaded 2+0', 'then a text');
    is(sql(sprintf $type, 'silver.wide', 'id'), 'text', 'widened twice in a file');
    is(sql("SELECT * FROM dynpipe.verify('wide') WHERE NOT ok"), '', 'verify');
    is(sql("SELECT count(*) FROM dynpipe.event_log WHERE pipeline = 'wide' AND kind = 'widened'"), 2,
        'and told');
};

subtest 'one transaction with apply, two sessions' => sub {
    write_file('one/a.csv', csv(map { "$_,n,1" } 1 .. 100000));
    my $doc = document('one', 'one/*.csv', "    workers: 4\n");
    is(sql("BEGIN; SELECT count(*) > 0 FROM dynpipe.apply(\$doc\$pipelines:$doc\$doc\$);
        SELECT loaded FROM dynpipe.run('one'); COMMIT; SELECT count(*) FROM silver.one"),
        "t\n100000\n100000", 'apply and load');
    write_file('one/b.csv', csv(map { "$_,n,1" } 1 .. 100000));
    is(sql("BEGIN; LOCK TABLE silver.one, bronze.one; SELECT loaded FROM dynpipe.run('one'); COMMIT"),
        100000, 'helpers do not wait for the locks of who they help');
    write_file('one/c.csv', csv(map { "$_,n,1" } 1 .. 50000));
    my @sessions = map { DynpipeTest->open_session($node, $db) } 1, 2;
    my $first = $sessions[0]->("BEGIN; SELECT loaded FROM dynpipe.run('one')");
    my $second = DynpipeTest->open_session($node, $db);
    is($first, "50000\n", 'one session loads it');
    my $pid = fork;
    if (!$pid) { select undef, undef, undef, 0.5; $sessions[0]->('COMMIT'); POSIX::_exit(0) }
    is(sql("SELECT count(*) FROM dynpipe.run('one')"), 0, 'the other finds nothing left');
    waitpid $pid, 0;
    is(sql("SELECT count(*) FROM silver.one"), 250000, 'each once');
    check('one', 'one');
    $_->() for @sessions, $second;
};

subtest 'dropped and dumped' => sub {
    my $rows = sql('SELECT count(*) FROM dynpipe.source_file');
    my $next = sql('SELECT max(id) FROM dynpipe.source_file');
    my $dump = "$dir/dump.sql";
    $node->command_ok([ 'pg_dump', '-f', $dump, $node->connstr($db) ], 'dump');
    $node->safe_psql('postgres', 'CREATE DATABASE restored');
    $node->command_ok([ 'psql', '-Xq', '-v', 'ON_ERROR_STOP=1', '-f', $dump, '-d',
        $node->connstr('restored') ], 'restore');
    is($node->safe_psql('restored', 'SELECT count(*) FROM dynpipe.source_file'), $rows, 'the ledger');
    write_file('once/d.csv', csv('5,n,50'));
    $node->safe_psql('restored', "SELECT dynpipe.start('once')");
    is($node->safe_psql('restored', "SELECT partition > $next FROM dynpipe.run('once')"), 't',
        'goes on behind its last number');
    sql("SELECT dynpipe.drop('once', true)");
    is(sql("SELECT count(*) FROM dynpipe.source_file f WHERE NOT EXISTS
        (SELECT FROM dynpipe.pipeline p WHERE p.id = f.pipeline_id)"), 0, 'drop forgets');
    apply(document('once', 'once/*.csv'));
    is(run('once'), 'a.csv loaded 2+1, b.csv loaded 1+0, c.csv loaded 1+0, d.csv loaded 1+0',
        'all are new then');
};

DynpipeTest->check_log($node);
done_testing();
