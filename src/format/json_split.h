/*
 * json_split.h
 *	  Private to the JSON splitter: its state, shared by json_seek.c (the way to
 *	  a nested array) and split_json.c (values one after the other).
 */
#ifndef DP_JSON_SPLIT_H
#define DP_JSON_SPLIT_H

#include "format/format.h"

/* How far a splitter looks beyond blanks before it decides without knowing. */
#ifndef DP_SPLIT_LOOKAHEAD		/* the fuzzer sets less, to reach it */
#define DP_SPLIT_LOOKAHEAD 4096
#endif

typedef enum JsonPhase
{
	JSON_SEEK,					/* on the way to the array that records: names */
	JSON_VALUES,				/* values, of the array or of the file */
	JSON_REST					/* what follows that array is passed over */
} JsonPhase;

/* Where the way to the array stands. */
typedef enum JsonSeek
{
	SEEK_VALUE,					/* before the value that the steps so far lead to */
	SEEK_KEY,					/* in an object, before a key */
	SEEK_REST_OF_KEY,			/* inside of one, known to be on the way or not */
	SEEK_COLON,
	SEEK_ELEMENT,				/* in an array, before an element */
	SEEK_SKIP					/* in a value that is not on the way */
} JsonSeek;

typedef struct JsonSplitter
{
	DpSplitter	base;
	JsonPhase	phase;
	bool		stream;			/* the elements of arrays at the top are the records */
	bool		by_line;		/* each value has a line of its own */
	bool		in_array;		/* whose elements are the records */
	int			column;			/* blanks before the value on its line; of what comes next */

	/* The unfinished value, base.seen bytes of it. */
	Size		seen;			/* what base.seen was set to; if it is less, bytes were dropped */
	bool		cut;			/* its first bytes were dropped */
	bool		begun;
	bool		garbage;		/* it is none; ends with the line */
	char		opener;			/* its first byte */
	bool		in_string;
	int64		depth;			/* brackets open */
	uint64		kinds;			/* of the outermost 64: 1 for square ones */
	int64		lines;			/* line ends within */
	Size		string_line;	/* behind the first line end in this string; 0: none */
	int64		string_lines;	/* lines at that place */

	/* The way. */
	const char *pointer;
	char	  **steps;
	int			nsteps;
	int			matched;
	JsonSeek	seek;
	bool		on_the_way;		/* the key before the colon is the step looked for */
	int64		element;		/* number of the next one */
	bool		escaped;		/* SEEK_SKIP: the next byte is, in a string */
} JsonSplitter;

static inline bool
dp_json_is_blank(char c)
{
	return c == ' ' || c == '\n' || c == '\t' || c == '\r';
}

extern void dp_json_seek_open(JsonSplitter *splitter, const char *pointer);
extern DpSplit dp_json_seek(JsonSplitter *splitter, const char *s, Size len, bool at_end,
							DpSpan *span);

#endif							/* DP_JSON_SPLIT_H */
