# Who sees what in the views, and what they say where nothing can run.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use DynpipeTest;

my $broker = DynpipeBroker->mock(topics => { sales => 2 });
my $document = q({"pipelines": [{"name": "sales", "source": "kafka://shop/sales",
    "format": "text"}]});
my @views = qw(status partitions quarantine event_log history gaps);

my $node = DynpipeTest->start_node('status');
$node->safe_psql('postgres', q{CREATE EXTENSION dynpipe; CREATE ROLE etl; CREATE ROLE team;
    CREATE ROLE other; CREATE ROLE watcher; GRANT etl TO team; GRANT pg_monitor TO watcher;
    GRANT CREATE ON DATABASE postgres TO etl});
DynpipeTest->connect_broker($node, 'postgres', 'shop', $broker, 'etl');
DynpipeTest->apply($node, 'postgres', $document, role => 'etl');
$broker->produce('sales', count => 10, size => 10, partitions => 2);
ok(DynpipeTest->wait_consumed($node, 'postgres', 'sales', 10), 'a pipeline runs');

for my $role ('etl', 'team', 'watcher', 'other') {
    my $sees = $role eq 'other' ? 0 : 1;
    is($node->safe_psql('postgres', "SET ROLE $role; SELECT count(*) FROM dynpipe.status"),
        $sees, "$role sees " . ($sees ? 'it' : 'nothing'));
    is($node->safe_psql('postgres', "SET ROLE $role; SELECT count(*) FROM dynpipe.shard_state()"),
        $sees, "$role: likewise of the processes");
    is($node->safe_psql('postgres', "SET ROLE $role; SELECT count(*) > 0 FROM dynpipe.event_log"),
        $sees ? 't' : 'f', "$role: likewise of the events");
}
for my $view (@views) {
    my ($code, $out, $err) = $node->psql('postgres', "SET ROLE other; TABLE dynpipe.$view");
    is("$code$out", '0', "everybody may look at $view");
}
for my $table ('pipeline', 'quarantine_record', 'checkpoint', 'failure', 'event') {
    my ($code) = $node->psql('postgres', "SET ROLE etl; TABLE dynpipe.$table");
    isnt($code, 0, "nobody may look at the table $table");
}
ok(DynpipeTest->wait_until($node, 'postgres', q{SELECT state = 'caught up' AND lag = 0
    AND lag_time = '0' AND partitions = 2 AND records = 10 AND loaded = 10 AND last_commit_at
    IS NOT NULL AND latency_p50_ms >= 0 AND version = 1 AND running_version = 1 AND reason IS NULL
    FROM dynpipe.status}), 'the figures are there');
ok(DynpipeTest->wait_until($node, 'postgres', q{SELECT count(*) FROM pg_stat_activity
    WHERE backend_type = 'dynpipe worker' AND query ~ '^dynpipe: ' AND application_name
    = 'dynpipe worker'}, 1), 'pg_stat_activity shows the worker');
$node->stop;

# The same database without preloading.
$node->append_conf('postgresql.conf', "shared_preload_libraries = ''\ndynpipe.max_workers = 3");
$node->start;
is($node->safe_psql('postgres', q{SELECT state, advice FROM dynpipe.status}),
    'not preloaded|Add dynpipe to shared_preload_libraries and restart the server.',
    'the status says what is missing');
is($node->safe_psql('postgres', 'SELECT count(*) FROM dynpipe.shard_state()'), '0',
    'there are no processes');
is($node->safe_psql('postgres', q{LOAD 'dynpipe'; SHOW dynpipe.retry_max}), '1min',
    'the library can be loaded');
$node->safe_psql('postgres', 'DROP EXTENSION dynpipe CASCADE');
DynpipeTest->check_log($node);
$node->stop;
done_testing();
