# What a role must not reach over the network is not reached: no packet, no
# byte.  Listeners of this test's own stand on loopback; every attempt must be
# refused and leave them without a connection.  A control that is allowed makes
# one, so they would notice.
use strict;
use warnings;
use utf8;
use IO::Socket::INET;
use IO::Socket::IP;
use PostgreSQL::Test::Utils;
use Test::More;
use DynpipeTest;

my $tools = ($ENV{DYNPIPE_SRC} || '.') . '/test/tools';
my $listener = IO::Socket::INET->new(Listen => 64, LocalAddr => '127.0.0.1', Blocking => 0)
  or die "listen: $!";
my $port = $listener->sockport;
my $listener6 = IO::Socket::IP->new(Listen => 64, LocalHost => '::1', LocalPort => $port,
    Blocking => 0, V6Only => 1);
my $node = DynpipeTest->start_node('reach');

# Connections since the last call.
sub connections {
    my $count = 0;
    for my $socket (grep { defined } $listener, $listener6) {
        while (my $connection = $socket->accept) {
            close $connection;
            $count++;
        }
    }
    return $count;
}

# ROLE runs SQL: it fails with one of the SQLSTATEs, fast, nothing connects, and
# nothing secret is said.
sub refused {
    my ($role, $sql, $states, $name) = @_;
    my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$sql",
        extra_params => [ '-U', $role ]);
    my ($state) = $err =~ /ERROR:  (\w{5}):/;
    ok($code != 0 && defined $state && $state =~ /^(?:$states)$/, "$name: refused")
      || diag("exit $code: $out$err");
    is(connections(), 0, "$name: nobody was asked");
    unlike("$out$err", qr/canary/, "$name: no secret is told") if $sql =~ /canary/;
    return;
}

sub list {
    my ($url, $connection) = @_;
    my $more = defined $connection ? ", '$connection'" : '';
    return "SELECT * FROM dynpipe.list_files(E'$url'$more)";
}

sub allow {
    my ($hosts) = @_;
    $node->safe_psql('postgres', "ALTER SYSTEM SET dynpipe.allowed_hosts = '$hosts'");
    $node->safe_psql('postgres', 'SELECT pg_reload_conf()');
    return DynpipeTest->wait_until($node, 'postgres', 'SHOW dynpipe.allowed_hosts', $hosts);
}

# Spellings of loopback: with a listener to tell.
sub check_spellings {
    my %hosts = (
        'dotted'             => '127.0.0.1',
        'decimal'            => '2130706433',
        'hex'                => '0x7f000001',
        'octal'              => '0177.0.0.1',
        'short form'         => '127.1',
        'another of /8'      => '127.0.0.2',
        'zero'               => '0.0.0.0',
        'IPv6'               => '[::1]',
        'IPv6 long'          => '[0:0:0:0:0:0:0:1]',
        'IPv6 unspecified'   => '[::]',
        'IPv4-mapped'        => '[::ffff:127.0.0.1]',
        'IPv4-mapped hex'    => '[::ffff:7f00:1]',
        'IPv4-compatible'    => '[::127.0.0.1]',
        'NAT64'              => '[64:ff9b::7f00:1]',
        '6to4'               => '[2002:7f00:1::]',
        'zone'               => '[::1%25lo]',
        'name'               => 'localhost',
        'name with dot'      => 'localhost.',
        'name in capitals'   => 'LOCALHOST',
        'name below'         => 'a.localhost',
        'percent-encoded'    => '%31%32%37.0.0.1',
        'full-width digits'  => '１２７.０.０.１',
        'behind user name'   => 's3.amazonaws.com@127.0.0.1',
        'behind password'    => 'u:canary@127.0.0.1',
        'two at signs'       => 'a@127.0.0.1:' . $port . '@s3.amazonaws.com',
        'fragment'           => '127.0.0.1#.s3.amazonaws.com',
        'question mark'      => '127.0.0.1?.s3.amazonaws.com',
        'backslash'          => '127.0.0.1\\\\.s3.amazonaws.com',
        'line end'           => 'x.amazonaws.com\\n127.0.0.1',
        'suffix in the path' => '127.0.0.1/.s3.amazonaws.com',
        'suffix in the name' => 'evil-amazonaws.com',
    );
    refused('alice', list("https://$hosts{$_}:$port/x"), '42501|22023', $_) for sort keys %hosts;
    return;
}

# Where clouds give out their secrets.  Nothing listens there: the SQLSTATE and
# the time tell that nothing was tried.
sub check_metadata {
    refused('alice', list("https://$_/latest/meta-data/"), '42501|22023', "metadata as $_")
      for qw(169.254.169.254 2852039166 0xa9fea9fe 0251.0376.0251.0376 169.254.43518
      [::ffff:169.254.169.254] [::ffff:a9fe:a9fe] [fd00:ec2::254] 168.63.129.16 100.100.100.200
      metadata.google.internal);
    return;
}

# A name may be allowed, the address behind it is looked at all the same.
sub check_names {
    allow('localhost, *.localhost, 10.0.0.0/8');
    refused('alice', list("https://$_:$port/x"), '42501', "allowed name $_")
      for qw(localhost LocalHost a.localhost);
    refused('alice', list("https://127.0.0.1:$port/x"), '42501', 'address of an allowed name');
    allow('localhost:1, 127.0.0.1:1');
    refused('alice', list("https://$_:$port/x"), '42501', "$_ on another port than allowed")
      for qw(localhost 127.0.0.1);
    allow('');
    return;
}

sub check_connections {
    my $server = 'CREATE SERVER evil TYPE \'s3\' FOREIGN DATA WRAPPER dynpipe OPTIONS';
    $node->safe_psql('postgres', qq{
        GRANT USAGE ON FOREIGN DATA WRAPPER dynpipe TO alice;
        CREATE SERVER shared TYPE 's3' FOREIGN DATA WRAPPER dynpipe
            OPTIONS (endpoint 'http://127.0.0.1:$port', bucket 'data');
        CREATE USER MAPPING FOR bob SERVER shared
            OPTIONS (access_key_id 'bob', secret_access_key 'canary-bob');
        CREATE SERVER brokers TYPE 'kafka' FOREIGN DATA WRAPPER dynpipe
            OPTIONS (bootstrap_servers '127.0.0.1:$port')});
    refused('alice', "$server (endpoint 'http://127.0.0.1:$port')", 'HV024', 'a server without TLS');
    refused('alice', "$server (endpoint 'https://u:canary\@127.0.0.1:$port')", 'HV024',
        'a server with credentials in its endpoint');
    refused('alice', "$server (secret_access_key 'canary')", 'HV00D', 'a secret on a server');
    refused('alice', "BEGIN; $server (endpoint 'https://$_:$port');
        CREATE USER MAPPING FOR alice SERVER evil OPTIONS (anonymous 'true');"
          . list('s3://data/*', 'evil'), '42501', "a server of her own at $_")
      for qw(127.0.0.1 2130706433 [::1] localhost);
    $node->safe_psql('postgres', "$server (endpoint 'http://127.0.0.1:$port');
        ALTER SERVER evil OWNER TO alice;
        CREATE USER MAPPING FOR alice SERVER evil OPTIONS (anonymous 'true')");
    allow('127.0.0.1');
    refused('alice', list('s3://data/*', 'evil'), '42501', 'a server without TLS that came from a superuser');
    refused('alice', list('s3://data/*', 'shared'), '42501', 'a server without USAGE');
    refused('alice', list('s3://data/x', 'brokers'), '42501|42809', 'a server of another type');
    $node->safe_psql('postgres', 'GRANT USAGE ON FOREIGN SERVER shared, brokers TO alice');
    refused('alice', list('s3://data/*', 'shared'), '42704', "another role's user mapping");
    refused('alice', list('s3://data/x', 'brokers'), '42809', 'a server of another type, granted');
    $node->safe_psql('postgres', q{CREATE USER MAPPING FOR alice SERVER shared
        OPTIONS (anonymous 'true')});
    refused('alice', list('s3://other/*', 'shared'), '42501', 'a bucket that is not the server\'s');
    allow('');
    refused('alice', list('s3://data/*', 'shared'), '42501', 'a host that is no longer allowed');
    refused('alice', list("s3://$_/x", 'shared'), '42501|22023', "bucket $_")
      for "127.0.0.1:$port", "x\@127.0.0.1:$port", '..', '';
    refused('alice', list("$_/x"), '42501|22023|HV024', $_)
      for "abfss://c\@127.0.0.1:$port", "abfss://c\@a.dfs.core.windows.net\@127.0.0.1:$port",
      "http://127.0.0.1:$port", "ftp://127.0.0.1:$port", "gopher://127.0.0.1:$port";
    refused('alice', list('file:///etc/passwd'), '42501', 'a file of the server');
    refused('alice', list("https://127.0.0.1:$port/x?$_=canary"), '42501|22023', "a URL with $_")
      for qw(X-Amz-Signature sig access_token);
    refused('alice', "SET dynpipe.allowed_hosts = '127.0.0.1';" . list("https://127.0.0.1:$port/x"),
        '42501', 'the setting itself');
    refused('alice', "ALTER ROLE alice SET dynpipe.allowed_hosts = '127.0.0.1'", '42501',
        'the setting of a role');
    return;
}

# The same things are done when they are allowed: the listeners do notice.
sub check_control {
    allow('127.0.0.1, ::1');
    $node->psql('postgres', list("https://$_:$port/x"), extra_params => [ '-U', 'alice' ]),
      cmp_ok(connections(), '>', 0, "control: $_ is reached when it is allowed")
      for '127.0.0.1', '2130706433', $listener6 ? '[::1]' : ();
    allow('localhost, 127.0.0.0/8, ::1');
    $node->psql('postgres', list("https://localhost:$port/x"), extra_params => [ '-U', 'alice' ]);
    cmp_ok(connections(), '>', 0, 'control: localhost, when name and network are allowed');
    allow('127.0.0.1');
    $node->psql('postgres', list('s3://data/*', 'shared'), extra_params => [ '-U', 'alice' ]);
    cmp_ok(connections(), '>', 0, 'control: a connection that is hers');
    allow('');
    return;
}

# A certificate of an authority of our own, and the server that has it.
sub start_web {
    my $dir = PostgreSQL::Test::Utils::tempdir();
    system("openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=test " .
        "-addext subjectAltName=IP:127.0.0.1 -keyout $dir/key -out $dir/cert 2>/dev/null") == 0
      or return;
    my ($out, $err) = ('', '');
    my $run = IPC::Run::start([ 'python3', "$tools/https_server.py", "$dir/cert", "$dir/key", $port ],
        '>', \$out, '2>', \$err);
    $run->pump until $out =~ /^(\d+)\n/ || !$run->pumpable;
    return unless $out =~ /^(\d+)\n/;
    return { run => $run, port => $1, cert => "$dir/cert" };
}

sub check_redirects {
    my $web = start_web();
  SKIP: {
        skip 'no openssl or python3 here: redirects are not tried', 12 unless $web;
        my $here = "https://127.0.0.1:$web->{port}";
        allow('127.0.0.1');
        refused('alice', list("$here/file.csv"), '08001', 'a certificate of nobody known');
        $node->safe_psql('postgres', "ALTER SYSTEM SET dynpipe.ssl_ca_file = '$web->{cert}'");
        $node->safe_psql('postgres', 'SELECT pg_reload_conf()');
        DynpipeTest->wait_until($node, 'postgres', 'SHOW dynpipe.ssl_ca_file', $web->{cert});
        for my $file (qw(file.csv nohead.csv)) {
            is($node->safe_psql('postgres', list("$here/$file")), "$here/$file|7|\"one\"|",
                "control: $file is found");
        }
        is($node->safe_psql('postgres', "SELECT size, version, modified FROM dynpipe.list_files("
            . "'$here/plain.csv')"), '|Sun, 06 Nov 1994 08:49:37 GMT; -1|1994-11-06 08:49:37+00',
            'control: a file without ETag or length');
        is($node->safe_psql('postgres', list("$here/none.csv")), '', 'control: a file that is not');
        is($node->safe_psql('postgres', "SELECT size FROM dynpipe.list_files('$here/to?/file.csv')"),
            7, 'control: a redirect within the host');
        refused('alice', list("$here/to?$_"), '42501|08P01', "redirect to $_")
          for 'https://127.0.0.1:OTHER/x', 'http://127.0.0.1:OTHER/x', 'http://127.0.0.1:PORT/x',
          'https://localhost:OTHER/x', '//127.0.0.1:OTHER/x', 'https://2130706433:OTHER/x',
          'http://169.254.169.254/latest', 'file:///etc/passwd', 'https://u:canary@127.0.0.1:OTHER/';
        refused('alice', list("$here/to?/to?/to?/to?/to?/to?/to?/file.csv"), '08006',
            'a chain of redirects');
        $web->{run}->kill_kill;
    }
    return;
}

$node->safe_psql('postgres', 'CREATE EXTENSION dynpipe; CREATE ROLE alice LOGIN; CREATE ROLE bob');
check_spellings();
check_metadata();
check_names();
check_connections();
check_control();
check_redirects();
DynpipeTest->check_log($node);
unlike(PostgreSQL::Test::Utils::slurp_file($node->logfile), qr/^.*(?:ERROR|DETAIL|HINT).*canary/m,
    'no secret in the messages of the log');
$node->stop;
done_testing();
