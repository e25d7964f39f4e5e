package DynpipeTest;

# DynpipeTest - a server with dynpipe, brokers to read from, and the one
# checker that every fault test ends with.
#
# my $node   = DynpipeTest->start_node('name', conf => "...");
use strict;
use warnings;
use Carp;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

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
CONF
    $node->append_conf('postgresql.conf', $opt{conf}) if $opt{conf};
    $node->start;
    return $node;
}

1;
