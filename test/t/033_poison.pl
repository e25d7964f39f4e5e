# Poison costs itself only: of each kind of unusable record, and of each thing
# in the user's tables that can refuse one, exactly the offender is quarantined,
# its neighbours in the same batch land, bronze has all, and the worker neither
# fails nor restarts.
use strict;
use warnings;
use PostgreSQL::Test::Utils;
use Test::More;
use DynpipeTest;

my $broker = DynpipeBroker->mock(topics => { map { $_ => 1 } qw(messages numbers keyed) });
my $node = DynpipeTest->start_node('poison');
$node->safe_psql('postgres', 'CREATE EXTENSION dynpipe; CREATE SCHEMA silver; CREATE SCHEMA bronze');
DynpipeTest->connect_broker($node, 'postgres', 'shop', $broker);

sub one { return $node->safe_psql('postgres', $_[0]) }

# All that waits in the topic as one batch: the pipeline is made before it is
# started.
sub start_with {
    my ($name, $document, $records) = @_;
    DynpipeTest->apply($node, 'postgres', "pipelines:\n$document    enabled: false\n");
    one("SELECT dynpipe.start('$name')");
    ok(DynpipeTest->wait_consumed($node, 'postgres', $name, $records), "$name: all is consumed")
      || diag(one("SELECT state, last_error, last_error_detail FROM dynpipe.status
        WHERE pipeline = '$name'"));
}

sub check_unharmed {
    my ($name, $records) = @_;
    is(one("SELECT count(*), count(DISTINCT _offset) FROM bronze.$name"), "$records|$records",
        "$name: bronze has all");
    is(one("SELECT count(*) FROM dynpipe.event_log WHERE pipeline = '$name'
        AND kind IN ('failed', 'recovered')"), 0, "$name: never failed");
    is(one("SELECT * FROM dynpipe.verify('$name') WHERE NOT ok"), '', "$name: verified");
    is(one("SELECT count(*) FROM dynpipe.quarantine WHERE pipeline = '$name'
        AND (sqlstate !~ '^[0-9A-Z]{5}\$' OR message = '' OR stage = '' OR \"offset\" IS NULL)"), 0,
        "$name: every rejected record says why");
    is(one("SELECT count(*) FROM dynpipe.quarantine q LEFT JOIN bronze.$name b
        ON (b._partition, b._offset) = (q.partition, q.\"offset\")
        WHERE q.pipeline = '$name' AND b._value IS DISTINCT FROM q.value"), 0,
        "$name: and has its bytes");
}

my $deep = 100_000;
my $large = 1_000_000 - 200;
# What a message is, and what must become of it: quarantined, or loaded.
my @messages = (
    [ 'invalid UTF-8',         '{"id": 1, "t": "\\xff\\xfe"}',                         'q' ],
    [ 'overlong UTF-8',        '{"id": 1, "t": "\\xc0\\xaf"}',                         'q' ],
    [ 'a surrogate in UTF-8',  '{"id": 1, "t": "\\xed\\xa0\\x80"}',                    'q' ],
    [ 'a NUL byte',            '{"id": 1, "t": "a\\0b"}',                              'q' ],
    [ 'an escaped NUL',        '{"id": 1, "t": "a\\\\u0000b"}',                        'q' ],
    [ 'a lone surrogate',      '{"id": 1, "t": "\\\\ud800"}',                          'q' ],
    [ 'half a pair',           '{"id": 1, "t": "\\\\udc00\\\\ud800"}',                 'q' ],
    [ 'deep arrays',           '[' x $deep,                                            'q' ],
    [ 'deep closed arrays',    '{"id": 1, "x": ' . '[' x $deep . ']' x $deep . '}',    'any' ],
    [ 'deep objects',          '{"id":' x $deep . '1' . '}' x $deep,                   'q' ],
    [ 'a huge exponent',       '{"id": 1, "n": 1e999999999}',                          'q' ],
    [ 'a huge integer',        '{"id": 99999999999999999999}',                         'q' ],
    [ 'a long number',         '{"id": 1, "n": ' . '9' x 200_000 . '}',                'q' ],
    [ 'NaN',                   '{"id": 1, "n": NaN}',                                  'q' ],
    [ 'a wrong type',          '{"id": "seven"}',                                      'q' ],
    [ 'an object for a value', '{"id": {"a": 1}}',                                     'q' ],
    [ 'no time',               '{"id": 1, "at": "2026-02-30T00:00:00Z"}',              'q' ],
    [ 'duplicate keys',        '{"id": 1, "id": 2}',                                   'any' ],
    [ 'a required one absent', '{"t": "x"}',                                           'q' ],
    [ 'a required one null',   '{"id": null}',                                         'q' ],
    [ 'two documents',         '{"id": 1}{"id": 2}',                                   'q' ],
    [ 'half a document',       '{"id": 1, "t": "',                                     'q' ],
    [ 'nothing',               '',                                                     'q' ],
    [ 'blanks',                '   ',                                                  'q' ],
    [ 'no JSON',               'hello',                                                'q' ],
    [ 'a scalar',              '42',                                                   'q' ],
    [ 'a byte order mark',     '\\xef\\xbb\\xbf{"id": 1}',                             'any' ],
    [ 'a megabyte of garbage', 'x' x $large,                                           'q' ],
    [ 'a megabyte of text',    '{"id": 1, "t": "' . 'y' x $large . '"}',               'l' ],
    [ 'a megabyte of blanks',  ' ' x $large . '{"id": 1}',                             'l' ],
    [ 'a tombstone',           '\\N',                                                  'any' ],
);

# Each message between two good ones, with a key, a header and without.
sub check_messages {
    my @lines;
    for my $i (0 .. $#messages) {
        push @lines, "0\t\\N\t{\"id\": " . (1000 + 2 * $i) . '}';
        push @lines, "0\tk\\xff\\0\t$messages[$i][1]\th=\\xff\\0\th=\\N";
    }
    push @lines, "0\t\\N\t{\"id\": " . (1000 + 2 * @messages) . '}';
    $broker->produce('messages', lines => \@lines);
    start_with('messages', q{
  - name: messages
    source: kafka://shop/messages
    format: json
    schema:
      - {name: id, type: bigint, required: true}
      - {name: n, type: numeric}
      - {name: t, type: text}
      - {name: at, type: timestamptz}
    bronze: {table: bronze.messages}
    silver: {table: silver.messages}
}, scalar @lines);
    for my $i (0 .. $#messages) {
        my ($name, undef, $fate) = @{ $messages[$i] };
        my $offset = 2 * $i + 1;
        my $found = one("SELECT CASE WHEN EXISTS (SELECT FROM silver.messages WHERE _offset = $offset)
                THEN 'l' ELSE '' END || coalesce((SELECT 'q' FROM dynpipe.quarantine
            WHERE pipeline = 'messages' AND \"offset\" = $offset), '')");
        $fate eq 'any' ? like($found, qr/^[lq]?$/, "$name: one fate") : is($found, $fate, "$name: its fate");
    }
    is(one('SELECT count(*) FROM silver.messages WHERE id >= 1000'), @messages + 1,
        'messages: every neighbour is loaded');
    is(one("SELECT count(*) FROM bronze.messages WHERE _headers IS NOT NULL
        AND _key = '\\x6bff00'"), scalar @messages, 'messages: odd keys and headers are kept');
    check_unharmed('messages', scalar @lines);
}

# Ids that something of the user's refuses, and what the quarantine says.
my %refused = (
    13 => ['23514'],                    # a CHECK constraint
    17 => ['P0001'],                    # a trigger
    19 => ['23514'],                    # a domain
    23 => ['22012'],                    # an expression of an index
    29 => ['22012'],                    # a derived column
    31 => ['22012'],                    # gold
    37 => ['23502'],                    # NOT NULL
    41 => ['22003'],                    # too large for its type
    43 => ['P0001'],                    # a constraint trigger that is deferred
    47 => [ '27000', '39000' ],         # a trigger that leaves the row out
    53 => ['23505'],                    # a unique index: 52 has the same value
);

sub check_numbers {
    my ($name, $key) = @_;
    my @ids = (0 .. 99);
    one(qq{
        CREATE DOMAIN silver.${name}_number AS bigint CHECK (VALUE <> 19);
        CREATE TABLE silver.$name (
            id bigint CHECK (id <> 13), domained silver.${name}_number,
            present bigint NOT NULL, short numeric(5,2), derived bigint, twin bigint UNIQUE,
            _partition int, _offset bigint);
        @{[ $key ? "ALTER TABLE silver.$name ADD PRIMARY KEY (id);" : '' ]}
        CREATE INDEX ON silver.$name ((1 / (id - 23)));
        CREATE FUNCTION silver.${name}_refuse() RETURNS trigger LANGUAGE plpgsql AS \$f\$
        BEGIN
            IF NEW.id = TG_ARGV[0]::int THEN
                RAISE EXCEPTION 'not this one: %', NEW.id;
            END IF;
            RETURN CASE WHEN NEW.id <> 47 OR TG_WHEN = 'AFTER' THEN NEW END;
        END \$f\$;
        CREATE TRIGGER r BEFORE INSERT OR UPDATE ON silver.$name FOR EACH ROW
            EXECUTE FUNCTION silver.${name}_refuse(17);
        CREATE CONSTRAINT TRIGGER d AFTER INSERT OR UPDATE ON silver.$name
            DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION silver.${name}_refuse(43)});
    $broker->produce($name, lines => [ map { "0\t\t{\"id\": $_}" } @ids ]);
    start_with($name, qq{
  - name: $name
    source: kafka://shop/$name
    format: json
    schema: [{name: id, type: bigint, required: true}]
    bronze: {table: bronze.$name}
    silver:
      table: silver.$name
      @{[ $key ? 'key: [id]' : '' ]}
      derive:
        domained: "id::silver.${name}_number"
        present: "nullif(id, 37)"
        short: "(CASE WHEN id = 41 THEN 1e10 ELSE 1 END)::numeric(5,2)"
        derived: "1 / (id - 29)"
        twin: "CASE WHEN id = 53 THEN 52 ELSE id END"
    gold:
      - table: gold.$name
        query: SELECT id % 3 AS rest, count(*) AS n, sum(1 / (id - 31)) AS risky FROM silver.$name GROUP BY id % 3
}, scalar @ids);
    for my $id (sort { $a <=> $b } keys %refused) {
        my $like = join '|', @{ $refused{$id} };
        like(one("SELECT coalesce(string_agg(sqlstate, ','), 'not rejected') FROM dynpipe.quarantine
            WHERE pipeline = '$name' AND \"offset\" = $id"), qr/^($like)$/, "$name: $id is refused");
    }
    is(one("SELECT string_agg(q.\"offset\" || ' ' || q.message, '; ') FROM dynpipe.quarantine q
        WHERE pipeline = '$name' AND NOT \"offset\" = ANY ('{@{[ join ',', keys %refused ]}}')"), '',
        "$name: nobody else is");
    is(one("SELECT count(*) FROM silver.$name"), @ids - keys %refused, "$name: neighbours land");
    is(one("SELECT sum(n) FROM gold.$name"), @ids - keys %refused, "$name: in gold, too");
    check_unharmed($name, scalar @ids);
}

DynpipeTest->apply($node, 'postgres', q{
pipelines: [{name: first, source: "kafka://shop/first", format: json, schema: [{name: id, type: bigint}]}]});
ok(DynpipeTest->wait_until($node, 'postgres',
    q{SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'dynpipe worker'}, 1), 'a worker runs');
my @workers = DynpipeTest->pids($node, 'worker');
check_messages();
check_numbers('numbers', 0);
check_numbers('keyed', 1);
is_deeply([ (DynpipeTest->pids($node, 'worker')) ], \@workers, 'and it is still the same');
DynpipeTest->check_log($node);
$node->stop;
done_testing();
