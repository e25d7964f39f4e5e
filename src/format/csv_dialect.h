/*
 * csv_dialect.h
 *	  Private to src/format: how a CSV file is written, as its options say and
 *	  its first bytes show.
 *
 *	  csv_options.c	 document -> DpCsvOptions
 *	  csv_dialect.c	 options + sample -> DpCsvDialect
 *	  split_csv.c	 dialect + window -> records
 *	  csv_layout.c	 dialect -> text -> dialect; columns -> places in the record
 *	  format_csv.c	 dialect + record -> values
 */
#ifndef DP_CSV_DIALECT_H
#define DP_CSV_DIALECT_H

#include "format/format.h"

#define DP_CSV_MAX_ORDINAL 100000
#define DP_CSV_PREAMBLE 50		/* lines in which a header is looked for */

typedef enum DpCsvHeader
{
	DP_CSV_HEADER_DETECT,
	DP_CSV_HEADER_YES,
	DP_CSV_HEADER_NO
} DpCsvHeader;

/* Options; '\0' as a character: there is none. */
typedef struct DpCsvOptions
{
	char		delimiter;		/* '\0': to be detected */
	char		quote;
	char		escape;			/* equal to quote: a quote is doubled */
	char		comment;
	DpCsvHeader header;
	int			skip;			/* lines at the start */
	List	   *nulls;			/* char *; NIL: nothing between two delimiters */
	bool		decimal_comma;
	bool		trim;
	const char *columns;		/* names of a record's fields, comma-separated; or NULL */
} DpCsvOptions;

typedef struct DpCsvDialect
{
	char		delimiter;
	char		quote;
	char		escape;
	char		comment;
	bool		trim;
	Size		lead;			/* bytes before the first record: skipped lines, header */
	int			skip;			/* and so many lines behind them: the sample did not reach far */
	List	   *header;			/* char *; NIL: none */
	char	   *header_line;	/* as it stands, to know it again; NULL: none */
	int			header_len;
	int			nfields;		/* in most records of the sample; 0: there are none */
} DpCsvDialect;

extern void dp_csv_read_options(const DpPipelineSpec *spec, DpCsvOptions *options);
extern void dp_csv_check_options(const DpPipelineSpec *spec, DpDocument *doc);
/* The place of NAME in a comma-separated list, blanks around names ignored; -1: not there. */
extern int	dp_csv_list_position(const char *list, const char *name);
/* A 1-based ordinal, or 0. */
extern int	dp_csv_ordinal(const char *from);

/*
 * Find out what OPTIONS leave open.  WANTED: names (char *) that a header
 * would have; NIL when nothing is known.  ALL: the sample is the whole file.
 */
extern void dp_csv_detect(DpCsvDialect *dialect, const DpCsvOptions *options, List *wanted,
						  const char *sample, Size len, bool all);
extern DpSplitter *dp_csv_splitter(const DpCsvDialect *dialect);
extern DpSplit dp_csv_split(DpSplitter *splitter, const char *s, Size len, bool at_end,
							DpSpan *span);

/* What a decoder must know of DIALECT, as ASCII; and back, where header is all that is left. */
extern char *dp_csv_layout_write(const DpCsvDialect *dialect);
extern void dp_csv_layout_read(const char *layout, DpCsvDialect *dialect);
/* "delimiter ;, header, quote \"" */
/* Options (DpSetting *) that say what was detected. */
extern List *dp_csv_found(const DpCsvOptions *options, const DpCsvDialect *dialect);
extern char *dp_csv_describe(const DpCsvDialect *dialect);
/*
 * The place of each field in a record, by the names of HEADER; raises when a
 * field that is needed has none.
 */
extern void dp_csv_place_by_header(List *header, const DpField *fields, int nfields,
								   int *ordinal);
/* Raises when a field is asked for by a name. */
extern void dp_csv_need_no_header(const DpField *fields, int nfields);

/* The same name, but for case and blanks around it? */
extern bool dp_csv_same_name(const char *a, const char *b);

#endif							/* DP_CSV_DIALECT_H */
