# S3 by a server that is not ours and checks every signature: listings of many
# pages, odd keys, sessions, refusals with their SQLSTATE and hint, reading
# through lost connections and busy answers, objects that change meanwhile, and
# uploads that are seen whole or not at all.
use strict;
use warnings;
use utf8;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use DynpipeCloud;
use DynpipeProxy;
use DynpipeTest;

my $s3 = DynpipeCloud->s3(auth => 1);
plan skip_all => 'no S3 server here' unless $s3;
my $proxy = DynpipeProxy->start($s3->port);
my $node  = DynpipeTest->start_node('s3', conf => "dynpipe.allowed_hosts = '127.0.0.1'\n");

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub connect_as {
    my ($key, $secret, $token) = @_;
    sql(q{DROP USER MAPPING IF EXISTS FOR CURRENT_USER SERVER store});
    my $more = defined $token ? ", session_token '$token'" : '';
    return sql(qq{SET log_statement = 'none'; CREATE USER MAPPING FOR CURRENT_USER SERVER store
        OPTIONS (access_key_id '$key', secret_access_key '$secret'$more)});
}

# SQLSTATE, and all that was said.
sub fails {
    my ($query) = @_;
    my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$query");
    return $err =~ /ERROR:  (\w{5}):/ ? ($1, $err) : ('', $out);
}

sub refused {
    my ($query, $state, $like, $name) = @_;
    my ($found, $text) = fails($query);
    is($found, $state, "$name: $state");
    like($text, $like, "$name: says what to do");
    unlike($text, qr/canary/, "$name: tells no secret");
    return;
}

sub apply {
    my ($name, $source, %more) = @_;
    my $more = join '', map { ", $_: $more{$_}" } sort keys %more;
    sql(qq{SELECT dynpipe.apply('pipelines: [{name: $name, source: "$source", format: csv,
        schema: [{name: id, type: bigint}, {name: t, type: text}], bronze: false$more}]')});
    return;
}

sub rows {
    my ($from, $n, $text) = @_;
    return "id,t\n" . join '', map { "$_,$text\n" } $from .. $from + $n - 1;
}

# The file's fate: state, rows in silver, sum of their ids.
sub outcome {
    my ($name) = @_;
    return sql(qq{SELECT (SELECT string_agg(state || coalesce(' ' || sqlstate, ''), ', ')
            FROM dynpipe.file WHERE pipeline = '$name' AND current)
        || ': ' || (SELECT count(*) || ' ' || coalesce(sum(id), 0) FROM silver.$name)});
}

# Until all faults have met their request.
sub wait_for_fault {
    my $end = time + 60;
    sleep 0.05 while $proxy->faults_left > 0 && time < $end;
    return ok($proxy->faults_left == 0, 'the fault is met');
}

sub run { return sql("SELECT count(*) FROM dynpipe.run('$_[0]')") }

sub check_listing {
    my $dir = PostgreSQL::Test::Utils::tempdir();
    mkdir "$dir/$_" for qw(many);
    for my $n (1 .. 2500) {
        open my $out, '>', sprintf("$dir/many/%04d.csv", $n) or die $!;
        print $out "id\n$n\n";
    }
    $s3->put_tree('data', 'many/', "$dir/many");
    is(sql(q{SELECT count(*), count(DISTINCT file), min(file), max(file), sum(size) > 0
        FROM dynpipe.list_files('s3://data/many/*.csv')}),
        '2500|2500|s3://data/many/0001.csv|s3://data/many/2500.csv|t', '2,500 keys, 3 pages');
    cmp_ok(scalar(grep { /continuation-token/ } $proxy->requests), '==', 2, 'by their tokens');

    my @odd = ('a b.csv', 'p+q.csv', 'ünï.csv', '100%.csv', 'x%20y.csv', q{q'&<>"=~().csv},
        '日本.csv', 'semi;colon.csv', 'at@colon:.csv', 'd..ots.csv', '$dollar!,.csv');
    $s3->put('data', "odd/$_", "id,t\n1,x\n") for @odd;
    is(sql(q{SELECT string_agg(substr(file, 15), '|' ORDER BY file COLLATE "C")
        FROM dynpipe.list_files('s3://data/odd/*')}),
        join('|', sort { my ($x, $y) = ($a, $b); utf8::encode($x); utf8::encode($y); $x cmp $y }
            map { my $key = $_; utf8::encode($key); $key } @odd), 'odd keys are listed as they are');
    apply('odd', 's3://data/odd/*');
    run('odd');
    is(sql(q{SELECT count(*) FROM dynpipe.file WHERE pipeline = 'odd' AND state = 'loaded'}),
        scalar @odd, 'and read');
    is(sql(q{SELECT a.version = b.version AND a.size = b.size FROM
        dynpipe.list_files('s3://data/odd/a b.csv') a, dynpipe.list_files('s3://data/odd/a b*') b}),
        't', 'one version by HEAD and by listing');
    return;
}

sub check_refusals {
    my $list = q{SELECT * FROM dynpipe.list_files('s3://data/odd/*')};
    my $head = q{SELECT * FROM dynpipe.list_files('s3://data/odd/a b.csv')};
    connect_as($s3->key, 'canary-wrong');
    refused($_, '28000', qr/HINT:  Check secret_access_key/, 'wrong secret') for $list, $head;
    connect_as('AKIANOBODY', 'canary');
    refused($list, '28000', qr/HINT:  Check access_key_id/, 'unknown key');
    connect_as($s3->user('reader', ['s3:ListBucket'], ['*']));
    is(sql("SELECT count(*) > 0 FROM ($list) x"), 't', 'a key that may list');
    refused($head, '28000', qr/AccessDenied/, 'and not read');
    my ($key, $secret, $token) = $s3->session('role', ['s3:*'], ['*']);
    connect_as($key, $secret, $token);
    is(sql("SELECT count(*) > 0 FROM ($list) x"), 't', 'a session');
    connect_as($key, $secret, 'canary-token');
    refused($list, '28000', qr/HINT/, 'a session with another token');
    connect_as($s3->key, $s3->secret);
    refused(q{SELECT * FROM dynpipe.list_files('s3://nobucket/*')}, '58P01',
        qr/HINT:  Check the name of the bucket/, 'no such bucket');
    is(sql(q{SELECT count(*) FROM dynpipe.list_files('s3://data/none')}), 0, 'no such key');
    $proxy->fault(match => qr{list-type}, status => 301, headers => ['x-amz-bucket-region: eu-north-1'],
        body => '<Error><Code>PermanentRedirect</Code><Message>elsewhere</Message></Error>');
    refused($list, 'HV000', qr/HINT:  The bucket is in region "eu-north-1"/, 'another region');
    $proxy->fault(match => qr{list-type}, status => 403, body => '<Error><Code>Odd</Code>'
          . '<Message>you sent Authorization: AWS4 Signature=canary-echo</Message></Error>');
    refused($list, '28000', qr/status 403, Odd\.\s(?!.*canary)/s, 'what a service repeats is not shown');
    return;
}

sub check_faults {
    my $big = rows(1, 200_000, 'x' x 20);
    my $sum = '200000 20000100000';
    $s3->put('data', 'big/one.csv', $big);
    apply('reset', 's3://data/big/one.csv');
    my $seen = () = $proxy->requests;
    $proxy->fault(match => qr{^GET /data/big}, cut => 1_000_000);
    $proxy->fault(match => qr{^GET /data/big}, end => 700_000);
    run('reset');
    is(outcome('reset'), "loaded: $sum", 'two lost connections: every row once');
    my @heads = grep { /^GET \/data\/big/ } ($proxy->requests)[$seen .. $proxy->requests - 1];
    is(scalar @heads, 3, 'in three requests');
    like($_, qr/^Range: bytes=[1-9]\d*-\r?$/mi, 'resumed where it broke') for @heads[1, 2];
    like($heads[1], qr/^If-Match: "/mi, 'by version');

    apply('busy', 's3://data/big/one.csv');
    $proxy->fault(match => qr{^GET /data/big}, status => 503, times => 2,
        body => '<Error><Code>SlowDown</Code></Error>');
    run('busy');
    is(outcome('busy'), "loaded: $sum", 'SlowDown is tried again');

    apply('dead', 's3://data/big/one.csv');
    $proxy->fault(match => qr{^GET /data/big}, status => 503, times => 5,
        body => '<Error><Code>SlowDown</Code><Message>canary-free</Message></Error>');
    my $begin = time;
    run('dead');
    is(outcome('dead'), 'failed 08006: 0 0', 'but not for ever');
    cmp_ok(time - $begin, '<', 60, 'and not for long');
    return;
}

sub check_changes {
    $s3->put('data', 'change/one.csv', rows(1, 100_000, 'old'));
    apply('change', 's3://data/change/one.csv');
    $proxy->fault(match => qr{^GET /data/change}, cut => 500_000);
    $proxy->fault(match => qr{^GET /data/change}, status => 503, headers => ['Retry-After: 5']);
    my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
        q{SELECT count(*) FROM dynpipe.run('change')} ], '>', \my $out, '2>', \my $err);
    wait_for_fault();
    $s3->put('data', 'change/one.csv', rows(1, 100_000, 'new'));
    $run->finish;
    is(outcome('change'), 'failed 55006: 0 0', 'changed while it was read: nothing of it is loaded');
    return;
}

sub check_cancel {
    apply('cancel', 's3://data/big/one.csv');
    $proxy->fault(match => qr{^GET /data/big}, stall => 100_000);
    my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
        q{SELECT count(*) FROM dynpipe.run('cancel')} ], '>', \my $out, '2>', \my $err);
    wait_for_fault();
    my $begin = time;
    sql(q{SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query ~ 'run.''cancel'
        AND pid <> pg_backend_pid()});
    $run->finish;
    like($err, qr/canceling statement/, 'a stalled read is cancelled');
    cmp_ok(time - $begin, '<', 2, 'at once');
    return;
}

# The destination's object is more than one part.
sub check_uploads {
    $s3->put('data', 'up/one.csv', rows(1, 300_000, 'y' x 40));
    apply('up', 's3://data/up/one.csv', destination => '"s3://data/out/all.csv"');
    $proxy->fault(match => qr{^POST /data/out.*uploadId=}, delay => 3);
    my $run = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
        q{SELECT count(*) FROM dynpipe.run('up')}, '-c', q{SELECT * FROM dynpipe.publish('up')} ],
        '>', \my $out, '2>', \my $err);
    wait_for_fault();
    is_deeply([ $s3->list('data', 'out/') ], [], 'while its parts are sent the object is not there');
    is(scalar(() = $s3->uploads('data')), 1, 'an upload is under way');
    $run->finish;
    # Who publishes may be a worker, while the session found nothing left to do.
    my $limit = time + 60;
    my @keys;
    sleep 0.1 until (@keys = $s3->list('data', 'out/')) || time > $limit;
    is(scalar @keys, 1, 'then it is') or diag("$out$err");
    is(scalar(() = $s3->uploads('data')), 0, 'and the upload is over');
    my $lines = () = $s3->get('data', $keys[0]) =~ /\n/g;
    is($lines, 300_001, 'whole');

    apply('bad', 's3://data/up/one.csv', destination => '"s3://data/bad/all.csv"');
    $proxy->fault(match => qr{^PUT /data/bad.*partNumber=2}, status => 403,
        body => '<Error><Code>AccessDenied</Code></Error>', times => 50);
    $node->psql('postgres', $_)
      for q{SELECT count(*) FROM dynpipe.run('bad')}, q{SELECT * FROM dynpipe.publish('bad')};
    is_deeply([ $s3->list('data', 'bad/') ], [], 'an upload that fails leaves no object');
    # A worker may be at its next try just now.
    my $end = time + 60;
    sleep 0.2 while (() = $s3->uploads('data')) > 0 && time < $end;
    is(scalar(() = $s3->uploads('data')), 0, 'and no parts');
    return;
}

$s3->bucket('data');
my $address = $proxy->address;
sql(qq{CREATE EXTENSION dynpipe;
    CREATE SERVER store TYPE 's3' FOREIGN DATA WRAPPER dynpipe OPTIONS (endpoint '$address')});
connect_as($s3->key, $s3->secret);
check_listing();
check_refusals();
check_faults();
check_changes();
check_cancel();
check_uploads();
DynpipeTest->check_log($node);
my $secret = $s3->secret;
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/\Q$secret/, 'no secret in the log');
$node->stop;
done_testing();
