# The document that dynpipe was ordered with, byte for byte: sales as CSV and
# products as JSON from S3, names of columns only, results to S3.  And the same
# feed from and to Azure storage.
use strict;
use warnings;
use Digest::SHA qw(sha256_hex);
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;
use DynpipeCloud;
use DynpipeTest;

my $s3    = DynpipeCloud->s3(auth => 1);
my $azure = DynpipeCloud->azure;
plan(skip_all => 'neither an S3 nor an Azure server can be had here') unless $s3 || $azure;

my $file = "$ENV{DYNPIPE_SRC}/examples/pipeline_config.json";
my $document = slurp_file($file);
my $node = DynpipeTest->start_node('owner', conf => "dynpipe.allowed_hosts = '127.0.0.1'");
$node->safe_psql('postgres', 'CREATE EXTENSION dynpipe');

my $sales    = "id,date,amount\n1,2026-11-20,120.50\n2,2026-11-21,80\n3,2026-11-21,15.25\n";
my $products = '[{"id": 1, "name": "Tea", "price": 4.5}, {"id": 2, "name": "Kaffee, gemahlen", '
  . '"price": 7.25, "extra": true}]';

sub sql { return $node->safe_psql('postgres', $_[0]) }

# What both pipelines must give, wherever their files are.
sub check_tables {
    my ($where) = @_;
    is(sql('SELECT id, date, amount FROM silver.process_sales_data ORDER BY id'),
        "1|2026-11-20|120.50\n2|2026-11-21|80\n3|2026-11-21|15.25", "$where: sales");
    is(sql('SELECT id, name, price FROM silver.process_product_data ORDER BY id'),
        "1|Tea|4.5\n2|Kaffee, gemahlen|7.25", "$where: products");
    is(sql(q{SELECT string_agg(attname || ' ' || format_type(atttypid, atttypmod), ', '
                ORDER BY attrelid::regclass::text COLLATE "C" DESC, attnum)
            FROM pg_attribute WHERE attnum > 0 AND attname !~ '^_' AND attrelid IN
                ('silver.process_sales_data'::regclass, 'silver.process_product_data'::regclass)}),
        'id bigint, date date, amount numeric, id bigint, name text, price numeric',
        "$where: types come from the data");
    is(sql(q{SELECT count(*) FROM dynpipe.status AS s, dynpipe.verify(s.pipeline) AS v
            WHERE NOT v.ok}), 0, "$where: every invariant holds");
    return;
}

sub run_both {
    my ($where) = @_;
    is(sql(q{SELECT r.state, r.loaded, r.quarantined FROM dynpipe.run('Process Sales Data') AS r
            UNION ALL SELECT r.state, r.loaded, r.quarantined
            FROM dynpipe.run('Process Product Data') AS r}),
        "loaded|3|0\nloaded|2|0", "$where: both load");
    is(sql(q{SELECT count(*) FROM dynpipe.run('Process Sales Data')}), 0,
        "$where: and load nothing the second time");
    return;
}

sub check_outputs {
    my ($where, $store) = @_;
    ok(DynpipeTest->wait_until($node, 'postgres', q{SELECT count(*) = 2 AND
            bool_and(state = 'written') FROM dynpipe.outputs}, 't', 30),
        "$where: workers write the results");
    is(join(' ', $store->list('processed', '')), 'products/products.ndjson sales/sales.csv',
        "$where: one object for each file, nothing else");
    is($store->get('processed', 'sales/sales.csv'), $sales,
        "$where: sales as CSV");
    is($store->get('processed', 'products/products.ndjson'),
        qq({"id":1,"name":"Tea","price":4.5}\n{"id":2,"name":"Kaffee, gemahlen","price":7.25}\n),
        "$where: products as NDJSON");
    return;
}

SKIP: {
    skip('no S3 server here', 12) unless $s3;
    is(sha256_hex($document), '7f3786c5a66eb27fd12bd4aa3cebf3b56e7f2feed8df7dc44f73f5eca7d7c98a',
        'the document is as it was ordered');
    $s3->bucket($_) for qw(data processed);
    $s3->put('data', 'sales.csv',     $sales);
    $s3->put('data', 'products.json', $products);
    my ($address, $key, $secret) = ($s3->address, $s3->key, $s3->secret);
    sql(qq{
        CREATE SERVER storage TYPE 's3' FOREIGN DATA WRAPPER dynpipe OPTIONS (endpoint '$address');
        CREATE USER MAPPING FOR CURRENT_USER SERVER storage
            OPTIONS (access_key_id '$key', secret_access_key '$secret')});
    DynpipeTest->apply($node, 'postgres', $document);
    is(DynpipeTest->apply($node, 'postgres', $document),
        "unchanged|pipeline|Process Sales Data|version 1\n"
          . "unchanged|pipeline|Process Product Data|version 1",
        'S3: applied again it changes nothing');
    run_both('S3');
    check_tables('S3');
    check_outputs('S3', $s3);
    sql(q{SELECT dynpipe.drop(pipeline, true) FROM dynpipe.status; DROP SERVER storage CASCADE});
}

SKIP: {
    skip('no Azure server here', 11) unless $azure;
    $azure->bucket($_) for qw(data processed);
    $azure->put('data', 'sales.csv',     $sales);
    $azure->put('data', 'products.json', $products);
    my ($address, $account, $key) = ($azure->address, $azure->account, $azure->key);
    sql(qq{
        CREATE SERVER lake TYPE 'adls' FOREIGN DATA WRAPPER dynpipe
            OPTIONS (endpoint '$address', account '$account');
        CREATE USER MAPPING FOR CURRENT_USER SERVER lake OPTIONS (account_key '$key')});
    (my $on_azure = $document) =~ s{s3://}{az://}g;
    DynpipeTest->apply($node, 'postgres', $on_azure);
    run_both('Azure');
    check_tables('Azure');
    check_outputs('Azure', $azure);
    # the other spelling of the same place
    $on_azure =~ s{az://(\w+)/}{abfss://$1\@$account.dfs.core.windows.net/}g;
    sql(q{SELECT dynpipe.drop(pipeline, true) FROM dynpipe.status});
    DynpipeTest->apply($node, 'postgres', $on_azure);
    run_both('abfss');
    check_tables('abfss');
}
$node->stop;
done_testing();
