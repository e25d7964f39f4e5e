# Hostile surroundings: what a pipeline's plan relies on changes under it, and
# users' code does what nobody should.  No process dies, nothing is lost.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use IPC::Run ();
use DynpipeTest;

my $broker = DynpipeBroker->mock(topics => { map { $_ => 1 } qw(typed derived dropped nested locks) });
my $node = DynpipeTest->start_node('hostile', conf => <<'CONF');
dynpipe.retry_initial = 100
dynpipe.retry_max = 500
CONF

sub sql { return $node->safe_psql('postgres', $_[0]) }

sub send_records {
    my ($topic, $sequence) = @_;
    $broker->produce($topic, lines => [
        map { "0\t$_\t{\"id\": $_, \"seq\": $sequence, \"amount\": $_.5}" } 1 .. 20 ]);
}

sub consumed {
    my ($pipeline, $n) = @_;
    ok(DynpipeTest->wait_consumed($node, 'postgres', $pipeline, $n), "$pipeline: $n consumed");
    is(sql("SELECT * FROM dynpipe.verify('$pipeline') WHERE NOT ok"), '', "$pipeline: verified");
}

sub fails {
    my ($pipeline, $like) = @_;
    ok(DynpipeTest->wait_until($node, 'postgres', qq{SELECT count(*) FROM dynpipe.status
        WHERE pipeline = '$pipeline' AND state = 'failed' AND reason ~ '$like'}, 1),
        "$pipeline: fails and says why");
}

# A column of silver gets another type between two batches, and its own again.
sub check_column_type {
    sql(q{SELECT * FROM dynpipe.apply($$
        pipelines:
          - name: typed
            source: kafka://shop/typed
            schema: [{name: id, type: bigint}, {name: seq, type: bigint}, {name: amount, type: numeric}]
            silver: {key: id, sequence_by: seq}
            gold: [{table: gold.typed, query: "SELECT id % 3 AS part, sum(amount) AS total FROM silver.typed GROUP BY id % 3"}]
        $$)});
    send_records('typed', 1);
    consumed('typed', 20);
    sql('ALTER TABLE silver.typed ALTER COLUMN amount TYPE float8');
    send_records('typed', 2);
    fails('typed', 'has type double precision, the document gives numeric');
    sql(q{ALTER TABLE silver.typed ALTER COLUMN amount TYPE numeric; SELECT dynpipe.start('typed')});
    consumed('typed', 40);
}

# A function of an expression is made anew with another result.
sub check_function_type {
    my $create = 'CREATE FUNCTION public.twice(x numeric) RETURNS %s LANGUAGE sql IMMUTABLE AS %s';
    sql(sprintf($create, 'numeric', q{'SELECT x * 2'}));
    sql(q{SELECT * FROM dynpipe.apply($$
        pipelines:
          - name: derived
            source: kafka://shop/derived
            schema: [{name: id, type: bigint}, {name: amount, type: numeric}]
            silver: {derive: {twice: "public.twice(amount)"}}
        $$)});
    send_records('derived', 1);
    consumed('derived', 20);
    sql('DROP FUNCTION public.twice(numeric);' . sprintf($create, 'float8', q{'SELECT x::float8'}));
    send_records('derived', 2);
    fails('derived', 'has type numeric, the document gives double precision');
    sql('DROP FUNCTION public.twice(numeric);' . sprintf($create, 'numeric', q{'SELECT x * 2'})
      . q{; SELECT dynpipe.start('derived')});
    consumed('derived', 40);
}

# Calls that wait for the pipeline's lock find it dropped when they get it.
sub check_dropped {
    for my $call ("run('dropped')", "refresh('dropped')", "seek('dropped', 0, 0)", "stop('dropped')") {
        sql(q{SELECT * FROM dynpipe.apply($$
            pipelines: [{name: dropped, enabled: false, source: "kafka://shop/dropped", schema: [id]}]
            $$)});
        my @command = ('psql', '-XAtq', '-d', $node->connstr('postgres'));
        my ($out, $err) = ('', '');
        my $dropper = IPC::Run::start([ @command, '-1', '-c', "SELECT dynpipe.drop('dropped')",
            '-c', 'SELECT pg_sleep(2)' ], '>', \$out, '2>', \$err);
        DynpipeTest->wait_until($node, 'postgres', q{SELECT count(*) FROM pg_stat_activity
            WHERE wait_event = 'PgSleep'}, 1);
        my ($said, $why) = ('', '');
        my $caller = IPC::Run::start([ @command, '-c', "SELECT dynpipe.$call" ], '>', \$said, '2>', \$why);
        $dropper->finish;
        $caller->finish;
        like($why, qr/pipeline "dropped" was dropped meanwhile/, "$call: the pipeline is gone");
    }
}

# An expression that runs its own pipeline would do so for ever.
sub check_nested {
    sql(q{CREATE FUNCTION public.nest() RETURNS bigint LANGUAGE plpgsql AS $f$
        BEGIN
            PERFORM dynpipe.run('nested');
            RETURN 1;
        END $f$;
        SELECT * FROM dynpipe.apply($$
        pipelines:
          - name: nested
            source: kafka://shop/nested
            schema: [{name: id, type: bigint}]
            silver: {derive: {n: "public.nest()"}}
        $$)});
    send_records('nested', 1);
    fails('nested', 'from within a batch');
    sql('CREATE OR REPLACE FUNCTION public.nest() RETURNS bigint LANGUAGE sql AS $$SELECT 2::bigint$$');
    sql(q{SELECT dynpipe.start('nested')});
    consumed('nested', 20);
}

# Locks for the session would pile up in a worker, which is there for others too.
sub check_locks {
    sql(q{CREATE FUNCTION public.take(x bigint) RETURNS bigint LANGUAGE plpgsql AS $f$
        BEGIN
            PERFORM pg_advisory_lock(x);
            RETURN x;
        END $f$;
        SELECT * FROM dynpipe.apply($$
        pipelines:
          - name: locks
            source: kafka://shop/locks
            schema: [{name: id, type: bigint}]
            silver: {derive: {n: "public.take(id)"}}
        $$)});
    send_records('locks', 1);
    consumed('locks', 20);
    ok(DynpipeTest->wait_until($node, 'postgres', q{SELECT count(*) FROM pg_locks
        WHERE locktype = 'advisory' AND objsubid IN (1, 2)}, 0), 'no advisory lock stays');
}

# Documents that lack what the next stage needs.
sub check_incomplete {
    for my $pipeline ('sorce: "kafka://shop/typed", name: p, schema: [id]', 'source: "kafka://shop/typed"',
        'name: p, source: 7', 'name: p, source: "kafka://shop/typed", gold: [{table: gold.p}]',
        'name: p, source: "kafka://shop/typed", schema: [{type: int}]') {
        my ($code, $out, $err) = $node->psql('postgres',
            "SELECT * FROM dynpipe.apply(\$d\$pipelines: [{$pipeline}]\$d\$)");
        like($err, qr/invalid pipeline document: \d problem/, "refused: $pipeline");
    }
}

# A role without the right to make the tables is told which right, and where.
sub check_grants {
    sql('CREATE ROLE poor; GRANT USAGE ON FOREIGN SERVER shop TO poor;
        CREATE USER MAPPING FOR poor SERVER shop; CREATE SCHEMA closed');
    my %hint = (
        'closed.t' => qr/GRANT USAGE, CREATE ON schema closed TO poor/,
        'missing.t' => qr/GRANT CREATE ON database postgres TO poor/,
    );
    for my $table (sort keys %hint) {
        my ($code, $out, $err) = $node->psql('postgres', qq{SET ROLE poor;
            SELECT * FROM dynpipe.apply('pipelines: [{name: p, source: "kafka://shop/typed",
                schema: [id], bronze: false, silver: {table: $table}}]')});
        like($err, $hint{$table}, "no right to make $table");
    }
}

sql('CREATE EXTENSION dynpipe');
DynpipeTest->connect_broker($node, 'postgres', 'shop', $broker);
check_incomplete();
check_grants();
check_column_type();
check_function_type();
check_dropped();
check_nested();
check_locks();
DynpipeTest->check_log($node);
unlike(slurp_file($node->logfile), qr/terminated by signal/, 'no process died');
$node->stop;
done_testing();
