# Azure storage: what is listed, read, written and removed is what another client
# of the service sees; signatures are right and wrong ones are told apart; an
# upload is there whole or not at all; tokens are asked for, kept and renewed.
#
# The service is Azurite, which checks shared keys and SAS.  It takes tokens over
# https only and no Entra ID can be reached from here: those are tested against a
# server of this test's own that knows just enough of both.
use strict;
use warnings;
use Digest::MD5 qw(md5_hex);
use Encode qw(decode);
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use DynpipeCloud;
use DynpipeProxy;

my $azure = DynpipeCloud->azure or plan(skip_all => 'no Azure server here');
my $proxy = DynpipeProxy->start($azure->port);
my $account = $azure->account;
my $probe = "$ENV{DYNPIPE_TOOLS}/store_probe.so";
my $node = PostgreSQL::Test::Cluster->new('azure');
$node->init;
$node->append_conf('postgresql.conf', "dynpipe.allowed_hosts = '127.0.0.1'\n");
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]) }

# Output of a query, and the SQLSTATE, message, detail and hint it failed with.
sub try_sql {
    my ($query) = @_;
    my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$query");
    $err =~ s/^psql:<stdin>:\d+: //mg;
    return ($out, $err);
}

sub fails {
    my ($query, $like, $name) = @_;
    my ($out, $err) = try_sql($query);
    return like($err, $like, $name);
}

# The user mapping of the server az is from now on this.
sub credentials {
    my ($options) = @_;
    sql('DROP USER MAPPING IF EXISTS FOR CURRENT_USER SERVER az');
    sql("CREATE USER MAPPING FOR CURRENT_USER SERVER az OPTIONS ($options)") if $options;
    return;
}

# Calls of functions of the probe: a session has either it or the extension's library.
sub get   { return sql("SELECT probe_url_get('$_[0]', 'az', " . ($_[1] // 0) . ", '')") }
sub put   { return sql("SELECT probe_url_put('$_[0]', 'az', '$_[1]', $_[2], '$_[3]')") }
sub check { return sql("SELECT probe_url_check('$_[0]', '$_[1]', $_[2])") }
sub list  { return sql("SELECT file FROM dynpipe.list_files('$_[0]', 'az') ORDER BY file COLLATE \"C\"") }

sql('CREATE EXTENSION dynpipe');
sql("CREATE FUNCTION probe_url_$_ STRICT LANGUAGE C AS '$probe', 'probe_url_" . (/^(\w+)/)[0] . "'")
  for 'get(text, text, bigint, text) RETURNS text', 'stats(text, text, int) RETURNS int',
  'put(text, text, text, int, text) RETURNS bool', 'remove(text, text) RETURNS void',
  'check(text, text, bool) RETURNS text';
sql("CREATE SERVER az TYPE 'adls' FOREIGN DATA WRAPPER dynpipe
     OPTIONS (account '$account', endpoint '" . $proxy->address . "')");
my $key = "account_key '" . $azure->key . "'";
credentials($key);
$azure->bucket('data');

# --- listings
my @odd = ('a b.csv', 'per%20cent%.csv', 'plus+&=#?.csv', "gr\x{c3}\x{bc}n.csv", 'sub/d.csv', 'x.json');
$azure->put('data', 'odd/' . decode('UTF-8', $_), $_) for @odd;
is(list('az://data/odd/*.csv'), join("\n", map { "az://data/odd/$_" } sort grep { !m{/|json} } @odd),
    'a pattern finds the keys of one folder, whatever is in them');
is(list("abfss://data\@$account.dfs.core.windows.net/odd/**/*.csv"),
    join("\n", map { "abfss://data\@$account.dfs.core.windows.net/odd/$_" } sort grep { !/json/ } @odd),
    'abfss is the same place, ** goes into folders');
my $tree = PostgreSQL::Test::Utils::tempdir();
for my $i (1 .. 2050) {
    open my $out, '>', sprintf('%s/%04d.csv', $tree, $i) or die $!;
    print $out $i;
}
$azure->put_tree('data', 'many/', $tree);
my $before = () = join("\n", $proxy->requests) =~ /maxresults=/g;
is(sql("SELECT count(*), sum(size), min(file), max(file), count(DISTINCT file)
        FROM dynpipe.list_files('az://data/many/*.csv', 'az')"),
    '2050|7093|az://data/many/0001.csv|az://data/many/2050.csv|2050', 'all pages of a listing');
is((() = join("\n", $proxy->requests) =~ /maxresults=/g) - $before, 2, 'there were two');
my ($version) = sql("SELECT version FROM dynpipe.list_files('az://data/odd/x.json', 'az')");
(my $etag = $azure->head('data', 'odd/x.json')->{etag}) =~ s/"//g;
is($version, $etag, 'the version is the ETag');
is(sql("SELECT version FROM dynpipe.list_files('az://data/odd/*.json', 'az')"), $etag,
    'the same in a listing');

# --- reading
is(get("az://data/odd/$_"), length($_) . ' ' . md5_hex($_), "read: $_") for @odd;
is(get('az://data/odd/none'), '', 'what does not exist');
my $big = join '', map { pack 'N', $_ * 2654435761 % 4294967296 } 1 .. 750_000;
$azure->put('data', 'big', $big);
$proxy->fault(match => qr{^GET /\w+/data/big}, cut => 400_000);
$proxy->fault(match => qr{^GET /\w+/data/big}, cut => 300_000);
is(get('az://data/big'), '3000000 ' . md5_hex($big), 'a read that is cut twice is whole');
is($proxy->faults_left, 0, 'it was cut twice');
my @ranges = map { /^range: bytes=(\d+)-/mi ? $1 : () } $proxy->requests;
ok(@ranges == 2 && $ranges[0] > 0 && $ranges[1] > $ranges[0], 'and went on where it broke');
is(scalar(grep { /^range:/mi && !/^if-match: "0x/mi } $proxy->requests), 0, 'of that version only');
is(get('az://data/big', 1_000_000), '2000000 ' . md5_hex(substr $big, 1_000_000), 'from an offset on');
fails("SELECT probe_url_get('az://data/big', 'az', 0, '0xBAD')", qr/ERROR:  55006: .*changed/,
    'another version is refused');
$proxy->fault(match => qr{^HEAD}, status => 503, headers => ['Retry-After: 0'], times => 2);
is(get('az://data/odd/x.json'), '6 ' . md5_hex('x.json'), 'a busy service is asked again');

# --- writing
my $part = 'o,1' x 3000;
is(put("az://data/out/$_->[0]", $part, $_->[1], 'finish'), 'f', "$_->[0]: invisible before the end")
  for [ 'empty', 0 ], [ 'small', 1 ], [ 'large', 2500 ];
is($azure->get('data', 'out/large') eq $part x 2500, 1, 'large: whole behind it');
is($azure->get('data', 'out/small') eq $part, 1, 'small: whole');
is_deeply($azure->head('data', 'out/empty')->{size}, 0, 'empty: there');
is($azure->head('data', 'out/large')->{type}, 'text/csv', 'with its type');
my @blocks = grep { /^PUT \S*comp=block&?/ } $proxy->requests;
is(scalar(grep { !/comp=blocklist/ } @blocks), 3, 'in three blocks');
put('az://data/out/gone', $part, 2500, 'abort');
fails("SELECT probe_url_put('az://data/out/gone', 'az', '$part', 2500, 'fail')",
    qr/failed between/, 'an upload that fails');
put('az://data/out/small', $part, 2500, 'abort');
is(join(' ', $azure->list('data', 'out/')), 'out/empty out/large out/small',
    'leaves nothing that can be seen');
is($azure->head('data', 'out/small')->{size}, length $part, 'nor does it touch what was there');
$proxy->fault(match => qr{^PUT \S*comp=blocklist}, status => 500);
put('az://data/out/again', $part, 1000, 'finish');
is($azure->get('data', 'out/again') eq $part x 1000, 1, 'a commit is sent again');
sql("SELECT probe_url_remove('az://data/out/large', 'az')") for 1 .. 2;
is(join(' ', $azure->list('data', 'out/')), 'out/again out/empty out/small', 'removed, twice');

# --- refusals
fails("SELECT * FROM dynpipe.list_files('az://nothere/*', 'az')",
    qr/ERROR:  58P01: .*does not exist.*HINT:  Check the container/s, 'no such container: listing');
fails("SELECT probe_url_get('az://nothere/x', 'az', 0, '')",
    qr/ERROR:  58P01: .*HINT:  Check the container/s, 'no such container: reading');
credentials("account_key 'd3Jvbmc='");
fails("SELECT * FROM dynpipe.list_files('az://data/*', 'az')",
    qr/ERROR:  28000: .*refused.*HINT:  Check account_key/s, 'a wrong key');
credentials("account_key 'no base64'");
fails("SELECT * FROM dynpipe.list_files('az://data/*', 'az')",
    qr/ERROR:  HV024: .*not base64/s, 'a key that is none');
credentials('');
fails("SELECT * FROM dynpipe.list_files('az://data/*', 'az')",
    qr/ERROR:  28000: .*HINT:  Use CREATE USER MAPPING/s, 'nobody');

# --- shared access signatures
my %sas = (reader => $azure->sas('data', 'rl'), writer => $azure->sas('data', 'rlcwd'),
    expired => $azure->sas('data', 'rl', -1));
credentials("sas_token '?$sas{reader}'");
is(list('az://data/odd/*.json'), 'az://data/odd/x.json', 'SAS: list');
is(get('az://data/odd/plus+&=#?.csv'), '13 ' . md5_hex('plus+&=#?.csv'), 'SAS: read');
fails("SELECT probe_url_put('az://data/out/x', 'az', 'x', 1, 'finish')",
    qr/ERROR:  28000: .*HINT:  Make a SAS token/s, 'SAS: no right to write');
credentials("sas_token '$sas{writer}'");
put('az://data/out/sas', $part, 2500, 'finish');
is($azure->get('data', 'out/sas') eq $part x 2500, 1, 'SAS: write');
credentials("sas_token '$sas{expired}'");
fails("SELECT * FROM dynpipe.list_files('az://data/*', 'az')",
    qr/ERROR:  28000: .*HINT:  The SAS token has expired/s, 'SAS: expired');
credentials("sas_token 'https://x.blob.core.windows.net/?sig=1'");
fails("SELECT * FROM dynpipe.list_files('az://data/*', 'az')",
    qr/ERROR:  HV024: .*not one/s, 'SAS: a URL is none');

# --- what a document is told, without asking the service
credentials($key);
is(check('az://data/x', 'az', 'true'), '', 'a good URL');
like(check('az://data/x', '', 'false'), qr/names no account/, 'no account');
like(check('abfss://data/x', 'az', 'false'), qr/names no account/, 'abfss without account');
like(check('abfss://data@otheraccount.dfs.core.windows.net/x', 'az', 'false'),
    qr/is not the account of server/, 'an account that is not the server\'s');
like(check('abfss://data@other.example.com/x', '', 'false'), qr/no valid host/, 'no host of Azure');
like(check("az://Data\@$account/x", '', 'false'), qr/no valid container/, 'no container');
like(check("az://data\@$account/x", '', 'true'), qr/nobody can write/, 'writing as nobody');
sql("CREATE SERVER cloud TYPE 'adls' FOREIGN DATA WRAPPER dynpipe OPTIONS (account '$account')");
like(check("abfss://data\@$account.dfs.example.com/x", 'cloud', 'false'), qr/is not that of server/,
    'credentials do not go to another suffix');
fails(q{CREATE SERVER a TYPE 'adls' FOREIGN DATA WRAPPER dynpipe OPTIONS (account_key 'canary')},
    qr/ERROR:  HV00D: .*secret/, 'secrets are not options of a server');
fails(q{CREATE USER MAPPING FOR CURRENT_USER SERVER cloud OPTIONS (account_key 'a', sas_token 'b')},
    qr/ERROR:  HV00D: .*two ways/, 'one way to authenticate');
sql('CREATE ROLE plain; GRANT USAGE ON FOREIGN DATA WRAPPER dynpipe TO plain');
fails(q{SET ROLE plain; CREATE SERVER p TYPE 'adls' FOREIGN DATA WRAPPER dynpipe
        OPTIONS (account 'abc', endpoint 'http://127.0.0.1:1')},
    qr/ERROR:  HV024: .*endpoint/, 'http is for superusers');
sql('CREATE SERVER p TYPE \'adls\' FOREIGN DATA WRAPPER dynpipe OPTIONS (account \'abc\',
     endpoint \'http://127.0.0.1:1\'); GRANT USAGE ON FOREIGN SERVER p TO plain;
     ALTER SERVER p OWNER TO plain');
like(sql(q{SET ROLE plain; SELECT probe_url_check('az://data/x', 'p', false)}),
    qr/without TLS needs a server that is owned by a superuser/, 'also when it changes hands');

like(check('abfss://data@' . $account . '.dfs.core.windows.net/x', 'cloud', 'true'),
    qr/nobody can write/, 'also with a server');

# --- a pipeline from storage to storage
$azure->put('data', "day/$_.csv", join "\n", 'id,amount', map { "$_,$_.5" } 1 .. 100)
  for 1 .. 3;
$proxy->fault(match => qr{^GET \S*/day/2.csv}, cut => 300);
$proxy->fault(match => qr{^PUT \S*/done/}, status => 503, headers => ['Retry-After: 0']);
sql(q{SELECT * FROM dynpipe.apply('{"pipelines": [{"name": "day", "source": "az://data/day/*.csv",
      "connection": "az", "schema": [{"name": "id", "type": "int"}, {"name": "amount", "type": "numeric"}],
      "destination": {"url": "az://data/done", "connection": "az"}}]}')});
is(sql("SELECT count(*) FROM dynpipe.run('day') WHERE state = 'loaded'"), 3, 'pipeline: three files');
is(sql("SELECT count(*) FROM dynpipe.run('day') WHERE state = 'loaded'"), 0, 'once');
is(sql('SELECT count(*), sum(amount) FROM silver.day'), '300|15300.0', 'all rows');
is(sql("SELECT count(*) FROM dynpipe.publish('day') WHERE state = 'written'"), 3, 'three objects');
is(join(' ', $azure->list('data', 'done/')), 'done/1.csv done/2.csv done/3.csv', 'of their names');
is(scalar(() = $azure->get('data', 'done/2.csv') =~ /\n/g), 101, 'with their rows');

# --- tokens: a server that gives them out and a storage that takes the newest one
my $dir = PostgreSQL::Test::Utils::tempdir();

sub note_line {
    my ($name, $line) = @_;
    open my $out, '>>', "$dir/$name" or die $!;
    syswrite $out, "$line\n";
    close $out;
    return;
}

sub lines { return -e "$dir/$_[0]" ? split(/\n/, slurp_file("$dir/$_[0]")) : () }

sub answer {
    my ($head, $body) = @_;
    my $n = lines('tokens');
    if ($head =~ m{^POST /tenant/oauth2/v2.0/token|^GET /metadata/identity}) {
        note_line('asked', "$head|$body" =~ s/[\r\n]+/ /gr);
        return ('401 No', '{"error": "invalid_client", "error_description":'
              . ' "AADSTS7000215: Invalid client secret provided.\r\nTrace ID: 1"}')
          if $body =~ /client_secret=wrong/;
        return ('200 OK', '{"token_type": "Bearer", "access_token": "bad\r\nx-evil: 1"}')
          if $body =~ /client_secret=evil/;
        note_line('tokens', 'x');
        my $lives = -e "$dir/brief" ? 299 : 3599;
        return ('200 OK', '{"access_token": "token-' . ($n + 1) . "\", \"expires_in\": \"$lives\"}");
    }
    my $good = $head =~ /^Authorization: Bearer token-$n\r?$/m && !-e "$dir/never";
    note_line('stored', $good ? 'taken' : 'refused');
    return $good ? ('200 OK', '') : ('401 No', '');
}

my $listener = IO::Socket::INET->new(Listen => 16, LocalAddr => '127.0.0.1') or die $@;
my $issuer = 'http://127.0.0.1:' . $listener->sockport;
my $pid = fork // die "fork: $!";
if ($pid == 0) {
    my $parent = getppid;
    while (getppid == $parent) {
        next unless IO::Select->new($listener)->can_read(1);
        my $client = $listener->accept or next;
        my $text = '';
        until ($text =~ /\r\n\r\n/ && length($') >= (($text =~ /^Content-Length: (\d+)/mi)[0] // 0)) {
            sysread($client, $text, 65536, length $text) or last;
        }
        my ($head, $body) = split /\r\n\r\n/, $text, 2;
        my ($status, $answer) = answer($head, $body // '');
        syswrite $client, "HTTP/1.1 $status\r\nContent-Length: " . length($answer)
          . "\r\nETag: \"0x1\"\r\nConnection: close\r\n\r\n$answer";
        close $client;
    }
    POSIX::_exit(0);
}
close $listener;

sql("CREATE SERVER entra TYPE 'adls' FOREIGN DATA WRAPPER dynpipe OPTIONS (account '$account',
     endpoint '$issuer', authority_endpoint '$issuer/tenant/oauth2/v2.0/token', identity_endpoint '$issuer')");

sub identity {
    my ($options) = @_;
    sql('DROP USER MAPPING IF EXISTS FOR CURRENT_USER SERVER entra');
    sql("CREATE USER MAPPING FOR CURRENT_USER SERVER entra OPTIONS ($options)");
    unlink glob "$dir/*";
    return;
}

sub stats { return sql("SELECT probe_url_stats('az://data/x', 'entra', $_[0])") }

identity(q{client_id 'app', client_secret 's&c r=t'});
is(stats(5), 5, 'Entra: five requests');
is(scalar(lines('asked')), 1, 'take one token');
my ($asked) = lines('asked');
like($asked, qr{^POST .*Content-Type: application/x-www-form-urlencoded}, 'asked for by a form');
is($asked =~ s/.*\|//r, 'grant_type=client_credentials&client_id=app&client_secret=s%26c%20r%3Dt'
      . '&scope=https%3A%2F%2Fstorage.azure.com%2F.default', 'of these fields');
identity(q{client_id 'app', client_secret 'secret'});
note_line('brief', '');
is(stats(3), 3, 'Entra: tokens in their last five minutes');
is(scalar(lines('asked')), 3, 'are not used again');
identity(q{client_id 'app', client_secret 'secret'});
note_line('never', '');
fails("SELECT probe_url_stats('az://data/x', 'entra', 1)", qr/ERROR:  28000: /,
    'Entra: a token that storage does not take');
is(join(' ', lines('stored')), 'refused refused', 'is renewed once');
is(scalar(lines('asked')), 2, 'and no more often');
for (['wrong', qr/ERROR:  28000: Entra ID refused .*AADSTS7000215: Invalid client secret provided\..*HINT/s,
        'a wrong secret'], ['evil', qr/ERROR:  08P01: /, 'a token that would end the header']) {
    identity("client_id 'app', client_secret '$_->[0]'");
    fails("SELECT probe_url_stats('az://data/x', 'entra', 1)", $_->[1], "Entra: $_->[2]");
}
identity(q{managed_identity 'true', client_id 'app'});
is(stats(2), 2, 'managed identity: two requests');
($asked) = lines('asked');
like($asked, qr{^GET /metadata/identity/oauth2/token\?api-version=2018-02-01&resource=https%3A%2F%2Fstorage\.azure\.com%2F&client_id=app HTTP.*Metadata: true},
    'take one token of the machine');
is(scalar(lines('asked')), 1, 'one');
sql('GRANT USAGE ON FOREIGN SERVER entra TO plain; ALTER SERVER entra OWNER TO plain');
fails("SELECT probe_url_stats('az://data/x', 'entra', 1)", qr/ERROR:  42501: /,
    'managed identity: on servers of superusers only');

# --- nothing of all that was told to anybody
my $log = slurp_file($node->logfile) =~ s/^.*STATEMENT:.*(?:\n\t.*)*//mgr;
$log = join "\n", grep { !/statement: / } split /\n/, $log;
unlike($log, qr/sig=[^.]|token-\d|s%26c|client_secret=|SharedKey/, 'no secret in the log');
is(scalar(grep { /^x-evil/mi } $proxy->requests), 0, 'and no header slipped in');

kill 'KILL', $pid;
waitpid $pid, 0;
$node->stop;
done_testing();
