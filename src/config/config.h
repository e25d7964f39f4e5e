/*
 * config.h
 *	  From a document (JSON or YAML text) to checked pipeline specs.
 *
 * dp_config_parse never raises for a bad document: it collects every problem,
 * each with its place, so that the user sees all of them at once.  Later
 * stages (names and types looked up by plan.c) add theirs to the same list
 * with dp_config_add_problem, then dp_config_raise reports them together.
 * (A character that the database's encoding lacks does raise, as it would in
 * any other text.)
 *
 * Everything is allocated in the current memory context.  jansson and libyaml
 * objects are freed before these functions return, also when they raise.
 */
#ifndef DP_CONFIG_H
#define DP_CONFIG_H

#include "config/spec.h"

typedef struct DpProblem
{
	char	   *pointer;		/* RFC 6901, "" for the whole document */
	int			line;			/* 1-based; 0: only known by pointer */
	int			column;
	char	   *message;		/* primary text: lower case, no stop */
	char	   *hint;			/* a sentence: what is allowed, nearest key; or NULL */
} DpProblem;

typedef struct DpDocument
{
	List	   *pipelines;		/* DpPipelineSpec *; complete only if no problems */
	bool		prune;			/* remove pipelines that the document lacks */
	List	   *problems;		/* DpProblem * in document order */
} DpDocument;

/* Parse and check TEXT; JSON if its first non-blank byte is { or [, else YAML. */
extern DpDocument *dp_config_parse(const char *text);

/* Add a problem found by a later stage. Message and hint are copied. */
extern void dp_config_add_problem(DpDocument *doc, const char *pointer,
								  const char *hint, const char *fmt,...) pg_attribute_printf(4, 5);

/* ereport(ERROR) for all problems of DOC; returns when there are none. */
extern void dp_config_raise(const DpDocument *doc);

/*
 * The canonical JSON text of one pipeline: keys in fixed order, resolved names
 * written out, values equal to the default left out.  Parsing it as the only
 * member of {"pipelines": [...]} gives an equal spec, so equal text means
 * equal pipeline.
 */
extern char *dp_spec_to_json(const DpPipelineSpec *spec);

/* The text of key NAME alone, also when it is the default. */
extern char *dp_spec_member_to_json(const DpPipelineSpec *spec, const char *name);

/* The spec back from dp_spec_to_json's text; raises when it is not valid. */
extern DpPipelineSpec *dp_spec_from_json(const char *json);

/* May a column be called NAME?  NULL, or why not, with what to do in *HINT. */
extern const char *dp_name_column_problem(const char *name, const char **hint);

/* Nearest of NAMES (NULL-terminated) to NAME by edit distance, or NULL if none is near. */
extern const char *dp_nearest(const char *name, const char *const *names);

#endif							/* DP_CONFIG_H */
