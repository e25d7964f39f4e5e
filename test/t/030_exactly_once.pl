# Exactly once, whoever dies and whoever else reads.  Two pipelines run: sales
# (upsert, delta gold, one worker) and clicks (append, two workers).
#
#   owners   a second owner consumes what a worker has in its hands, and a
#            paused worker is replaced: the compare-and-swap of the position is
#            all that stands between the two and every record twice
#   kills    while events flow, workers, ordinary backends and the postmaster
#            are killed at random moments, and the server is stopped at once
#
# Afterwards every record of the broker is loaded once, fates add up and gold
# equals its query.  Runs from the mock broker and from a real Kafka, half the
# deaths each.  DYNPIPE_KILLS: how many SIGKILLs; DYNPIPE_SEED: which ones.
#
# Test clusters run with fsync off: a process that dies takes nothing of the
# page cache with it, so these deaths lose no more than with it.
use strict;
use warnings;
use IPC::Run;
use List::Util qw(shuffle);
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use DynpipeTest;

my $kills = $ENV{DYNPIPE_KILLS} || 54;
my $seed = srand($ENV{DYNPIPE_SEED} || time);
note "DYNPIPE_SEED=$seed";

my $sales = slurp_file("$ENV{DYNPIPE_SRC}/examples/sales.yaml");
my ($by_day) = $sales =~ /query: >\s+(SELECT.*?region)\s*$/s;
my $by_remainder = 'SELECT seq % 7 AS remainder, count(*) AS clicks, sum(seq) AS total
    FROM silver.clicks GROUP BY seq % 7';
my $clicks = qq{
  - name: clicks
    source: kafka://shop/clicks
    format: json
    schema: [{name: seq, type: bigint, required: true}, {name: pad, type: text}]
    bronze: {table: bronze.clicks}
    silver: {table: silver.clicks}
    gold: [{table: gold.clicks, query: "@{[ $by_remainder =~ s/\s+/ /gr ]}"}]
    workers: 2
};

# What differs between gold and its query in one snapshot; no row when nothing.
sub gold_difference {
    my ($gold, $columns, $query) = @_;
    return "(SELECT $columns FROM $gold EXCEPT ALL ($query))
        UNION ALL (($query) EXCEPT ALL SELECT $columns FROM $gold) LIMIT 5";
}

sub consumed {
    my ($pipeline) = @_;
    return "SELECT coalesce(sum(records), 0) FROM dynpipe.partitions WHERE pipeline = '$pipeline'";
}

# A number, undef while the server is away.
sub ask {
    my ($node, $query) = @_;
    my ($code, $out) = DynpipeTest->try_psql($node, 'postgres', $query);
    return defined $code && $code == 0 ? $out : undef;
}

sub start {
    my ($broker) = @_;
    my $node = DynpipeTest->start_node('once_' . $broker->kind, conf => <<'CONF');
shared_buffers = 16MB
dynpipe.retry_initial = 100
dynpipe.retry_max = 1000
CONF
    $node->safe_psql('postgres', 'CREATE EXTENSION dynpipe');
    DynpipeTest->connect_broker($node, 'postgres', 'shop', $broker);
    DynpipeTest->apply($node, 'postgres', "$sales$clicks");
    return $node;
}

sub worker_of {
    my ($node, $pipeline) = @_;
    return ask($node, "SELECT s.worker_pid FROM dynpipe.shard_state() s
        JOIN dynpipe.pipeline p ON p.id = s.pipeline_id WHERE p.name = '$pipeline' LIMIT 1");
}

sub send_numbers {
    my ($broker, $topic, $from, $n) = @_;
    $broker->produce($topic, lines => [
        map { ($_ % 4) . "\t\t{\"seq\": $_}" } $from .. $from + $n - 1 ]);
}

# A pipeline of one worker that has nothing to read.
sub start_duel {
    my ($node, $broker) = @_;
    DynpipeTest->apply($node, 'postgres', q{
        pipelines:
          - name: duel
            source: kafka://shop/duel
            format: json
            schema: [{name: seq, type: bigint}]
            bronze: {table: bronze.duel}
            silver: {table: silver.duel}
            gold:
              - table: gold.duel
                query: SELECT seq % 3 AS rest, count(*) AS n FROM silver.duel GROUP BY seq % 3});
    send_numbers($broker, 'duel', 0, 40);
    ok(DynpipeTest->wait_consumed($node, 'postgres', 'duel', 40), 'the worker reads');
}

# The session holds the pipeline's lock until the worker has $n records in its
# hands that it cannot write; then it loads them itself.
sub take_away {
    my ($node, $broker, $session, $from, $n) = @_;
    $session->('BEGIN');
    $session->(q{SELECT * FROM dynpipe.run('duel')});
    send_numbers($broker, 'duel', $from, $n);
    ok(DynpipeTest->wait_until($node, 'postgres',
        "SELECT sum(lag) FROM dynpipe.shard_state()
          WHERE pipeline_id = (SELECT id FROM dynpipe.pipeline WHERE name = 'duel')", $n),
        'the worker has fetched what it cannot write');
    is($session->(q{SELECT sum(consumed) FROM dynpipe.run('duel')}), "$n\n",
        'the other owner loads it');
}

sub check_owners {
    my ($node, $broker) = @_;
    my $session = DynpipeTest->open_session($node, 'postgres');
    start_duel($node, $broker);

    take_away($node, $broker, $session, 40, 200);
    $session->('COMMIT');
    send_numbers($broker, 'duel', 240, 60);
    ok(DynpipeTest->wait_consumed($node, 'postgres', 'duel', 300), 'the worker goes on after it');

    # Paused with records in its hands, replaced by another owner, and by two
    # new shards in another process; then it wakes up.
    take_away($node, $broker, $session, 300, 200);
    my $paused = worker_of($node, 'duel');
    kill 'STOP', $paused;
    $session->('COMMIT');
    send_numbers($broker, 'duel', 500, 100);
    is($session->(q{SELECT sum(consumed) FROM dynpipe.run('duel')}), "100\n",
        'another owner replaces a paused worker');
    DynpipeTest->apply($node, 'postgres', $node->safe_psql('postgres',
        q{SELECT jsonb_set(dynpipe.export('duel'), '{pipelines,0,workers}', '2')}));
    kill 'CONT', $paused;
    send_numbers($broker, 'duel', 600, 100);
    ok(DynpipeTest->wait_consumed($node, 'postgres', 'duel', 700), 'and the paused one comes back');
    $session->();

    check($node, $broker, 'duel',
        'gold.duel' => 'SELECT seq % 3, count(*) FROM silver.duel GROUP BY 1');
    is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT seq) FROM silver.duel'),
        '700|700', 'silver has every number once');
    $node->safe_psql('postgres', q{SELECT dynpipe.drop('duel', true)});
}

# Sessions call dynpipe.run while the workers read and events flow.
sub storm {
    my ($node) = @_;
    my $file = $node->basedir . '/run.sql';
    PostgreSQL::Test::Utils::append_to_file($file, "SELECT count(*) FROM dynpipe.run('sales');\n"
          . "SELECT count(*) FROM dynpipe.run('clicks');\n");
    $node->command_ok([ 'pgbench', '-n', '-c', '2', '-t', '10', '-f', $file, 'postgres' ],
        'sessions run the pipelines beside their workers');
}

sub kill_one {
    my ($node, $where) = @_;
    my $pid = ask($node, "SELECT pid FROM pg_stat_activity WHERE $where ORDER BY random() LIMIT 1");
    return $pid ? kill('KILL', $pid) : 0;
}

# An ordinary session in the middle of a query.
sub kill_session {
    my ($node) = @_;
    my $psql = IPC::Run::start([ 'psql', '-Xq', '-d', $node->connstr('postgres'),
        '-c', 'SELECT pg_sleep(600)' ], '<', \undef, '>', \my $out, '2>', \my $err);
    my $end = time + 30;
    my $killed = 0;
    $killed = kill_one($node, "query LIKE 'SELECT pg_sleep%'") until $killed || time > $end;
    $psql->finish;
    return $killed;
}

# As soon as the last of the old processes is gone: the postmaster first, since
# a start that still sees it believes the server to be running.
sub start_again {
    my ($node, $postmaster) = @_;
    my $end = time + 60;
    sleep 0.05 while kill(0, $postmaster) && time < $end;
    while (time < $end) {
        return 1 if $node->start(fail_ok => 1);
        sleep 0.1;
    }
    BAIL_OUT('the server does not start again');
}

sub die_and_return {
    my ($node, $death) = @_;
    my $postmaster = $node->{_pid};
    $death->();
    return start_again($node, $postmaster);
}

my %deaths = (
    worker  => sub { kill_one($_[0], q{backend_type = 'dynpipe worker'}) },
    process => sub { kill_one($_[0], q{backend_type IN ('checkpointer', 'walwriter',
        'background writer', 'dynpipe supervisor', 'dynpipe launcher')}) },
    session    => \&kill_session,
    postmaster => sub { my ($node) = @_; die_and_return($node, sub { $node->kill9 }) },
    immediate  => sub { my ($node) = @_; die_and_return($node, sub { $node->stop('immediate') }) },
);

# The deaths in random order: $n SIGKILLs and a tenth of that immediate stops.
sub deal {
    my ($n) = @_;
    my @suit = qw(worker worker session worker postmaster worker session process postmaster);
    my @deck = map { $suit[ $_ % @suit ] } 0 .. $n - 1;
    return shuffle(@deck, ('immediate') x int($n / 9));
}

# Each death comes a random number of records after the last, and both
# pipelines must move after it.
sub kill_many {
    my ($node, $n) = @_;
    my (%done, $slowest);
    for my $death (deal($n)) {
        my %at = map { $_ => ask($node, consumed($_)) } qw(sales clicks);
        my $moment = ($at{sales} // 0) + int rand 300;
        DynpipeTest->wait_until($node, 'postgres', 'SELECT (' . consumed('sales') . ") > $moment");
        $done{$death}++ if $deaths{$death}->($node);
        my $died = time;
        for my $name (sort keys %at) {
            return fail("$name moves again after death by $death")
              unless DynpipeTest->wait_until($node, 'postgres',
                'SELECT (' . consumed($name) . ") > " . (ask($node, consumed($name)) // $at{$name} // 0));
        }
        $slowest = time - $died if !$slowest || time - $died > $slowest;
    }
    my $sum = 0;
    $sum += $done{$_} for grep { $_ ne 'immediate' } keys %done;
    note "slowest return: $slowest s";
    cmp_ok($sum, '>=', $n, "moved again after $sum SIGKILLs and $done{immediate} immediate stops: "
          . join ', ', map { "$done{$_} $_" } sort keys %done);
}

sub check {
    my ($node, $broker, $name, %gold) = @_;
    return DynpipeTest->check_exactly_once($node, 'postgres', pipeline => $name,
        broker => $broker, topic => $name, bronze => "bronze.$name", gold => \%gold,
        name => $broker->kind . ": exactly once: $name");
}

sub check_broker {
    my ($broker, $n) = @_;
    my $kind = $broker->kind;
    my $node = start($broker);
    check_owners($node, $broker);

    my @watches = (
        (map { DynpipeTest->watch_atomicity($node, 'postgres', $_, "bronze.$_") } qw(sales clicks)),
        DynpipeTest->watch($node, 'postgres',
            gold_difference('gold.sales_by_day', 'day, region, orders, revenue', $by_day)),
        DynpipeTest->watch($node, 'postgres',
            gold_difference('gold.clicks', 'remainder, clicks, total', $by_remainder)));
    my @producers = ($broker->sell_in_background('sales', 600, 150),
        $broker->produce_in_background('clicks', count => 60_000, rate => 100, partitions => 4));
    storm($node);
    kill_many($node, $n);
    $_->kill_kill for @producers;

    for my $name (qw(sales clicks)) {
        my $total = scalar split /\n/, $broker->dump($name);
        ok(DynpipeTest->wait_consumed($node, 'postgres', $name, $total),
            "$kind: all $total records of $name are consumed");
    }
    is(join('', map { DynpipeTest->watch_stop($_) } @watches), '',
        "$kind: layers and positions agreed at every moment");
    check($node, $broker, 'sales', 'gold.sales_by_day' => $by_day);
    check($node, $broker, 'clicks', 'gold.clicks' => $by_remainder);
    DynpipeTest->check_log($node);
    $node->stop('immediate');
}

my %topics = (sales => 4, clicks => 4, duel => 4);
check_broker(DynpipeBroker->mock(topics => \%topics), int(($kills + 1) / 2));
SKIP: {
    my $kafka = DynpipeBroker->kafka(topics => \%topics);
    skip('no real Kafka here', 18) unless $kafka;
    check_broker($kafka, int($kills / 2));
}
done_testing();
