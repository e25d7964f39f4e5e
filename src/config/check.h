/*
 * check.h
 *	  How the checker is put together.  Private to src/config.
 *
 * Every object of the document is described by a DpShape: a table with one
 * line per key, which says what kind of value it takes and where in the spec
 * it goes.  A DpKind knows how to read such a value from the tree, reporting
 * what is wrong with it, and how to write it back as JSON.  So a new key is
 * one line in a table (and one in the JSON Schema); rules that look at more
 * than one key stand in the shape's finish function.
 *
 *	  check.c          walking an object by its table; places; the document
 *	  check_value.c    kinds of single values
 *	  check_list.c     kinds of lists, groups and layers
 *	  check_pipeline.c the pipeline's table and the rules across its parts
 *	  check_source.c   source, format
 *	  check_url.c      URLs
 *	  check_destination.c   destination
 *	  check_load.c     what only pipelines of files have
 *	  check_start.c    start
 *	  check_schema.c   columns
 *	  check_silver.c   silver, expect, derive
 *	  check_gold.c     gold
 *	  names.c          slugs, table names, column names
 *	  params.c         ${name} in paths
 *	  registry.c       which sources, stores and formats there are
 *
 * A finish function sees values that were already found wrong: it must cope
 * with NULL members.
 */
#ifndef DP_CHECK_H
#define DP_CHECK_H

#include "config/tree.h"
#include "lib/stringinfo.h"

/* Types of JSON values, as a set. */
#define DP_JSON_TEXT	(1 << 0)
#define DP_JSON_BOOL	(1 << 1)
#define DP_JSON_INT		(1 << 2)
#define DP_JSON_REAL	(1 << 3)
#define DP_JSON_LIST	(1 << 4)
#define DP_JSON_OBJECT	(1 << 5)

typedef struct DpCheck
{
	DpDocument *doc;
	StringInfoData pointer;		/* of the value being looked at */
} DpCheck;

typedef struct DpKey DpKey;

/*
 * Reading fills FIELD only as far as the value is good; the walker has made
 * sure that the value is of an accepted type.  Writing appends the JSON value
 * of FIELD, "null" for one that is absent.
 */
typedef struct DpKind
{
	int			accepts;		/* DP_JSON_* */
	const char *expected;		/* completes "must be ..." */
	void		(*read) (DpCheck *chk, const json_t *value, const DpKey *key, void *field);
	void		(*write) (StringInfo buf, const DpKey *key, const void *field);
	char	   *(*allowed) (const DpKey *key);	/* hint beyond EXPECTED, or NULL */
} DpKind;

/* Which sources a key of a pipeline is for. */
typedef enum DpOnly
{
	DP_ONLY_NONE,				/* any */
	DP_ONLY_STREAMS,
	DP_ONLY_FILES
} DpOnly;

struct DpKey
{
	const char *name;
	const DpKind *kind;
	size_t		offset;			/* of the field in the shape's struct */
	const void *arg;			/* what the kind wants to know: see each */
	bool		required;
	DpOnly		only;			/* only in the shape of a pipeline */
};

typedef struct DpShape
{
	const char *what;			/* "a pipeline": for messages */
	size_t		size;			/* of the struct that the fields are in */
	const DpKey *keys;			/* ends with a NULL name */
	const char *shorthand;		/* a bare text stands for an object with only this key */
	void		(*init) (void *target); /* defaults other than zero */
	void		(*finish) (DpCheck *chk, const json_t *object, void *target);
} DpShape;

/* check.c */
extern void dp_check_document(const json_t *root, DpDocument *doc);
extern void *dp_check_new(const DpShape *shape);
extern void dp_check_object(DpCheck *chk, const json_t *object, const DpShape *shape,
							void *target);
extern int	dp_check_enter(DpCheck *chk, const char *name);
extern int	dp_check_enter_item(DpCheck *chk, size_t index);
extern void dp_check_leave(DpCheck *chk, int mark);
extern void dp_check_problem(DpCheck *chk, const char *hint, const char *fmt,...)
			pg_attribute_printf(3, 4);
extern void dp_check_problem_in(DpCheck *chk, const char *place, const char *hint,
								const char *fmt,...) pg_attribute_printf(4, 5);
extern bool dp_check_full(const DpCheck *chk);
extern char *dp_check_text(const json_t *value);
extern char *dp_check_hint(const char *name, const char *const *names, const char *intro);
extern const char *dp_check_type_name(const json_t *value);
extern int	dp_check_type(const json_t *value);

/* check_value.c */
typedef struct DpRange
{
	int64		min;
	int64		max;
} DpRange;

/* A rule over a text: the problem in words, or NULL; may set a hint. */
typedef struct DpTextRule
{
	const char *(*problem) (const char *text, const char **hint);
} DpTextRule;

/* Words of which DEFAULT_WORD (or NULL) goes without saying. */
typedef struct DpWords
{
	const char *const *words;	/* NULL-terminated */
	const char *default_word;
} DpWords;

extern const DpKind dp_kind_text;		/* char *; arg: DpTextRule or NULL */
extern const DpKind dp_kind_ignored;	/* text that is not kept */
extern const DpKind dp_kind_scalar;		/* char *; text, number or boolean */
extern const DpKind dp_kind_boolean;	/* bool */
extern const DpKind dp_kind_count;		/* int; arg: DpRange */
extern const DpKind dp_kind_bytes;		/* int64; arg: DpRange */
extern const DpKind dp_kind_duration;	/* int64, ms; arg: DpRange */
extern const DpKind dp_kind_choice;		/* an enum; arg: its names in order, NULL-terminated */
extern const DpKind dp_kind_word;		/* char *, NULL for the default; arg: DpWords */
extern const DpKind dp_kind_table;		/* DpTableName */

extern char *dp_scalar_text(DpCheck *chk, const json_t *value);
extern List *dp_setting_add(List *settings, char *name, char *value);
extern void dp_read_table(DpCheck *chk, const char *text, DpTableName *table);

/* check_list.c */
typedef struct DpListOf
{
	const DpShape *shape;
	int			max;			/* items */
} DpListOf;

typedef struct DpNamesOf
{
	const char *const *names;	/* the allowed ones, or NULL: any */
	int			max;
} DpNamesOf;

typedef struct DpLayer
{
	const DpShape *shape;
	size_t		flag;			/* offset of the bool that says whether it is kept */
} DpLayer;

extern const DpKind dp_kind_list;		/* List of structs; arg: DpListOf */
extern const DpKind dp_kind_names;		/* List of char *; arg: DpNamesOf */
extern const DpKind dp_kind_choices;	/* int list; arg: DpNamesOf */
extern const DpKind dp_kind_group;		/* members of the same struct; arg: DpShape */
extern const DpKind dp_kind_layer;		/* the same, or true or false; arg: DpLayer */

/* the tables */
extern const DpShape dp_shape_pipeline;
extern const DpShape dp_shape_column;
extern const DpShape dp_shape_silver;
extern const DpShape dp_shape_gold;
extern const DpKey dp_silver_keys[];
extern bool dp_check_may_infer(const DpPipelineSpec *spec);

/* check_source.c, check_start.c: these fill several fields of the pipeline */
extern const DpKind dp_kind_source;
extern const DpKind dp_kind_format;
extern const DpKind dp_kind_start;
extern void dp_check_source(DpCheck *chk, const json_t *pipeline, DpPipelineSpec *spec);

/* check_url.c */
typedef struct DpUrl
{
	char	   *scheme;			/* NULL: it was no URL */
	char	   *authority;
	char	   *path;			/* without its leading slash */
} DpUrl;

extern void dp_check_url(DpCheck *chk, const char *what, const char *text, DpUrl *url);
extern void dp_check_placeholders(DpCheck *chk, const char *place, const char *path,
								  List *params);

/* check_destination.c, likewise */
extern const DpKind dp_kind_destination;
extern void dp_check_destination(DpCheck *chk, const json_t *pipeline, DpPipelineSpec *spec);
extern void dp_destination_init(DpDestinationSpec *target);

/* check_load.c */
extern const DpKind dp_kind_params;		/* List of DpSetting, by name */
extern const DpKind dp_kind_bad_records;	/* two fields of the pipeline */
extern const DpTextRule dp_rule_schedule;
extern const DpTextRule dp_rule_timezone;
extern void dp_check_load(DpCheck *chk, const json_t *pipeline, DpPipelineSpec *spec);

/* check_schema.c, check_silver.c, check_gold.c: rules over several keys */
extern void dp_check_columns(DpCheck *chk, DpPipelineSpec *spec);
extern void dp_check_silver(DpCheck *chk, const json_t *pipeline, DpPipelineSpec *spec);
extern void dp_check_gold(DpCheck *chk, DpPipelineSpec *spec);

/* names.c */
#define DP_MAX_NAME		63
extern char *dp_name_slug(const char *name);
extern const char *dp_name_pipeline_problem(const char *name, const char **hint);
extern const char *dp_name_rule_problem(const char *name, const char **hint);
extern const char *dp_name_table_parse(const char *text, DpTableName *table, const char **hint);
extern char *dp_name_table_text(const DpTableName *table);
extern bool dp_name_has_control(const char *text);
extern bool dp_name_table_equal(const DpTableName *a, const DpTableName *b);

/* registry.c */
extern bool dp_registry_scheme_exists(const char *scheme);
extern bool dp_registry_scheme_streams(const char *scheme);
extern const char *dp_registry_scheme_hint(const char *scheme);
extern const char *dp_registry_store_hint(void);
extern const char *dp_registry_format_by_suffix(const char *scheme, const char *path);
extern bool dp_registry_format_exists(const char *format);
extern const char *dp_registry_format_hint(const char *format);
extern const char *const *dp_registry_format_options(const char *format);
extern void dp_registry_format_check(const DpPipelineSpec *spec, DpDocument *doc);

/* spec_json.c */
extern void dp_write_members(StringInfo buf, const DpShape *shape, const void *target);
extern void dp_write_text(StringInfo buf, const char *text);
extern void dp_write_settings(StringInfo buf, List *settings, const char *comma);

#endif							/* DP_CHECK_H */
