# Files of the server: what a role must not reach gives no byte, whatever way
# is tried; what it may read is read whole or not at all, packed or recoded; a
# file that is written is there whole or not at all.
use strict;
use warnings;
use Encode ();
use IO::Compress::Gzip ();
use IPC::Run ();
use POSIX ();
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Socket;
use Test::More;
use DynpipeTest;

my $dir  = PostgreSQL::Test::Utils::tempdir();
my $root = "$dir/root";
my $node = PostgreSQL::Test::Cluster->new('files');
$node->init;
$node->append_conf('postgresql.conf', <<"CONF");
session_preload_libraries = '$ENV{DYNPIPE_TOOLS}/store_probe.so'
restart_after_crash = on
CONF
$node->start;

sub sql { return $node->safe_psql('postgres', $_[0]) }

# Output of a query and the SQLSTATE and message it failed with.
sub try_sql {
    my ($query) = @_;
    my ($code, $out, $err) = $node->psql('postgres', "\\set VERBOSITY verbose\n$query");
    $err =~ s/^psql:<stdin>:\d+: //mg;
    return ($out, $err);
}

sub write_file {
    my ($path, $text) = @_;
    open my $out, '>:raw', $path or die "$path: $!";
    print $out $text;
    close $out or die "$path: $!";
    return;
}

sub hex_of { return unpack 'H*', $_[0] }

for my $function (
    'file(text, text, text, int) RETURNS bytea', 'changing(text) RETURNS bytea',
    'value(bytea, text, text, int) RETURNS bytea', 'list(text) RETURNS text',
    'glob(text, text) RETURNS text', 'put(text, bytea, text) RETURNS void',
    'remove(text) RETURNS void', 'check(text, text) RETURNS text') {
    my ($name) = $function =~ /^(\w+)/;
    sql("CREATE FUNCTION probe_$function STRICT LANGUAGE C
         AS '$ENV{DYNPIPE_TOOLS}/store_probe.so', 'probe_$name'");
}
sql("CREATE FUNCTION probe_server(text, text, text) RETURNS text LANGUAGE C
     AS '$ENV{DYNPIPE_TOOLS}/store_probe.so', 'probe_server'");
sql('CREATE ROLE reader; GRANT pg_read_server_files TO reader;
     CREATE ROLE writer; GRANT pg_write_server_files TO writer; CREATE ROLE nobody');

my $in_root = "SET dynpipe.file_root = '$root'; SET ROLE reader;";
my $key = substr $root, 1;

sub content {
    my ($path) = @_;
    return "SELECT encode(probe_file('$path', 'detect', 'detect', 1000), 'escape')";
}

sub check_globs {
    my @yes = (
        [ 'a/*.csv', 'a/x.csv', 'a/' ], [ 'a/?.csv', 'a/é.csv', 'a/' ], [ '*', 'a', '' ],
        [ 'a/[a-c]x', 'a/bx', 'a/' ], [ 'a/[!a-c]x', 'a/dx', 'a/' ], [ 'a/[]x]', 'a/]', 'a/' ],
        [ 'a/[à-ü]', 'a/é', 'a/' ], [ 'a/[*]', 'a/*', 'a/' ], [ 'a/{x,y}.csv', 'a/y.csv', 'a/' ],
        [ 'a/{x,{y,z}1}.csv', 'a/z1.csv', 'a/' ], [ 'a/{x,}.csv', 'a/.csv', 'a/' ],
        [ '{a/b,c}/x', 'a/b/x', '' ], [ 'a/**', 'a/b/c/x', 'a/' ], [ 'a/**/x', 'a/x', 'a/' ],
        [ 'a/**/x', 'a/b/c/x', 'a/' ], [ '**/x', 'b/x', '' ], [ 'a/', 'a/b/c', 'a/' ],
        [ 'a/*/', 'a/b/c/d', 'a/' ], [ 'a/.*', 'a/.x', 'a/' ], [ 'a/_*/x', 'a/_b/x', 'a/' ],
        [ 'a/b**c', 'a/bxc', 'a/' ], [ '*a*a*a*', 'aaa', '' ]);
    my @no = (
        [ 'a/*.csv', 'a/b/x.csv' ], [ 'a/*', 'a/.x' ], [ 'a/*', 'a/_x' ], [ 'a/?x', 'a/.x' ],
        [ 'a/*.csv', 'a/.csv' ], [ 'a/[!a]x', 'a/_x' ], [ 'a/**', 'a/.git/x' ],
        [ 'a/**/x', 'a/_tmp/x' ], [ 'a/?', 'a//' ], [ 'a/??', 'a/é' ], [ 'a/b**c', 'a/b/c' ],
        [ 'a/{x,y}', 'a/z' ], [ 'a/*', 'b/a/x' ], [ '[a-c]', 'd' ], [ 'a/[!x]b', 'a//b' ],
        [ 'a/', 'b/x' ], [ 'a/', 'a/.x' ]);
    is(sql("SELECT probe_glob('$_->[0]', '$_->[1]')"), "$_->[2] pattern yes",
        "$_->[0] takes $_->[1]") for @yes;
    like(sql("SELECT probe_glob('$_->[0]', '$_->[1]')"), qr/ no$/,
        "$_->[0] does not take $_->[1]") for @no;
    is(sql("SELECT probe_glob('a/b[c{d', 'a/b[c{d')"), 'a/ plain yes', 'what is not closed is text');
    is(sql("SELECT probe_glob('{' || repeat('*a', 1000) || '}b', repeat('a', 4000))"),
        ' pattern no', 'no pattern takes for ever');
}

# Ways to what lies outside: no byte of it, a clear refusal.
sub check_outside {
    mkdir $_ for $root, "$root/sub", "$dir/outside";
    write_file("$root/good.csv", "good\n");
    write_file("$root/sub/x.csv", "good\n");
    write_file("$dir/outside/x.csv", "secret\n");
    symlink 'good.csv', "$root/inside";
    symlink "$root/good.csv", "$root/absolute";
    symlink '../outside/x.csv', "$root/file_out";
    symlink '../outside', "$root/folder_out";
    symlink 'sub', "$root/folder_in";
    symlink 'loop', "$root/loop";

    is(sql("$in_root " . content("$key/$_")), "good\n", "read: $_")
      for 'good.csv', 'sub/x.csv', 'inside', 'folder_in/x.csv', '/sub/./x.csv';
    my %refused = (
        "$key/../outside/x.csv"      => 'must not have a part ".."',
        "$key/sub/../../outside/x.csv" => 'must not have a part ".."',
        "$key/.."                    => 'must not have a part ".."',
        substr($dir, 1) . '/outside/x.csv' => 'outside of dynpipe.file_root',
        "${key}2/x.csv"              => 'outside of dynpipe.file_root',
        'etc/passwd'                 => 'outside of dynpipe.file_root',
        ''                           => 'outside of dynpipe.file_root',
        "$key/file_out"              => 'permission denied',
        "$key/folder_out/x.csv"      => 'permission denied',
        "$key/absolute"              => 'permission denied',
        "$key/loop"                  => 'permission denied');
    for my $path (sort keys %refused) {
        my ($out, $err) = try_sql("$in_root " . content($path));
        is($out, '', "no byte of: $path");
        like($err, qr/ERROR:  42501: .*\Q$refused{$path}\E/, '... and says why');
    }
    is(sql("$in_root SELECT probe_list('$key/**')"),
        "$key/good.csv 5\n$key/inside 5\n$key/sub/x.csv 5\n3", 'links out are not listed');
    is(sql("$in_root SELECT probe_list('$key/*')"), "$key/good.csv 5\n$key/inside 5\n2",
        'a flat listing');
    is(sql("SET ROLE reader; SELECT probe_list('$key/f*/*')"),
        "$key/folder_in/x.csv 5\n$key/folder_out/x.csv 7\n2",
        'without a root, links to folders are followed');
    is(sql("SET ROLE reader; " . content("$key/absolute")), "good\n", '... and those to files');
}

sub check_not_files {
    POSIX::mkfifo("$root/fifo", 0600);
    socket my $socket, PF_UNIX, SOCK_STREAM, 0;
    bind $socket, sockaddr_un("$root/socket");
    for my $path ("$key/fifo", "$key/socket", "$key/sub", 'dev/null', 'dev/zero', 'dev/stdin',
        'dev/fd/0', 'proc/self/environ', 'proc/self/fd/0', 'proc/self/root/etc/hostname',
        'proc/1/environ', 'sys/kernel/uevent_seqnum') {
        next unless lstat "/$path";
        my ($out, $err) = try_sql('SET ROLE reader;' . content($path));
        is($out, '', "no byte of: $path");
        like($err, qr/ERROR:  (42809|42501): .*(not a regular file|is a folder|permission denied)/i,
            '... and says why');
    }
    my ($out, $err) = try_sql("SET ROLE reader; SELECT probe_list('proc/self/*')");
    like($err, qr/ERROR:  42809: .*made up by the system/, 'procfs is not listed');
    ok(!-e "$root/fifo" || (unlink "$root/fifo", "$root/socket"), 'cleaned');
}

# Links are swapped under the reader as fast as can be: it never gets the secret.
sub check_swapped {
    mkdir "$root/swap";
    write_file("$root/swap/x.csv", "good\n");
    my $pid = fork // die;
    if ($pid == 0) {
        chdir $root;
        while (getppid != 1) {
            symlink '../outside/x.csv', 'new'; rename 'new', 'swapped';
            rename 'swap', 'moved'; symlink '../outside', 'swap';
            unlink 'swap'; rename 'moved', 'swap';
            symlink 'good.csv', 'new'; rename 'new', 'swapped';
        }
        POSIX::_exit(0);
    }
    my $counts = sql(qq{
        SET dynpipe.file_root = '$root';
        CREATE TEMP TABLE seen (what text);
        DO \$\$
        DECLARE path text;
        BEGIN
          FOR i IN 1 .. 2000 LOOP
            FOREACH path IN ARRAY ARRAY['$key/swapped', '$key/swap/x.csv'] LOOP
              BEGIN
                INSERT INTO seen SELECT encode(probe_file(path, 'none', 'utf-8', 100), 'escape');
              EXCEPTION WHEN insufficient_privilege OR undefined_file OR object_in_use THEN
                INSERT INTO seen VALUES (SQLSTATE);
              END;
            END LOOP;
          END LOOP;
        END \$\$;
        SELECT count(*) FILTER (WHERE what ~ 'good') > 0, count(*) FILTER (WHERE what = '42501') > 0,
               count(*) FILTER (WHERE what ~ 'secret') FROM seen});
    kill 'KILL', $pid;
    waitpid $pid, 0;
    is($counts, 't|t|0', 'swapped links: the good file, refusals, never the secret');
    system 'rm', '-rf', map { "$root/$_" } qw(swap moved new swapped);
}

sub check_rights {
    my ($out, $err) = try_sql('SET ROLE nobody;' . content("$key/good.csv"));
    is($out, '', 'no byte without the role');
    like($err, qr/ERROR:  42501: permission denied to read files of the server.*"nobody".*
HINT:  Use GRANT pg_read_server_files TO nobody/s, '... says which');
    is(sql('SET ROLE nobody; ' . "SELECT probe_check('', '$key/good.csv')"),
        "permission denied to read files of the server\n", 'known when a document is applied');
    is(sql("$in_root SELECT probe_check('other', 'etc/../x')"), "a file of another host cannot be "
        . "read\npath of a file must not have a part \"..\"\n", '... with all that is wrong');
    is(sql("$in_root SELECT probe_check('localhost', '$key/good.csv')"), '', '... and what is right');
    ($out, $err) = try_sql("SET ROLE reader; SELECT probe_put('$key/new.csv', 'x', 'finish')");
    like($err, qr/ERROR:  42501: permission denied to write files/, 'a reader does not write');
    ($out, $err) = try_sql("SET ROLE writer; SELECT probe_list('$key/*')");
    like($err, qr/ERROR:  42501: permission denied to read files/, 'a writer does not read');
    sql('REVOKE pg_read_server_files FROM reader');
    ($out, $err) = try_sql('SET ROLE reader;' . content("$key/good.csv"));
    is($out, '', 'no byte after REVOKE');
    sql('GRANT pg_read_server_files TO reader');
    ($out, $err) = try_sql("SET ROLE reader; SET dynpipe.file_root = ''");
    like($err, qr/ERROR:  42501: permission denied to set parameter/, 'the root is not its to set');
    ($out, $err) = try_sql("SET dynpipe.file_root = 'data'");
    like($err, qr/absolute path/, 'a root is an absolute path');
}

sub check_changed {
    write_file("$root/grows.csv", "1\n2\n");
    my ($out, $err) = try_sql("$in_root SELECT probe_changing('$key/grows.csv')");
    is($out, '', 'a file that changes gives nothing');
    like($err, qr/ERROR:  55006: .*has changed while it was being read/, '... and says so');
    is(sql("SET ROLE reader; SELECT probe_file('$key/none.csv', 'none', 'utf-8', 1) IS NULL"), 't',
        'a file that is not there');
    ($out, $err) = try_sql("SET ROLE reader; SELECT probe_list('$key/none/*')");
    like($err, qr/ERROR:  58P01: could not list folder/, 'a folder that is not there');
    chmod 0, "$root/sub";
    ($out, $err) = try_sql("$in_root SELECT probe_list('$key/**')");
    like($err, qr/ERROR:  42501: could not list folder .*sub/, 'a folder that is closed')
      if $> != 0;
    chmod 0755, "$root/sub";
    unlink "$root/grows.csv";
}

sub gzip {
    my ($text) = @_;
    my $out;
    IO::Compress::Gzip::gzip(\$text, \$out) or die;
    return $out;
}

# A frame of one raw block; $log: of its window; $header: that of the block.
sub zstd {
    my ($text, $log, $type) = @_;
    return pack 'H*CCCva*', '28b52ffd', 0, (($log // 17) - 10) << 3,
        (length($text) << 3 | ($type // 0) << 1 | 1) & 0xFF, length($text) >> 5, $text;
}

sub unpacked {
    my ($name, $packed, $expected, $compression) = @_;
    for my $step (1, 7, 100_000) {
        my ($out, $err) = try_sql(sprintf "SELECT encode(probe_value('\\x%s', '%s', 'utf-8', %d), 'hex')",
            hex_of($packed), $compression // 'detect', $step);
        if (ref $expected) {
            is($out, '', "$name: nothing, $step bytes a time") and like($err, $expected, '... says why');
        }
        else {
            is($out, hex_of($expected), "$name: $step bytes a time") or diag($err);
        }
    }
}

sub check_unpack {
    my $text = join '', map { "$_;" . $_ * 7 . "\n" } 1 .. 500;
    my ($gz, $zst) = (gzip($text), zstd($text, 17));
    my $skippable = pack 'H*Va*', '502a4d18', 5, 'extra';
    my $broken = $gz;
    substr($broken, -6, 1) ^= "\x01";
    unpacked('plain text', 'id;name', 'id;name');
    unpacked('nothing', '', '');
    unpacked('gzip that is not to be unpacked', $gz, $gz, 'none');
    unpacked('gzip', $gz, $text);
    unpacked('gzip by name', $gz, $text, 'gzip');
    unpacked('gzip of nothing', gzip(''), '');
    unpacked('members of gzip', $gz . gzip('') . $gz, $text . $text);
    unpacked('gzip and zero bytes', $gz . "\0" x 3000, $text);
    unpacked('gzip and rubbish', $gz . 'rubbish',
        qr/ERROR:  XX001: gzip data is broken at byte ${\length $gz}: no member begins here/);
    unpacked('gzip, zero bytes and rubbish', $gz . "\0" x 10 . $gz, qr/ERROR:  XX001: gzip/);
    unpacked('gzip cut off', substr($gz, 0, length($gz) / 2),
        qr/ERROR:  XX001: gzip data is broken at byte ${\int(length($gz) \/ 2)}: it ends inside/);
    unpacked('gzip without its last byte', substr($gz, 0, -1), qr/ERROR:  XX001: .*it ends inside/);
    unpacked('gzip with a wrong checksum', $broken,
        qr/ERROR:  XX001: gzip data is broken at byte \d+: incorrect data check/);
    unpacked('second member broken', $gz . $broken,
        qr/XX001.*DETAIL:  ${\length $gz} bytes of it are whole members/s);
    unpacked('no gzip', 'id;name', qr/ERROR:  XX001: .*byte 0: it is not gzip/, 'gzip');
    unpacked('an empty gzip', '', qr/ERROR:  XX001: .*it is empty/, 'gzip');
    unpacked('zstd', $zst, $text);
    unpacked('frames of zstd', $skippable . $zst . $skippable . zstd('') . $zst, $text . $text);
    unpacked('zstd cut off', substr($zst, 0, -1), qr/ERROR:  XX001: zstd data .*it ends inside of a frame/);
    unpacked('zstd and rubbish', $zst . 'rubbish',
        qr/ERROR:  XX001: zstd data is broken at byte ${\length $zst}/);
    unpacked('zstd broken', zstd($text, 17, 3), qr/ERROR:  XX001: zstd data is broken/);
    unpacked('zstd with a window of 16 MB', zstd('abc', 24), 'abc');
    unpacked('zstd with a window of 128 MB', zstd('abc', 27),
        qr/ERROR:  54000: zstd data needs more than 16 MB .*HINT:  Compress it again/s);
    unpacked('zstd with a window of 2 TB', zstd('abc', 41), qr/ERROR:  (54000|XX001): zstd data/);

    # 64 GB in 2 MB would take a while: 1 GB in 32 kB of run-length blocks.
    my $bomb = pack('H*', '28b52ffd0038') . pack('Cva', (131072 << 3 | 2) & 0xFF, 131072 >> 5, 'x') x 8192
      . pack('Cva', 3, 0, 'x');
    write_file("$root/bomb.zst", $bomb);
    is(sql("$in_root SELECT encode(probe_file('$key/bomb.zst', 'detect', 'utf-8', 100000), 'escape')"),
        '1073741824 bytes', 'a bomb is a long file');
    unlink "$root/bomb.zst";
}

sub recoded {
    my ($name, $bytes, $expected, $encoding) = @_;
    for my $step (1, 3, 100_000) {
        my ($out, $err) = try_sql(sprintf "SELECT encode(probe_value('\\x%s', 'none', '%s', %d), 'hex')",
            hex_of($bytes), $encoding // 'detect', $step);
        if (ref $expected) { like($err, $expected, "$name: $step bytes a time") }
        else { is($out, hex_of($expected), "$name: $step bytes a time") or diag($err) }
    }
}

sub check_recode {
    my $text = "id;näme;€\n1;\x{1F600};\x{4E2D}\n" x 300;
    my $utf8 = Encode::encode('UTF-8', $text = Encode::decode('UTF-8', "id;n\xC3\xA4me;\xE2\x82\xAC\n")
          . "1;\x{1F600};\x{4E2D}\n" x 300);
    my %utf16 = map { $_ => Encode::encode("UTF-16$_", $text) } qw(LE BE);
    recoded('UTF-8', $utf8, $utf8);
    recoded('UTF-8 with a mark', "\xEF\xBB\xBF$utf8", $utf8, $_) for 'detect', 'utf-8';
    recoded('nothing but a mark', "\xEF\xBB\xBF", '');
    recoded('what is no UTF-8', "a\xFFb\xC3", "a\xFFb\xC3");
    recoded('a zero byte in UTF-8', "a,b\nc\0d,e\n" x 3, "a,b\nc\0d,e\n" x 3);
    recoded('UTF-16LE with a mark', "\xFF\xFE$utf16{LE}", $utf8, $_) for 'detect', 'utf-16', 'utf-16le';
    recoded('UTF-16BE with a mark', "\xFE\xFF$utf16{BE}", $utf8, $_) for 'detect', 'utf-16', 'utf-16be';
    recoded("UTF-16$_ without a mark", $utf16{$_}, $utf8) for 'LE', 'BE';
    recoded('UTF-16LE by name', $utf16{LE}, $utf8, 'utf-16le');
    recoded('Chinese UTF-16BE', Encode::encode('UTF-16BE', "\x{4E2D}\x{6587},1\n" x 50),
        Encode::encode('UTF-8', "\x{4E2D}\x{6587},1\n" x 50));
    recoded('halves of pairs', "\xFF\xFE\x00\xD8a\0\x00\xDCb\0\x3D\xD8", "\xEF\xBF\xBDa\xEF\xBF\xBDb\xEF\xBF\xBD");
    recoded('half a character', "\xFF\xFEa\0b",
        qr/ERROR:  22021: UTF-16 text ends with half a character at byte 4/);
    recoded('UTF-32', "\xFF\xFE\0\0a\0\0\0", qr/ERROR:  0A000: encoding UTF-32/);
    recoded('latin1', join('', map { chr } 0 .. 255),
        Encode::encode('UTF-8', join '', map { chr } 0 .. 255), 'latin1');
    # Perl has nothing for the bytes that windows-1252 leaves undefined.
    recoded('windows-1252', join('', map { chr } 0x20 .. 0xFF),
        Encode::encode('UTF-8', join '', map { $_ == 0x81 || $_ == 0x8D || $_ == 0x8F || $_ == 0x90
            || $_ == 0x9D ? chr : Encode::decode('cp1252', chr) } 0x20 .. 0xFF), 'windows-1252');
    recoded('an unknown encoding', 'a', qr/ERROR:  22023: unknown encoding "ebcdic"/, 'ebcdic');
    write_file("$root/both.csv", gzip("\xFF\xFE$utf16{LE}"));
    is(sql("$in_root SELECT encode(probe_file('$key/both.csv', 'detect', 'detect', 100), 'hex')"),
        hex_of($utf8), 'packed and in UTF-16');
    unlink "$root/both.csv";
}

sub check_put {
    my $writer = "SET dynpipe.file_root = '$root'; SET ROLE writer;";
    my $list = "$in_root SELECT probe_list('$key/out/**')";
    sql("$writer SELECT probe_put('$key/out/a/b/x.csv', 'one', 'finish')");
    is(sql($list), "$key/out/a/b/x.csv 3\n1", 'written, with its folders');
    is((stat "$root/out/a/b/x.csv")[2] & 0777, 0644, '... for others to read');
    sql("$writer SELECT probe_put('$key/out/a/b/x.csv', 'other', 'finish')");
    is(sql("$in_root " . content("$key/out/a/b/x.csv")), 'other', 'replaced');
    sql("$writer SELECT probe_put('$key/out/y.csv', 'two', 'abort')");
    my ($out, $err) = try_sql("$writer SELECT probe_put('$key/out/y.csv', 'two', 'fail')");
    is_deeply([ glob "$root/out/.*.tmp" ], [], 'given up: nothing is left');
    is(sql($list), "$key/out/a/b/x.csv 5\n1", '... nor to be seen');

    for my $path ("$key/folder_out/new.csv", "$key/../outside/new.csv", "$key/out/../../new.csv",
        substr($dir, 1) . '/outside/new.csv', "$key/folder_out/deep/new.csv") {
        ($out, $err) = try_sql("$writer SELECT probe_put('$path', 'x', 'finish')");
        like($err, qr/ERROR:  42501/, "not written: $path");
    }
    is_deeply([ glob "$dir/outside/*" ], ["$dir/outside/x.csv"], 'nothing was written outside');

    # A long name still leaves room for that of the temporary file.
    sql("$writer SELECT probe_put('$key/out/' || repeat('n', 251) || '.csv', 'x', 'finish')");
    sql("$writer SELECT probe_remove('$key/out/' || repeat('n', 251) || '.csv')");
    is(sql("$writer SELECT probe_remove('$key/out/none.csv')"), '', 'removing what is not there');
    ($out, $err) = try_sql("$writer SELECT probe_remove('$key/folder_out/x.csv')");
    like($err, qr/ERROR:  42501/, 'nothing is removed outside');
    ok(-e "$dir/outside/x.csv", '... it is there');

    my $said = '';
    my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
        "$writer SELECT probe_put('$key/out/z.csv', 'half', 'wait')" ],
        '<', '/dev/null', '>', \$said, '2>&1', IPC::Run::timeout(60));
    ok($node->poll_query_until('postgres',
        q{SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep'}),
        'in the middle of writing');
    my $pid = sql(q{SELECT pid FROM pg_stat_activity WHERE wait_event = 'PgSleep'});
    ok(-s (glob "$root/out/.z.csv.*.tmp")[0], '... with a hidden file');
    kill 'KILL', $pid;
    eval { $psql->finish };
    $node->poll_query_until('postgres', 'SELECT true');
    is(sql($list), "$key/out/a/b/x.csv 5\n1", 'killed: nothing is visible');
}

# 300 files in 30 folders: more than a page; and a loop of links.
sub check_list {
    mkdir "$root/many";
    for my $folder (1 .. 30) {
        mkdir "$root/many/$folder";
        write_file("$root/many/$folder/$_.csv", $_) for 1 .. 50;
        symlink '..', "$root/many/$folder/up";
    }
    write_file("$root/many/1/.hidden.csv", 'x');
    write_file("$root/many/1/_hidden.csv", 'x');
    write_file("$root/many/1/\xE9.csv", 'x');
    like(sql("$in_root SELECT probe_list('$key/many/**/*.csv')"), qr/\n1500$/, 'pages, in a root');
    my ($out, $err) = try_sql("SET ROLE reader; SELECT probe_list('$key/many/**/*.csv')");
    like($out, qr/\n1500$/, 'without a root: loops end');
    like($err, qr/WARNING:  22021: files are left out whose names are not text/, '... a warning');
    is(sql("$in_root SELECT probe_list('$key/many/1/_*')"), "$key/many/1/_hidden.csv 1\n1", 'spelled');
    is(sql("$in_root SELECT probe_list('$key/many/{2,3}/[45].csv')"),
        join('', map { my $f = $_; map { "$key/many/$f/$_.csv 1\n" } 4, 5 } 2, 3) . '4', 'alternatives');
}

sub check_servers {
    sql(q{CREATE FOREIGN DATA WRAPPER dynpipe; CREATE FOREIGN DATA WRAPPER other;
          CREATE SERVER data TYPE 's3' FOREIGN DATA WRAPPER dynpipe OPTIONS (bucket 'data');
          CREATE SERVER wrong TYPE 's3' FOREIGN DATA WRAPPER other OPTIONS (bucket 'x');
          CREATE SERVER lake TYPE 'adls' FOREIGN DATA WRAPPER dynpipe OPTIONS (account 'contoso');
          CREATE SERVER raw TYPE 'adls' FOREIGN DATA WRAPPER dynpipe
              OPTIONS (account 'contoso', container 'raw');
          GRANT USAGE ON FOREIGN SERVER data, lake, raw TO reader});
    my $server = sub {
        my ($role, @args) = @_;
        return sql("SET ROLE $role; SELECT probe_server(" . join(', ', map { defined ? "'$_'" : 'NULL' } @args) . ')');
    };
    is($server->('reader', 's3', 'data', undef), 'data', 'the server of the bucket');
    is($server->('reader', 's3', 'x', undef), 'data', '... the only one');
    is($server->('nobody', 's3', 'data', undef), '', '... none that the role may not use');
    is($server->('reader', 's3', 'x', 'wrong'), 'wrong', '... the one that is named');
    is($server->('reader', 'abfss', 'raw@contoso.dfs.core.windows.net', undef), 'raw', 'the container');
    is($server->('reader', 'abfss', 'x@contoso.dfs.core.windows.net', undef), '', '... one of two');
    is($server->('reader', 'abfss', 'raw@contoso2.dfs.core.windows.net', undef), '', '... another account');
    is($server->('reader', 'file', '', undef), '', 'files have none');
    my ($out, $err) = try_sql("SELECT probe_server('file', '', 'data')");
    like($err, qr/ERROR:  42809/, '... and want none');
    sql(q{CREATE SERVER data2 TYPE 's3' FOREIGN DATA WRAPPER dynpipe OPTIONS (bucket 'data')});
    ($out, $err) = try_sql(q{SELECT probe_server('s3', 'data', NULL)});
    like($err, qr/ERROR:  42P08: 2 servers of type "s3" have bucket "data"/, 'two of them: an error');
    is($server->('none', 's3', 'x', undef), '', '... none of them for another bucket');
}

# Streams that fail give back what they hold, descriptors and all.
sub check_leaks {
    write_file("$root/cut.csv.gz", substr(gzip('x' x 100_000), 0, 100));
    is(sql(qq{
        CREATE FUNCTION open_files() RETURNS bigint LANGUAGE sql
            AS \$\$SELECT count(*) FROM pg_ls_dir('/proc/self/fd')\$\$;
        CREATE FUNCTION fail(n int) RETURNS int LANGUAGE plpgsql AS \$\$
        DECLARE failed int := 0;
        BEGIN
          FOR i IN 1 .. n LOOP
            BEGIN
              PERFORM probe_file('$key/cut.csv.gz', 'detect', 'detect', 100);
            EXCEPTION WHEN data_corrupted THEN failed := failed + 1;
            END;
            BEGIN
              PERFORM probe_put('$key/out/leak.csv', 'x', 'fail');
            EXCEPTION WHEN internal_error THEN failed := failed + 1;
            END;
          END LOOP;
          RETURN failed;
        END \$\$;
        SELECT fail(1);
        SELECT open_files() AS before \\gset
        SELECT fail(1500);
        SELECT open_files() - :before < 10}), "2\n3000\nt", 'no descriptor leaks');
    is_deeply([ glob "$root/out/.leak*" ], [], 'no file is left');
    unlink "$root/cut.csv.gz";
}

# The same by SQL alone: a pipeline of files, its owner's rights, the root.
sub check_pipeline {
    my $loader = DynpipeTest->start_node('loader', conf => "dynpipe.file_root = '$root'");
    my $run = sub { return $loader->psql('postgres', "SET ROLE etl; $_[0]") };
    mkdir "$root/in";
    write_file("$root/in/1.csv", "id,name\n1,one\n");
    write_file("$root/in/2.csv.gz", gzip("id,name\n2,two\n") . gzip("3,three\n"));
    write_file("$root/in/3.csv", Encode::encode('UTF-16', "id,name\n4,\x{20AC}\n"));
    write_file("$root/in/4.csv.zst", zstd("id,name\n5,five\n", 17));
    write_file("$root/in/5.csv.gz", substr(gzip("id,name\n6,six\n"), 0, 25));
    symlink '../../outside/x.csv', "$root/in/6.csv";
    $loader->safe_psql('postgres', 'CREATE ROLE etl; GRANT CREATE ON DATABASE postgres TO etl;
        CREATE EXTENSION dynpipe');
    my $apply = sub {
        my ($path) = @_;
        return $run->(qq{SELECT * FROM dynpipe.apply(\$\$
            pipelines:
              - name: files
                source: "file://$path"
                format: csv
                schema: [{name: id, type: int}, {name: name, type: text}]
                silver: {table: silver.files}
            \$\$)});
    };
    like(($apply->("$root/in/*.csv*"))[2], qr/permission denied to read files of the server/,
        'a document is refused without the role');
    $loader->safe_psql('postgres', 'GRANT pg_read_server_files TO etl');
    like(($apply->("$dir/outside/*.csv"))[2], qr/outside of dynpipe.file_root/, '... outside of the root');
    is(($apply->("$root/in/*.csv*"))[0], 0, '... else taken');
    is(($run->(q{SELECT substring(file FROM '[^/]*$'), state FROM dynpipe.run('files')}))[1],
        "1.csv|loaded\n2.csv.gz|loaded\n3.csv|loaded\n4.csv.zst|loaded\n5.csv.gz|failed",
        'each file by itself; a link that leads out is none');
    is(($run->('SELECT id, name FROM silver.files ORDER BY id'))[1],
        "1|one\n2|two\n3|three\n4|\xE2\x82\xAC\n5|five", '... with what is in it');
    write_file("$root/in/7.csv", "id,name\n7,seven\n");
    $loader->safe_psql('postgres', 'REVOKE pg_read_server_files FROM etl');
    my ($code, $out, $err) = $run->(q{SELECT * FROM dynpipe.run('files')});
    like($err, qr/permission denied to read files of the server/, 'nothing is read after REVOKE');
    is(($run->('SELECT count(*) FROM silver.files'))[1], 5, '... not a row');
    $loader->stop;
}

check_globs();
check_outside();
check_not_files();
check_swapped();
check_rights();
check_changed();
check_unpack();
check_recode();
check_put();
check_list();
check_servers();
check_leaks();
$node->stop;
check_pipeline();
done_testing();
