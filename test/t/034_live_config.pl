# Configuration is data.  Under load a pipeline's columns, rules, gold, batch
# size and number of workers change, it is stopped, started and dropped, and no
# batch mixes two versions; what is rolled back never was.  A copy of the
# database has the pipelines, but reads nothing until somebody says so.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use DynpipeTest;

my $node = DynpipeTest->start_node('live', conf => <<'CONF');
dynpipe.retry_initial = 100
dynpipe.retry_max = 500
dynpipe.check_interval = 500
CONF
my $broker = DynpipeBroker->mock(topics => { load => 4 });

sub one { return $node->safe_psql('postgres', $_[0]) }

my %default = (
    columns => '{name: seq, type: bigint, required: true}',
    where   => 'seq >= 0',
    expect  => 'seq >= 0',
    gold    => 'SELECT seq % 5 AS rest, count(*) AS n FROM silver.load GROUP BY seq % 5',
    rows    => 50000,
    workers => 1,
);
my %now = %default;

# The document as it is now, and what is to change in it.
sub document {
    my (%change) = @_;
    my %d = (%now, %change);
    return qq{
pipelines:
  - name: load
    source: kafka://shop/load
    format: json
    schema: [$d{columns}]
    bronze: {table: bronze.load}
    silver:
      table: silver.load
      where: "$d{where}"
      expect: [{name: e, check: "$d{expect}", otherwise: quarantine}]
    gold: [{table: gold.load, query: "$d{gold}"}]
    batch: {max_rows: $d{rows}}
    workers: $d{workers}
};
}

sub version { return one(q{SELECT version FROM dynpipe.status WHERE pipeline = 'load'}) }

# Apply a change and wait until records are read under it, by all its workers.
sub change {
    my ($what, %change) = @_;
    my $before = version();
    DynpipeTest->apply($node, 'postgres', document(%change));
    %now = (%now, %change);
    is(version(), $before + 1, "$what: a new version");
    ok(DynpipeTest->wait_until($node, 'postgres', q{SELECT count(*) = 4 FROM dynpipe.partitions
        WHERE pipeline = 'load' AND version = } . version()), "$what: in force in every partition");
}

# The rows of batches that were read under the present version.
sub of_this_version {
    return q{_offset >= (SELECT min(b._offset) FROM bronze.load b JOIN dynpipe.adoption a
        ON b._batch >= a.first_batch AND b._partition = a.partition
        WHERE a.partition = s._partition AND a.version = } . version() . ')';
}

sub check_changes {
    my @workers = DynpipeTest->pids($node, 'worker');

    change('a column', columns => "$default{columns}, {name: pad, type: text}");
    is(one(q{SELECT count(*) FROM silver.load s WHERE pad IS NULL AND } . of_this_version()), 0,
        'a column: filled from the first batch on');
    cmp_ok(one('SELECT count(*) FROM silver.load WHERE pad IS NULL'), '>', 0,
        'a column: empty before');

    change('where', where => 'seq % 2 = 0');
    is(one('SELECT count(*) FROM silver.load s WHERE seq % 2 = 1 AND ' . of_this_version()), 0,
        'where: nothing else from the first batch on');
    change('expect', where => 'seq >= 0', expect => 'seq % 3 <> 0');
    is(one('SELECT count(*) FROM silver.load s WHERE seq % 3 = 0 AND ' . of_this_version()), 0,
        'expect: nothing else from the first batch on');

    change('gold', gold => 'SELECT seq % 4 AS rest, count(*) AS n, max(seq) AS last '
          . 'FROM silver.load GROUP BY seq % 4');
    is(one('SELECT count(*) FROM gold.load'), 4, 'gold: computed anew');

    change('batch size', rows => 7);
    is(one('SELECT coalesce(max(n), 0) <= 7 FROM (SELECT count(*) AS n FROM bronze.load s WHERE '
          . of_this_version() . ' GROUP BY _batch) x'), 't', 'batch size: kept to');
    change('batch size', rows => 5000);
    is_deeply([ DynpipeTest->pids($node, 'worker') ], \@workers, 'all that by the same worker');

    change('two workers', workers => 2);
    ok(DynpipeTest->wait_until($node, 'postgres',
        q{SELECT count(*), count(DISTINCT shard) FROM dynpipe.shard_state()}, '2|2'), 'two shards');
    change('one worker', workers => 1);
    ok(DynpipeTest->wait_until($node, 'postgres', q{SELECT count(*) FROM dynpipe.shard_state()}, 1),
        'one shard again');
}

# What is rolled back, or wrong, changes nothing.
sub check_nothing {
    my $state = sub {
        one(q{SELECT p.version, p.definition, (SELECT count(*) FROM dynpipe.history),
            (SELECT string_agg(attname, ',' ORDER BY attnum) FROM pg_attribute
              WHERE attrelid = 'silver.load'::regclass AND attnum > 0)
            FROM dynpipe.pipeline p})
    };
    my $before = $state->();
    my $change = document(columns => "$now{columns}, {name: later, type: text}", where => 'seq < 0');
    one("BEGIN; SELECT * FROM dynpipe.apply(\$d\$$change\$d\$); SELECT dynpipe.stop('load');
        SELECT * FROM dynpipe.partitions; ROLLBACK");
    is($state->(), $before, 'ROLLBACK: nothing has changed');
    one("SELECT * FROM dynpipe.apply(\$d\$$change\$d\$, dry_run => true)");
    is($state->(), $before, 'dry run: nothing has changed');
    my $wrong = document(where => 'no_such_column > 0');
    my ($code) = $node->psql('postgres', "SELECT * FROM dynpipe.apply(\$d\$$wrong\$d\$)");
    is($code, 3, 'a wrong document is refused');
    is($state->(), $before, 'and nothing has changed');
    one("SELECT * FROM dynpipe.apply(dynpipe.export()::text)");
    is($state->(), $before, 'apply(export()) changes nothing');
    moves('and it goes on');
}

sub moves {
    my ($what) = @_;
    my $records = q{(SELECT sum(records) FROM dynpipe.partitions)};
    return ok(DynpipeTest->wait_until($node, 'postgres', "SELECT $records > " . one("SELECT $records")),
        $what);
}

sub check_stop {
    one(q{SELECT dynpipe.stop('load')});
    my $rows = one('SELECT count(*) FROM bronze.load');
    ok(DynpipeTest->wait_until($node, 'postgres', q{SELECT s.state, count(x) FROM dynpipe.status s
        LEFT JOIN dynpipe.shard_state() x ON true GROUP BY 1}, 'stopped|0'), 'stop: no shard is left');
    is(one('SELECT count(*) FROM bronze.load'), $rows, 'stop: nothing is written after it returned');
    one(q{SELECT dynpipe.start('load')});
    moves('start: goes on');
}

# Which version each batch was read under is in the adoption table: one version
# for each batch, and versions never go back.
sub check_adoption {
    is(one(q{SELECT count(*) FROM (SELECT partition, version < lag(version) OVER (
        PARTITION BY partition ORDER BY first_batch) AS back FROM dynpipe.adoption) x WHERE back}), 0,
        'adoption: versions never go back');
    is(one(q{SELECT count(*) FROM (SELECT b._batch FROM (SELECT DISTINCT _batch, _partition
            FROM bronze.load) b CROSS JOIN LATERAL (SELECT version FROM dynpipe.adoption a
            WHERE a.partition = b._partition AND a.first_batch <= b._batch
            ORDER BY first_batch DESC LIMIT 1) a
        GROUP BY b._batch HAVING count(DISTINCT a.version) > 1) x}), 0,
        'adoption: no batch mixes versions');
    is(one(q{SELECT count(DISTINCT version) FROM dynpipe.adoption}),
        one(q{SELECT version FROM dynpipe.pipeline}), 'adoption: every version was in force');
}

sub check_restored {
    my $file = $node->basedir . '/dump';
    $node->command_ok([ 'pg_dump', '-Fc', '-f', $file, 'postgres' ], 'the database is dumped');
    $node->safe_psql('postgres', 'CREATE DATABASE copy');
    $node->command_ok([ 'pg_restore', '--exit-on-error', '-d', 'copy', $file ], 'and restored');
    my $in_copy = sub { $node->safe_psql('copy', $_[0]) };
    is($in_copy->('SELECT pipeline, state, enabled FROM dynpipe.status'), 'load|restored|t',
        'restored: says so');
    like($in_copy->('SELECT advice FROM dynpipe.status'), qr/dynpipe\.start\('load'\)/,
        'restored: and what to do');
    my $records = $in_copy->('SELECT sum(records) FROM dynpipe.partitions');
    $broker->produce('load', lines => [ map { ($_ % 4) . "\t\t{\"seq\": $_}" } 1 .. 40 ]);
    ok(DynpipeTest->wait_consumed($node, 'postgres', 'load', $records + 40),
        'the original reads on');
    is($in_copy->('SELECT sum(records) FROM dynpipe.partitions'), $records, 'the copy reads nothing');
    $in_copy->(q{SELECT dynpipe.start('load')});
    ok(DynpipeTest->wait_until($node, 'copy', 'SELECT sum(records) FROM dynpipe.partitions',
        one('SELECT sum(records) FROM dynpipe.partitions')), 'the copy reads when it is started');
    is($in_copy->("SELECT * FROM dynpipe.verify('load') WHERE NOT ok"), '', 'the copy is verified');
    $in_copy->("SELECT dynpipe.drop('load')");
}

$node->safe_psql('postgres', 'CREATE EXTENSION dynpipe');
DynpipeTest->connect_broker($node, 'postgres', 'shop', $broker);
my $load = $broker->produce_in_background('load', count => 100_000, rate => 300, partitions => 4);
DynpipeTest->apply($node, 'postgres', document());
ok(DynpipeTest->wait_until($node, 'postgres', q{SELECT records > 500 FROM dynpipe.status}), 'works');
my $watch = DynpipeTest->watch_atomicity($node, 'postgres', 'load', 'bronze.load');
check_changes();
check_nothing();
check_stop();
$load->kill_kill;
my $total = scalar split /\n/, $broker->dump('load');
ok(DynpipeTest->wait_consumed($node, 'postgres', 'load', $total), 'all is consumed');
is(DynpipeTest->watch_stop($watch), '', 'bronze and positions agreed at every moment');
DynpipeTest->check_exactly_once($node, 'postgres', pipeline => 'load', broker => $broker,
    topic => 'load', bronze => 'bronze.load', gold => { 'gold.load' => $now{gold} });
check_adoption();
check_restored();
one(q{SELECT dynpipe.drop('load')});
is(one(q{SELECT (SELECT count(*) FROM dynpipe.pipeline) + (SELECT count(*) FROM dynpipe.checkpoint)
    + (SELECT count(*) FROM dynpipe.adoption)}), 0, 'drop: nothing is left of it');
cmp_ok(one('SELECT count(*) FROM silver.load'), '>', 0, 'drop: but its tables');
ok(DynpipeTest->wait_until($node, 'postgres', 'SELECT count(*) FROM dynpipe.shard_state()', 0),
    'drop: nobody serves it');
DynpipeTest->check_log($node);
$node->stop;
done_testing();
