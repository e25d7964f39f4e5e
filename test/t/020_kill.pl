# Exactly once survives any death: while the shop sells, the worker, a backend
# and the postmaster are killed, and the server is stopped at once, at random
# moments.  All the time a rival, dynpipe.run, reads the same partitions: only
# the compare-and-swap on the position keeps the two from loading a record twice.
# Afterwards nothing is lost or twice.  DYNPIPE_KILLS: how often.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep);
use DynpipeTest;

my $kills = $ENV{DYNPIPE_KILLS} || 52;
my $seed = srand($ENV{DYNPIPE_SEED} || time);
note "DYNPIPE_SEED=$seed";

my $document = slurp_file("$ENV{DYNPIPE_SRC}/examples/sales.yaml");
my ($query) = $document =~ /query: >\s+(SELECT.*?region)\s*$/s;
my $consumed = q{SELECT coalesce(sum(consumed), 0) FROM dynpipe.checkpoint};

sub children {
    my ($parent) = @_;
    my @found;
    for my $stat (glob '/proc/[0-9]*/stat') {
        open my $in, '<', $stat or next;
        my ($pid, $ppid) = (<$in> // '') =~ /^(\d+) \(.*\) \S (\d+)/s;
        push @found, $pid if defined $ppid && $ppid == $parent;
    }
    return @found;
}

# Kill the postmaster; it can be started as soon as its orphans are gone, and
# none may outlive it by more than 5 seconds.
sub kill_postmaster {
    my ($node) = @_;
    my ($pid) = slurp_file($node->data_dir . '/postmaster.pid') =~ /^(\d+)/;
    my @orphans = children($pid);
    $node->kill9;
    for (1 .. 50) {
        @orphans = grep { kill 0, $_ } @orphans;
        last unless @orphans;
        sleep 0.1;
    }
    fail('no process outlives the postmaster') if @orphans;
    $node->start;
}

sub kill_process {
    my ($node, $where) = @_;
    my ($code, $pid) = DynpipeTest->try_psql($node, 'postgres',
        "SELECT pid FROM pg_stat_activity WHERE $where ORDER BY random() LIMIT 1");
    kill 'KILL', $pid if $pid;
}

my %deaths = (
    worker     => sub { kill_process($_[0], q{backend_type ~ 'dynpipe' AND backend_type ~ 'worker'}) },
    backend    => sub { kill_process($_[0], q{backend_type IN ('checkpointer', 'walwriter', 'background writer')}) },
    postmaster => \&kill_postmaster,
    immediate  => sub { $_[0]->stop('immediate'); $_[0]->start },
);
my @deck = (qw(worker worker worker backend postmaster immediate));

# In a process of its own: a second reader of the same pipeline, until killed.
sub start_rival {
    my ($node) = @_;
    my $pid = fork // die "fork: $!";
    return $pid if $pid;
    while (1) {
        DynpipeTest->try_psql($node, 'postgres', q{SELECT count(*) FROM dynpipe.run('sales')});
        sleep 0.2 + rand 0.3;
    }
}

# Each death comes while records flow: after it the pipeline must move again.
sub kill_many {
    my ($node, $times) = @_;
    my %done;
    for my $n (1 .. $times) {
        my $death = $deck[ rand @deck ];
        my (undef, $before) = DynpipeTest->try_psql($node, 'postgres', $consumed);
        $deaths{$death}->($node);
        $done{$death}++;
        my $moving = DynpipeTest->wait_until($node, 'postgres',
            "SELECT ($consumed) > " . ($before || 0), 't', 60);
        return fail("moves again after death $n ($death)") unless $moving;
        sleep rand 1;
    }
    return pass("moved again after each of $times deaths: "
          . join ', ', map { "$done{$_} $_" } sort keys %done);
}

sub check_kills {
    my ($broker, $times) = @_;
    my $kind = $broker->kind;
    my $node = DynpipeTest->start_node("kill_$kind",
        conf => "dynpipe.retry_initial = 100\ndynpipe.retry_max = 1000\n");

    $node->safe_psql('postgres', 'CREATE EXTENSION dynpipe');
    DynpipeTest->connect_broker($node, 'postgres', 'shop', $broker);
    DynpipeTest->apply($node, 'postgres', $document);
    my $shop = $broker->sell_in_background('sales', 3600, 300);
    my $rival = start_rival($node);
    kill_many($node, $times);
    kill 'KILL', $rival;
    waitpid $rival, 0;
    $shop->kill_kill;
    my $total = scalar split /\n/, $broker->dump('sales');
    ok(DynpipeTest->wait_consumed($node, 'postgres', 'sales', $total),
        "$kind: all $total records are consumed");
    DynpipeTest->check_exactly_once($node, 'postgres', pipeline => 'sales', broker => $broker,
        topic => 'sales', bronze => 'bronze.sales', gold => { 'gold.sales_by_day' => $query },
        name => "$kind: exactly once");
    DynpipeTest->check_log($node);
    $node->stop('immediate');
}

check_kills(DynpipeBroker->mock(topics => { sales => 4 }), int($kills / 2));
SKIP: {
    my $kafka = DynpipeBroker->kafka(topics => { sales => 4 });
    skip('no real Kafka here', 4) unless $kafka;
    check_kills($kafka, $kills - int($kills / 2));
}
done_testing();
