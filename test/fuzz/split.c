/*
 * split.c
 *	  The splitters alone, without a server, on damaged files.
 *
 *	  split N [SEED]			N executions over what is made from the corpus
 *	  split FORMAT OPTIONS FILE	the records of one file, to look at
 *
 * Each execution makes a text (pieces of a corpus, joined and damaged),
 * chooses options, and splits it twice: whole, and by windows that grow by
 * random steps and, now and then, lose the bytes that a reader may drop.
 * Checked are the promises of format.h:
 *	- every byte is used once, in order, and the end is reached;
 *	- spans lie inside of what was used, which lies inside of the window;
 *	- something is used by each call, but for one report that the file is cut,
 *	  and the end of a record whose bytes were all dropped;
 *	- MORE is never wanted at the end, and the end not before;
 *	- the same records come out, whatever the windows were;
 *	- line ends add up.
 * Windows are exact mallocs, so that the address sanitizer sees a byte too far.
 */
#include "postgres.h"

#include "format/csv_dialect.h"
#include "format/field.h"

#include "stubs.h"

#undef printf
#undef vsnprintf

#define MAX_TEXT 4096
#define MAX_RECORDS 8192

typedef struct Found
{
	size_t		start;
	size_t		len;
	int64		line;
	bool		broken;
	bool		dropped;		/* its start was not kept */
} Found;

typedef struct Case
{
	int			format;			/* 0 CSV, 1 JSON, 2 text */
	DpPipelineSpec spec;
	DpCsvOptions options;
	List	   *wanted;
	char		text[MAX_TEXT];
	size_t		len;
	size_t		sample;
} Case;

static uint64 state;
static Found whole[MAX_RECORDS];
static Found parts[MAX_RECORDS];
static const Case *current;

static const char *const csv_pieces[] = {
	"id,name,amount\n", "1,anna,2.5\n", "2,\"b\"\"o\"\"b\",3\n", "3,\"two\nlines\",4\r\n",
	"# comment\n", "\n", "\r", "\r\n", "   \n", "\"", "\"\"", "\\", "\\\"", ",", ";", "\t", "|",
	"4;5;6\n", "Report of May\n\n", "total,,7\n", "\"stray,1\n", "x\"y,1,2\n", "\xEF\xBB\xBF",
	"\"a\" ,b,c\n", "a,b\n", "a,b,c,d\n", "\"1\n2\n3\",x,y\n", "\\\n", "'q','r'\n", "NA,NULL,\\N\n",
	"\xff\xfe", "1,2,3", " \"padded\" , 1 , 2 \n", "\"end\"\n", "1,5;2,5\n", "a\\,b,c,d\n"
};
static const char *const json_pieces[] = {
	"{\"a\":1}\n", "{\"a\": {\"b\": [1, 2]}}\n", "[", "]", "{", "}", ",", ":", "\"", "\\\"", "\\", "\n",
	"{\"a\":\"x\\\"y\"}", "[1,2,3]\n", "  {\n    \"a\": 1\n  },\n", "{\"a\":\"line\nbreak\"}\n",
	"{\"a\":1,\"b\":\n", "\"text\"", " ", "\r\n", "null", "true", "-1.5e3", "garbage here\n",
	"{\"data\":{\"items\":[", "\"items\":", "\"data\":", "[[1],[2]]", "{\"a\":1}}\n", "{\"a\":[1,2}\n",
	"{\"a\":\"open}\n", "\xff", "[\n{\"a\":1},\n{\"a\":2}\n]\n", "{}", "[]", "\\u0061", "{\"a\":1},\n"
};

static uint32
rnd(uint32 n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (uint32) (state >> 11) % n;
}

static void
print_text(const char *s, size_t len)
{
	for (size_t i = 0; i < len; i++)
	{
		unsigned char c = s[i];

		if (c == '\n')
			printf("\\n");
		else if (c == '\r')
			printf("\\r");
		else if (c < 32 || c > 126)
			printf("\\x%02x", c);
		else
			putchar(c);
	}
}

static void
fail(const char *what)
{
	const DpCsvOptions *o = &current->options;
	ListCell   *lc;

	printf("FAILED: %s\nformat %d delimiter %d quote %d escape %d comment %d header %d skip %d "
		   "trim %d sample %zu of %zu\n", what, current->format, o->delimiter, o->quote, o->escape,
		   o->comment, o->header, o->skip, o->trim, current->sample, current->len);
	foreach(lc, current->spec.format_options)
		printf("option %s\n", ((DpSetting *) lfirst(lc))->value);
	print_text(current->text, current->len);
	putchar('\n');
	fflush(stdout);
	abort();
}

/* ---------- cases ---------- */

static void
add_text(Case *c, const char *s, size_t len)
{
	len = Min(len, MAX_TEXT - c->len);
	memcpy(c->text + c->len, s, len);
	c->len += len;
}

static void
damage(Case *c)
{
	static const char bytes[] = "\"\"\\,;\n\r{}[]:'# \t\0ae1";

	for (int n = rnd(4); n > 0 && c->len > 0; n--)
	{
		size_t		at = rnd(c->len);

		switch (rnd(4))
		{
			case 0:
				c->text[at] = bytes[rnd(sizeof(bytes) - 1)];
				break;
			case 1:
				memmove(c->text + at, c->text + at + 1, c->len - at - 1);
				c->len--;
				break;
			case 2:
				if (c->len < MAX_TEXT)
				{
					memmove(c->text + at + 1, c->text + at, c->len - at);
					c->text[at] = bytes[rnd(sizeof(bytes) - 1)];
					c->len++;
				}
				break;
			default:
				if (rnd(8) == 0)
					c->len = at;
		}
	}
}

static void
make_options(Case *c)
{
	static const char delimiters[] = {0, 0, 0, ',', ';', '\t', '|'};
	static const char escapes[] = {'"', '"', '"', '\\', 0};
	static const char comments[] = {0, 0, '#'};
	DpCsvOptions *o = &c->options;
	static const char *const names[] = {"id", "name", "amount"};
	static const char *const pointers[] = {"/data/items", "/data", "/0", "/data/items/1"};

	o->delimiter = delimiters[rnd(lengthof(delimiters))];
	o->quote = rnd(8) == 0 ? 0 : rnd(8) == 0 ? '\'' : '"';
	o->escape = escapes[rnd(lengthof(escapes))];
	if (o->escape == '"')
		o->escape = o->quote;
	o->comment = comments[rnd(lengthof(comments))];
	o->header = rnd(3);
	o->skip = rnd(5) == 0 ? rnd(4) : 0;
	o->trim = rnd(4) == 0;
	for (int i = rnd(4); i > 0; i--)
		c->wanted = lappend(c->wanted, pstrdup(names[i - 1]));
	if (rnd(3) == 0)
	{
		DpSetting  *setting = palloc0(sizeof(DpSetting));

		setting->name = pstrdup("records");
		setting->value = pstrdup(pointers[rnd(lengthof(pointers))]);
		c->spec.format_options = lappend(c->spec.format_options, setting);
	}
}

static void
make_case(Case *c)
{
	int			pieces = 1 + rnd(rnd(50) == 0 ? 300 : 16);

	memset(c, 0, offsetof(Case, text));
	c->len = 0;
	c->format = rnd(20) == 0 ? 2 : rnd(2);
	make_options(c);
	while (pieces-- > 0)
	{
		const char *piece = c->format == 1 ? json_pieces[rnd(lengthof(json_pieces))]
			: csv_pieces[rnd(lengthof(csv_pieces))];
		int			times = rnd(40) == 0 ? rnd(30) : 1;

		while (times-- > 0)
			add_text(c, piece, strlen(piece));
	}
	damage(c);
	/* A reader has the whole of a small file, or some of a large one. */
	c->sample = rnd(3) == 0 ? rnd(c->len + 1) : c->len;
}

/* ---------- splitting ---------- */

static DpSplitter *
make_splitter(const Case *c)
{
	/* Exactly as many bytes as the splitter may see. */
	char	   *sample = malloc(c->sample ? c->sample : 1);
	bool		all = c->sample == c->len;
	DpSplitter *splitter;
	DpCsvDialect dialect;

	memcpy(sample, c->text, c->sample);
	if (c->format == 0)
	{
		dp_csv_detect(&dialect, &c->options, c->wanted, sample, c->sample, all);
		splitter = dp_csv_splitter(&dialect);
	}
	else
		splitter = (c->format == 1 ? dp_json_splitter : dp_text_splitter)
			(&c->spec, sample, c->sample, all);
	free(sample);
	return splitter;
}

static DpSplit
split(const Case *c, DpSplitter *splitter, const char *s, size_t len, bool at_end, DpSpan *span)
{
	return (c->format == 0 ? dp_csv_split : c->format == 1 ? dp_json_split : dp_text_split)
		(splitter, s, len, at_end, span);
}

/* Line ends of a text as its format counts them. */
static int64
count_lines(const Case *c)
{
	int64		n = 0;

	for (size_t i = 0; i < c->len; i++)
		n += c->text[i] == '\n' || (c->format != 1 && c->text[i] == '\r' &&
									(i + 1 == c->len || c->text[i + 1] != '\n'));
	return n;
}

/* Split all of it, by windows that grow by up to STEP bytes; 0: at once. */
static int
split_all(const Case *c, Found *found, uint32 step, bool drop)
{
	DpSplitter *splitter = make_splitter(c);
	size_t		start = 0;
	size_t		record = 0;		/* where it began, if bytes were dropped */
	bool		dropped = false;
	size_t		end = step ? 0 : c->len;
	int64		lines = 0;
	int			n = 0;
	int			waits = 0;		/* calls that wanted more although all was shown */
	int			unused = 0;		/* calls in a row that used nothing */

	for (;;)
	{
		bool		at_end = end == c->len && (step == 0 || rnd(2) == 0 || waits > 0);
		char	   *window = malloc(end - start ? end - start : 1);
		DpSpan		span;
		DpSplit		result;

		memcpy(window, c->text + start, end - start);
		result = split(c, splitter, window, end - start, at_end, &span);
		free(window);
		if (result == DP_SPLIT_END)
		{
			if (!at_end || start != c->len)
				fail("the end is not the end");
			break;
		}
		if (result == DP_SPLIT_MORE)
		{
			if (at_end)
				fail("more is wanted than there is");
			if (splitter->seen > end - start)
				fail("more was seen than shown");
			waits += end == c->len;
			if (drop && splitter->seen > 0 && rnd(3) == 0)
			{
				if (!dropped)
					record = start;
				dropped = true;
				start += splitter->seen;
				splitter->seen = 0;
			}
			if (step > 0)
				end += 1 + rnd(step);
			end = Min(c->len, end);
			continue;
		}
		if (span.start + span.len > span.used || span.used > end - start)
			fail("a span lies outside of what was used");
		if (span.used > 0)
			unused = 0;
		else if (!dropped && (++unused > 1 || result != DP_SPLIT_BROKEN))
			fail("nothing was used");
		if (result == DP_SPLIT_NOTHING && dropped)
			fail("a record that was begun became nothing");
		if (result != DP_SPLIT_NOTHING)
		{
			if (n == MAX_RECORDS)
				fail("more records than bytes");
			found[n].start = dropped ? record : start + span.start;
			found[n].len = start + span.start + span.len - found[n].start;
			found[n].line = lines;
			found[n].broken = result == DP_SPLIT_BROKEN;
			found[n++].dropped = dropped;
			if ((result == DP_SPLIT_BROKEN) != (span.problem != NULL))
				fail("a problem belongs to what is broken");
		}
		dropped = false;
		start += span.used;
		lines += span.lines;
		if (splitter->seen != 0)
			fail("a finished record was seen in part");
	}
	if (lines != count_lines(c))
		fail("line ends do not add up");
	return n;
}

static void
compare(int n, int m)
{
	for (int i = 0; i < Min(n, m); i++)
	{
		if (whole[i].start != parts[i].start || whole[i].len != parts[i].len ||
			whole[i].line != parts[i].line || whole[i].broken != parts[i].broken)
		{
			printf("record %d: %zu+%zu line %lld broken %d, by windows %zu+%zu line %lld broken %d\n",
				   i, whole[i].start, whole[i].len, (long long) whole[i].line, whole[i].broken,
				   parts[i].start, parts[i].len, (long long) parts[i].line, parts[i].broken);
			fail("windows change the records");
		}
	}
	if (n != m)
		fail("windows change the number of records");
}

static int64
fuzz(int64 executions, uint64 seed)
{
	static Case c;
	int64		records = 0;

	current = &c;
	for (int64 i = 0; i < executions; i++)
	{
		int			n;

		state = (seed + i) * UINT64CONST(0x9E3779B97F4A7C15) | 1;
		(void) rnd(2);
		make_case(&c);
		n = split_all(&c, whole, 0, false);
		records += n;
		compare(n, split_all(&c, parts, 1 + rnd(rnd(2) ? 3 + c.len / 50 : 200), false));
		/* What is dropped cannot be doubted, so only the promises are checked. */
		if (rnd(4) == 0)
			(void) split_all(&c, parts, 1 + rnd(40 + c.len / 50), true);
		stub_reset();
	}
	return records;
}

static void
show(const char *format, const char *path)
{
	static Case c;
	FILE	   *in = fopen(path, "r");
	int			n;

	if (in == NULL)
		exit(2);
	current = &c;
	c.format = strcmp(format, "csv") == 0 ? 0 : strcmp(format, "json") == 0 ? 1 : 2;
	c.options.quote = c.options.escape = '"';
	c.len = c.sample = fread(c.text, 1, MAX_TEXT, in);
	fclose(in);
	n = split_all(&c, whole, 0, false);
	for (int i = 0; i < n; i++)
	{
		printf("line %lld%s: ", (long long) whole[i].line + 1, whole[i].broken ? " BROKEN" : "");
		print_text(c.text + whole[i].start, whole[i].len);
		putchar('\n');
	}
}

int
main(int argc, char **argv)
{
	int64		executions = argc > 1 ? atoll(argv[1]) : 100000;
	uint64		seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;

	if (argc == 3 && (*argv[1] < '0' || *argv[1] > '9'))
	{
		show(argv[1], argv[2]);
		return 0;
	}
	printf("%lld executions from seed %llu: %lld records\n", (long long) executions,
		   (unsigned long long) seed, (long long) fuzz(executions, seed));
	return 0;
}
