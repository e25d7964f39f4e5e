# SQL of one pipeline that hangs does not hold up another on the same worker.
use strict;
use warnings;
use Test::More;
use DynpipeTest;

my $node = DynpipeTest->start_node('timeout', conf => <<'CONF');
dynpipe.max_workers = 1
dynpipe.batch_timeout = '1s'
dynpipe.retry_max = '2s'
CONF
my $broker = DynpipeBroker->mock(topics => { good => 1, slow => 1 });
$node->safe_psql('postgres', 'CREATE EXTENSION dynpipe');
DynpipeTest->connect_broker($node, 'postgres', 'shop', $broker);
DynpipeTest->apply($node, 'postgres', <<'YAML');
pipelines:
  - {name: good, source: kafka://shop/good, schema: [id]}
  - name: slow
    source: kafka://shop/slow
    schema: [id]
    silver: {where: "pg_catalog.pg_sleep(3600) IS NOT NULL"}
YAML

$broker->produce('slow', lines => [qq(0\t\t{"id": 1})]);
ok(DynpipeTest->wait_until($node, 'postgres',
        "SELECT last_error_sqlstate FROM dynpipe.status WHERE pipeline = 'slow'", '57014'),
    'a batch that takes too long is given up');
ok(DynpipeTest->wait_until($node, 'postgres',
        "SELECT advice FROM dynpipe.status WHERE pipeline = 'slow'",
        'A batch took longer than dynpipe.batch_timeout: make its SQL cheaper or increase the setting.'),
    'and its status says what to do');

$broker->produce('good', lines => [map { qq(0\t\t{"id": $_}) } 1 .. 100]);
ok(DynpipeTest->wait_consumed($node, 'postgres', 'good', 100), 'its neighbour goes on');

DynpipeTest->apply($node, 'postgres',
    '{"pipelines": [{"name": "slow", "source": "kafka://shop/slow", "schema": ["id"]}]}');
ok(DynpipeTest->wait_consumed($node, 'postgres', 'slow', 1), 'and so does it when it is repaired');
$node->stop('fast');
done_testing();
