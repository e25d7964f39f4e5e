# The S3 and Azure servers that other tests load from do what those tests rely
# on: contents come back as they were put, signatures and rights are checked,
# and the proxy between treats requests as badly as it was told.
use strict;
use warnings;
use HTTP::Tiny;
use Test::More;
use Time::HiRes qw(time);
use DynpipeCloud;
use DynpipeProxy;

sub check_server {
    my ($server, $kind) = @_;
    my $bytes = join '', map { chr($_ % 256) } 1 .. 100_000;
    $server->bucket('data');
    my $etag = $server->put('data', 'in/a b.csv', $bytes);
    ok($server->get('data', 'in/a b.csv') eq $bytes, "$kind: bytes come back");
    my $head = $server->head('data', 'in/a b.csv');
    is("$head->{size} $head->{etag}", "100000 $etag", "$kind: with their size and ETag");
    $server->put('data', "in/$_", '') for qw(c d);
    $server->delete('data', 'in/d');
    is_deeply([ $server->list('data', 'in/') ], [ 'in/a b.csv', 'in/c' ], "$kind: keys are listed");
    is_deeply([ $server->uploads('data') ], [], "$kind: no upload is unfinished");
}

# What a request without any signature is answered.
sub status {
    my ($server, $path) = @_;
    return HTTP::Tiny->new->get($server->address . $path)->{status};
}

# The content of /data/public by way of $proxy, or '' when it does not come
# whole, and how long that took.
sub fetch {
    my ($proxy) = @_;
    my $begin = time;
    my $answer = HTTP::Tiny->new(timeout => 2)->get($proxy->address . '/data/public');
    return ($answer->{status}, length($answer->{success} ? $answer->{content} : ''), time - $begin);
}

sub check_proxy {
    my ($s3) = @_;
    my $proxy = DynpipeProxy->start($s3->port);
    $s3->bucket('data');
    $s3->put('data', 'public', 'x' x 300_000, { ACL => 'public-read' });
    $proxy->fault(match => qr{^PUT}, status => 500);
    my ($status, $length, $seconds) = fetch($proxy);
    is("$status $length", '200 300000', 'proxy: passes on what no fault matches');
    $proxy->fault(match => qr{^GET /data/public}, status => 503, body => 'later', times => 2);
    is(join(' ', map { (fetch($proxy))[0] } 1 .. 3), '503 503 200', 'proxy: answers itself, twice');
    my $before = $proxy->bytes;
    $proxy->fault(cut => 1000);
    is((fetch($proxy))[0], 599, 'proxy: cuts');
    cmp_ok($proxy->bytes - $before, '<', 2000, 'proxy: after as many bytes as it was told');
    $proxy->fault(stall => 1000);
    ($status, $length, $seconds) = fetch($proxy);
    ok($status == 599 && $seconds >= 2, 'proxy: stalls');
    $proxy->fault(delay => 1);
    ($status, $length, $seconds) = fetch($proxy);
    ok($status == 200 && $seconds >= 1, 'proxy: delays');
    is($proxy->faults_left, 1, 'proxy: keeps a fault for its request');
    like(($proxy->requests)[-1], qr{^GET /data/public HTTP/1.1\r\n}, 'proxy: knows who asked for what');
}

SKIP: {
    my $s3 = DynpipeCloud->s3(auth => 1) or skip('no S3 server here', 20);
    check_server($s3, 'moto');
    is(status($s3, '/data/in/c'), 403, 'moto: asks for a signature');
    my @reader = $s3->user('reader', ['s3:GetObject'], ['arn:aws:s3:::data/*']);
    is(scalar @reader, 2, 'moto: users have keys');
    my @session = $s3->session('visitor', ['s3:GetObject'], ['arn:aws:s3:::data/*']);
    is(scalar @session, 3, 'moto: sessions have tokens');
    check_proxy(DynpipeCloud->s3);

    my $weed = DynpipeCloud->weed or skip('no SeaweedFS here', 5);
    check_server($weed, 'weed');
    is(status($weed, '/data/in/c'), 403, 'weed: asks for a signature');
}

SKIP: {
    my $azure = DynpipeCloud->azure or skip('no Azure server here', 6);
    check_server($azure, 'azurite');
    is(status($azure, '/' . $azure->account . '/data/in/c'), 403, 'azurite: asks for a signature');
    my $sas = $azure->sas('data', 'r');
    is(status($azure, '/' . $azure->account . "/data/in/c?$sas"), 200, 'azurite: or for a shared one');
}

done_testing();
