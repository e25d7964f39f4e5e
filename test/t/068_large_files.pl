# Files larger than the memory that may be used for them: a CSV file of 2 GB, a
# JSON array of 2 GB, records of 1 GB, gzip bombs of 2 GB at 1000 : 1.  What can
# be loaded is, the rest is quarantined with a reason; the process stays below
# 256 MB, and cancel and terminate are obeyed within a second at any moment.
#
# The sizes above with DYNPIPE_LARGE=1, which takes minutes and 4 GB in the
# folder of the test; a tenth of them otherwise.
use strict;
use warnings;
use IO::Compress::Gzip qw(gzip);
use IPC::Run;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use DynpipeTest;

my $MB    = 1024 * 1024;
my $large = $ENV{DYNPIPE_LARGE} ? 10 : 1;
my $limit = 256;    # MB, of the process at its peak: its share of shared_buffers included
my $seed  = srand($ENV{DYNPIPE_SEED} || time);
note "DYNPIPE_SEED=$seed";

my $dir  = PostgreSQL::Test::Utils::tempdir();
my $node = DynpipeTest->start_node('large_files', conf => <<'CONF');
shared_buffers = 16MB
autovacuum = off
max_wal_size = 4GB
CONF
$node->safe_psql('postgres', 'CREATE EXTENSION dynpipe');

# A file that is written in pieces; what is skipped in it takes no space.
sub write_file {
    my ($name, $fill) = @_;
    open my $out, '>:raw', "$dir/$name" or die "$name: $!";
    $fill->($out);
    close $out or die "$name: $!";
    return;
}

# About 1 MB of rows of 1 kB, again and again; how many rows that is.
sub rows {
    my ($out, $times, $between, $row) = @_;
    my $block = join $between, map { $row->($_, 'x' x 1000) } 1 .. 1000;
    print $out ($_ > 1 ? $between : ''), $block for 1 .. $times;
    return;
}

sub csv_row  { return qq($_[0],"$_[1]") }
sub json_row { return qq({"id": $_[0], "pad": "$_[1]"}) }

sub write_hole {
    my ($out, $before, $bytes, $after) = @_;
    print $out $before;
    seek $out, $bytes, 1;
    print $out $after;
    return;
}

# Members of a gzip file follow one another: $times the bytes of $text.
sub write_bomb {
    my ($out, $before, $text, $times) = @_;
    gzip(\$before => \my $head) or die 'gzip';
    gzip(\$text => \my $member, -Level => 9) or die 'gzip';
    print $out $head;
    print $out $member for 1 .. $times;
    return length($text) / length $member;
}

# The last statements of a session that runs the pipeline: what became of the
# file, and the peak of the process in MB.
sub run_statements {
    my ($name) = @_;
    return ('-c', qq{SELECT state, consumed, loaded, quarantined, coalesce(message, '')
            FROM dynpipe.run('$name')},
        '-c', q{SELECT substring(pg_read_file('/proc/self/status') FROM 'VmHWM:\s*(\d+)')::int / 1024});
}

# Start a load, end it by $how at a random moment: how long that took, undef
# when the load was over before; and how long it all took.
sub interrupt {
    my ($name, $how, $longest) = @_;
    my $psql = IPC::Run::start([ 'psql', '-XAtq', '-v', 'ON_ERROR_STOP=1', '-d',
        $node->connstr('postgres'), run_statements($name) ], '<', \undef, '>', \my $out, '2>', \my $err);
    my $pid;
    my $start = time;
    my $end = $start + 30;
    $pid = $node->safe_psql('postgres', q{SELECT pid FROM pg_stat_activity
        WHERE query LIKE '%dynpipe.run(%' AND state = 'active' AND pid <> pg_backend_pid()})
      until $pid || !eval { $psql->pump_nb; $psql->pumpable } || time > $end;
    sleep rand $longest;
    my $begin = time;
    $node->safe_psql('postgres', "SELECT $how(pid) FROM pg_stat_activity WHERE pid = $pid") if $pid;
    $psql->finish;
    my $seconds = time - $begin;
    # Not when it was the statement behind the load that was hit.
    my $obeyed = $out eq '' && $err =~ /canceling statement|terminating connection/;
    return ($obeyed ? $seconds : undef, time - $start);
}

# A pipeline over $file that keeps one column, interrupted and then run.
sub check {
    my ($name, $file, $format, $expected) = @_;
    DynpipeTest->apply($node, 'postgres', qq{
        pipelines:
          - name: $name
            source: file://$dir/$file
            format: $format
            schema: [{name: id, type: bigint}]
            bronze: false
            silver: {table: silver.$name}});
    my @took;
    my $longest = 2 * $large;
    for my $how (qw(pg_cancel_backend pg_terminate_backend) x 2) {
        my ($took, $whole);
        for (1 .. 6) {
            ($took, $whole) = interrupt($name, $how, $longest);
            last if defined $took;
            $longest /= 2;
            $node->safe_psql('postgres', "SELECT dynpipe.reload('$name', file)
                FROM dynpipe.file WHERE pipeline = '$name'");
        }
        # what is over within a second anyway need not be interrupted
        push @took, $took // $whole;
    }
    my ($slowest) = sort { $b <=> $a } @took;
    cmp_ok($slowest, '<', 1, "$name: cancel and terminate are obeyed within a second");
    is($node->safe_psql('postgres', "SELECT count(*) FROM silver.$name"), 0, "$name: and leave nothing");

    my $begin = time;
    my ($out, $err) = run_command([ 'psql', '-XAtq', '-d', $node->connstr('postgres'),
        run_statements($name) ]);
    my ($result, $peak) = split /\n/, $out;
    like($result, $expected, "$name: is loaded or quarantined");
    cmp_ok($peak, '<=', $limit, "$name: in at most $limit MB");
    note sprintf '%s: peak %s MB, %.1f s, interrupted within %s s', $name, $peak, time - $begin,
        join ', ', map { sprintf '%.2f', $_ } @took;
    return;
}

my $count = 200_000 * $large;
write_file('rows.csv', sub { print { $_[0] } "id,pad\n"; rows($_[0], 200 * $large, "\n", \&csv_row) });
check('rows', 'rows.csv', 'csv', qr/^loaded\|$count\|$count\|0\|$/);
unlink "$dir/rows.csv";

write_file('array.json', sub {
    my ($out) = @_;
    print $out '[';
    rows($out, 200 * $large, ', ', \&json_row);
    print $out ']';
});
check('elements', 'array.json', 'json', qr/^loaded\|$count\|$count\|0\|$/);
unlink "$dir/array.json";

write_file('line.csv', sub { write_hole($_[0], "id\n1\n", 100 * $MB * $large, "\n2\n") });
check('csv_line', 'line.csv', 'csv', qr/^loaded\|3\|2\|1\|$/);

write_file('line.json', sub {
    write_hole($_[0], qq({"id": 1}\n"), 100 * $MB * $large, qq("\n{"id": 2}\n)) });
check('json_line', 'line.json', 'json', qr/^loaded\|3\|2\|1\|$/);

my $ratio;
write_file('line.csv.gz', sub { $ratio = write_bomb($_[0], "id\n1\n", 'x' x (10 * $MB), 20 * $large) });
cmp_ok($ratio, '>', 1000, 'the bomb is one');
check('bomb_line', 'line.csv.gz', 'csv', qr/^loaded\|2\|1\|1\|$/);

my $lines = 100_000 * 20 * $large;
my $text = "7,@{[ 'x' x 101 ]}\n" x 100_000;
write_file('rows.csv.gz', sub { write_bomb($_[0], "id,pad\n", $text, 20 * $large) });
check('bomb_rows', 'rows.csv.gz', 'csv', qr/^loaded\|$lines\|$lines\|0\|$/);

is($node->safe_psql('postgres', q{SELECT pipeline, count(*) FILTER (WHERE message <> '')
    FROM dynpipe.quarantine GROUP BY 1 ORDER BY 1}), "bomb_line|1\ncsv_line|1\njson_line|1",
    'what is quarantined says why');
note $node->safe_psql('postgres', 'SELECT pipeline, line, message FROM dynpipe.quarantine');
is($node->safe_psql('postgres', q{SELECT count(*) FROM dynpipe.status AS s,
    dynpipe.verify(s.pipeline) AS v WHERE NOT v.ok}), 0, 'every invariant holds');
DynpipeTest->check_log($node);
$node->stop('immediate');
done_testing();
