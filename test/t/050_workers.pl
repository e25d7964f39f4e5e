# Processes: one that dies is replaced, one that shall end does so at once, a
# broken pipeline leaves its neighbours alone and recovers by itself when its
# cause is gone, a standby runs nothing.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use DynpipeTest;

my $broker = DynpipeBroker->mock(topics => { good => 2, bad => 1, role => 1 });
my $node = DynpipeTest->start_node('workers', init => { allows_streaming => 1 }, conf => q{
dynpipe.retry_initial = '100ms'
dynpipe.retry_max = '2s'
});
my $sent = 0;

sub document {
    my ($name, $more) = @_;
    return qq({"pipelines": [{"name": "$name", "source": "kafka://shop/$name", "format": "json",
        "schema": [{"name": "id", "type": "bigint"}] @{[$more // '']}}]});
}

# Ten more records for 'good', and wait until they are in.
sub flows {
    my ($name, $on) = @_;
    $on ||= $node;
    $broker->produce('good', lines => [ map { ($_ % 2) . "\t\t{\"id\": $_}" } 1 .. 10 ]);
    $sent += 10;
    return ok(DynpipeTest->wait_consumed($on, 'postgres', 'good', $sent, 20), $name);
}

sub state_is {
    my ($pipeline, $state, $name) = @_;
    return ok(DynpipeTest->wait_until($node, 'postgres',
        "SELECT state ~ '^($state)\$' FROM dynpipe.status WHERE pipeline = '$pipeline'", 't', 20),
        $name);
}

# Seconds until the process is gone.
sub ends {
    my ($pid) = @_;
    my $start = time;
    sleep 0.01 while kill(0, $pid) && time - $start < 10;
    return time - $start;
}

my $one = sub { $node->safe_psql('postgres', $_[0]) };
$one->('CREATE EXTENSION dynpipe');
DynpipeTest->connect_broker($node, 'postgres', 'shop', $broker);
DynpipeTest->apply($node, 'postgres', document('good', ', "workers": 2'));
flows('records arrive');
state_is('good', 'caught up', 'caught up');
is($one->(q{SELECT count(DISTINCT worker_pid) FROM dynpipe.shard_state()}), '2',
    'a pipeline with two workers has two processes');
ok(DynpipeTest->wait_until($node, 'postgres',
    'SELECT count(*), sum(lag) FROM dynpipe.partitions WHERE high = next_offset', '2|0'),
    'partitions tell their ends');

for my $kind ('worker', 'supervisor', 'launcher') {
    my ($pid) = DynpipeTest->pids($node, $kind);
    $one->("SELECT pg_terminate_backend($pid)");
    cmp_ok(ends($pid), '<', 2, "$kind ends on SIGTERM within 2 seconds");
    flows("records arrive after the end of a $kind");
}
ok(DynpipeTest->wait_until($node, 'postgres',
    q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'dynpipe launcher'}, '1'),
    'the launcher is back');

# One broken neighbour after another.
DynpipeTest->apply($node, 'postgres', document('bad'));
$broker->produce('bad', lines => [qq(0\t\t{"id": 1})]);
ok(DynpipeTest->wait_consumed($node, 'postgres', 'bad', 1), 'the neighbour works');
$one->('ALTER TABLE silver.bad RENAME TO elsewhere');
$broker->produce('bad', lines => [qq(0\t\t{"id": 2})]);
state_is('bad', 'failed', 'a missing table is a failure');
is($one->(q{SELECT last_error IS NOT NULL, reason IS NOT NULL, advice IS NOT NULL,
    next_try_at IS NOT NULL FROM dynpipe.status WHERE pipeline = 'bad'}), 't|t|t|t',
    'status says why and what to do');
is($one->(q{SELECT count(*) FROM dynpipe.failure}), '1', 'the failure is recorded');
flows('the healthy one goes on');
$one->('ALTER TABLE silver.elsewhere RENAME TO bad');
ok(DynpipeTest->wait_consumed($node, 'postgres', 'bad', 2, 20), 'it recovers by itself');
ok(DynpipeTest->wait_until($node, 'postgres', q{SELECT count(*) FROM dynpipe.failure}, '0'),
    'the failure is gone');
is($one->(q{SELECT string_agg(DISTINCT kind, ' ' ORDER BY kind) FROM dynpipe.event_log
    WHERE pipeline = 'bad' AND kind IN ('failed', 'recovered')}), 'failed recovered',
    'the event log has both');

# Its owner goes away, with all that it had.
$one->(q{CREATE ROLE etl LOGIN; GRANT USAGE, CREATE ON SCHEMA bronze, silver TO etl;
    GRANT USAGE ON FOREIGN SERVER shop TO etl; CREATE USER MAPPING FOR etl SERVER shop});
DynpipeTest->apply($node, 'postgres', document('role'), role => 'etl');
state_is('role', 'caught up', 'a role\'s pipeline runs');
$one->('DROP OWNED BY etl; DROP ROLE etl');
$broker->produce('role', lines => [qq(0\t\t{"id": 1})]);
state_is('role', 'failed', 'a pipeline without owner is a failure');
flows('the others go on');
$one->(q{SELECT dynpipe.drop('role')});
ok(DynpipeTest->wait_until($node, 'postgres',
    q{SELECT count(*) FROM dynpipe.status WHERE pipeline = 'role'}, '0'), 'it can be dropped');

# Stop and start.
$one->(q{SELECT dynpipe.stop('good')});
state_is('good', 'stopped', 'stopped');
ok(DynpipeTest->wait_until($node, 'postgres', q{SELECT count(*) FROM dynpipe.shard_state() s
    JOIN dynpipe.pipeline p ON p.id = s.pipeline_id WHERE p.name = 'good'}, '0'),
    'no worker has it');
$one->(q{SELECT dynpipe.start('good')});
flows('records arrive after the start');

# The broker goes away: nobody hangs.
$broker->ctl('down 1');
my ($worker) = DynpipeTest->pids($node, 'worker');
$one->("SELECT pg_terminate_backend($worker)");
cmp_ok(ends($worker), '<', 2, 'a worker ends within 2 seconds also without a broker');
my $start = time;
$node->stop('fast');
cmp_ok(time - $start, '<', 5, 'so does the server');
$broker->ctl('up 1');
$node->start;
flows('records arrive after a restart');

# A standby runs nothing until it is promoted.
$node->backup('base');
my $standby = PostgreSQL::Test::Cluster->new('standby');
$standby->init_from_backup($node, 'base', has_streaming => 1);
$standby->start;
$node->wait_for_catchup($standby);
is(scalar(DynpipeTest->pids($standby, '')), 0, 'no process on a standby');
is($standby->safe_psql('postgres',
    q{SELECT state, reason FROM dynpipe.status WHERE pipeline = 'good'}),
    'stopped|This server is a standby.', 'its status says so');
$node->stop('immediate');
$standby->promote;
flows('records arrive after promotion', $standby);
DynpipeTest->check_log($node);
$standby->stop;
done_testing();
