# No borrowed rights.  A pipeline of an ordinary role does everything with that
# role's rights: others neither see nor touch it, and whatever code hangs on its
# tables (triggers, also deferred ones, defaults, index expressions, CHECK,
# domains, policies, derived columns, gold) gains nothing from being run by a
# worker, nor by a superuser's dynpipe.run.  Tables that the fast path cannot
# treat are written correctly all the same.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use DynpipeTest;

my $broker = DynpipeBroker->mock(topics => { map { $_ => 2 } qw(sales attack batch kinds) });
my $node = DynpipeTest->start_node('rights', conf => <<'CONF');
dynpipe.retry_initial = 100
dynpipe.retry_max = 500
CONF
my $mark = $node->basedir . '/pwned';

sub as {
    my ($role, $sql) = @_;
    return $node->safe_psql('postgres', $sql, extra_params => [ '-U', $role ]);
}

# What a role is told when it may not.
sub refused {
    my ($role, $sql, $like, $name) = @_;
    my ($code, $out, $err) = $node->psql('postgres', $sql, extra_params => [ '-U', $role ]);
    return ok($code != 0 && $err =~ $like, "$role: $name") || diag("$code: $out$err");
}

sub send_numbers {
    my ($topic, $from, $n) = @_;
    $broker->produce($topic, lines => [
        map { ($_ % 2) . "\t\t{\"id\": $_}" } $from .. $from + $n - 1 ]);
}

sub consumed {
    my ($pipeline, $n) = @_;
    return DynpipeTest->wait_consumed($node, 'postgres', $pipeline, $n)
      || diag($node->safe_psql('postgres',
        "SELECT state, last_error, last_error_detail FROM dynpipe.status WHERE pipeline = '$pipeline'"));
}

sub set_up {
    $node->safe_psql('postgres', q{
        CREATE EXTENSION dynpipe;
        CREATE ROLE alice LOGIN; CREATE ROLE bob LOGIN; CREATE ROLE carol LOGIN IN ROLE alice;
        CREATE ROLE mona LOGIN IN ROLE pg_monitor;
        GRANT CREATE ON DATABASE postgres TO alice, bob});
    DynpipeTest->connect_broker($node, 'postgres', 'shop', $broker, 'alice');
}

my $sales = q{
pipelines:
  - name: sales
    source: kafka://shop/sales
    format: json
    schema: [{name: id, type: bigint, required: true}]
    bronze: {table: bronze.sales}
    silver: {table: silver.sales}
    gold: [{table: gold.sales, query: "SELECT id % 2 AS odd, count(*) AS n FROM silver.sales GROUP BY id % 2"}]};

sub check_who {
    refused('bob', "SELECT * FROM dynpipe.apply(\$d\$$sales\$d\$)", qr/permission denied|USAGE/,
        'a server is used by those with USAGE only');
    as('alice', "SELECT * FROM dynpipe.apply(\$d\$$sales\$d\$)");
    send_numbers('sales', 0, 100);
    $broker->produce('sales', lines => ["0\t\tbroken"]);
    ok(consumed('sales', 101), 'alice: her pipeline works');
    is(as('alice', 'SELECT sum(n) FROM gold.sales'), 100, 'alice: owns the result');
    is(as('alice', q{SELECT count(*) FROM dynpipe.verify('sales') WHERE NOT ok}), 0,
        'alice: may verify');
    is($node->safe_psql('postgres', q{SELECT DISTINCT tableowner FROM pg_tables
        WHERE schemaname IN ('bronze', 'silver', 'gold')}), 'alice', 'all tables are hers');

    my @views = qw(status partitions quarantine event_log history);
    for my $view (@views) {
        is(as('bob', "SELECT count(*) FROM dynpipe.$view"), 0, "bob: $view is empty");
        cmp_ok(as('carol', "SELECT count(*) FROM dynpipe.$view"), '>', 0, "carol: sees $view");
        cmp_ok(as('mona', "SELECT count(*) FROM dynpipe.$view"), '>', 0, "mona: sees $view");
    }
    is(as('bob', 'SELECT count(*) FROM dynpipe.shard_state()'), 0, 'bob: no shard');
    is(as('bob', 'SELECT count(*) FROM dynpipe.partition_end()'), 0, 'bob: no partition');
    is(as('bob', "SELECT dynpipe.export()"), '{"pipelines": []}', 'bob: nothing to export');

    my %calls = map { $_ => "SELECT dynpipe.$_('sales')" }
      qw(start stop drop run export explain verify refresh);
    $calls{seek}  = q{SELECT dynpipe.seek('sales', 0, 0)};
    $calls{apply} = "SELECT * FROM dynpipe.apply(\$d\$$sales\$d\$)";
    refused($_->[0], $calls{ $_->[1] }, qr/must be owner|permission denied/, "may not $_->[1]")
      for map { my $role = $_; map { [ $role, $_ ] } sort keys %calls } qw(bob mona);
    refused('bob', "TABLE dynpipe.$_", qr/permission denied/, "may not read dynpipe.$_")
      for qw(pipeline checkpoint quarantine_record failure);
    refused('alice', 'UPDATE dynpipe.checkpoint SET next_offset = 0', qr/permission denied/,
        'may not write positions by hand');
    refused('alice', q{SELECT * FROM dynpipe.apply_file('/etc/passwd')}, qr/permission denied/,
        'may not read files of the server');
    is(as('carol', q{SELECT dynpipe.stop('sales')}), '', 'carol: may stop');
    is(as('carol', q{SELECT dynpipe.start('sales')}), '', 'carol: may start');
    send_numbers('sales', 100, 10);
    ok(consumed('sales', 111), 'and it goes on');
}

# What code in a table might try.  Everything is written down, with the role
# that tried; nothing may work.
sub arm {
    $node->safe_psql('postgres', 'CREATE ROLE mallory LOGIN');
    as('alice', qq{
        CREATE SCHEMA evil;
        CREATE TABLE evil.log (place text, attempt text, who text, super boolean, result text);
        CREATE TABLE evil.other (id bigint);
        CREATE FUNCTION evil.attack(place text) RETURNS boolean LANGUAGE plpgsql AS \$f\$
        DECLARE
            attempt text;
            result text;
        BEGIN
            FOREACH attempt IN ARRAY ARRAY[
                'SET ROLE postgres', 'RESET ROLE', 'SET LOCAL ROLE postgres',
                'SET SESSION AUTHORIZATION postgres', 'RESET SESSION AUTHORIZATION',
                \$\$SELECT set_config('role', 'postgres', false)\$\$,
                \$\$SELECT set_config('session_authorization', 'postgres', false)\$\$,
                'ALTER ROLE alice SUPERUSER', 'CREATE ROLE eve SUPERUSER', 'GRANT postgres TO alice',
                \$\$COPY (SELECT 1) TO PROGRAM 'touch $mark'\$\$, \$\$COPY (SELECT 1) TO '$mark'\$\$,
                \$\$SELECT pg_read_file('PG_VERSION')\$\$, 'TABLE pg_authid',
                'TABLE dynpipe.checkpoint', 'UPDATE dynpipe.pipeline SET owner = 10',
                'DELETE FROM dynpipe.event', 'CREATE LANGUAGE plpythonu',
                \$\$CREATE FUNCTION evil.c() RETURNS int LANGUAGE c AS 'dynpipe', 'dynpipe_home'\$\$]
            LOOP
                BEGIN
                    EXECUTE attempt;
                    result := 'done';
                EXCEPTION WHEN OTHERS THEN
                    result := SQLSTATE;
                END;
                INSERT INTO evil.log SELECT place, attempt, current_user, r.rolsuper, result
                    FROM pg_catalog.pg_roles r WHERE r.rolname = current_user;
            END LOOP;
            RETURN true;
        END \$f\$;
        CREATE FUNCTION evil.pure(x bigint, place text) RETURNS bigint LANGUAGE plpgsql IMMUTABLE
            AS 'BEGIN PERFORM evil.attack(place); RETURN x; END';
        CREATE FUNCTION evil.fire() RETURNS trigger LANGUAGE plpgsql AS \$f\$
        BEGIN
            PERFORM evil.attack(TG_ARGV[0]);
            -- From a deferred trigger another one, to come after everything at commit.
            IF TG_ARGV[0] = 'deferred' THEN
                BEGIN
                    SET CONSTRAINTS ALL DEFERRED;
                    INSERT INTO evil.other VALUES (1);
                EXCEPTION WHEN OTHERS THEN
                    NULL;
                END;
            END IF;
            RETURN NEW;
        END \$f\$;
        CREATE CONSTRAINT TRIGGER again AFTER INSERT ON evil.other DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION evil.fire('deferred twice');
        CREATE DOMAIN evil.number AS bigint CHECK (evil.attack('domain'))});
}

# A silver table armed with every kind of code, before the pipeline takes it.
sub arm_table {
    my ($name) = @_;
    as('alice', qq{
        CREATE TABLE silver.$name (id bigint, derived bigint, folded bigint, domained evil.number,
            extra bigint DEFAULT evil.pure(1, 'default'), _partition int, _offset bigint,
            CHECK (evil.attack('check')));
        CREATE INDEX ON silver.$name (evil.pure(id, 'index'));
        CREATE INDEX ON silver.$name (id) WHERE evil.pure(id, 'predicate') > 0;
        CREATE TRIGGER b BEFORE INSERT ON silver.$name FOR EACH ROW
            EXECUTE FUNCTION evil.fire('before');
        CREATE TRIGGER s AFTER INSERT ON silver.$name FOR EACH STATEMENT
            EXECUTE FUNCTION evil.fire('statement');
        CREATE CONSTRAINT TRIGGER d AFTER INSERT ON silver.$name DEFERRABLE INITIALLY DEFERRED
            FOR EACH ROW EXECUTE FUNCTION evil.fire('deferred');
        ALTER TABLE silver.$name ENABLE ROW LEVEL SECURITY;
        ALTER TABLE silver.$name FORCE ROW LEVEL SECURITY;
        CREATE POLICY p ON silver.$name USING (true) WITH CHECK (evil.attack('policy'))});
    return qq{
  - name: $name
    source: kafka://shop/$name
    format: json
    schema: [{name: id, type: bigint}]
    bronze: {table: bronze.$name}
    silver:
      table: silver.$name
      derive:
        derived: "evil.pure(id, 'derive')"
        folded: "evil.pure(1, 'fold')"
        domained: "id::evil.number"
      where: "evil.attack('where')"
      expect: [{name: e, check: "evil.attack('expect')", otherwise: drop}]
    gold:
      - table: gold.$name
        query: "SELECT evil.pure(id, 'gold') AS id, count(*) AS n FROM silver.$name GROUP BY 1"
};
}

my @places = qw(before check default deferred derive domain expect fold gold index policy
  predicate statement where);

sub check_gained {
    my ($by) = @_;
    is($node->safe_psql('postgres',
        q{SELECT string_agg(DISTINCT place, ', ' ORDER BY place) FROM evil.log}),
        join(', ', sort @places), "$by: every place has tried");
    is($node->safe_psql('postgres', q{SELECT DISTINCT place, attempt, who, result FROM evil.log
        WHERE super OR who <> 'alice' OR result = 'done'}), '', "$by: none as somebody else, none worked");
    is($node->safe_psql('postgres', q{SELECT string_agg(rolname, ', ') FROM pg_roles
        WHERE rolsuper OR rolname = 'eve'}), $node->safe_psql('postgres', 'SELECT current_user'),
        "$by: no new superuser");
    ok(!-e $mark, "$by: nothing ran on the server");
    $node->safe_psql('postgres', 'TRUNCATE evil.log');
}

sub check_attacks {
    arm();
    my $worker = arm_table('attack');
    as('alice', "SELECT * FROM dynpipe.apply(\$d\$pipelines:$worker\$d\$)");
    send_numbers('attack', 1, 4);
    ok(consumed('attack', 4), 'the armed pipeline works');
    is($node->safe_psql('postgres', 'SELECT count(*) FROM silver.attack'), 4, 'its rows are there');
    check_gained('worker');

    my $batch = arm_table('batch');
    as('alice', "SELECT * FROM dynpipe.apply(\$d\$pipelines:$batch    enabled: false\n\$d\$)");
    $node->safe_psql('postgres', 'TRUNCATE evil.log');
    send_numbers('batch', 1, 4);
    is($node->safe_psql('postgres', q{SELECT sum(loaded) FROM dynpipe.run('batch')}), 4,
        'a superuser runs an armed pipeline');
    is($node->safe_psql('postgres', q{SELECT count(*) FROM dynpipe.verify('batch') WHERE NOT ok}),
        0, 'and verifies it');
    $node->safe_psql('postgres', q{SELECT dynpipe.refresh('batch')});
    $node->safe_psql('postgres', q{SELECT dynpipe.explain('batch')});
    check_gained('superuser');
}

sub kind {
    my ($name) = @_;
    return qq{SELECT * FROM dynpipe.apply(\$d\$
        pipelines:
          - name: $name
            source: kafka://shop/kinds
            format: json
            schema: [{name: id, type: bigint}]
            bronze: {table: bronze.$name}
            silver: {table: silver.$name}
            gold:
              - table: gold.$name
                query: SELECT id % 2 AS odd, count(*) AS n FROM silver.$name GROUP BY id % 2
        \$d\$)};
}

# Tables that only SQL can write: what arrives is what INSERT would have made.
sub check_kinds {
    my %silver = (
        rule => q{CREATE TABLE silver.rule (id bigint, _partition int, _offset bigint);
            CREATE TABLE silver.rule_copy (id bigint);
            CREATE RULE r AS ON INSERT TO silver.rule DO ALSO
                INSERT INTO silver.rule_copy VALUES (NEW.id)},
        parts => q{CREATE TABLE silver.parts (id bigint, _partition int, _offset bigint)
                PARTITION BY RANGE (id);
            CREATE TABLE silver.parts_1 PARTITION OF silver.parts FOR VALUES FROM (0) TO (50);
            CREATE TABLE silver.parts_2 PARTITION OF silver.parts FOR VALUES FROM (50) TO (90)},
        generated => q{CREATE TABLE silver.generated (id bigint,
            twice bigint GENERATED ALWAYS AS (id * 2) STORED, _partition int, _offset bigint)},
        refers => q{CREATE TABLE silver.allowed (id bigint PRIMARY KEY);
            INSERT INTO silver.allowed SELECT i FROM generate_series(0, 94) i;
            CREATE TABLE silver.refers (id bigint REFERENCES silver.allowed, _partition int,
                _offset bigint)},
        later => q{CREATE TABLE silver.later (id bigint REFERENCES silver.allowed
            DEFERRABLE INITIALLY DEFERRED, _partition int, _offset bigint)},
    );
    # (loaded, quarantined) of ids 0 .. 99
    my %fates = (parts => [ 90, 10 ], refers => [ 95, 5 ], later => [ 95, 5 ]);
    my @kinds = qw(rule parts generated refers later);

    send_numbers('kinds', 0, 100);
    as('alice', $silver{$_}) for @kinds;
    for my $kind (@kinds) {
        as('alice', kind($kind));
        ok(consumed($kind, 100), "$kind: all is consumed");
        my ($loaded, $quarantined) = @{ $fates{$kind} || [ 100, 0 ] };
        is($node->safe_psql('postgres', qq{SELECT sum(loaded), sum(quarantined)
            FROM dynpipe.partitions WHERE pipeline = '$kind'}), "$loaded|$quarantined", "$kind: fates");
        is($node->safe_psql('postgres', "SELECT count(*), count(DISTINCT id) FROM silver.$kind"),
            "$loaded|$loaded", "$kind: rows");
        is($node->safe_psql('postgres', "SELECT sum(n) FROM gold.$kind"), $loaded, "$kind: gold");
        is(as('alice', "SELECT * FROM dynpipe.verify('$kind') WHERE NOT ok"), '', "$kind: verified");
    }
    is($node->safe_psql('postgres', 'SELECT count(*) FROM silver.rule_copy'), 100, 'the rule ran');
    is($node->safe_psql('postgres', 'SELECT count(*) FROM silver.generated WHERE twice = id * 2'),
        100, 'generated columns are right');
}

# A policy that the owner is under (FORCE) is obeyed: to write what it forbids is
# a missing right, which stops the pipeline until somebody gives it.
sub check_policy {
    as('alice', q{CREATE TABLE silver.policy (id bigint, _partition int, _offset bigint);
        ALTER TABLE silver.policy ENABLE ROW LEVEL SECURITY;
        ALTER TABLE silver.policy FORCE ROW LEVEL SECURITY;
        CREATE POLICY p ON silver.policy USING (true) WITH CHECK (id % 10 <> 0)});
    as('alice', kind('policy'));
    ok(DynpipeTest->wait_until($node, 'postgres', q{SELECT state, last_error_sqlstate, reason
        FROM dynpipe.status WHERE pipeline = 'policy'},
        'failed|42501|new row violates row-level security policy for table "policy"'),
        'policy: stops, and says why');
    is($node->safe_psql('postgres', 'SELECT count(*) FROM silver.policy WHERE id % 10 = 0'), 0,
        'policy: nothing passed it');
    as('alice', 'ALTER POLICY p ON silver.policy WITH CHECK (id >= 0)');
    ok(consumed('policy', 100), 'policy: goes on when it permits');
    is($node->safe_psql('postgres', 'SELECT count(*), count(DISTINCT id) FROM silver.policy'),
        '100|100', 'policy: rows');
    is(as('alice', "SELECT * FROM dynpipe.verify('policy') WHERE NOT ok"), '', 'policy: verified');
}

# What another server commits is not ours to commit: exactly once ends there.
sub check_foreign {
    $node->safe_psql('postgres', q{CREATE FOREIGN DATA WRAPPER elsewhere;
        CREATE SERVER far FOREIGN DATA WRAPPER elsewhere; GRANT USAGE ON FOREIGN SERVER far TO alice});
    as('alice', 'CREATE FOREIGN TABLE silver.far (id bigint, _partition int, _offset bigint) SERVER far');
    refused('alice', kind('far'), qr/"silver.far" is not a table/,
        'a foreign table cannot be silver');
}

set_up();
check_who();
check_attacks();
check_kinds();
check_policy();
check_foreign();
DynpipeTest->check_log($node);
unlike(slurp_file($node->logfile), qr/terminated by signal/, 'no process died');
$node->stop;
done_testing();
