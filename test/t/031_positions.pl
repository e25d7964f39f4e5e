# Where reading begins and goes on: start policies, records that expired before
# they were read, a log that is not the one read before, new partitions, lag,
# and dynpipe.seek.
#
# The real Kafka has retention, deletes and partitions; what needs them is
# skipped in one line without it.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(time);
use DynpipeTest;

my $node = DynpipeTest->start_node('positions', conf => <<'CONF');
dynpipe.retry_initial = 100
dynpipe.retry_max = 500
CONF
$node->safe_psql('postgres', 'CREATE EXTENSION dynpipe');

sub one { return $node->safe_psql('postgres', $_[0]) }

# A pipeline over a topic, named after it unless told; extra: more of its keys.
sub apply {
    my ($server, $topic, %opt) = @_;
    my $name = $opt{name} || $topic;
    DynpipeTest->apply($node, 'postgres', qq{
pipelines:
  - name: $name
    source: kafka://$server/$topic
    format: json
    schema: [{name: id, type: bigint}]
    bronze: {table: bronze.$name}
    silver: {table: silver.$name}
@{[ map { "    $_\n" } @{ $opt{extra} || [] } ]}});
}

# Numbers to partitions 0 .. $opt{partitions}-1 by turns.
sub send_numbers {
    my ($broker, $topic, $from, $n, %opt) = @_;
    my $partitions = $opt{partitions} || 1;
    my $time = exists $opt{timestamp} ? "$opt{timestamp}\t" : '';
    $broker->produce($topic, ($time ne '' ? (timestamp => 'line') : ()), lines => [
        map { $time . ($_ % $partitions) . "\t\t{\"id\": $_}" } $from .. $from + $n - 1 ]);
}

sub status_is {
    my ($name, $columns, $expected, $what) = @_;
    return ok(DynpipeTest->wait_until($node, 'postgres',
        "SELECT $columns FROM dynpipe.status WHERE pipeline = '$name'", $expected), "$name: $what");
}

sub consumed {
    my ($name, $n, $what) = @_;
    return ok(DynpipeTest->wait_consumed($node, 'postgres', $name, $n), "$name: $what")
      || diag(one("SELECT state, last_error, last_error_detail FROM dynpipe.status
        WHERE pipeline = '$name'"));
}

sub ids_are {
    my ($name, $expected, $what) = @_;
    return is(one("SELECT min(id), max(id), count(*), count(DISTINCT id) FROM silver.$name"),
        $expected, "$name: $what");
}

sub check_start {
    my ($broker) = @_;
    my $server = $broker->kind;
    my $hour = 3_600_000;
    my $then = 1_700_000_000_000;

    send_numbers($broker, 'begin', 0, 100, partitions => 2, timestamp => $then);
    send_numbers($broker, 'begin', 100, 100, partitions => 2, timestamp => $then + $hour);
    my $at = one("SELECT to_char(to_timestamp(" . ($then + $hour) / 1000
          . ") AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')");

    my @names = map { "${server}_$_" } qw(earliest latest timestamp);
    apply($server, 'begin', name => $names[0], extra => ['start: earliest']);
    apply($server, 'begin', name => $names[1], extra => ['start: latest']);
    apply($server, 'begin', name => $names[2], extra => ["start: \"$at\""]);
    consumed($names[0], 200, 'earliest reads what is there');
    # Latest is where the log ended when the pipeline first looked.
    ok(DynpipeTest->wait_until($node, 'postgres', "SELECT count(*) FROM dynpipe.partitions
        WHERE pipeline = '$names[1]'", 2), "$names[1]: has positions");
    send_numbers($broker, 'begin', 200, 50, partitions => 2);
    consumed($names[0], 250, 'and what comes');
    consumed($names[1], 50, 'latest reads what comes');
    ids_are($names[1], '200|249|50|50', 'and nothing older');
  SKIP: {
        # The mock cluster answers offsets for times with the end of the log.
        skip('offsets by time: not in the mock broker', 2) if $server eq 'mock';
        consumed($names[2], 150, 'a timestamp reads from there on');
        ids_are($names[2], '100|249|150|150', 'and nothing older');
    }
    one("SELECT dynpipe.drop('$_')") for @names;
}

sub check_lag {
    my ($broker) = @_;
    my $server = $broker->kind;
    apply($server, 'lag', name => "${server}_lag");
    send_numbers($broker, 'lag', 0, 100, partitions => 2);
    consumed("${server}_lag", 100, 'reads');
    status_is("${server}_lag", 'state, lag, lag_time, partitions', 'caught up|0|00:00:00|2',
        'is caught up');
    is(one("SELECT string_agg(format('%s:%s-%s+%s', partition, first_offset, next_offset, lag), ' '
        ORDER BY partition) FROM dynpipe.partitions WHERE pipeline = '${server}_lag'"),
        '0:0-50+0 1:0-50+0', "${server}_lag: partitions say so");
    # Somebody has the pipeline's lock, so that the worker sees what it may not load.
    my $session = DynpipeTest->open_session($node, 'postgres');
    $session->("BEGIN");
    $session->("SELECT dynpipe.stop('${server}_lag')");
    send_numbers($broker, 'lag', 100, 40, partitions => 2);
    status_is("${server}_lag", "lag, lag_time > '0'", '40|t', 'falls behind');
    ok(DynpipeTest->wait_until($node, 'postgres', "SELECT string_agg(lag::text, ' ')
        FROM dynpipe.partitions WHERE pipeline = '${server}_lag'", '20 20'),
        "${server}_lag: in both partitions");
    $session->('ROLLBACK');
    $session->();
    status_is("${server}_lag", 'state, lag, records', 'caught up|0|140', 'catches up');
    one("SELECT dynpipe.drop('${server}_lag', true)");
}

# A worker that has nothing to read must see that its position was moved.
sub check_seek {
    my ($broker) = @_;
    my $server = $broker->kind;
    my $name = "${server}_seek";
    apply($server, 'seek', name => $name);
    send_numbers($broker, 'seek', 0, 20);
    consumed($name, 20, 'reads');
    status_is($name, 'state', 'caught up', 'has nothing to read');
    one("SELECT dynpipe.seek('$name', 0, 15)");
    consumed($name, 25, 'reads again from where it was set');
    is(one("SELECT count(*), count(DISTINCT id) FROM silver.$name"), '25|20',
        "$name: what is read twice is loaded twice");
    one("SELECT dynpipe.seek('$name', 0, 20)");
    my ($code, $out, $err) = $node->psql('postgres', "SELECT dynpipe.seek('$name', 7, 0)");
    like($err, qr/has no partition 7/, "$name: only partitions that there are");
    is(one("SELECT count(*) FROM dynpipe.event_log WHERE pipeline = '$name' AND kind = 'seek'"), 2,
        "$name: each is in the event log");
    one("SELECT dynpipe.drop('$name', true)");
}

# Retention overtakes a stopped pipeline.
sub check_gap {
    my ($kafka) = @_;
    apply('kafka', 'gap');
    send_numbers($kafka, 'gap', 0, 100);
    consumed('gap', 100, 'reads');
    one("SELECT dynpipe.stop('gap')");
    send_numbers($kafka, 'gap', 100, 50);
    $kafka->topic('delete-records', 'gap', 0, 130);
    one("SELECT dynpipe.start('gap')");
    status_is('gap', 'state, last_error_sqlstate, reason, last_error_detail',
        'failed|55000|pipeline "gap" lost 30 records of partition 0 to retention|The next record '
          . 'to read is offset 100; the oldest that "kafka://kafka/gap" still has is 130.',
        'stops and says what is lost');
    # Between two tries its state is another one for a moment.
    status_is('gap', q{advice ~ '"on_gap": "skip"'}, 't', 'and what to do');
    is(one("SELECT next_offset, (SELECT count(*) FROM silver.gap)
        FROM dynpipe.partitions WHERE pipeline = 'gap'"), '100|100', 'gap: nothing moved meanwhile');
    is(one('SELECT count(*) FROM dynpipe.gaps'), 0, 'gap: no gap is recorded');

    apply('kafka', 'gap', extra => ['on_gap: skip']);
    consumed('gap', 120, 'skips and goes on');
    is(one('SELECT pipeline, partition, from_offset, to_offset, count FROM dynpipe.gaps'),
        'gap|0|100|130|30', 'gap: the range is recorded');
    is(one("SELECT severity, message FROM dynpipe.event_log WHERE kind = 'gap'"),
        'warning|partition 0: 30 records from offset 100 on had expired and were skipped',
        'gap: and in the event log');
    is(one('SELECT count(*), max(id) FROM silver.gap'), '120|149', 'gap: what is left is loaded');
    is(one("SELECT * FROM dynpipe.verify('gap') WHERE NOT ok"), '', 'gap: verified');
    send_numbers($kafka, 'gap', 150, 10);
    consumed('gap', 130, 'goes on');
    is(one('SELECT count(*) FROM dynpipe.gaps'), 1, 'gap: recorded once');
}

# A topic of the same name is another log.
sub check_recreated {
    my ($kafka) = @_;
    apply('kafka', 'again');
    send_numbers($kafka, 'again', 0, 100);
    consumed('again', 100, 'reads');
    one("SELECT dynpipe.stop('again')");
    $kafka->topic('delete', 'again');
    ok(recreate($kafka, 'again', 1), 'again: the topic is made anew');
    send_numbers($kafka, 'again', 1000, 10);
    one("SELECT dynpipe.start('again')");
    status_is('again', 'state, last_error_sqlstate, reason, last_error_detail',
        'failed|55000|position of partition 0 of pipeline "again" is beyond the end of the log|'
          . 'The next record to read is offset 100, but "kafka://kafka/again" ends at 10: it was '
          . 'recreated, truncated or failed over.', 'stops and explains');
    status_is('again', q{advice ~ 'dynpipe\.seek\(''again'', 0, offset\)'}, 't', 'and says what to do');
    is(one('SELECT count(*) FROM silver.again'), 100, 'again: nothing of the new log was read');
    is(one("SELECT next_offset FROM dynpipe.partitions WHERE pipeline = 'again'"), 100,
        'again: the position stays');
    one("SELECT dynpipe.seek('again', 0, 0)");
    consumed('again', 110, 'goes on after dynpipe.seek');
    is(one('SELECT count(*), max(id) FROM silver.again'), '110|1009', 'again: in the new log');
}

# Deleting takes the broker a moment; so does accepting the name again.
sub recreate {
    my ($kafka, $topic, $partitions) = @_;
    my $end = time + 30;
    while (time < $end) {
        return 1 if eval { $kafka->topic('create', $topic, $partitions); 1 };
    }
    return 0;
}

# Recreated while it is read: the worker finds out by itself.
sub check_recreated_live {
    my ($kafka) = @_;
    apply('kafka', 'live');
    send_numbers($kafka, 'live', 0, 100);
    consumed('live', 100, 'reads');
    $kafka->topic('delete', 'live');
    ok(recreate($kafka, 'live', 1), 'live: the topic is made anew while it is read');
    send_numbers($kafka, 'live', 1000, 10);
    status_is('live', "state, reason LIKE 'position of partition 0 % is beyond the end%'",
        'failed|t', 'stops by itself');
    is(one('SELECT count(*) FROM silver.live'), 100, 'live: nothing of the new log was read');
}

sub check_new_partitions {
    my ($kafka) = @_;
    apply('kafka', 'grow', extra => ['start: latest']);
    ok(DynpipeTest->wait_until($node, 'postgres',
        "SELECT count(*) FROM dynpipe.partitions WHERE pipeline = 'grow'", 1), 'grow: has positions');
    send_numbers($kafka, 'grow', 0, 10);
    consumed('grow', 10, 'reads');
    my ($worker) = DynpipeTest->pids($node, 'worker');
    $kafka->topic('grow', 'grow', 3);
    send_numbers($kafka, 'grow', 10, 90, partitions => 3);
    consumed('grow', 100, 'finds new partitions and reads them from their beginning');
    is(one("SELECT string_agg(format('%s:%s-%s', partition, first_offset, next_offset), ' '
        ORDER BY partition) FROM dynpipe.partitions WHERE pipeline = 'grow'"),
        '0:0-40 1:0-30 2:0-30', 'grow: all partitions are there');
    is((DynpipeTest->pids($node, 'worker'))[0], $worker, 'grow: without a restart');
}

my %topics = (begin => 2, lag => 2, seek => 1);
my $mock = DynpipeBroker->mock(topics => \%topics);
DynpipeTest->connect_broker($node, 'postgres', 'mock', $mock);
check_start($mock);
check_lag($mock);
check_seek($mock);

SKIP: {
    my $kafka = DynpipeBroker->kafka(topics => { %topics, gap => 1, again => 1, live => 1, grow => 1 });
    skip('no real Kafka here', 1) unless $kafka;
    DynpipeTest->connect_broker($node, 'postgres', 'kafka', $kafka);
    check_start($kafka);
    check_lag($kafka);
    check_seek($kafka);
    check_gap($kafka);
    check_recreated($kafka);
    check_recreated_live($kafka);
    check_new_partitions($kafka);
}
DynpipeTest->check_log($node);
$node->stop;
done_testing();
