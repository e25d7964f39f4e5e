package DynpipeProxy;

# DynpipeProxy - an HTTP server with faults: forwards to a port of loopback, and
# treats chosen requests badly.  It ends when its object goes.
#
# my $proxy = DynpipeProxy->start($port);
# $proxy->port; $proxy->address;
# $proxy->fault(match => qr{^GET /data/big}, cut => 100_000);
# $proxy->requests;                 heads of all requests so far, in order
# $proxy->bytes;                    bytes of answers passed on so far
#
# Each fault hits the first request that matches (any, without match) and is
# gone, unless times => n; faults are tried in the order they were given.
#   cut     => n    the connection is reset after n bytes of the answer's body
#   end     => n    the same, but closed as if that were all
#   stall   => n    nothing comes any more after n bytes of the answer's body
#   delay   => s    the answer begins s seconds later
#   status  => 503  an answer of its own; with headers => ["Retry-After: 1"]
#                   and body => "..."
#   rate    => n    at most n bytes a second
#
# One request a connection: the proxy asks the server to close after it.
use strict;
use warnings;
use Carp;
use Errno qw(EINTR);
use Fcntl qw(:flock);
use File::Temp ();
use IO::Select;
use IO::Socket::INET;
use JSON::PP ();
use POSIX    ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Time::HiRes qw(sleep);

my $json = JSON::PP->new->ascii->canonical;

sub start {
    my ($class, $port) = @_;
    my $self = bless { to => $port, dir => File::Temp::tempdir(), faults => 0,
        owner => $$ }, $class;
    my $listener = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1')
      or croak "proxy: $@";
    $self->{port} = $listener->sockport;
    $self->{pid} = fork // croak "fork: $!";
    if ($self->{pid} == 0) {
        setpgrp;
        eval { $self->_accept($listener) };
        POSIX::_exit(1);
    }
    return $self;
}

sub port    { return $_[0]{port} }
sub address { return "http://127.0.0.1:$_[0]{port}" }

sub fault {
    my ($self, %fault) = @_;
    my $match = delete $fault{match};
    $fault{match} = defined $match ? "$match" : '';
    for (1 .. delete $fault{times} || 1) {
        my $name = sprintf '%s/fault.%06d', $self->{dir}, $self->{faults}++;
        open my $out, '>', "$name.new" or croak "$name: $!";
        print $out $json->encode(\%fault);
        close $out;
        rename "$name.new", $name or croak "$name: $!";
    }
    return;
}

# How many faults have not met their request yet.
sub faults_left { return scalar grep { !/new$/ } glob "$_[0]{dir}/fault.*" }

sub requests {
    my ($self) = @_;
    return map { $json->decode($_)->{head} } $self->_lines('requests');
}

sub bytes {
    my ($self) = @_;
    my $sum = 0;
    $sum += $_ for $self->_lines('bytes');
    return $sum;
}

sub _lines {
    my ($self, $name) = @_;
    open my $in, '<', "$self->{dir}/$name" or return;
    chomp(my @lines = <$in>);
    return @lines;
}

sub _note {
    my ($self, $name, $line) = @_;
    open my $out, '>>', "$self->{dir}/$name" or return;
    flock $out, LOCK_EX;
    syswrite $out, "$line\n";
    close $out;
    return;
}

# A process for each connection, which all go with the proxy's process group.
sub _accept {
    my ($self, $listener) = @_;
    local $SIG{CHLD} = 'IGNORE';
    my $parent = getppid;
    while (getppid == $parent) {
        next unless IO::Select->new($listener)->can_read(1);
        my $client = $listener->accept or next;
        my $pid = fork // next;
        next if $pid;
        close $listener;
        eval { $self->_serve($client) };
        POSIX::_exit(0);
    }
    POSIX::_exit(0);
}

sub _serve {
    my ($self, $client) = @_;
    my $head = '';
    until ($head =~ /\r\n\r\n/) {
        my $got = sysread $client, $head, 65536, length $head;
        return if !$got;
    }
    $head =~ s/\r\n\r\n(.*)//s;
    my $body = $1;
    $self->_note('requests', $json->encode({ head => $head }));
    my $fault = $self->_take($head);
    sleep $fault->{delay} if $fault->{delay};
    return $self->_answer($client, $fault) if $fault->{status};

    my $server = IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $self->{to})
      or return;
    $head =~ s/\r\nConnection:[^\r]*//i;
    _send($server, "$head\r\nConnection: close\r\n\r\n$body");
    return $self->_forward($client, $server, $fault);
}

# Whoever unlinks a fault's file has it.
sub _take {
    my ($self, $head) = @_;
    for my $file (sort grep { !/new$/ } glob "$self->{dir}/fault.*") {
        open my $in, '<', $file or next;
        my $fault = $json->decode(do { local $/; <$in> });
        next unless $head =~ /(?:$fault->{match})/;
        return $fault if unlink $file;
    }
    return {};
}

sub _answer {
    my ($self, $client, $fault) = @_;
    my $body = $fault->{body} // '';
    _send($client, join "\r\n", "HTTP/1.1 $fault->{status} As told",
        @{ $fault->{headers} || [] }, 'Content-Length: ' . length $body, 'Connection: close',
        '', $body);
    shutdown $client, 1;
    1 while sysread $client, my $rest, 65536;
    return;
}

sub _forward {
    my ($self, $client, $server, $fault) = @_;
    my ($left) = grep { defined } @$fault{qw(cut end stall)};
    my $head = '';
    my $select = IO::Select->new($client, $server);
    while (my @ready = $select->can_read) {
        for my $from (@ready) {
            my $got = sysread $from, my $data, 65536;
            next if !defined $got && $! == EINTR;
            if ($from == $client) {
                if (!$got) { $select->remove($client); shutdown $server, 1; next }
                _send($server, $data);
                next;
            }
            return if !$got;
            my $begun = defined $head ? 0 : 1;
            if (!$begun) {
                $head .= $data;
                next unless $head =~ /\r\n\r\n/;
                ($data, $head) = ($head, undef);
                $left += index($data, "\r\n\r\n") + 4 if defined $left;
            }
            my $part = defined $left && length $data >= $left ? substr($data, 0, $left) : $data;
            _send($client, $part);
            $self->_note('bytes', length $part);
            sleep length($part) / $fault->{rate} if $fault->{rate};
            next unless defined $left;
            $left -= length $part;
            return $self->_break($client, $fault) if $left <= 0;
        }
    }
    return;
}

sub _break {
    my ($self, $client, $fault) = @_;
    if (defined $fault->{stall}) { sleep 600 }
    elsif (defined $fault->{cut}) {
        # Closed with a reset, behind what is already on its way.
        sleep 0.1;
        setsockopt $client, SOL_SOCKET, SO_LINGER, pack('ii', 1, 0);
    }
    close $client;
    return;
}

sub _send {
    my ($to, $data) = @_;
    local $SIG{PIPE} = 'IGNORE';
    for (my $at = 0; $at < length $data;) {
        my $put = syswrite $to, $data, length($data) - $at, $at;
        next if !defined $put && $! == EINTR;
        die "gone\n" unless defined $put;
        $at += $put;
    }
    return;
}

sub DESTROY {
    my ($self) = @_;
    return if $$ != $self->{owner};
    local ($?, $@, $!);
    kill 'KILL', -$self->{pid};
    waitpid $self->{pid}, 0;
    system('rm', '-rf', $self->{dir});
}

1;
