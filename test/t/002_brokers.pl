# The brokers that other tests read from do what those tests rely on: what was
# produced can be read back, also after the real one was killed and started
# again, and its records can be deleted as retention does.
use strict;
use warnings;
use Test::More;
use DynpipeBroker;

sub check_broker {
    my ($broker) = @_;
    my $kind = $broker->kind;
    $broker->produce('sales', count => 1000, partitions => 4);
    my @lines = split /\n/, $broker->dump('sales');
    is(scalar @lines, 1000, "$kind: 1000 records come back");
    $broker->produce('sales', lines => [ "1\tk\tva\\tlue", "1\tk\t\\N" ]);
    @lines = grep { /\\\\x6b\t/ } split /\n/, $broker->dump('sales');
    is_deeply([ map { (split /\t/)[3] } @lines ], [ '\\\\x7661096c7565', '\\N' ],
        "$kind: keys, values and tombstones are what was sent");
}

check_broker(DynpipeBroker->mock(topics => { sales => 4 }));

SKIP: {
    my $kafka = DynpipeBroker->kafka(topics => { sales => 4 });
    skip('no real Kafka here', 4) unless $kafka;
    check_broker($kafka);
    $kafka->kill;
    $kafka->restart;
    is(scalar(split /\n/, $kafka->dump('sales')), 1002, 'kafka: all is there after a kill');
    $kafka->topic('delete-records', 'sales', 0, 100);
    like($kafka->topic('watermarks', 'sales'), qr/^0 100 250$/m, 'kafka: records can be deleted');
}

done_testing();
