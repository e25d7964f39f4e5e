package DynpipeTest;

# DynpipeTest - servers with dynpipe, waiting, and the one checker that every
# fault test ends with.
#
# my $node = DynpipeTest->start_node('name', conf => "...");
# DynpipeTest->connect_broker($node, 'postgres', 'shop', $broker);
# DynpipeTest->wait_consumed($node, 'postgres', 'sales', 1000);
# DynpipeTest->check_exactly_once($node, 'postgres', pipeline => 'sales',
#     broker => $broker, topic => 'sales', bronze => 'bronze.sales',
#     gold => { 'gold.sales_by_day' => 'SELECT ...' });
use strict;
use warnings;
use Carp;
use POSIX ();
use DynpipeBroker;
use IPC::Run ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);

# A new cluster with dynpipe preloaded, running.  conf: more settings, one a line.
sub start_node {
    my ($class, $name, %opt) = @_;
    my $node = PostgreSQL::Test::Cluster->new($name);
    $node->init(%{ $opt{init} || {} });
    $node->append_conf('postgresql.conf', <<"CONF");
shared_preload_libraries = 'dynpipe'
max_worker_processes = 24
log_min_messages = info
log_line_prefix = '%m [%p] %b '
timezone = 'UTC'
restart_after_crash = on
CONF
    $node->append_conf('postgresql.conf', $opt{conf}) if $opt{conf};
    $node->start;
    return $node;
}

# SERVER $server for $broker, usable by $role (default: the superuser).
sub connect_broker {
    my ($class, $node, $db, $server, $broker, $role) = @_;
    $role ||= 'CURRENT_USER';
    my $brokers = $broker->bootstrap;
    $node->safe_psql($db, qq{
        CREATE SERVER $server TYPE 'kafka' FOREIGN DATA WRAPPER dynpipe
            OPTIONS (bootstrap_servers '$brokers');
        CREATE USER MAPPING FOR $role SERVER $server});
    $node->safe_psql($db, "GRANT USAGE ON FOREIGN SERVER $server TO $role")
      if $role ne 'CURRENT_USER';
    return;
}

sub apply {
    my ($class, $node, $db, $document, %opt) = @_;
    my $role = $opt{role} ? "SET ROLE $opt{role};" : '';
    return $node->safe_psql($db, "$role SELECT * FROM dynpipe.apply(\$doc\$$document\$doc\$)");
}

# psql to a server that may be away, or go away before it has heard the query:
# exit code (undef when there is none), output, errors.
sub try_psql {
    my ($class, $node, $db, $query) = @_;
    my @result = eval { $node->psql($db, $query, timeout => 30, on_error_die => 0) };
    return @result ? @result : (undef, '', $@);
}

# Wait until $query gives $expected, also across a crash and restart.
sub wait_until {
    my ($class, $node, $db, $query, $expected, $seconds) = @_;
    my $end = time + ($seconds || 60);
    my $last = '';
    while (time < $end) {
        my ($code, $out, $err) = $class->try_psql($node, $db, $query);
        return 1 if defined $code && $code == 0 && $out eq ($expected // 't');
        $last = $out . ($err // '');
        sleep 0.1;
    }
    diag("waited in vain for \"" . ($expected // 't') . "\" of: $query\nlast: $last");
    return 0;
}

# Wait until the pipeline has consumed $count records in all.
sub wait_consumed {
    my ($class, $node, $db, $pipeline, $count, $seconds) = @_;
    return $class->wait_until($node, $db, qq{
        SELECT coalesce(sum(c.consumed), 0) FROM dynpipe.checkpoint c
          JOIN dynpipe.pipeline p ON p.id = c.pipeline_id WHERE p.name = '$pipeline'},
        $count, $seconds);
}

# A session of its own that stays open: ->($sql) runs a statement and gives its
# output, ->() ends it.
sub open_session {
    my ($class, $node, $db) = @_;
    my ($in, $out, $err) = ('', '', '');
    my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr($db) ],
        '<', \$in, '>', \$out, '2>', \$err, IPC::Run::timeout(600));
    return sub {
        my ($sql) = @_;
        return $psql->finish unless defined $sql;
        $out = '';
        $in .= "$sql;\n\\echo done\n";
        $psql->pump until $out =~ /^done$/m;
        return $out =~ s/^done\n//mr;
    };
}

# Processes of dynpipe whose backend type or name matches, e.g. 'worker'.
sub pids {
    my ($class, $node, $kind) = @_;
    my ($code, $out) = $class->try_psql($node, 'postgres', qq{
        SELECT pid FROM pg_stat_activity WHERE backend_type ~ 'dynpipe' AND backend_type ~ '$kind'});
    return defined $code && $code == 0 ? split /\n/, $out : ();
}

# In a process of its own, until stopped: at every snapshot the stored position
# is one past the last record in bronze.  Returns a handle for watch_stop.
sub watch_atomicity {
    my ($class, $node, $db, $pipeline, $bronze) = @_;
    return $class->watch($node, $db, $class->_position_query($pipeline, $bronze));
}

# The same for any query that must never give a row; a server that is down
# gives none.
sub watch {
    my ($class, $node, $db, $query) = @_;
    my $file = PostgreSQL::Test::Utils::tempdir() . '/violations';
    my $pid = fork // croak "fork: $!";
    if ($pid == 0) {
        my $parent = getppid;
        while (getppid == $parent) {
            my ($code, $out) = $class->try_psql($node, $db, $query);
            if (defined $code && $code == 0 && $out ne '') {
                open my $log, '>>', $file;
                print $log "$out\n";
                close $log;
            }
            sleep 0.2;
        }
        POSIX::_exit(0);
    }
    return { pid => $pid, file => $file };
}

# Ends the watch; the violations it saw, '' for none.
sub watch_stop {
    my ($class, $watch) = @_;
    CORE::kill 'KILL', $watch->{pid};
    waitpid $watch->{pid}, 0;
    return -e $watch->{file} ? PostgreSQL::Test::Utils::slurp_file($watch->{file}) : '';
}

# Partitions whose position and bronze rows do not agree; no row when all do.
sub _position_query {
    my ($class, $pipeline, $bronze) = @_;
    return qq{
        SELECT c.partition, c.next_offset, b.next
          FROM (SELECT c.* FROM dynpipe.checkpoint c
                  JOIN dynpipe.pipeline p ON p.id = c.pipeline_id
                 WHERE p.name = '$pipeline') c
          FULL JOIN (SELECT _partition, max(_offset) + 1 AS next FROM $bronze GROUP BY 1) b
            ON b._partition = c.partition
         WHERE coalesce(b.next, c.first_offset) IS DISTINCT FROM c.next_offset};
}

# Compares what the broker holds with what was loaded: nothing lost, nothing
# twice, nothing made up, bytes equal, order kept, positions and fates right,
# gold equal to its query.  One subtest.
sub check_exactly_once {
    my ($class, $node, $db, %opt) = @_;
    my ($pipeline, $bronze) = @opt{qw(pipeline bronze)};
    my $log = $opt{broker}->dump($opt{topic});
    my $one = sub { $node->safe_psql($db, $_[0]) };
    my $ledger = qq{FROM dynpipe.checkpoint c JOIN dynpipe.pipeline p ON p.id = c.pipeline_id
        WHERE p.name = '$pipeline'};

    $one->(qq{DROP TABLE IF EXISTS public.dynpipe_log;
        CREATE TABLE public.dynpipe_log (p int, o bigint, key bytea, value bytea);
        COPY public.dynpipe_log FROM STDIN;\n$log\\.\n});
    return subtest(
        $opt{name} || "exactly once: $pipeline",
        sub {
            my $rows = "SELECT _partition, _offset, _key, _value FROM $bronze";
            is($one->("SELECT count(*) FROM (TABLE public.dynpipe_log EXCEPT ALL $rows) x"),
                0, 'nothing lost, bytes equal');
            is($one->("SELECT count(*) FROM ($rows EXCEPT ALL TABLE public.dynpipe_log) x"),
                0, 'nothing made up');
            is($one->("SELECT count(*) - count(DISTINCT (_partition, _offset)) FROM $bronze"),
                0, 'nothing twice');
            is($one->(qq{SELECT count(*) FROM (SELECT _batch < lag(_batch) OVER (
                PARTITION BY _partition ORDER BY _offset) AS back FROM $bronze) x WHERE back}),
                0, 'order kept within partitions');
            is($one->($class->_position_query($pipeline, $bronze)), '', 'positions right');
            is($one->("SELECT sum(consumed) $ledger"),
                $one->("SELECT count(*) FROM $bronze"), 'every record has its fate');
            is($one->("SELECT coalesce(sum(quarantined), 0) $ledger"), $one->(qq{
                SELECT count(*) FROM dynpipe.quarantine_record q JOIN dynpipe.pipeline p
                    ON p.id = q.pipeline_id WHERE p.name = '$pipeline'}),
                'quarantine holds what the ledger says');
            for my $gold (sort keys %{ $opt{gold} || {} }) {
                my $query = $opt{gold}{$gold};
                my $columns = $one->(qq{SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum)
                    FROM pg_attribute WHERE attrelid = '$gold'::regclass AND attnum > 0
                     AND NOT attisdropped AND attname !~ '^_'});
                is($one->("SELECT count(*) FROM (SELECT $columns FROM $gold EXCEPT ALL ($query)) x"),
                    0, "$gold holds nothing else than its query");
                is($one->("SELECT count(*) FROM (($query) EXCEPT ALL SELECT $columns FROM $gold) x"),
                    0, "$gold holds all of its query");
            }
            is($one->("SELECT * FROM dynpipe.verify('$pipeline') WHERE NOT ok"),
                '', 'dynpipe.verify agrees');
            $one->('DROP TABLE public.dynpipe_log');
        });
}

# Nothing in the server's log that must never be there.
sub check_log {
    my ($class, $node) = @_;
    my $log = PostgreSQL::Test::Utils::slurp_file($node->logfile);
    return unlike($log, qr/PANIC|TRAP:|corrupt|could not open relation with OID/,
        'nothing alarming in the log');
}

1;
