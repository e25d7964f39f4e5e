# Large files and workers: a load by several processes gives what one gives,
# can be watched by whom it concerns, ended within a second, and loses a helper
# without harm; workers find, divide, retry and give up files by themselves.
use strict;
use warnings;
use IPC::Run ();
use PostgreSQL::Test::Utils;
use Test::More;
use Time::HiRes qw(sleep time);
use DynpipeTest;

my $dir  = PostgreSQL::Test::Utils::tempdir();
my $node = DynpipeTest->start_node('file_workers', conf => <<'CONF');
dynpipe.retry_initial = 100
dynpipe.retry_max = 10000
log_min_messages = notice
CONF

sub sql { return $node->safe_psql('postgres', $_[0]) }
sub wait_for { return DynpipeTest->wait_until($node, 'postgres', @_) }

sub write_file {
    my ($name, $text) = @_;
    my ($folder) = "$dir/$name" =~ m{^(.*)/};
    system 'mkdir', '-p', $folder;
    open my $out, '>:raw', "$folder/.new" or die "$name: $!";
    print $out ref $text ? $text->() : $text;
    close $out or die "$name: $!";
    rename "$folder/.new", "$dir/$name" or die "$name: $!";
    return;
}

sub document {
    my ($name, $more, $types, $tables) = @_;
    $types ||= '{name: id, type: bigint, required: true}, {name: region, type: text},'
        . ' {name: amount, type: numeric}';
    return qq{
  - name: $name
    source: file://$dir/$name/*
    format: csv
    schema: [$types]
@{[ $tables // "    bronze: {table: bronze.$name}\n    silver: {table: silver.$name}\n" ]}$more};
}

sub apply { return sql("SELECT count(*) > 0 FROM dynpipe.apply(\$doc\$pipelines:\n$_[0]\$doc\$)") }
sub csv { return join '', "id,region,amount\n", map { "$_\n" } @_ }

sub count_of {
    my ($name, $state) = @_;
    return "SELECT count(*) FROM dynpipe.file WHERE pipeline = '$name' AND state = '$state'";
}

sql('CREATE EXTENSION dynpipe; CREATE SCHEMA bronze; CREATE SCHEMA silver; CREATE SCHEMA gold');

# 200,000 rows, some bad, some larger than a slot's share of memory.
sub dirty {
    my @rows = map {
          $_ % 1000 == 7 ? "x$_,n,1"
        : $_ % 1000 == 8 ? "$_,n"
        : $_ % 1000 == 9 ? "$_,\"two\nlines\",2.50"
        : $_ % 1000 == 10 ? ",n,3"
        : $_ % 50000 == 11 ? "$_," . 'r' x 1_000_000 . ',4'
        : "$_," . substr('nsew', $_ % 4, 1) . ',' . $_ / 4
    } 1 .. 200_000;
    splice @rows, 120_000, 0, '130000000,"' . 'big' x 2_500_000 . '",1';
    return csv(@rows);
}

subtest 'several processes give what one gives' => sub {
    write_file("$_/dirty.csv", \&dirty) for 'serial', 'parallel';
    apply(document('serial', '') . document('parallel', "    workers: 3\n"));
    my $what = 'SELECT loaded, quarantined, consumed FROM dynpipe.run';
    my $serial = sql("$what('serial')");
    is(sql("$what('parallel')"), $serial, $serial);
    is(sql("SELECT count(*) FROM (SELECT _offset, id, region, amount FROM silver.serial
        EXCEPT ALL SELECT _offset, id, region, amount FROM silver.parallel) x"), 0, 'values');
    my $bad = "SELECT \"offset\", line, stage, column_name, sqlstate, message, value
        FROM dynpipe.quarantine WHERE pipeline =";
    is(sql("SELECT count(*) FROM ($bad 'serial' EXCEPT ALL $bad 'parallel') x"), 0,
        'what is bad, and where');
    is(sql("SELECT count(*) FROM (SELECT _offset, _value FROM bronze.serial
        EXCEPT ALL SELECT _offset, _value FROM bronze.parallel) x"), 0, 'bronze');
    is(sql("SELECT * FROM dynpipe.verify('parallel') WHERE NOT ok"), '', 'verify');

    # Small texts that become large values, and a type with code of a user's.
    my $row = '[' . join(',', map { '1' } 1 .. 500) . ']';
    write_file('wide/a.csv', sub { join '', "id,doc,tags\n", map { "$_,\"$row\",\"{a,b}\"\n" } 1 .. 60_000 });
    sql("CREATE DOMAIN tagged AS text[] CHECK (cardinality(VALUE) = 2)");
    for my $types ('{name: id, type: bigint}, {name: doc, type: jsonb}',
        '{name: id, type: bigint}, {name: tags, type: public.tagged}') {
        apply(document('wide', "    workers: 2\n", $types));
        is(sql("SELECT loaded FROM dynpipe.run('wide')"), 60_000, $types);
        is(sql("SELECT dynpipe.drop('wide', true)"), '', 'dropped');
    }
};

# A load that takes its time: SQL that sleeps in every batch.
sub slow_document {
    my ($name, $more) = @_;
    return document($name, "    batch: {max_rows: 1000}\n$more", undef,
        "    bronze: false\n    silver: {table: silver.$name, where: \"public.pause(id)\"}\n");
}

sql('CREATE FUNCTION public.pause(bigint) RETURNS boolean LANGUAGE plpgsql AS $$
     BEGIN IF $1 % 1000 = 0 THEN PERFORM pg_sleep(0.05); END IF; RETURN true; END $$');

sub start_run {
    my ($name) = @_;
    my $out = '';
    my $err = '';
    my $psql = IPC::Run::start([ 'psql', '-XAtq', '-d', $node->connstr('postgres'), '-c',
        "SELECT loaded FROM dynpipe.run('$name')" ], '<', \undef, '>', \$out, '2>', \$err,
        IPC::Run::timeout(120));
    return ($psql, \$out, \$err);
}

subtest 'watched, ended, left by its helpers' => sub {
    sql('CREATE ROLE watcher LOGIN; GRANT pg_monitor TO watcher; CREATE ROLE stranger LOGIN');
    write_file("$_/a.csv", sub { csv(map { "$_,n,1" } 1 .. 100_000) }) for 'slow', 'slower';
    apply(slow_document('slow', '') . slow_document('slower', "    workers: 3\n"));
    my $pid = "SELECT pid FROM pg_stat_activity WHERE query LIKE '%dynpipe.run(%' AND pid <> pg_backend_pid()";
    for my $name ('slow', 'slower') {
        my ($psql, $out, $err) = start_run($name);
        ok(wait_for("SELECT count(*) FROM dynpipe.progress WHERE pipeline = '$name' AND records > 8000
            AND records_per_second > 0 AND percent > 0", 1), "$name: progress");
        is(sql("SELECT relid::regclass, command, tuples_processed > 0 FROM pg_stat_progress_copy"),
            "silver.$name|COPY FROM|t", 'as a COPY');
        is(sql("SET ROLE watcher; SELECT count(*) FROM dynpipe.progress"), 1, 'to pg_monitor');
        is(sql("SET ROLE stranger; SELECT count(*) FROM dynpipe.progress"), 0, 'not to strangers');
        my $helpers = sql("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'dynpipe helper'");
        is($helpers, $name eq 'slow' ? 0 : 2, 'helpers');
        sql("SELECT pg_terminate_backend(min(pid)) FROM pg_stat_activity
            WHERE backend_type = 'dynpipe helper'") if $helpers;
        $psql->finish;
        is($$out, "100000\n", 'all is loaded');
        like($$err, qr/NOTICE:  $name: \d+ %, file 1 of 1, \d+ records/, 'a line now and then');
        is(sql('SELECT count(*) FROM dynpipe.progress'), 0, 'nothing to be seen any more');
        ok(wait_for("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'dynpipe helper'", 0),
            'helpers have gone');

        sql("SELECT dynpipe.reload('$name', 'file://$dir/$name/a.csv')");
        ($psql, $out, $err) = start_run($name);
        wait_for("SELECT count(*) FROM dynpipe.progress WHERE records > 8000", 1);
        my $start = time;
        sql("SELECT pg_cancel_backend(pid) FROM dynpipe.progress");
        $psql->finish;
        cmp_ok(time - $start, '<', 1.5, 'cancelled in time');
        like($$err, qr/canceling statement due to user request/, 'and told');
        is(sql("SELECT count(*) FROM silver.$name"), 0, 'nothing is left');
        ok(wait_for("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'dynpipe helper'", 0),
            'no helpers either');
        is(sql("SELECT state FROM dynpipe.file WHERE pipeline = '$name' AND current"), 'pending',
            'it waits');
    }
    # A record that breaks a constraint does not end the report.
    sql("ALTER TABLE silver.slow ADD CHECK (id <> 50)");
    my ($psql, $out, $err) = start_run('slow');
    ok(wait_for("SELECT count(*) FROM dynpipe.progress WHERE records > 8000 AND file_quarantined = 1", 1),
        'progress behind a bad record');
    $psql->finish;
    is($$out, "99999\n", 'which is in quarantine');
};

subtest 'memory and descriptors' => sub {
    write_file("small/$_.csv", csv("$_,n,1")) for 1 .. 1000;
    write_file("small/${_}x.csv", "id,amount\n1,2\n") for 1 .. 100;
    apply(document('small', ''));
    my $session = DynpipeTest->open_session($node, 'postgres');
    $session->("SET client_min_messages = error");
    chomp(my $pid = $session->('SELECT pg_backend_pid()'));
    my $look = sub {
        my ($rss) = PostgreSQL::Test::Utils::slurp_file("/proc/$pid/status") =~ /RssAnon:\s+(\d+)/;
        my @files = glob "/proc/$pid/fd/*";
        return ($rss, scalar @files);
    };
    is($session->("SELECT count(*) FROM dynpipe.run('small')"), "1100\n", '1,100 files');
    my ($rss, $files) = $look->();
    write_file("small/$_.csv", csv("$_,n,1")) for 2001 .. 4000;
    is($session->("SELECT count(*) FROM dynpipe.run('small')"), "2100\n", '2,100 files more');
    my ($rss2, $files2) = $look->();
    cmp_ok($rss2 - $rss, '<', 6000, "memory stays: $rss, $rss2 kB");
    cmp_ok($files2 - $files, '<', 20, "descriptors: $files, $files2");
    $session->();
};

subtest 'workers' => sub {
    system 'mkdir', '-p', "$dir/$_" for 'watch', 'tick', 'many', 'locked', 'misfit';
    apply(document('watch', "    watch: 1s\n") . document('tick', "    schedule: 1s\n"));
    for my $name ('watch', 'tick') {
        write_file("$name/a.csv", csv('1,n,1'));
        ok(wait_for(count_of($name, 'loaded'), 1, 10), "$name: found");
        write_file("$name/a.csv", csv('1,n,1', '2,n,2'));
        ok(wait_for("SELECT count(*) FROM silver.$name", 2, 10), "$name: a change");
    }
    write_file('watch/dirty.csv', "id,amount\n1,2\n");
    ok(wait_for("SELECT failures > 2 AND next_try_at IS NOT NULL FROM dynpipe.file
        WHERE pipeline = 'watch' AND state = 'failed'", 't'), 'a failed file is tried again');
    ok(wait_for("SELECT state, files_failed FROM dynpipe.status WHERE pipeline = 'watch'", 'caught up|1'),
        'and is no trouble of the pipeline');
    write_file("watch/dirty$_.csv", "id,amount\n$_,2\n") for 1 .. 12;
    write_file('watch/zgood.csv', csv('3,n,3'));
    ok(wait_for("SELECT count(*) FROM silver.watch", 3), 'nor are a dozen');
    is(sql("SELECT count(*) FROM dynpipe.event_log WHERE pipeline = 'watch' AND kind = 'failed'"), 0,
        'no event says so');

    sql('CREATE TABLE public.seen (pid int, file int);
         CREATE FUNCTION public.note(int) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
         INSERT INTO public.seen VALUES (pg_backend_pid(), $1); PERFORM pg_sleep(0.02); RETURN true; END $$');
    apply(document('many', "    watch: 1s\n    workers: 2\n", '{name: id, type: int}, {name: f, type: int, from: "@partition"}',
        "    bronze: {table: bronze.many}\n    silver: {table: silver.many, where: \"public.note(f)\"}\n"));
    wait_for("SELECT state FROM dynpipe.status WHERE pipeline = 'many'", 'caught up');
    sleep 2;
    write_file("many/$_.csv", "id\n$_\n") for 1 .. 200;
    ok(wait_for('SELECT count(*), count(DISTINCT id) FROM silver.many', '200|200'), 'each file once');
    is(sql('SELECT count(DISTINCT pid) FROM public.seen'), 2, 'by two workers');
    is(sql("SELECT * FROM dynpipe.verify('many') WHERE NOT ok"), '', 'verify');

    write_file("many/x$_.csv", "id\n1$_\n") for 1 .. 100;
    wait_for('SELECT count(*) > 210 FROM silver.many');
    sql("SELECT dynpipe.stop('many')");
    my $loaded = sql('SELECT count(*) FROM silver.many');
    is(sql("SELECT state FROM dynpipe.status WHERE pipeline = 'many'"), 'stopped', 'stopped within');
    is(sql('SELECT count(*) FROM silver.many'), $loaded, 'is stopped');
    sql("SELECT dynpipe.start('many')");
    wait_for('SELECT count(*) > 230 FROM silver.many');
    apply(document('many', "    watch: 1s\n    workers: 2\n", '{name: id, type: int}',
        "    bronze: {table: bronze.many}\n    silver: {table: silver.many, derive: {f: \"0\"}}\n"));
    ok(wait_for('SELECT count(*) FROM silver.many', 300), 'another version between files');

    apply(document('misfit', "    watch: 1s\n    on_misfit: widen\n", '', '') =~ s/schema: \[.*?\]/schema: [id]/r)
        if write_file('misfit/a.csv', "id\n1\n") || 1;
    ok(wait_for(count_of('misfit', 'loaded'), 1), 'an inferred type');
    write_file('misfit/b.csv', "id\n1.5\n");
    ok(wait_for(count_of('misfit', 'loaded'), 2), 'is widened by a worker');
};

subtest 'trouble of the pipeline' => sub {
    write_file("locked/$_.csv", csv("$_,n,1")) for 1 .. 8;
    chmod 0, "$dir/locked/$_.csv" for 1 .. 8;
    apply(document('locked', "    watch: 1s\n"));
    ok(wait_for("SELECT count(*) > 0 FROM dynpipe.event_log WHERE pipeline = 'locked' AND kind = 'failed'
        AND message ~ 'Permission denied'", 't'), 'the same failure of five files is the pipeline\'s');
    chmod 0644, "$dir/locked/$_.csv" for 1 .. 8;
    ok(wait_for('SELECT count(*) FROM silver.locked', 8), 'which goes on when it is repaired');
    ok(wait_for("SELECT state FROM dynpipe.status WHERE pipeline = 'locked'", 'caught up'), 'by itself');

    sql('DROP TABLE silver.locked');
    write_file('locked/9.csv', csv('9,n,1'));
    ok(wait_for("SELECT state, advice IS NOT NULL FROM dynpipe.status WHERE pipeline = 'locked'", 'failed|t'),
        'a table that is gone');
    is(sql(count_of('locked', 'failed')), 0, 'is not the file\'s fault');
    sql("SELECT dynpipe.apply(dynpipe.export('locked')::text)");
    ok(wait_for('SELECT count(*) FROM silver.locked', 1), 'made again');
    ok(wait_for("SELECT state FROM dynpipe.status WHERE pipeline = 'locked'", 'caught up'), 'it goes on');
};

DynpipeTest->check_log($node);
done_testing();
