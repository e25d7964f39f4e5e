/*
 * gold.h
 *	  Private to src/plan: a gold query taken apart.
 *
 * The statements that keep a gold table are made of slices of the user's own
 * text, so that they mean what he wrote: the tree tells what the query is, the
 * scanner's positions tell where its parts are.  A slice is rendered either as
 * it stands (it reads the silver table) or with the silver table replaced by
 * one of the batch's relations.
 */
#ifndef DP_GOLD_H
#define DP_GOLD_H

#include "plan/build.h"

/* Part of the query's text: characters from start up to end; start < 0: absent. */
typedef struct DpSlice
{
	int			start;
	int			end;
} DpSlice;

/* A place where the text must change when another relation stands for silver. */
typedef struct DpEdit
{
	DpSlice		at;
	bool		is_table;		/* else the schema of a qualified column: left out */
	bool		has_alias;
} DpEdit;

typedef enum DpAggregate
{
	DP_AGG_NONE,				/* not an aggregate, or not one that deltas can keep */
	DP_AGG_COUNT,
	DP_AGG_SUM,
	DP_AGG_AVG,
	DP_AGG_MIN,
	DP_AGG_MAX
} DpAggregate;

/* One column of the result. */
typedef struct DpGoldItem
{
	const char *name;
	Oid			type;
	int32		typmod;
	Oid			collation;
	bool		is_key;			/* the result is unique by these */
	DpSlice		text;			/* without its name */
	/* of an aggregate that deltas can keep */
	DpAggregate agg;
	bool		star;			/* count(*) */
	Oid			arg_type;
	DpSlice		arg;
	DpSlice		filter;			/* condition of FILTER */
} DpGoldItem;

typedef struct DpGoldQuery
{
	const char *text;
	const DpTableName *silver;
	bool		upsert;			/* silver rows can change */
	SelectStmt *raw;
	Query	   *query;			/* analysed with dynpipe_new for silver */
	List	   *edits;			/* DpEdit *, by position */
	bool		unstable;		/* depends on the clock or on chance */
	int			nreads;			/* how often the query reads silver */
	int			nitems;
	DpGoldItem *items;
	int			nkeys;
	bool		sliced;			/* the slices below and of the items are known */
	DpSlice		from;			/* behind the word FROM */
	DpSlice		where;			/* behind the word WHERE */
} DpGoldQuery;

/* gold_text.c: where things are in the text */
extern void dp_gold_find_edits(DpGoldQuery *q, List *tables, List *columns);
extern bool dp_gold_slice(DpGoldQuery *q);
extern bool dp_gold_slice_call(DpGoldQuery *q, DpGoldItem *item);
extern char *dp_gold_render(const DpGoldQuery *q, DpSlice slice, const char *relation);
extern char *dp_gold_text(const DpGoldQuery *q, const char *relation);

/* gold_delta_fit.c, gold_delta.c, gold_groups.c; a refusal is NULL when the query fits */
extern const char *dp_gold_delta_refuses(DpGoldQuery *q);
extern void dp_gold_delta(DpGoldPlan *gold, const DpGoldQuery *q);
extern const char *dp_gold_groups_refuse(DpGoldQuery *q);
extern void dp_gold_groups(DpGoldPlan *gold, const DpGoldQuery *q);
extern void dp_gold_full(DpGoldPlan *gold, const DpGoldQuery *q);

extern void dp_gold_narrow(StringInfo buf, const DpGoldItem *item, const char *alias,
						   const char *keys);

/* gold.c: parts that the strategies share */
extern char *dp_gold_columns(const DpGoldQuery *q, const char *prefix, bool keys_only);
extern List *dp_gold_keys(const DpGoldQuery *q);
extern void dp_gold_create(DpGoldPlan *gold, const DpGoldQuery *q, const char *hidden,
						   const char *options);

#endif							/* DP_GOLD_H */
