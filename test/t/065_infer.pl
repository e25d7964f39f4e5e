# Names and types from the files themselves: what is inferred, that it loads,
# that it is kept, and what becomes of values that do not fit it.
use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use DynpipeTest;

my $node = DynpipeTest->start_node('infer');
my $folder = PostgreSQL::Test::Utils::tempdir();
chmod 0755, $folder;
$node->safe_psql('postgres', q{CREATE EXTENSION dynpipe; CREATE ROLE plain;
    GRANT CREATE ON DATABASE postgres TO plain});

sub put {
    my ($name, $text) = @_;
    open my $out, '>:raw', "$folder/$name" or die "$folder/$name: $!";
    print $out $text;
    close $out or die $!;
    return "file://$folder/$name";
}

# "name type, ..." of the columns that dynpipe.infer finds.
sub columns {
    my ($url, $more) = @_;
    return $node->safe_psql('postgres', qq{
        SELECT string_agg(concat_ws(' ', c->>'name', c->>'type', 'from ' || (c->>'from'),
            c->>'clean'), ', ' ORDER BY n)
        FROM jsonb_array_elements(dynpipe.infer('$url'} . ($more || '') . q{)
            #> '{pipelines,0,schema}') WITH ORDINALITY AS x (c, n)});
}

sub try_apply {
    my ($document, $role) = @_;
    my $as = $role ? "SET ROLE $role;" : '';
    my ($code, $out, $err) =
      $node->psql('postgres', "$as SELECT * FROM dynpipe.apply(\$doc\$$document\$doc\$)");
    return $code ? $err : $out;
}

# One column of these values.
sub type_of {
    my @values = @_;
    my $text = join '', map { "$_,x\n" } 'v', @values;
    return (split / /, (split /, /, columns(put('one.csv', $text),
                q{, format => 'csv', options => '{"header": "yes"}'}))[0], 2)[1];
}

### The types of CSV

is(type_of(qw(1 -20 0 999999999999999999)), 'bigint', 'whole numbers');
is(type_of(qw(1 1234567890123456789)), 'numeric', 'digits that need not fit into bigint');
is(type_of(qw(1 2.50 -.5 7.)), 'numeric', 'decimals');
is(type_of(qw(1e5 2.5 3)), 'double precision', 'exponents');
is(type_of(qw(1e5 12345678901234567890)), 'numeric', 'more digits than a double has');
is(type_of(qw(1 2.5 NaN)), 'numeric', 'NaN among numbers');
is(type_of(qw(NaN nan)), 'text', 'nothing but NaN');
is(type_of(qw(00501 10001)), 'text', 'postal codes');
is(type_of(qw(+4930123 +4930124)), 'text', 'telephone numbers');
is(type_of(qw(1 x)), 'text', 'a number and a word');
is(type_of(qw(0x1A 0x1B)), 'text', 'hexadecimal');
is(type_of(qw(1_000 2_000)), 'text', 'underscores');
is(type_of(qw(true false TRUE)), 'boolean', 'true and false');
is(type_of(qw(t f)), 'boolean', 't and f');
is(type_of(qw(yes no)), 'boolean', 'yes and no');
is(type_of(qw(no no)), 'text', 'only no: perhaps Norway');
is(type_of(qw(true no)), 'text', 'two kinds of booleans');
is(type_of(qw(0 1)), 'bigint', '0 and 1 are numbers');
is(type_of(qw(2024-02-29 1999/12/31)), 'date', 'dates');
is(type_of(qw(2024-02-30 1999-12-31)), 'text', 'a date that is none');
is(type_of(qw(01/02/2024 03/04/2024)), 'text', 'dates in an order that cannot be known');
is(type_of('2024-01-02', '2024-01-02 10:30'), 'timestamp', 'dates and times');
is(type_of('2024-01-02 00:00:00'), 'timestamp', 'midnight is a time');
is(type_of('2024-01-02 10:30', '2024-01-02T10:30:00Z'), 'timestamptz', 'times, one with zone');
is(type_of('2024-01-02T10:30:00.123+02:00'), 'timestamptz', 'times with zone');
is(type_of(qw(2024-01-02 12)), 'text', 'a date and a number');
is(type_of(qw(today now)), 'text', 'words that PostgreSQL reads as dates');
is(type_of('8e9f9b80-0000-4000-8000-000000000001'), 'uuid', 'uuid');
is(type_of('8e9f9b80000040008000000000000001'), 'text', 'a hash is no uuid');
is(type_of('{"a":1}'), 'text', 'JSON in CSV is text');
is(type_of('', ''), 'text', 'nothing but nulls');
is(type_of(5, '""'), 'bigint ["empty_as_null"]', 'empty fields in quotes');

### Names

is(columns(put('names.csv', qq{id,"a b",id,,_x,xmin, y \n1,2,3,4,5,6,7\n2,3,4,5,6,7,8\n}),
        q{, format => 'csv', options => '{"header":"yes"}'}),
    'id bigint from 1, a b bigint, id_2 bigint from 3, column_4 bigint from 4, '
      . 'x bigint from 5, xmin_ bigint from 6, y bigint from 7', 'names of a header');
is(columns(put('none.csv', "x,1,2024-01-01\ny,2,2024-01-02\nz,3,2024-01-03\n")),
    'column_1 text from 1, column_2 bigint from 2, column_3 date from 3', 'no header');
my $long = "\xc3\xa4" x 40;
is($node->safe_psql('postgres', q{SELECT octet_length(dynpipe.infer('}
          . put('long.csv', "$long,b\nx,1\ny,2\n") . q{') #>> '{pipelines,0,schema,0,name}')}),
    '62', 'a long name is cut between characters');
is(columns(put('x.json', <<'JSON')), <<'COLUMNS' =~ s/\n\z//r, 'JSON');
{"id": 1, "price": 1.5, "s": "12", "d": "2024-01-02", "ok": true, "o": {"a": 1}, "n": null}
{"id": 2, "price": 2, "s": "13", "d": "2024-01-03", "ok": false, "o": "x", "late": 1e3, "a/b": 1}
{"id": "3", "price": null, "u": "8e9f9b80-0000-4000-8000-000000000001", "_k": [1], "e": ""}
JSON
id text, price numeric, s text, d date, ok boolean, o jsonb, n text, late double precision, a/b bigint, u uuid, k jsonb from /_k, e text
COLUMNS

### Across a file and across files

my $rows = join '', map { "$_," . ($_ > 300_000 ? "$_.5" : $_) . ',' . ($_ % 7) . "\n" } 1 .. 400_000;
is(columns(put('large.csv', "id,v,w\n$rows")), 'id bigint, v numeric, w bigint',
    'the end of a large file counts');
my $broken = join '', map { "$_,\"a\n\"\"b$_\",2024-01-01\n" } 1 .. 250_000;
is(columns(put('quoted.csv', "id,t,d\n$broken")), 'id bigint, t text, d date',
    'places inside quoted fields are told from records');
mkdir "$folder/many";
put("many/f$_.csv", "a,b\n$_,$_.5\n1,2\n") for 10 .. 40;
put('many/f99.csv', "a,b\nz,1\ny,2\n");
is(columns("file://$folder/many/*.csv"), 'a text, b numeric', 'the last of many files counts');
put('many/f10.csv', "a,b\n1,2\n\"oh,3\nx\n1,2,3,4\n5,6\n");
is(columns("file://$folder/many/f1*.csv"), 'a bigint, b numeric', 'broken records are left out');

put('many/f1_.csv', "\x1f\x8b\x08\x00cut");
is(columns("file://$folder/many/f1*.csv"), 'a bigint, b numeric', 'and so is a file that is broken');

### In a pipeline

my $sales = put('sales.csv', "id,day,amount\n1,2024-01-02,1.5\n2,2024-01-03,2\n3,,\n");
my $document = qq({"pipelines": [{"name": "sales", "source": "$sales",
    "schema": ["id", "day", {"name": "sum", "from": "amount", "default": 0}],
    "gold": [{"table": "gold.days", "query":
        "SELECT day, count(*) AS n, sum(sum) AS total FROM silver.sales GROUP BY day"}]}]});
like(try_apply($document), qr/^infer\|column\|silver\.sales\.day\|date, from 3 records of 1 file$/m,
    'apply says what it has inferred');
like($node->safe_psql('postgres', q{SELECT item, value FROM dynpipe.explain('sales')
    WHERE section = 'decode'}), qr/^sum\|numeric from amount, default 0, inferred, .*quarantined$/m,
    'explain says so too');
rename "$folder/sales.csv", "$folder/away.csv" or die $!;
is(try_apply($document), 'unchanged|pipeline|sales|version 1',
    'applied again without any file: the types are kept');
rename "$folder/away.csv", "$folder/sales.csv" or die $!;
is($node->safe_psql('postgres', q{SELECT * FROM dynpipe.apply(dynpipe.export('sales')::text)}),
    'unchanged|pipeline|sales|version 1', 'what is exported says the same');
$node->safe_psql('postgres', q{SELECT * FROM dynpipe.run('sales')});
is($node->safe_psql('postgres', q{SELECT id, day, sum FROM silver.sales ORDER BY id}),
    "1|2024-01-02|1.5\n2|2024-01-03|2\n3||0", 'it loads');

like(try_apply(qq({"pipelines": [{"name": "n", "source": "file://$folder/no*.txt2",
    "format": "csv"}]})), qr{/pipelines/0/schema: there is no file.*apply again when a file},
    'nothing to look at');
like(try_apply(qq({"pipelines": [{"name": "n", "source": "$sales", "schema": ["id", "gone"]}]})),
    qr{/pipelines/0/schema: file lacks columns? "gone"}, 'a column that the file lacks');
like(try_apply(qq({"pipelines": [{"name": "n", "source": "$sales"}]}), 'plain'),
    qr{/pipelines/0/source: permission denied}, 'no right to read files');
my ($code, undef, $err) = $node->psql('postgres', "SET ROLE plain; SELECT dynpipe.infer('$sales')");
like($err, qr/permission denied/, 'nor by infer');
($code, undef, $err) = $node->psql('postgres', q{SELECT dynpipe.infer('kafka://a/b', format => 'json')});
like($err, qr/from files only/, 'a stream has no files');

# A ready document loads.
$node->safe_psql('postgres', "SELECT * FROM dynpipe.apply(dynpipe.infer('file://$folder/x.json')::text);
    SELECT * FROM dynpipe.run('x')");
is($node->safe_psql('postgres', 'SELECT count(*), count(late), max(price) FROM silver.x'), '3|1|2',
    'the document of dynpipe.infer is ready');

### What does not fit

put('sales.csv', "id,day,amount\n1,2024-01-02,1.5\n2,2024-01-03 10:30,2\n2.5,2024-01-04,2\n");
$node->safe_psql('postgres', q{SELECT * FROM dynpipe.run('sales')});
is($node->safe_psql('postgres', q{SELECT column_name, message FROM dynpipe.quarantine
    WHERE pipeline = 'sales' ORDER BY "offset"}),
    qq{day|type date would lose the time of day of "2024-01-03 10:30"\n}
      . q{id|invalid input syntax for type bigint: "2.5"},
    'quarantined, and no time of day is cut off');
$document =~ s/"schema"/"on_misfit": "widen", "schema"/;
put('sales.csv', "id,day,amount\n1,2024-01-02,1.5\n2,2024-01-03 10:30,2\n2.5,2024-01-04,2\nn4,,1e400\n");
is(try_apply($document), 'alter|pipeline|sales|version 2', 'from now on widen');
is($node->safe_psql('postgres', q{SELECT state, loaded, quarantined FROM dynpipe.run('sales')}),
    'loaded|4|0', 'all of the file fits then');
is($node->safe_psql('postgres', q{SELECT id, day, sum::text = '1.5' FROM silver.sales
    ORDER BY "_offset"}), "1|2024-01-02 00:00:00|t\n2|2024-01-03 10:30:00|f\n"
      . "2.5|2024-01-04 00:00:00|f\nn4||f", 'in wider columns');
is($node->safe_psql('postgres', q{SELECT message FROM dynpipe.event_log WHERE kind = 'widened'
    ORDER BY at}), qq{column "day" widened from date to timestamp\n}
      . qq{column "id" widened from bigint to numeric\ncolumn "id" widened from numeric to text},
    'which is told');
is($node->safe_psql('postgres', q{SELECT count(*) FROM dynpipe.verify('sales') WHERE NOT ok}), '0',
    'and holds together, gold included');
is(try_apply($document), 'unchanged|pipeline|sales|version 5', 'the document is content with it');

### Whatever is inferred loads: random values of random kinds

srand(4711);
my @kinds = (
    sub { int(rand(2e9)) - 1e9 }, sub { sprintf '%.*f', int(rand(5)), rand(1e6) - 5e5 },
    sub { sprintf '%.3e', rand(1e9) }, sub { join '', map { int rand 10 } 1 .. 1 + rand 30 },
    sub { (qw(true false yes no t f Y n on 0 1))[rand 11] },
    sub { sprintf '%04d-%02d-%02d', 1900 + rand 200, 1 + rand 13, 1 + rand 31 },
    sub { sprintf '%04d-%02d-%02dT%02d:%02d:%02d%s', 1990 + rand 50, 1 + rand 12, 1 + rand 28,
        rand 25, rand 60, rand 60, ('', 'Z', '+02', '-07:30', '.5', ' PM')[rand 6] },
    sub { join '', map { chr(32 + rand 95) } 1 .. rand 12 },
    sub { join '-', map { sprintf "%0${_}x", rand 65536 } 8, 4, 4, 4, 12 },
    sub { ('', ' ', 'NaN', 'null', '-', '.', '1e', '-0', '1.', ' 5 ', '0x1', 'Infinity')[rand 12] },
);
for my $n (1 .. 40) {
    my @columns = map { [map { $kinds[rand @kinds] } 1 .. 1 + rand 2] } 1 .. 8;
    my $text = join(',', map { "c$_" } 1 .. 8) . "\n";
    for (1 .. 30) {
        $text .= join(',', map {
            my $value = $_->[rand @$_]->();
            $value =~ s/"/""/g;
            rand() < 0.1 ? '' : $value =~ /[",\n\r]/ || rand() < 0.2 ? qq{"$value"} : $value
        } @columns) . "\n";
    }
    my $url = put("random$n.csv", $text);
    my $out = $node->safe_psql('postgres', qq{
        SELECT FROM dynpipe.apply(format('{"pipelines": [{"name": "r$n", "source": "$url",
            "format": {"type": "csv", "header": "yes", "delimiter": ","}}]}'));
        SELECT state, consumed - loaded, message FROM dynpipe.run('r$n')});
    is($out, 'loaded|0|', "random file $n")
      or diag $node->safe_psql('postgres', q{SELECT column_name, message FROM dynpipe.quarantine});
}

DynpipeTest->check_log($node);
$node->stop;
done_testing();
