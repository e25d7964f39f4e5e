/*
 * sample.c
 *	  Pieces of text from across a pipeline's files: see sample.h.
 *
 *	  glob ──> the first file by name, the last, some between
 *	  file ──> its beginning ─ ─ 1/4 ─ ─ 1/2 ─ ─ 3/4 ─ ─ its end
 *
 * The places further behind are only looked at where a file can be read from
 * there: not compressed, large, and with line ends of one byte.  Such a piece
 * begins at a line end that may stand inside a quoted field; what is read from
 * there until the next record's start is no record, and is left out by whoever
 * decodes it.
 *
 * Which files are taken depends on their names alone, not on the order in
 * which the store lists them, and no more of them is kept than is taken.
 */
#include "dynpipe.h"

#include "common/hashfn.h"
#include "load/sample.h"
#include "miscadmin.h"
#include "util/attempt.h"

#define BEGINNING		(1024 * 1024)	/* of the first and the last file */
#define BEGINNING_OTHER	(256 * 1024)
#define PROBE			(256 * 1024)
#define PROBED_FROM		(4 * 1024 * 1024)	/* smaller files are not probed */
#define NPROBES			4
#define BETWEEN			8		/* files between first and last */
#define HEAD_RECORDS	20		/* repeated before a probe */

/* The files chosen so far. */
typedef struct Choice
{
	MemoryContext cxt;
	DpObject   *first;
	DpObject   *last;
	DpObject   *between[BETWEEN];	/* those with the smallest hash of their names */
	int			nbetween;
} Choice;

/* One file of the sample, to be tried. */
typedef struct OneFile
{
	const DpPipelineSpec *spec;
	DpStore    *store;
	const DpObject *object;
	Size		size;
	List	   *texts;			/* what came of it */
} OneFile;

/* Text from memory. */
typedef struct TextBytes
{
	DpBytes		base;
	const char *text;
	Size		left;
} TextBytes;

/* Hands bytes on and notes if one of them was zero, as in UTF-16. */
typedef struct WatchedBytes
{
	DpBytes		base;
	bool		zero;
} WatchedBytes;

static DpStore *open_store(const DpPipelineSpec *spec, Oid owner);
static void choose(const DpObject *object, void *arg);
static void choose_between(Choice *choice, DpObject *object);
static DpObject *copy_object(const DpObject *object);
static void drop_object(DpObject *object);
static int	compare_keys(const ListCell *a, const ListCell *b);
static void read_one(void *arg);
static List *read_file(const DpPipelineSpec *spec, DpStore *store, const DpObject *object,
					   Size size);
static Size read_up_to(DpBytes *bytes, char *buf, Size size);
static DpBytes *watch(DpBytes *below);
static Size watched_read(DpBytes *bytes, char *buf, Size len);
static void watched_close(DpBytes *bytes);
static Size whole_lines(const char *text, Size len);
static Size find_head(const DpPipelineSpec *spec, const DpSampleText *text);
static DpSampleText *probe(const DpPipelineSpec *spec, DpStore *store, const DpObject *object,
						   int64 from, const DpSampleText *head, Size head_len);
static Size text_read(DpBytes *bytes, char *buf, Size len);
static void text_close(DpBytes *bytes);

List *
dp_sample_read(const DpPipelineSpec *spec, const char *key, Oid owner)
{
	Choice		choice = {.cxt = CurrentMemoryContext};
	DpStore    *store = open_store(spec, owner);
	List	   *objects = NIL;
	List	   *texts = NIL;
	ErrorData  *first_error = NULL;
	ListCell   *lc;

	dp_store_glob(store, key, choose, &choice);
	if (choice.first != NULL)
		objects = list_make1(choice.first);
	for (int i = 0; i < choice.nbetween; i++)
		objects = lappend(objects, choice.between[i]);
	if (choice.last != NULL)
		objects = lappend(objects, choice.last);
	list_sort(objects, compare_keys);
	foreach(lc, objects)
	{
		DpObject   *object = lfirst(lc);
		bool		edge = object == choice.first || object == choice.last;
		OneFile		one = {spec, store, object, edge ? BEGINNING : BEGINNING_OTHER};
		ErrorData  *error = dp_attempt(read_one, &one);

		/* A file that cannot be read will say so when it is loaded; others tell the types. */
		if (error == NULL)
			texts = list_concat(texts, one.texts);
		else if (first_error == NULL)
			first_error = error;
	}
	store->ops->close(store);
	if (texts == NIL && first_error != NULL)
		ReThrowError(first_error);
	return texts;
}

/* dp_attempt: one file of the sample. */
static void
read_one(void *arg)
{
	OneFile    *one = arg;

	one->texts = read_file(one->spec, one->store, one->object, one->size);
}

DpReader *
dp_sample_reader(const DpPipelineSpec *spec, const DpSampleText *text)
{
	TextBytes  *bytes = palloc0(sizeof(TextBytes));

	bytes->base.read = text_read;
	bytes->base.close = text_close;
	bytes->text = text->text;
	bytes->left = text->len;
	return dp_reader_open(spec, &bytes->base, BEGINNING + PROBE);
}

static DpStore *
open_store(const DpPipelineSpec *spec, Oid owner)
{
	DpStoreSpec place = {
		.pipeline = spec->name,
		.scheme = spec->scheme,
		.authority = spec->authority,
		.serverid = dp_store_server(spec->scheme, spec->authority, spec->connection, owner),
		.user = owner
	};

	return dp_store_open(&place);
}

/* dp_store_glob: keep OBJECT if it is one of those to read. */
static void
choose(const DpObject *object, void *arg)
{
	Choice	   *choice = arg;
	MemoryContext old;
	DpObject   *copy;

	if (object->size == 0)
		return;
	old = MemoryContextSwitchTo(choice->cxt);
	copy = copy_object(object);
	if (choice->first == NULL || strcmp(copy->key, choice->first->key) < 0)
	{
		DpObject   *was = choice->first;

		choice->first = copy;
		copy = was;
	}
	if (copy != NULL && (choice->last == NULL || strcmp(copy->key, choice->last->key) > 0))
	{
		DpObject   *was = choice->last;

		choice->last = copy;
		copy = was;
	}
	if (copy != NULL)
		choose_between(choice, copy);
	MemoryContextSwitchTo(old);
}

static void
choose_between(Choice *choice, DpObject *object)
{
	int			greatest = 0;
	uint32		hash = string_hash(object->key, INT_MAX);

	if (choice->nbetween < BETWEEN)
	{
		choice->between[choice->nbetween++] = object;
		return;
	}
	for (int i = 1; i < BETWEEN; i++)
		if (string_hash(choice->between[i]->key, INT_MAX) >
			string_hash(choice->between[greatest]->key, INT_MAX))
			greatest = i;
	if (hash < string_hash(choice->between[greatest]->key, INT_MAX))
	{
		drop_object(choice->between[greatest]);
		choice->between[greatest] = object;
	}
	else
		drop_object(object);
}

static DpObject *
copy_object(const DpObject *object)
{
	DpObject   *copy = palloc(sizeof(DpObject));

	*copy = *object;
	copy->key = pstrdup(object->key);
	copy->version = object->version ? pstrdup(object->version) : NULL;
	return copy;
}

static void
drop_object(DpObject *object)
{
	pfree(object->key);
	if (object->version)
		pfree(object->version);
	pfree(object);
}

static int
compare_keys(const ListCell *a, const ListCell *b)
{
	return strcmp(((const DpObject *) lfirst(a))->key, ((const DpObject *) lfirst(b))->key);
}

/* The pieces of one file; up to SIZE bytes of its beginning. */
static List *
read_file(const DpPipelineSpec *spec, DpStore *store, const DpObject *object, Size size)
{
	DpSampleText *text = palloc0(sizeof(DpSampleText));
	DpCompression is = DP_COMPRESSION_NONE;
	DpBytes    *unpacked;
	DpBytes    *watched;
	DpBytes    *bytes;
	List	   *texts = list_make1(text);
	Size		head;

	unpacked = dp_bytes_unpack(store->ops->get(store, object, 0), dp_reader_compression(spec),
							   &is);
	watched = watch(unpacked);
	bytes = dp_bytes_recode(watched, dp_reader_encoding(spec));
	text->file = psprintf("%s://%s/%s", spec->scheme, spec->authority, object->key);
	text->text = palloc(size);
	text->first = true;
	text->len = read_up_to(bytes, text->text, size);
	if (text->len == size)
		text->len = whole_lines(text->text, size);
	dp_bytes_close(bytes);

	if (is != DP_COMPRESSION_NONE || ((WatchedBytes *) watched)->zero ||
		object->size < PROBED_FROM || size < BEGINNING)
		return texts;
	head = find_head(spec, text);
	for (int i = 1; i <= NPROBES && head > 0; i++)
	{
		int64		from = i < NPROBES ? object->size / NPROBES * i : object->size - PROBE;

		texts = lappend(texts, probe(spec, store, object, from, text, head));
	}
	return texts;
}

/* Less than SIZE only at the end. */
static Size
read_up_to(DpBytes *bytes, char *buf, Size size)
{
	Size		len = 0;
	Size		n;

	while (len < size && (n = dp_bytes_read(bytes, buf + len, size - len)) > 0)
	{
		CHECK_FOR_INTERRUPTS();
		len += n;
	}
	return len;
}

static DpBytes *
watch(DpBytes *below)
{
	WatchedBytes *bytes = palloc0(sizeof(WatchedBytes));

	bytes->base.read = watched_read;
	bytes->base.close = watched_close;
	bytes->base.below = below;
	return &bytes->base;
}

static Size
watched_read(DpBytes *bytes, char *buf, Size len)
{
	Size		n = dp_bytes_read(bytes->below, buf, len);

	((WatchedBytes *) bytes)->zero |= memchr(buf, '\0', n) != NULL;
	return n;
}

static void
watched_close(DpBytes *bytes)
{
	dp_bytes_close(bytes->below);
}

/* How much of TEXT stands before its last line end; all of it when it has none. */
static Size
whole_lines(const char *text, Size len)
{
	Size		n = len;

	while (n > 0 && text[n - 1] != '\n' && text[n - 1] != '\r')
		n--;
	return n > 0 ? n : len;
}

/*
 * The length of the beginning that is put before a probe: up to the start of a
 * record.  0 when it cannot be read from the middle: a part of a JSON record
 * looks like a record, so there each must have its line.
 */
static Size
find_head(const DpPipelineSpec *spec, const DpSampleText *text)
{
	DpReader   *reader = dp_sample_reader(spec, text);
	DpRecords	records = {0};
	bool		json = strcmp(spec->format, "json") == 0;
	const char *p = text->text;
	const char *end = text->text + text->len;
	int64		line;

	if (!dp_reader_next(reader, 0, &records, HEAD_RECORDS, BEGINNING) || records.n < 2)
		return 0;
	for (int i = 1; i < records.n && json; i++)
		if (records.rec[i].line != records.rec[i - 1].line + 1)
			return 0;
	line = records.rec[records.n - 1].line;
	for (; line > 1 && p < end; line--)
	{
		p = memchr(p, '\n', end - p);
		p = p == NULL ? end : p + 1;
	}
	return p < end ? p - text->text : 0;
}

/* Whole lines from offset FROM of OBJECT on, behind the beginning of its file. */
static DpSampleText *
probe(const DpPipelineSpec *spec, DpStore *store, const DpObject *object, int64 from,
	  const DpSampleText *head, Size head_len)
{
	DpSampleText *text = palloc0(sizeof(DpSampleText));
	DpBytes    *bytes = dp_bytes_recode(store->ops->get(store, object, from),
										dp_reader_encoding(spec));
	char	   *buf = palloc(PROBE);
	Size		len = read_up_to(bytes, buf, PROBE);
	char	   *line = memchr(buf, '\n', len);
	Size		skipped = line == NULL ? len : line + 1 - buf;

	dp_bytes_close(bytes);
	if (from + PROBE < object->size)
		len = Max(whole_lines(buf, len), skipped);
	text->file = head->file;
	text->len = head_len + len - skipped;
	text->text = palloc(text->len + 1);
	memcpy(text->text, head->text, head_len);
	memcpy(text->text + head_len, buf + skipped, len - skipped);
	pfree(buf);
	return text;
}

static Size
text_read(DpBytes *bytes, char *buf, Size len)
{
	TextBytes  *text = (TextBytes *) bytes;

	len = Min(len, text->left);
	memcpy(buf, text->text, len);
	text->text += len;
	text->left -= len;
	return len;
}

static void
text_close(DpBytes *bytes)
{
}
