# Dirty files: what can be loaded is, the rest is in quarantine with its line,
# nothing is lost, and the server lives.  What is expected of each file is
# written down in test/tools/hostile.pl.
use strict;
use warnings;
use FindBin;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use DynpipeTest;

my $dir = PostgreSQL::Test::Utils::tempdir();
system($^X, "$FindBin::RealBin/../tools/hostile.pl", $dir) == 0 or die 'hostile.pl failed';

my %expected;
open my $manifest, '<', "$dir/manifest" or die $!;
while (<$manifest>) {
    chomp;
    my ($set, $file, $loaded, $lines) = split / /, $_, 4;
    $expected{$set}{$file} = [$loaded, $lines];
}
close $manifest;
cmp_ok(scalar(map { keys %$_ } values %expected), '>=', 150, 'there are enough files');

my $node = DynpipeTest->start_node('hostile');
my $started = $node->safe_psql('postgres', 'CREATE EXTENSION dynpipe;
    SELECT pg_postmaster_start_time()');

for my $set (sort keys %expected) {
    my $options = slurp_file("$dir/$set/options");
    my ($type) = $options =~ /type: (\w+)/;
    DynpipeTest->apply($node, 'postgres', <<"YAML");
pipelines:
  - name: $set
    source: file://$dir/$set/*.$type
    enabled: false
    format: $options
    schema: [{name: id, type: bigint}, {name: name, type: text}, {name: amount, type: numeric}]
YAML
    my %found;
    for (split /\n/, $node->safe_psql('postgres', qq{
        SELECT regexp_replace(file, '.*/', ''), state, consumed, loaded, quarantined, message
        FROM dynpipe.run('$set')})) {
        my ($file, @values) = split /\|/, $_, 6;
        $found{$file} = \@values;
    }
    my %lines = map { split /\|/ } split /\n/, $node->safe_psql('postgres', qq{
        SELECT regexp_replace(file, '.*/', ''), string_agg(line::text, ',' ORDER BY line, "offset")
        FROM dynpipe.quarantine WHERE pipeline = '$set' GROUP BY file});

    for my $file (sort keys %{ $expected{$set} }) {
        my ($loaded, $lines) = @{ $expected{$set}{$file} };
        my ($state, $consumed, $was_loaded, $quarantined, $message) = @{ $found{$file} || [] };
        if ($lines =~ s/^failed://) {
            is($state, 'failed', "$set/$file: not loaded");
            like($message, qr/\Q$lines\E/, "$set/$file: why");
            next;
        }
        is(join(' ', $state || 'absent', $was_loaded || 0, $lines{$file} || '-'),
            "loaded $loaded $lines", "$set/$file: loaded, lines in quarantine");
        is($consumed || 0, ($was_loaded || 0) + ($quarantined || 0), "$set/$file: nothing lost");
    }
    is($node->safe_psql('postgres', "SELECT count(*) FROM silver.$set"),
        eval { my $n = 0; $n += $_->[2] || 0 for values %found; $n }, "$set: rows in silver");
}
is($node->safe_psql('postgres', 'SELECT pg_postmaster_start_time()'), $started,
    'the server was not restarted');
unlike(slurp_file($node->logfile), qr/terminated by signal|PANIC/, 'and no process crashed');
$node->stop;
done_testing();
