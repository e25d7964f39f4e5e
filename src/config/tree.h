/*
 * tree.h
 *	  The document as a tree of json_t, whichever language it was written in.
 *	  Private to src/config: the only header that includes jansson's.
 *
 * document.c reads JSON, yaml.c reads YAML; check.c and its neighbours walk
 * the tree.  The tree is malloc'd by jansson and hangs off DpTree.root from
 * its first node on, so that dp_config_parse can free it whatever happens.
 * Its text is UTF-8; dp_tree_text gives it in the database's encoding.
 */
#ifndef DP_TREE_H
#define DP_TREE_H

#include <jansson.h>

#include "config/config.h"

#define DP_MAX_DOCUMENT		(16 * 1024 * 1024)	/* bytes */
#define DP_MAX_DEPTH		64
#define DP_MAX_PROBLEMS		1000
#define DP_MAX_QUOTED		64		/* bytes of a bad value that a message repeats */
#define DP_MAX_MESSAGE		160		/* bytes of a parser's own message */

/*
 * An empty object.  Never call json_object(): the server exports a function of
 * that name, and the dynamic linker would take it.  The library's calls to
 * its own stay inside it.
 */
static inline json_t *
dp_tree_object(void)
{
	return json_pack("{}");
}

typedef struct DpTree
{
	json_t	   *root;			/* NULL when the text could not be read */
} DpTree;

/* Read TEXT (UTF-8, LEN bytes) into TREE; syntax errors become problems of DOC. */
extern void dp_json_read(DpTree *tree, const char *text, size_t len, DpDocument *doc);
extern void dp_yaml_read(DpTree *tree, const char *text, size_t len, DpDocument *doc);

/* A string of the tree, or bytes of the document, in the database's encoding; palloc'd. */
extern char *dp_tree_text(const char *utf8, size_t len);

/* TEXT fit for a message: cut after MAX bytes, control characters as spaces; palloc'd. */
extern char *dp_tree_clip(const char *text, int max);

/* Add a problem at a line and column of the text (0, 0: unknown). */
extern void dp_problem_add_at(DpDocument *doc, int line, int column,
							  const char *hint, const char *fmt,...) pg_attribute_printf(5, 6);

extern char *dp_problem_format(const char *fmt, va_list args) pg_attribute_printf(1, 0);

#endif							/* DP_TREE_H */
