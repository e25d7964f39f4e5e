package DynpipeCloud;

# DynpipeCloud - somewhere to load files from and to write them to: S3 by moto or
# SeaweedFS, Azure blobs by Azurite.  A server is stopped when its object goes.
# Each is undef when it cannot be had here:
#
# my $s3 = DynpipeCloud->s3 or skip('no S3 server here', 10);
#
# s3               moto: any key may do anything
# s3(auth => 1)    moto that checks signatures and rights; nothing is public there
# weed             SeaweedFS: checks signatures; thousands of objects, fast
# azure            Azurite
#
# $s3->address;                   http://127.0.0.1:PORT; also port
# $s3->key; $s3->secret;          an administrator's; azure: account, key
# $s3->bucket('data');            or a container
# $s3->put('data', 'in/a.csv', "1,2\n");    its ETag; { ACL => 'public-read' } behind it:
#                                 anybody may read it
# $s3->put_file('data', 'in/b.csv', $path);
# $s3->put_tree('data', 'in/', $folder);    how many files
# $s3->get('data', 'in/a.csv');
# $s3->head('data', 'in/a.csv');            { size, etag, type, encoding }
# $s3->list('data', 'in/');                 keys
# $s3->delete('data', 'in/a.csv');
# $s3->uploads('data');                     begun, not finished
# $s3->user('reader', ['s3:GetObject'], ['arn:aws:s3:::data/*']);   moto: key, secret
# $s3->session('role', [...], [...]);       moto: key, secret, token
# $azure->sas('data', 'rl');                a shared access signature
use strict;
use warnings;
use Carp;
use File::Basename qw(basename);
use File::Copy ();
use File::Spec ();
use File::Temp ();
use HTTP::Tiny;
use IO::Handle ();
use IPC::Open2 ();
use JSON::PP   ();
use MIME::Base64 qw(encode_base64);

my $src   = $ENV{DYNPIPE_SRC}   || '.';
my $cloud = File::Spec->rel2abs($ENV{DYNPIPE_CLOUD} || 'no cloud');
my $json  = JSON::PP->new->ascii->allow_nonref;

sub s3 {
    my ($class, %opt) = @_;
    return undef unless -e "$cloud/python/ready";
    my $self = $class->_start('moto', 's3', 'test', 'secret');
    $self->_check_rights if $opt{auth};
    return $self;
}

sub weed {
    my ($class) = @_;
    return undef unless -x "$cloud/python/bin/weed";
    return $class->_start('weed', 's3', 'test', 'secret');
}

# Azurite's account; the key is any 64 bytes in base64.
sub azure {
    my ($class) = @_;
    return undef unless -e "$cloud/node/ready" && -e "$cloud/python/ready";
    my ($account, $key) = ('testaccount', encode_base64('0123456789abcdef' x 4, ''));
    local $ENV{AZURITE_ACCOUNTS} = "$account:$key";
    return $class->_start('azurite', 'azure', $account, $key);
}

sub address { return $_[0]{address} }
sub port    { return $_[0]{address} =~ /:(\d+)$/ ? $1 : undef }
sub account { return $_[0]{key} }
sub key     { return $_[0]{kind} eq 'azurite' ? $_[0]{secret} : $_[0]{key} }
sub secret  { return $_[0]{secret} }
sub log     { return "$_[0]{dir}/server/log" }

sub bucket   { return shift->_ask('bucket',   @_) }
sub put_file { return shift->_ask('put_file', @_) }
sub put_tree { return shift->_ask('put_tree', @_) }
sub head     { return shift->_ask('head',     @_) }
sub delete   { return shift->_ask('delete',   @_) }
sub sas      { return shift->_ask('sas',      @_) }
sub list     { return @{ shift->_ask('list',    @_) } }
sub uploads  { return @{ shift->_ask('uploads', @_) } }
sub user     { return @{ shift->_ask('user',    @_) } }
sub session  { return @{ shift->_ask('session', @_) } }

# headers: S3 only, as put_object names them, e.g. { ContentEncoding => 'gzip' }
sub put {
    my ($self, $bucket, $key, $content, @headers) = @_;
    open my $out, '>:raw', "$self->{dir}/content" or croak "content: $!";
    print $out $content;
    close $out;
    return $self->_ask('put', $bucket, $key, "$self->{dir}/content", @headers);
}

sub get {
    my ($self, $bucket, $key) = @_;
    $self->_ask('get', $bucket, $key, "$self->{dir}/content");
    open my $in, '<:raw', "$self->{dir}/content" or croak "content: $!";
    local $/;
    return scalar <$in>;
}

sub _start {
    my ($class, $kind, $client, $key, $secret) = @_;
    my $self = bless { kind => $kind, owner => $$, dir => File::Temp::tempdir(), key => $key,
        secret => $secret, client => $client }, $class;
    my $log = "$self->{dir}/start.log";
    local ($ENV{DYNPIPE_CLOUD}, $ENV{DYNPIPE_KEY}, $ENV{DYNPIPE_SECRET}) = ($cloud, $key, $secret);
    # Not by a pipe: the server would inherit it and keep the reader waiting.
    system('sh', '-c', 'exec "$0" "$@" >' . "$log 2>&1",
        "$src/test/cloud/start", $kind, "$self->{dir}/server") == 0
      or croak "$kind did not start: " . `cat $log`;
    chomp($self->{address} = `cat $self->{dir}/server/address`);
    return $self;
}

# From here on moto asks for signatures, and an administrator signs for us.
sub _check_rights {
    my ($self) = @_;
    my ($key, $secret) = $self->user('administrator', ['*'], ['*']);
    my $answer = HTTP::Tiny->new->post("$self->{address}/moto-api/reset-auth", { content => '0' });
    croak "moto does not check rights: $answer->{content}" unless $answer->{success};
    $self->_ask('login', $key, $secret);
    @$self{qw(key secret)} = ($key, $secret);
    return;
}

# One question to the client, which starts with the first.
sub _ask {
    my ($self, @question) = @_;
    my $client = $self->{run} ||= $self->_open_client;
    print { $client->{in} } $json->encode(\@question), "\n";
    my $answer = $json->decode(readline($client->{out}) // croak 'the client is gone');
    croak $answer->{error} if $answer->{error};
    return $answer->{ok};
}

sub _open_client {
    my ($self) = @_;
    my $pid = IPC::Open2::open2(my $out, my $in, "$cloud/python/bin/python",
        "$src/test/tools/cloud_client.py", @$self{qw(client address key secret)});
    $in->autoflush;
    return { pid => $pid, in => $in, out => $out };
}

sub _close_client {
    my ($self) = @_;
    my $client = delete $self->{run} or return;
    kill 'KILL', $client->{pid};
    waitpid $client->{pid}, 0;
    return;
}

sub DESTROY {
    my ($self) = @_;
    local ($?, $@, $!);
    return if $$ != $self->{owner};
    $self->_close_client;
    system("$src/test/kafka/stop", "$self->{dir}/server", 'KILL') if -e "$self->{dir}/server/pid";
    $self->_keep_log if $ENV{TESTLOGDIR} && $self->{address};
    system('rm', '-rf', $self->{dir});
}

# Beside those of the PostgreSQL servers, which stay when a test has failed.
sub _keep_log {
    my ($self) = @_;
    my $name = join '_', basename($0, '.pl'), $self->{kind}, $self->port;
    File::Copy::copy($self->log, "$ENV{TESTLOGDIR}/$name.log");
    return;
}

1;
