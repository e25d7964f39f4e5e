/*
 * stubs.c
 *	  What the splitters call of the server, for a program of their own.
 *
 * Memory is malloc's, given back all at once by stub_reset; whatever raises
 * ends the program, since nothing that splits may raise.
 */
#include "postgres.h"

#include "format/field.h"
#include "lib/stringinfo.h"

#include "stubs.h"

#undef printf
#undef vsnprintf

static void **blocks;
static size_t nblocks;
static size_t capacity;

static void *
keep(void *block)
{
	if (block == NULL)
		abort();
	if (nblocks == capacity)
	{
		capacity = capacity ? capacity * 2 : 1024;
		blocks = realloc(blocks, sizeof(void *) * capacity);
	}
	blocks[nblocks++] = block;
	return block;
}

void
stub_reset(void)
{
	while (nblocks > 0)
		free(blocks[--nblocks]);
}

void *
palloc(Size size)
{
	return keep(malloc(size ? size : 1));
}

void *
palloc0(Size size)
{
	return keep(calloc(1, size ? size : 1));
}

void *
repalloc(void *pointer, Size size)
{
	for (size_t i = nblocks; i-- > 0;)
	{
		if (blocks[i] == pointer)
			return blocks[i] = realloc(pointer, size);
	}
	abort();
}

void
pfree(void *pointer)
{
	for (size_t i = nblocks; i-- > 0;)
	{
		if (blocks[i] != pointer)
			continue;
		blocks[i] = blocks[--nblocks];
		free(pointer);
		return;
	}
	abort();
}

char *
pnstrdup(const char *s, Size len)
{
	size_t		n = strnlen(s, len);
	char	   *copy = palloc(n + 1);

	memcpy(copy, s, n);
	copy[n] = '\0';
	return copy;
}

char *
pstrdup(const char *s)
{
	return pnstrdup(s, strlen(s));
}

char *
psprintf(const char *fmt,...)
{
	char		buf[1024];
	va_list		args;

	va_start(args, fmt);
	vsnprintf(buf, sizeof(buf), fmt, args);
	va_end(args);
	return pstrdup(buf);
}

int
pg_strncasecmp(const char *a, const char *b, size_t n)
{
	return strncasecmp(a, b, n);
}

void
initStringInfo(StringInfo str)
{
	str->maxlen = 64;
	str->data = palloc(str->maxlen);
	str->data[0] = '\0';
	str->len = str->cursor = 0;
}

void
appendStringInfoChar(StringInfo str, char c)
{
	if (str->len + 1 >= str->maxlen)
	{
		str->maxlen *= 2;
		str->data = repalloc(str->data, str->maxlen);
	}
	str->data[str->len++] = c;
	str->data[str->len] = '\0';
}

List *
lappend(List *list, void *datum)
{
	if (list == NIL)
	{
		list = palloc0(sizeof(List));
		list->type = T_List;
		list->max_length = 8;
		list->elements = palloc(sizeof(ListCell) * 8);
	}
	else if (list->length == list->max_length)
	{
		list->max_length *= 2;
		list->elements = repalloc(list->elements, sizeof(ListCell) * list->max_length);
	}
	list->elements[list->length++].ptr_value = datum;
	return list;
}

/* The registry is not linked: splitters only keep the address. */
const DpFormatOps dp_format_json_ops;
const DpFormatOps dp_format_csv_ops;
const DpFormatOps dp_format_text_ops;

const char *
dp_format_option(const DpPipelineSpec *spec, const char *name)
{
	ListCell   *lc;

	foreach(lc, spec->format_options)
	{
		DpSetting  *setting = lfirst(lc);

		if (strcmp(setting->name, name) == 0)
			return setting->value;
	}
	return NULL;
}
