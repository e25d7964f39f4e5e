# Too few processes: a visible state, one warning, no busy loop, and it goes on
# as soon as there are some.  Many databases and many pipelines need few.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);
use DynpipeTest;

my $broker = DynpipeBroker->mock(topics => { sales => 2 });
my $node = DynpipeTest->start_node('slots', conf => "dynpipe.max_workers = 2");

sub make_pipeline {
    my ($db, $workers) = @_;
    $node->safe_psql($db, 'CREATE EXTENSION dynpipe');
    DynpipeTest->connect_broker($node, $db, 'shop', $broker);
    DynpipeTest->apply($node, $db, qq({"pipelines": [{"name": "sales",
        "source": "kafka://shop/sales", "format": "text", "workers": $workers}]}));
    return;
}

sub state_is {
    my ($db, $state, $name) = @_;
    return ok(DynpipeTest->wait_until($node, $db, 'SELECT state FROM dynpipe.status', $state, 20),
        $name);
}

sub workers_of {
    my ($db) = @_;
    return $node->safe_psql('postgres', qq{SELECT count(*) FROM pg_stat_activity
        WHERE datname = '$db' AND backend_type = 'dynpipe worker'});
}

# CPU time of all our processes, in clock ticks.
sub cpu_ticks {
    my $ticks = 0;
    for my $pid (DynpipeTest->pids($node, '')) {
        my @stat = split ' ', slurp_file("/proc/$pid/stat") =~ s/.*\) //r;
        $ticks += $stat[11] + $stat[12];
    }
    return $ticks;
}

make_pipeline('postgres', 2);
state_is('postgres', 'caught up', 'a pipeline takes both workers');
is(workers_of('postgres'), '2', 'it has both');
$node->safe_psql('postgres', "CREATE DATABASE $_") for qw(b c);
make_pipeline('b', 1);
state_is('b', 'caught up', 'another database gets one of them');
is(workers_of('postgres'), '1', 'the first one has given it up');
make_pipeline('c', 1);
state_is('c', 'waiting for a worker slot', 'the third one waits visibly');
sleep 5;
my $ticks = cpu_ticks();
sleep 5;
cmp_ok(cpu_ticks() - $ticks, '<', 10, 'waiting costs no time');
my $log = slurp_file($node->logfile);
my $warnings = () = $log =~ /WARNING:  no process is free/g;
is($warnings, 1, 'one warning');
like($log, qr/HINT:  Increase dynpipe\.max_workers/, 'it says what to do');
$node->safe_psql('postgres', 'DROP DATABASE b');
state_is('c', 'caught up', 'it runs when there is a worker');

$node->append_conf('postgresql.conf', "max_worker_processes = 3\nmax_logical_replication_workers = 0");
$node->restart;
state_is('postgres', 'waiting for a worker slot', 'with too few slots of the server it waits, too');
$node->wait_for_log(qr/HINT:  Increase max_worker_processes/);

# Twenty databases, three of them with streams, and forty pipelines in one.
$node->append_conf('postgresql.conf', "max_worker_processes = 8\ndynpipe.max_workers = 4");
$node->restart;
$node->safe_psql('postgres', "CREATE DATABASE d$_") for 1 .. 20;
$node->safe_psql('d1', 'CREATE EXTENSION dynpipe');
DynpipeTest->connect_broker($node, 'd1', 'shop', $broker);
DynpipeTest->apply($node, 'd1', '{"pipelines": [' . join(', ',
    map { qq({"name": "p$_", "source": "kafka://shop/sales", "format": "text"}) } 1 .. 40) . ']}');
$node->restart;
ok(DynpipeTest->wait_until($node, 'd1',
    q{SELECT count(*) FROM dynpipe.status WHERE state = 'caught up'}, '40', 60),
    'forty pipelines run');
state_is($_, 'caught up', "so does the one of $_") for qw(postgres c);
cmp_ok(workers_of('d1'), '<=', 2, 'they need few processes');
$broker->produce('sales', count => 10, size => 10, partitions => 2);
ok(DynpipeTest->wait_until($node, 'd1', q{SELECT count(*), min(n), max(n) FROM
    (SELECT sum(consumed) AS n FROM dynpipe.checkpoint GROUP BY pipeline_id) x}, '40|10|10', 60),
    'each of them reads all');
DynpipeTest->check_log($node);
$node->stop;
done_testing();
