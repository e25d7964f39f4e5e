#!/usr/bin/perl
# events.pl - the same sales events in two shapes:
#
#   events.pl COUNT json    partition TAB key TAB 180-byte JSON, for test/tools/produce
#   events.pl COUNT csv     the silver columns, for COPY
use strict;
use warnings;

my ($count, $shape) = @ARGV;
my @regions = qw(north south east west online);
my @products = qw(widget gadget gizmo doohickey sprocket thingamajig);
srand(1);
for my $i (0 .. $count - 1) {
    my $ts = sprintf '2026-%02d-%02dT%02d:%02d:%02d.%03dZ',
        1 + $i % 12, 1 + $i % 28, $i % 24, $i % 60, $i * 7 % 60, $i % 1000;
    my ($region, $product) = ($regions[rand @regions], $products[rand @products]);
    my ($quantity, $amount) = (1 + int rand 9, sprintf '%.2f', rand 1000);
    my $email = 'customer' . int(rand 100000) . '@example.com';
    if ($shape eq 'csv') {
        print join(',', $i, $ts, $region, $product, $quantity, $amount, $email,
            $i % 4, int($i / 4)), "\n";
        next;
    }
    my $event = qq({"id": $i, "ts": "$ts", "region": "$region", "product": "$product", )
        . qq("quantity": $quantity, "amount": $amount, "email": "$email");
    my $pad = 180 - length($event) - 11;
    $event .= sprintf ', "pad": "%s"}', 'x' x ($pad > 0 ? $pad : 0);
    print join("\t", $i % 4, $i, $event), "\n";
}
