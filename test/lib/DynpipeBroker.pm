package DynpipeBroker;

# DynpipeBroker - something to read from: librdkafka's mock cluster, or a real
# Apache Kafka.  Either is stopped when the object goes.
#
# my $broker = DynpipeBroker->mock(topics => { sales => 4 });
# my $broker = DynpipeBroker->kafka(topics => { sales => 4 }) or skip(...);
# $broker->bootstrap;                          what a consumer connects to
# $broker->produce('sales', lines => [ "0\tkey\tvalue", ... ]);
# $broker->produce('sales', count => 1000, partitions => 4, rate => 500);
# $broker->sell('sales', 5, 1000);             5 seconds of the demo's shop
# $broker->dump('sales');                      what is in the log, for COPY
# $broker->ctl('down 1');                      mock only: its faults
# $broker->topic('delete-records', 'sales', 0, 100);    kafka only
# $broker->kill; $broker->restart;             kafka only
use strict;
use warnings;
use Carp;
use File::Temp ();
use IPC::Run   ();

my $tools = $ENV{DYNPIPE_TOOLS} || 'build/tools';
my $src   = $ENV{DYNPIPE_SRC}   || '.';

# Run a program to its end; its output, or die with what it said.
sub run_tool {
    my ($command, $in) = @_;
    my ($out, $err) = ('', '');
    IPC::Run::run($command, '<', \($in // ''), '>', \$out, '2>', \$err)
      or croak "@$command failed: $err";
    return $out;
}

sub mock {
    my ($class, %opt) = @_;
    my $self = bless { kind => 'mock', dir => File::Temp::tempdir() }, $class;
    my $topics = $opt{topics} || {};
    run_tool([ "$tools/mock_broker", '--dir', $self->{dir}, '--brokers', $opt{brokers} || 1,
        (map { ('--topic', "$_:$topics->{$_}") } sort keys %$topics), '--daemon' ]);
    open my $in, '<', "$self->{dir}/mock.bootstrap" or croak "mock broker: $!";
    chomp($self->{bootstrap} = <$in>);
    return $self;
}

# A real broker; undef when none can be had here.
sub kafka {
    my ($class, %opt) = @_;
    return undef unless $ENV{DYNPIPE_KAFKA_JARS};
    my $self = bless { kind => 'kafka', dir => File::Temp::tempdir() }, $class;
    $self->restart(@{ $opt{properties} || [] });
    my $topics = $opt{topics} || {};
    $self->topic('create', $_, $topics->{$_}) for sort keys %$topics;
    return $self;
}

sub bootstrap { return $_[0]{bootstrap} }
sub kind      { return $_[0]{kind} }

sub topic {
    my ($self, $command, @args) = @_;
    return run_tool([ "$tools/topic", $self->{bootstrap}, $command, @args ]);
}

sub ctl {
    my ($self, @words) = @_;
    return run_tool([ "$tools/mock_broker", '--dir', $self->{dir}, 'ctl', map { split } @words ]);
}

# Start the real broker (again): same folder, same port, same data.
sub restart {
    my ($self, @properties) = @_;
    my $log = "$self->{dir}/start.log";
    # Not by a pipe: the broker would inherit it and keep the reader waiting.
    system('sh', '-c', 'exec "$0" "$@" >' . "$log 2>&1",
        "$src/test/kafka/start", "$self->{dir}/kafka", @properties) == 0
      or croak 'Kafka did not start: ' . `cat $log`;
    chomp($self->{bootstrap} = `cat $self->{dir}/kafka/address`);
    return $self->{bootstrap};
}

sub kill { return $_[0]->_stop('KILL') }

sub _stop {
    my ($self, $signal) = @_;
    return system("$src/test/kafka/stop", "$self->{dir}/kafka", $signal) == 0;
}

sub _produce_command {
    my ($self, $topic, %opt) = @_;
    return [ "$tools/produce", '--bootstrap', $self->{bootstrap}, '--topic', $topic,
        map { exists $opt{$_} ? ("--$_", $opt{$_}) : () }
          qw(count size rate partitions acks timestamp) ];
}

# Returns when the broker has confirmed all of it.
sub produce {
    my ($self, $topic, %opt) = @_;
    my $in = join '', map { "$_\n" } @{ $opt{lines} || [] };
    run_tool($self->_produce_command($topic, %opt), $in);
    return;
}

# The same behind the caller's back; ->finish the handle it returns.
sub produce_in_background {
    my ($self, $topic, %opt) = @_;
    my $in = join '', map { "$_\n" } @{ $opt{lines} || [] };
    return IPC::Run::start($self->_produce_command($topic, %opt), '<', \$in);
}

# The demo's shop (test/tools/salesgen.c): what it sent and what must come of
# it, by name.
sub sell {
    my ($self, $topic, $seconds, $rate) = @_;
    my $summary = "$self->{dir}/summary";
    run_tool([ "$tools/salesgen", $self->{bootstrap}, $topic, $summary, $seconds, $rate ]);
    open my $in, '<', $summary or croak "$summary: $!";
    return { map { split } <$in> };
}

sub sell_in_background {
    my ($self, $topic, $seconds, $rate) = @_;
    return IPC::Run::start([ "$tools/salesgen", $self->{bootstrap}, $topic, '/dev/null',
        $seconds, $rate ]);
}

sub dump {
    my ($self, $topic) = @_;
    return run_tool([ "$tools/dump", $self->{bootstrap}, $topic ]);
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@);
    if    ($self->{kind} eq 'kafka') { $self->_stop('KILL') }
    elsif (-e "$self->{dir}/mock.pid") { eval { $self->ctl('quit') } }
    system('rm', '-rf', $self->{dir});
}

1;
