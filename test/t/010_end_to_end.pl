# From a document to gold: the demo's shop through examples/sales.yaml, from the
# mock broker and from a real Kafka, by a role that is no superuser, with the
# exact number of every fate.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use DynpipeTest;

my $document = slurp_file("$ENV{DYNPIPE_SRC}/examples/sales.yaml");
my ($query) = $document =~ /query: >\s+(SELECT.*?region)\s*$/s;

sub check_shop {
    my ($node, $broker) = @_;
    my $db = $broker->kind;
    my $one = sub { $node->safe_psql($db, $_[0]) };

    $node->safe_psql('postgres', "CREATE DATABASE $db OWNER etl");
    $one->('CREATE EXTENSION dynpipe');
    DynpipeTest->connect_broker($node, $db, 'shop', $broker, 'etl');
    DynpipeTest->apply($node, $db, $document, role => 'etl');
    my $watch = DynpipeTest->watch_atomicity($node, $db, 'sales', 'bronze.sales');
    my $sent = $broker->sell('sales', 4, 1500);
    ok(DynpipeTest->wait_consumed($node, $db, 'sales', $sent->{produced}),
        "$db: all is consumed");
    is(DynpipeTest->watch_stop($watch), '', "$db: bronze and positions agree at every moment");

    is($one->('SELECT sum(loaded + deduplicated), sum(dropped), sum(quarantined)
                 FROM dynpipe.checkpoint'),
        join('|', @$sent{qw(expect_kept expect_dropped expect_quarantined)}), "$db: fates");
    is($one->('SELECT count(*), sum(amount) FROM silver.sales'),
        join('|', @$sent{qw(expect_rows expect_revenue)}), "$db: silver");
    is($one->('SELECT sum(orders), sum(revenue) FROM gold.sales_by_day'),
        join('|', @$sent{qw(expect_rows expect_revenue)}), "$db: gold");
    DynpipeTest->check_exactly_once($node, $db, pipeline => 'sales', broker => $broker,
        topic => 'sales', bronze => 'bronze.sales', gold => { 'gold.sales_by_day' => $query },
        name => "$db: exactly once");
    ok(DynpipeTest->wait_until($node, $db, q{SELECT state IN ('running', 'caught up') AND lag = 0
        AND last_error IS NULL FROM dynpipe.status}), "$db: status");
}

my $node = DynpipeTest->start_node('shop');
$node->safe_psql('postgres', 'CREATE ROLE etl LOGIN');
check_shop($node, DynpipeBroker->mock(topics => { sales => 4 }));
SKIP: {
    my $kafka = DynpipeBroker->kafka(topics => { sales => 4 });
    skip('no real Kafka here', 7) unless $kafka;
    check_shop($node, $kafka);
}
DynpipeTest->check_log($node);
$node->stop;
done_testing();
