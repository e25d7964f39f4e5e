# Statements that need a database, or the extension's tables, for themselves do
# not hang on our processes, and what is rolled back runs again.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use DynpipeTest;

my $broker = DynpipeBroker->mock(topics => { sales => 2 });
my $node = DynpipeTest->start_node('ddl');
my %sent;
my $flow = $broker->produce_in_background('sales', count => 100_000, size => 50, rate => 200,
    partitions => 2);

# A database in which a pipeline reads the topic.
sub make_database {
    my ($db) = @_;
    $node->safe_psql('postgres', "CREATE DATABASE $db");
    make_pipeline($db);
    return;
}

sub make_pipeline {
    my ($db, $role) = @_;
    $node->safe_psql($db, ($role ? "SET ROLE $role;" : '') . 'CREATE EXTENSION dynpipe');
    DynpipeTest->connect_broker($node, $db, 'shop', $broker);
    DynpipeTest->apply($node, $db, q({"pipelines": [{"name": "sales",
        "source": "kafka://shop/sales", "format": "text", "workers": 2}]}));
    return;
}

sub runs {
    my ($db, $name) = @_;
    my $count = $node->safe_psql($db, 'SELECT coalesce(sum(consumed), 0) FROM dynpipe.checkpoint');
    return ok(DynpipeTest->wait_until($node, $db,
        "SELECT sum(consumed) > $count FROM dynpipe.checkpoint", 't', 15), $name);
}

sub processes {
    my ($db) = @_;
    return $node->safe_psql('postgres', qq{SELECT count(*) FROM pg_stat_activity
        WHERE datname = '$db' AND backend_type ~ '^dynpipe'});
}

# Execute and be quick about it.
sub quick {
    my ($db, $sql, $name) = @_;
    my $start = time;
    my ($code, $out, $err) = $node->psql($db, $sql, timeout => 30);
    ok($code == 0 && time - $start < 5, $name) or diag("$err, " . (time - $start) . ' s');
    return $out;
}

make_database('one');
runs('one', 'a pipeline runs');
quick('postgres', 'CREATE DATABASE two TEMPLATE one', 'CREATE DATABASE ... TEMPLATE');
runs('one', 'the template runs on');
is($node->safe_psql('two', 'SELECT state FROM dynpipe.status'), 'restored',
    'the copy waits for its owner');
is(processes('two'), '0', 'nothing runs in the copy');
quick('postgres', 'ALTER DATABASE one RENAME TO eins', 'ALTER DATABASE ... RENAME');
runs('eins', 'it runs under its new name');
mkdir(my $place = PostgreSQL::Test::Utils::tempdir() . '/space');
quick('postgres', "CREATE TABLESPACE space LOCATION '$place'", 'CREATE TABLESPACE');
quick('postgres', 'ALTER DATABASE eins SET TABLESPACE space', 'ALTER DATABASE ... TABLESPACE');
runs('eins', 'it runs in its new place');

# Who may not drop it does not even interrupt it.
$node->safe_psql('postgres', 'CREATE ROLE nobody LOGIN');
my $before = join ' ', sort(DynpipeTest->pids($node, 'worker'));
my ($code) = $node->psql('postgres', 'DROP DATABASE eins', extra_params => [ '-U', 'nobody' ]);
isnt($code, 0, 'DROP DATABASE needs the right to');
is(join(' ', sort(DynpipeTest->pids($node, 'worker'))), $before, 'its workers do not notice');

is(quick('eins', q{BEGIN; DROP EXTENSION dynpipe CASCADE;
    SELECT count(*) FROM pg_stat_activity WHERE datname = 'eins' AND backend_type ~ '^dynpipe';
    ROLLBACK}, 'DROP EXTENSION'), '0', 'no process while the extension is dropped');
runs('eins', 'it runs after the rollback');
quick('eins', 'BEGIN; DROP SCHEMA dynpipe CASCADE; ROLLBACK', 'DROP SCHEMA');
runs('eins', 'it runs after that, too');
for my $n (1 .. 10) {
    my ($code) = $node->psql('eins', 'BEGIN; DROP EXTENSION dynpipe CASCADE; ROLLBACK');
    last if $code && fail("round $n of DROP EXTENSION under load");
}
runs('eins', 'it runs after ten more rounds');

quick('postgres', 'DROP DATABASE eins', 'DROP DATABASE');
quick('postgres', 'DROP DATABASE two', 'DROP DATABASE of the copy');
is(processes('eins'), '0', 'no process is left');

make_pipeline('postgres');
runs('postgres', 'another one runs');
quick('postgres', 'DROP EXTENSION dynpipe CASCADE', 'DROP EXTENSION');
is(processes('postgres'), '0', 'no process is left');
$node->safe_psql('postgres', 'DROP SCHEMA bronze CASCADE; DROP SCHEMA IF EXISTS silver CASCADE');
$node->safe_psql('postgres', 'CREATE ROLE boss SUPERUSER LOGIN');
make_pipeline('postgres', 'boss');
runs('postgres', 'it can be made anew');
quick('postgres', 'DROP OWNED BY boss CASCADE', 'DROP OWNED');
is(processes('postgres'), '0', 'no process is left');

my $log = slurp_file($node->logfile);
my $missing = () = $log =~ /dynpipe (?:worker|supervisor) (?:ERROR|FATAL):.*does not exist/g;
cmp_ok($missing, '<=', 3, 'no process went on without its tables');
$flow->kill_kill;
DynpipeTest->check_log($node);
$node->stop;
done_testing();
