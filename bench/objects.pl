#!/usr/bin/perl
# objects.pl - many tiny CSV files, numbered from FROM on, 1,000 to a folder:
#
#   objects.pl FROM COUNT http://127.0.0.1:PORT/buckets/data/many
#   objects.pl FROM COUNT /folder
#
# The first is SeaweedFS' filer, which takes files faster than its S3 door.
use strict;
use warnings;
use File::Path qw(make_path);
use IO::Socket::INET;

my ($from, $count, $where) = @ARGV;
my $writers = 4;

sub name { return sprintf 'd%03d/f%06d.csv', $_[0] / 1000, $_[0] }
sub content { return "$_[0],north," . $_[0] * 2 . "\n" }

sub write_file {
    my ($i) = @_;
    my $name = "$where/" . name($i);
    make_path($name =~ s{/[^/]*$}{}r) if $i % 1000 == 0 || $i == $from;
    open my $out, '>', $name or die "$name: $!\n";
    print $out content($i);
    close $out or die "$name: $!\n";
}

# Ten requests on their way at a time.
sub put_share {
    my ($share, $host, $path) = @_;
    my $to = IO::Socket::INET->new(PeerAddr => $host) or die "$host: $@\n";
    my @mine = grep { $_ % $writers == $share } $from .. $from + $count - 1;
    while (my @part = splice @mine, 0, 10) {
        print $to map {
            my $content = content($_);
            "PUT $path/" . name($_) . " HTTP/1.1\r\nHost: $host\r\nContent-Type: text/csv\r\n"
              . 'Content-Length: ' . length($content) . "\r\n\r\n$content" } @part;
        $to->flush;
        read_answer($to) for @part;
    }
}

sub read_answer {
    my ($from) = @_;
    my ($status, $length) = (scalar <$from>, 0);
    die "refused: $status" unless defined $status && $status =~ / 20\d /;
    while (defined(my $line = <$from>) ) {
        $length = $1 if $line =~ /^Content-Length: (\d+)/i;
        last if $line eq "\r\n";
    }
    read $from, my $body, $length if $length;
}

if (my ($host, $path) = $where =~ m{^http://([^/]*)(.*)}) {
    for my $share (0 .. $writers - 1) {
        my $pid = fork // die "fork: $!\n";
        next if $pid;
        put_share($share, $host, $path);
        exit 0;
    }
    while (wait != -1) { exit 1 if $? }
}
else {
    write_file($_) for $from .. $from + $count - 1;
}
