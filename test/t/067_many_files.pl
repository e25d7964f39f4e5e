# Many files, a loader that dies: files are added, changed and removed under a
# prefix while what loads them is killed, workers, sessions in dynpipe.run and
# the postmaster.  In the end each version has been counted once: silver and
# gold are those of a clean load of what lies there then, and another run finds
# nothing to do.  Once in a folder (1,000 files, 50 changed, 10 removed, 20
# SIGKILLs), once in an S3 server that is not ours (a tenth of it, workers only).
# DYNPIPE_SEED repeats a run.
use strict;
use warnings;
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use DynpipeCloud;
use DynpipeTest;

my $seed = srand($ENV{DYNPIPE_SEED} || time);
note "DYNPIPE_SEED=$seed";

my $dir  = PostgreSQL::Test::Utils::tempdir();
my $node = DynpipeTest->start_node('many_files', conf => <<'CONF');
shared_buffers = 32MB
dynpipe.retry_initial = 100
dynpipe.retry_max = 1000
dynpipe.allowed_hosts = '127.0.0.1'
backtrace_functions = 'AllocSetFree,AllocSetRealloc'
CONF

# Rows of a file as of version $version; every tenth file is a larger one.
sub content {
    my ($file, $version) = @_;
    my @regions = qw(north south east west);
    my $rows = $file % 10 ? 20 : 500;
    return join '', "file,seq,version,region,amount\n",
        map { join(',', $file, $_, $version, $regions[ ($file + $_) % 4 ], "$_.25") . "\n" } 1 .. $rows;
}

sub document {
    my ($source, $more) = @_;
    return qq{
pipelines:
  - name: many
    source: $source
    format: csv
    on_change: replace
    on_remove: unload
    schema:
      - {name: file, type: int, required: true}
      - {name: seq, type: int}
      - {name: version, type: int}
      - {name: region, type: text}
      - {name: amount, type: "numeric(12,2)"}
    bronze: {table: bronze.many}
    silver: {table: silver.many}
    gold:
      - table: gold.many
        query: SELECT region, count(*) AS n, sum(amount) AS total, sum(version) AS versions
               FROM silver.many GROUP BY region
    workers: 2
$more};
}

sub ask {
    my ($db, $query) = @_;
    my ($code, $out) = DynpipeTest->try_psql($node, $db, $query);
    return defined $code && $code == 0 ? $out : undef;
}

# How many versions have been loaded, or what it was before when the server is away.
sub loaded {
    my ($db) = @_;
    return ask($db, q{SELECT count(*) FROM dynpipe.file
        WHERE pipeline = 'many' AND state IN ('loaded', 'replaced', 'unloaded')});
}

sub kill_where {
    my ($where) = @_;
    my $pid = ask('postgres', "SELECT pid FROM pg_stat_activity WHERE $where ORDER BY random() LIMIT 1");
    return $pid ? kill('KILL', $pid) : 0;
}

# A session that loads beside the workers, killed within the load.
sub kill_session {
    my ($db) = @_;
    my $psql = IPC::Run::start([ 'psql', '-Xq', '-d', $node->connstr($db), '-c',
        q{SELECT count(*) FROM dynpipe.run('many')} ], '<', \undef, '>', \my $out, '2>', \my $err);
    my $end = time + 10;
    my $killed = 0;
    $killed = kill_where(q{query LIKE '%dynpipe.run(%' AND pid <> pg_backend_pid() AND state = 'active'})
      until $killed || !$psql->pumpable || time > $end;
    $psql->kill_kill if time > $end;
    $psql->finish;
    return $killed;
}

sub kill_worker {
    my ($db) = @_;
    my $end = time + 30;
    my $killed = 0;
    $killed = kill_where(q{backend_type = 'dynpipe worker'}) until $killed || time > $end;
    return $killed;
}

# The server is started again when the last of its processes is gone.
sub kill_postmaster {
    my $postmaster = $node->{_pid};
    $node->kill9;
    my $end = time + 60;
    sleep 0.05 while kill(0, $postmaster) && time < $end;
    until ($node->start(fail_ok => 1)) {
        BAIL_OUT('the server does not start again') if time > $end;
        sleep 0.1;
    }
    return 1;
}

my %deaths = (worker => \&kill_worker, session => \&kill_session, postmaster => \&kill_postmaster);

# Each round adds files, changes and removes some of those that are there, and
# kills when a random number of versions more has been loaded.  STORE has put
# and remove; returns the versions that lie there in the end, by file.
sub storm {
    my ($db, $store, $files, $change, $remove, @suit) = @_;
    my (%version, %gone, %done);
    my $next = 0;
    for my $round (1 .. @suit) {
        my $until = int($files * $round / @suit);
        my $before = loaded($db) // 0;
        for (; $next < $until; $next++) {
            $store->{put}->($next, content($next, $version{$next} = 1));
        }
        my @there = sort { $a <=> $b } grep { !$gone{$_} } keys %version;
        for my $n ($change * ($round - 1) / @suit + 1 .. $change * $round / @suit) {
            my $file = $there[ rand @there ];
            $store->{put}->($file, content($file, ++$version{$file}));
        }
        for my $n ($remove * ($round - 1) / @suit + 1 .. $remove * $round / @suit) {
            my $file = $there[ rand @there ];
            next if $gone{$file}++;
            $store->{remove}->($file);
        }
        my $moment = $before + int rand($files / @suit);
        DynpipeTest->wait_until($node, $db, qq{SELECT count(*) > $moment FROM dynpipe.file
            WHERE pipeline = 'many' AND state IN ('loaded', 'replaced', 'unloaded')});
        my $death = $suit[ $round - 1 ];
        my $as = $deaths{$death}->($db) ? $death : kill_worker($db) ? 'worker' : 'none';
        $done{$as}++;
    }
    ok(!$done{none}, 'deaths: ' . join ', ', map { "$done{$_} $_" } sort keys %done);
    delete @version{ keys %gone };
    return \%version;
}

# Silver and gold of database $db in an order of their own.
sub layers {
    my ($db) = @_;
    return map { $node->safe_psql($db, $_) }
        'SELECT count(*), count(DISTINCT (file, seq)), sum(amount) FROM silver.many',
        'SELECT md5(string_agg(s::text, E\'\n\' ORDER BY s)) FROM
            (SELECT file, seq, version, region, amount FROM silver.many) s',
        'SELECT region, n, total, versions FROM gold.many ORDER BY region';
}

sub check_end {
    my ($db, $clean, $where, $document, $version) = @_;
    my $files = keys %$version;
    my $versions = 0;
    $versions += $_ for values %$version;
    ok(DynpipeTest->wait_until($node, $db, qq{
        SELECT count(*) FILTER (WHERE state = 'loaded') = $files
           AND count(*) FILTER (WHERE state IN ('pending', 'failed')) = 0
           AND (SELECT sum(v) FROM (SELECT max(version) v FROM silver.many GROUP BY file) x)
               = $versions
          FROM dynpipe.file WHERE pipeline = 'many' AND current}, 't', 120),
        "$where: all $files files are loaded as they are now");
    is($node->safe_psql($db, q{SELECT f.file, f.records, count(s.*) FROM dynpipe.file f
        LEFT JOIN silver.many s ON s._partition = f.id WHERE f.state = 'loaded'
        GROUP BY f.id, f.file, f.records, f.loaded HAVING count(s.*) <> f.records
            OR f.records <> f.loaded LIMIT 5}), '', "$where: each with as many rows as it has");
    is($node->safe_psql($db, q{SELECT file, version, count(*) FROM dynpipe.file
        WHERE state = 'loaded' GROUP BY file, version HAVING count(*) > 1 LIMIT 5}), '',
        "$where: no version twice");
    is($node->safe_psql($db, q{SELECT * FROM dynpipe.verify('many') WHERE NOT ok}), '',
        "$where: dynpipe.verify agrees");

    $node->safe_psql('postgres', "CREATE DATABASE $clean");
    $node->safe_psql($clean, 'CREATE EXTENSION dynpipe');
    DynpipeTest->apply($node, $clean, $document->($clean, ''));
    is($node->safe_psql($clean, q{SELECT count(*), count(*) FILTER (WHERE state = 'loaded')
        FROM dynpipe.run('many')}), "$files|$files", "$where: a clean load takes them all");
    is_deeply([ layers($db) ], [ layers($clean) ], "$where: silver and gold are those of a clean load");
    is($node->safe_psql($_, q{SELECT count(*) FROM dynpipe.run('many')}), 0,
        "$where: another run in $_ loads nothing") for $db, $clean;
    return;
}

sub write_file {
    my ($name, $content) = @_;
    open my $out, '>', "$name.new" or die "$name: $!";
    print $out $content;
    close $out or die "$name: $!";
    rename "$name.new", $name or die "$name: $!";
    return;
}

sub check_folder {
    my $in = "$dir/in";
    mkdir $_ or die "$_: $!" for $in, map { "$in/$_" } 0 .. 9;
    my $name = sub { sprintf '%s/%d/%04d.csv', $in, $_[0] % 10, $_[0] };
    my $document = sub { document("file://$in/**/*.csv", $_[1]) };
    $node->safe_psql('postgres', 'CREATE EXTENSION dynpipe');
    DynpipeTest->apply($node, 'postgres', $document->('postgres', '    watch: 1s'));
    my @suit = (qw(worker session worker worker session worker postmaster worker session worker)) x 2;
    my $version = storm('postgres', {
        put    => sub { write_file($name->($_[0]), $_[1]) },
        remove => sub { unlink $name->($_[0]) or die "$_[0]: $!" } }, 1000, 50, 10, @suit);
    check_end('postgres', 'clean_folder', 'folder', $document, $version);
    $node->safe_psql('postgres', q{SELECT dynpipe.stop('many')});
    return;
}

sub check_s3 {
    my ($s3) = @_;
    $s3->bucket('data');
    $node->safe_psql('postgres', 'CREATE DATABASE s3');
    my $document = sub {
        my ($db, $more) = @_;
        my ($address, $key, $secret) = ($s3->address, $s3->key, $s3->secret);
        $node->safe_psql($db, qq{
            CREATE SERVER store TYPE 's3' FOREIGN DATA WRAPPER dynpipe
                OPTIONS (endpoint '$address', region 'us-east-1', path_style 'true');
            CREATE USER MAPPING FOR CURRENT_USER SERVER store
                OPTIONS (access_key_id '$key', secret_access_key '$secret')});
        return document('s3://data/in/*.csv', $more);
    };
    $node->safe_psql('s3', 'CREATE EXTENSION dynpipe');
    DynpipeTest->apply($node, 's3', $document->('s3', '    watch: 1s'));
    my $name = sub { sprintf 'in/%04d.csv', $_[0] };
    my $version = storm('s3', {
        put    => sub { $s3->put('data', $name->($_[0]), $_[1]) },
        remove => sub { $s3->delete('data', $name->($_[0])) } }, 100, 8, 4, ('worker') x 4);
    check_end('s3', 'clean_s3', 's3', $document, $version);
    return;
}

check_folder();
SKIP: {
    my $s3 = DynpipeCloud->s3(auth => 1) or skip('no S3 server here', 9);
    check_s3($s3);
}
DynpipeTest->check_log($node);
$node->stop('immediate');
done_testing();
