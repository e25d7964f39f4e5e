#!/usr/bin/perl
# hostile.pl DIR - write files that loaders choke on, and what must become of each.
#
# DIR/<set>/<file> for each set of format options, DIR/<set>/options, and
# DIR/manifest: "set file loaded lines", where lines are the places of the
# quarantined records, as "2,5", "-" for none, or "failed:<part of the message>"
# for a file that is not loaded at all.  What is expected was thought out by
# hand, not taken from a run.
#
# Every case is written with \n and with \r\n, CSV with \r as well, but for
# those that are about line ends or bytes.
use strict;
use warnings;

my ($dir) = @ARGV or die "usage: hostile.pl DIR\n";
my %options;
open my $manifest, '>', "$dir/manifest" or die "$dir/manifest: $!";

sub put {
    my ($set, $file, $text, $loaded, $lines) = @_;
    open my $out, '>:raw', "$dir/$set/$file" or die "$dir/$set/$file: $!";
    print $out $text;
    close $out or die $!;
    print $manifest "$set $file $loaded $lines\n";
    return;
}

# Cases: name, text, loaded, lines; a name that ends in ! is written as it stands.
sub cases {
    my ($set, $options, @cases) = @_;
    my ($type) = $options =~ /type: (\w+)/;
    mkdir "$dir/$set" or die "$dir/$set: $!";
    open my $out, '>', "$dir/$set/options" or die $!;
    print $out $options;
    close $out or die $!;
    while (my ($name, $text, $loaded, $lines) = splice @cases, 0, 4) {
        my %ends = (lf => "\n", crlf => "\r\n", $type eq 'csv' ? (cr => "\r") : ());
        %ends = (raw => "\n") if $name =~ s/!$//;
        for my $end (sort keys %ends) {
            (my $written = $text) =~ s/\n/$ends{$end}/g;
            put($set, "$name-$end.$type", $written, $loaded, $lines);
        }
    }
    return;
}

my $h = "id,name,amount\n";
my $prose = join "\n", map { "paragraph $_ goes on at length and has one comma, no more" } 1 .. 2000;

cases('csv', '{type: csv}',
    plain           => "${h}1,a,2.5\n2,b,3\n",                           2, '-',
    no_last_end     => "${h}1,a,2.5\n2,b,3",                             2, '-',
    empty           => '',                                               0, '-',
    only_header     => $h,                                               0, '-',
    only_blank      => "\n\n  \n",                                       0, '-',
    blank_within    => "${h}\n1,a,2\n\n  \n2,b,3\n\n",                   2, '-',
    extra_field     => "${h}1,a,2\n2,b,3,4\n3,c,4\n",                    2, '3',
    missing_field   => "${h}1,a,2\n2,b\n3,c,4\n",                        2, '3',
    wrong_type      => "${h}1,a,2\nx,b,3\n3,c,y\n",                      1, '3,4',
    out_of_range    => "${h}1,a,2\n99999999999999999999,b,3\n",          1, '3',
    quote_inside    => "${h}1,a,2\n2,5\" pipe,3\n3,c,4\n",               2, '3',
    stray_quote     => "${h}1,a,2\n2,\"abc,3\n3,c,4\n4,d,5\n",           3, '3',
    stray_two       => "${h}1,a,2\n2,\"abc,3\n3,c,4\n4,d\"x,5\n5,e,6\n", 3, '3,5',
    stray_many      => $h . join('', map { "$_,\"x,1\n" } 1 .. 20),      0, join(',', 2 .. 21),
    stray_alone     => "${h}\"\n1,a,2\n2,b,3\n",                         2, '2',
    stray_last      => "${h}1,a,2\n2,\"abc",                             1, '3',
    cut_in_text     => "${h}1,a,2\n2,\"one\ntwo\nthree",                 1, '3',
    stray_long      => "${h}1,\"a,2\n" . ("2,b,3\n" x 3000) . "3,\"c\",4\n",  3001, '2',
    line_in_quotes  => "${h}1,a,2\n2,\"two\nlines\",3\nx,c,4\n",         2, '5',
    doubled         => "${h}1,\"say \"\"hi\"\"\",2\n",                   1, '-',
    after_quote     => "${h}1,a,2\n2,\"abc\"d,3\n",                      1, '3',
    empty_quoted    => "${h}1,\"\",2\n",                                 1, '-',
    empty_fields    => "${h}1,,\n,,\n",                                  2, '-',
    delimiters      => "${h}1,a,2\n,,,,,,\n",                            1, '3',
    last_delimiter  => "${h}1,a,2,\n2,b,3,\n",                           0, '2,3',
    order           => "amount,id,name\n2.5,1,a\nx,2,b\n",               1, '3',
    header_case     => " ID ,Name,AMOUNT\n1,a,2\n",                      1, '-',
    header_quoted   => "\"id\",\"name\",\"amount\"\n1,a,2\n",            1, '-',
    more_columns    => "x,id,y,name,amount\n0,1,0,a,2\n",                1, '-',
    header_again    => "${h}1,a,2\n${h}2,b,3\n${h}",                     2, '-',
    preamble        => "Report of May\nmade by hand\n\n${h}1,a,2\n",     1, '-',
    preamble_quote  => "The \"May\" report\n${h}1,a,2\n",                1, '-',
    footer_total    => "${h}1,a,2\ntotal,,2\n",                          1, '3',
    footer_text     => "${h}1,a,2\n\n1 row\n",                           1, '4',
    no_header       => "1,a,2\n2,b,3\n",                                 2, '-',
    semicolons      => "id;name;amount\n1;a,b;2\n2;c;3\n",               2, '-',
    tabs            => "id\tname\tamount\n1\ta b\t2\n",                  1, '-',
    pipes           => "id|name|amount\n1|a|2\n",                        1, '-',
    lacks_column    => "id,name\n1,a\n",                                 0, 'failed:lacks columns "amount"',
    twice           => "id,name,amount,id\n1,a,2,3\n",                   0, 'failed:more than one column',
    other_names     => "a,b,c\n1,x,2\n",                                 0, 'failed:lacks columns',
    long_field      => "${h}1,\"$prose\",2\nx,b,3\n",                    1, '2002',
    long_line       => "${h}1," . ('x' x 200_000) . ",2\n",              1, '-',
    many_fields     => "${h}1,a,2\n" . (',' x 5000) . "\n",              1, '3',
    control         => "${h}1,a\x01\x1bb,2\n",                           1, '-',
    formula         => "${h}1,=1+1,2\n",                                 1, '-',
    separators      => "${h}1,a\xe2\x80\xa8b,2\n",                       1, '-',
    bad_utf8        => "${h}1,a,2\n2,\xff\xfe,3\n3,\xc3,4\n",            1, '3,4',
    overlong_utf8   => "${h}1,\xc0\xaf,2\n2,b,3\n",                      1, '2',
    surrogate_utf8  => "${h}1,\xed\xa0\x80,2\n2,b,3\n",                  1, '2',
    nul             => "${h}1,a,2\n2,b\0c,3\n3,d,4\n",                   2, '3',
    bom             => "\xef\xbb\xbf${h}1,a,2\n",                        1, '-',
    bom_again       => "\xef\xbb\xbf${h}1,a,2\n\xef\xbb\xbf${h}2,b,3\n", 2, '-',
    'mixed_ends!'   => "id,name,amount\r\n1,a,2\n2,b,3\r3,c,4",          3, '-',
    'cr_in_quotes!' => "${h}1,\"a\rb\",2\nx,b,3\n",                      1, '4',
    'utf16le!'      => "\xff\xfe" . join('', map { "$_\0" } split //, "${h}1,a,2\n"), 1, '-',
    'utf16be!'      => "\xfe\xff" . join('', map { "\0$_" } split //, "${h}1,a,2\n"), 1, '-',
);
cases('comment', '{type: csv, comment: "#", skip: 2}',
    comments      => "a\nb,\"\n# made today, \"\n${h}#1,a,2\n1,a,2\n#\n2,b#,3\n", 2, '-',
    only_comments => "a\nb\n#\n#x\n",                                            0, '-',
);
cases('nulls', '{type: csv, "null": ["", NA, "\\\\N"], trim: yes}',
    nulls   => "${h}NA,NA,NA\n\\N,\\N,\\N\n,,\n1,a,2\n",     4, '-',
    trimmed => "${h} 1 , a ,\t2\n 2 , \"b , c\" , 3 \nx,d,4\n", 2, '4',
);
cases('decimal', '{type: csv, decimal: ","}',
    comma   => "id;name;amount\n1;a;2,5\n2;b;3\n3;c;1.234,5\n4;d;1.234\n", 2, '4,5',
    quoted  => "id,name,amount\n1,a,\"2,5\"\n",                            1, '-',
);
cases('escape', '{type: csv, escape: "\\\\", delimiter: ","}',
    escaped => "${h}1,\"say \\\"hi\\\"\",2\n2,a\\,b,3\n3,a\\\\,4\n4,\\N,5\n", 4, '-',
    line    => "${h}1,a\\\nb,2\nx,c,3\n",                                     1, '4',
);
cases('header_no', '{type: csv, header: no}',
    places => "1,a,2\n${h}2,b,3\n", 2, '2',
);
cases('quote_none', '{type: csv, quote: none}',
    quotes => "${h}1,\"a,2\n2,b\"c,3\n", 2, '-',
);
cases('columns', '{type: csv, columns: "amount,id,name"}',
    named => "2,1,a\n3,2,b\n", 2, '-',
);
cases('latin1', '{type: csv, encoding: latin1}',
    'umlaut!' => "${h}1,K\xf6ln,2\n", 1, '-',
);

my @rows = ('{"id":1,"name":"a","amount":2.5}', '{"id":2,"name":"b"}', '{"id":3}');
my $ndjson = join '', map { "$_\n" } @rows;
my $pretty = join ",\n", map { "  {\n    \"id\": $_,\n    \"name\": \"n\"\n  }" } 1 .. 3;

cases('json', '{type: json}',
    lines         => $ndjson,                                                   3, '-',
    no_last_end   => join("\n", @rows),                                         3, '-',
    blank_lines   => "\n\n$rows[0]\n\n   \n$rows[1]\n",                         2, '-',
    empty         => '',                                                        0, '-',
    blank         => " \n\t\n",                                                 0, '-',
    indented      => join('', map { "   $_  \n" } @rows),                       3, '-',
    joined        => join('', @rows),                                           3, '-',
    joined_lines  => "$rows[0]$rows[1]\n$rows[2] $rows[0]\n",                   4, '-',
    comma_lines   => join(",\n", @rows) . "\n",                                 3, '-',
    pretty_values => "{\n  \"id\": 1\n}\n{\n  \"id\": 2\n}\n",                  2, '-',
    array         => '[' . join(',', @rows) . ']',                              3, '-',
    array_lines   => "[\n" . join(",\n", @rows) . "\n]\n",                      3, '-',
    array_pretty  => "[\n$pretty\n]\n",                                         3, '-',
    arrays        => "[$rows[0],$rows[1]]\n[$rows[2]]\n",                       3, '-',
    empty_array   => '[]',                                                      0, '-',
    empty_object  => "{}\n",                                                    1, '-',
    open_string   => "$rows[0]\n{\"id\":2,\"name\":\"b}\n$rows[2]\n",           2, '2',
    open_brace    => "$rows[0]\n{\"id\":2,\"x\":{\"y\":1}\n$rows[2]\n",         2, '2',
    after_colon   => "$rows[0]\n{\"id\":2,\"name\":\n$rows[2]\n",               2, '2',
    more_braces   => "$rows[0]\n{\"id\":2}}\n$rows[2]\n",                       2, '2',
    early_brace   => "$rows[0]\n{\"id\":2},\"name\":\"b\"}\n$rows[2]\n",        2, '2',
    last_cut      => "$rows[0]\n$rows[1]\n{\"id\":3,\"na",                      2, '3',
    garbage       => "$rows[0]\nERROR: lost connection {\n$rows[2]\n",          2, '2',
    single_quotes => "$rows[0]\n{'id':2}\n$rows[2]\n",                          2, '2',
    nan           => "$rows[0]\n{\"id\":NaN}\n$rows[2]\n",                      2, '2',
    comment       => "$rows[0]\n// no comment\n$rows[2]\n",                     2, '2',
    last_comma    => "$rows[0]\n{\"id\":2,}\n$rows[2]\n",                       2, '2',
    wrong_type    => "$rows[0]\n{\"id\":\"x\"}\n{\"id\":{}}\n$rows[2]\n",       2, '2,3',
    out_of_range  => "$rows[0]\n{\"id\":1e400}\n$rows[2]\n",                    2, '2',
    scalars       => "1\n\"two\"\nnull\n$rows[0]\n$rows[1]\n$rows[2]\n",        3, '1,2,3',
    twice         => "{\"id\":1,\"id\":2}\n",                                   1, '-',
    in_strings    => "{\"id\":1,\"name\":\"}{][\\\"\"}\n{\"id\":2,\"name\":\"\\\\\"}\n", 2, '-',
    nested        => "{\"id\":1,\"x\":[{\"y\":[[]]}]}\n$rows[1]\n",             2, '-',
    deep          => '{"id":1,"x":' . ('[' x 50_000) . (']' x 50_000) . "}\n$rows[1]\n", 2, '-',
    long          => '{"id":1,"x":"' . ('x' x 300_000) . "\"}\n$rows[1]\n",     2, '-',
    bad_utf8      => "$rows[0]\n{\"id\":2,\"name\":\"\xff\"}\n$rows[2]\n",      2, '2',
    nul           => "$rows[0]\n{\"id\":2,\"name\":\"\0\"}\n$rows[2]\n",        2, '2',
    escaped_nul   => "$rows[0]\n{\"id\":2,\"name\":\"\\u0000\"}\n$rows[2]\n",   2, '2',
    bom           => "\xef\xbb\xbf$ndjson",                                     3, '-',
    array_element => "[$rows[0],{\"id\":\"x\"},$rows[2]]",                      2, '1',
    array_others  => "[$rows[0],7,$rows[2]]",                                   2, '1',
    array_no_comma => "[$rows[0] $rows[1]\n$rows[2]]",                          3, '-',
    array_cut     => "[\n$rows[0],\n$rows[1],\n",                               2, '4',
    array_cut_in  => "[\n$rows[0],\n$rows[1],\n{\"id\":3,",                     2, '4',
    array_open    => "[\n$rows[0],\n{\"id\":2,\"x\":{\"y\":1},\n$rows[2]\n]\n", 2, '3',
    array_kinds   => "[\n$rows[0],\n{\"id\":[1,2},\n$rows[2]\n]\n",             2, '3',
    array_after   => "[\n$rows[0]\n]\nthe end\n",                               1, '4',
    pretty_open   => "[\n  {\n    \"id\": 1,\n    \"name\": \"a\n  },\n$pretty\n]\n", 3, '2',
    pretty_line   => "[\n  {\n    \"id\": 1,\n    \"name\": \"a\nb\"\n  },\n$pretty\n]\n", 3, '2',
    pretty_brace  => "[\n  {\n    \"id\": 1,\n    \"x\": {\"y\": 1\n  },\n$pretty\n]\n", 3, '2',
);
cases('records', '{type: json, records: /data/items}',
    nested    => "{\"meta\":{\"items\":[1,2]},\"data\":{\"n\":3,\"items\":[\n$rows[0],\n$rows[1]\n],\"z\":[9]}}\n", 2, '-',
    bad_one   => "{\"data\":{\"items\":[\n$rows[0],\n{\"id\":\"x\"},\n$rows[2]\n]}}\n", 2, '3',
    escaped   => "{\"d\\u0061ta\":{\"items\":[$rows[0]]}}\n",             1, '-',
    big_aside => '{"x":"' . ('"}\\\\' =~ s/"/\\"/gr x 100_000) . "\",\"data\":{\"items\":[$rows[0]]}}\n", 1, '-',
    absent    => "{\"data\":{\"other\":[1]}}\n",                          0, '1',
    no_array  => "{\"data\":{\"items\":7}}\n",                            0, '1',
    no_json   => "hello\n",                                               0, '1',
    cut       => "{\"data\":{\"items\":[\n$rows[0],\n",                   1, '3',
);
close $manifest or die $!;
