/*
 * gold_delta.c
 *	  Gold kept by adding what is new and subtracting what was replaced.
 *
 * Append-only silver: the query itself runs over dynpipe_new and its result is
 * merged into the table, in one statement.
 *
 * Silver with keys: rows of dynpipe_new count for, rows of dynpipe_old against
 * their groups.  A sum is null when nothing was summed, and special values of
 * numeric cannot be subtracted, so hidden columns keep, per sum or avg:
 *	  _n_x     how many values      _sum_x   the sum of the finite ones
 *	  _nan_x   how many NaN         _pos_x, _neg_x   how many infinities
 * and the visible column is computed from them.  _rows counts the rows of a
 * group; at none the group goes.  Without GROUP BY there is one group, which
 * stays; the hidden column _one is its key.
 *
 * Statements write in key order, so that workers cannot deadlock.
 */
#include "dynpipe.h"

#include "catalog/pg_type.h"
#include "commands/defrem.h"
#include "plan/gold.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"

/* A statement in the making: its parts, filled column by column. */
typedef struct Delta
{
	const DpGoldQuery *q;
	StringInfoData names;		/* columns of the table, visible first */
	StringInfoData hidden;		/* hidden column definitions: ", name type" */
	StringInfoData values;		/* what to insert for names */
	StringInfoData merge;		/* assignments of ON CONFLICT */
	StringInfoData input;		/* upsert: columns of the innermost select */
	StringInfoData net;			/* upsert: new minus old of the bookkeeping columns */
	StringInfoData hidden_names;
	StringInfoData hidden_values;
	List	   *hidden_list;
} Delta;

static void append_item(Delta *d, const DpGoldItem *item);
static void append_avg(Delta *d, const DpGoldItem *item);
static void net_item(Delta *d, const DpGoldItem *item, int index);
static void net_sum(Delta *d, const DpGoldItem *item, int index);
static void net_column(Delta *d, const char *name, const char *type, const char *net);
static void hide(Delta *d, const char *name, const char *type, const char *value);
static void set(Delta *d, const char *name, const char *fmt,...);
static char *sum_of(const DpGoldItem *item, const char *left, const char *right);
static char *net_count(const char *what, const char *condition);
static char *hidden_name(const char *kind, const DpGoldItem *item);
static char *append_select(const Delta *d, const char *relation);
static char *net_select(const Delta *d, bool fill);
static char *input_select(const Delta *d, const char *sign, const char *relation);
static char *sweep_sql(const DpGoldPlan *gold, const Delta *d);
static char *ordinals(const DpGoldQuery *q);
static char *inner_keys(const DpGoldQuery *q);
static bool special(const DpGoldQuery *q, const DpGoldItem *item);

void
dp_gold_delta(DpGoldPlan *gold, const DpGoldQuery *q)
{
	Delta		d = {.q = q};
	char	   *insert;

	initStringInfo(&d.names);
	initStringInfo(&d.hidden);
	initStringInfo(&d.values);
	initStringInfo(&d.merge);
	initStringInfo(&d.input);
	initStringInfo(&d.net);
	initStringInfo(&d.hidden_names);
	initStringInfo(&d.hidden_values);
	if (q->upsert)
		net_column(&d, "_rows", "bigint", net_count("*", ""));
	for (int i = 0; i < q->nitems; i++)
	{
		dp_sql_append(&d.names, "%s%I", i ? ", " : "", q->items[i].name);
		dp_sql_append(&d.values, i ? ", " : "");
		if (q->upsert)
			net_item(&d, &q->items[i], i);
		else
			append_item(&d, &q->items[i]);
	}
	if (q->nkeys == 0)
	{
		dp_sql_append(&d.hidden, ", _one boolean NOT NULL DEFAULT true");
		d.hidden_list = lappend(d.hidden_list, "_one");
		gold->key = list_make1("_one");
	}
	else
		gold->key = dp_gold_keys(q);
	gold->hidden = d.hidden_list;
	dp_gold_create(gold, q, d.hidden.data, " WITH (fillfactor = 70)");
	insert = dp_sql("INSERT INTO %T AS g (%s%s)\n", &gold->table, d.names.data,
					d.hidden_names.data);
	gold->fill_sql = dp_sql("%s%s", insert, q->upsert ? net_select(&d, true) :
							append_select(&d, NULL));
	gold->apply_sql = list_make1(dp_sql("%s%s\nON CONFLICT (%s) DO UPDATE SET %s", insert,
										q->upsert ? net_select(&d, false) :
										append_select(&d, DP_REL_NEW),
										dp_plan_list(gold->key, "", ""), d.merge.data));
	if (q->upsert && q->nkeys > 0)
		gold->apply_sql = lappend(gold->apply_sql, sweep_sql(gold, &d));
}

/* Append-only: the aggregate's own value, and how it merges. */
static void
append_item(Delta *d, const DpGoldItem *item)
{
	const char *name = item->name;

	dp_sql_append(&d->values, "%E", dp_gold_render(d->q, item->text, DP_REL_NEW));
	if (item->is_key)
		return;
	if (item->agg == DP_AGG_COUNT)
		set(d, name, "g.%I + excluded.%I", name, name);
	else if (item->agg == DP_AGG_SUM)
		set(d, name, "coalesce(g.%I + excluded.%I, g.%I, excluded.%I)", name, name, name, name);
	else if (item->agg == DP_AGG_AVG)
		append_avg(d, item);
	else
		set(d, name, "%s(g.%I, excluded.%I)", item->agg == DP_AGG_MIN ? "least" : "greatest",
			name, name);
}

static void
append_avg(Delta *d, const DpGoldItem *item)
{
	char	   *n = hidden_name("_n", item);
	char	   *sum = hidden_name("_sum", item);
	char	   *arg = dp_gold_render(d->q, item->arg, DP_REL_NEW);
	char	   *filter = item->filter.start < 0 ? "" :
		dp_sql(" FILTER (WHERE %E)", dp_gold_render(d->q, item->filter, DP_REL_NEW));

	hide(d, n, "bigint NOT NULL", dp_sql("count%E%s", arg, filter));
	hide(d, sum, "numeric", dp_sql("sum%E%s", arg, filter));
	set(d, n, "g.%I + excluded.%I", n, n);
	set(d, sum, "coalesce(g.%I + excluded.%I, g.%I, excluded.%I)", sum, sum, sum, sum);
	set(d, item->name, "coalesce(g.%I + excluded.%I, g.%I, excluded.%I) / "
		"nullif(g.%I + excluded.%I, 0)", sum, sum, sum, sum, n, n);
}

/* Upsert: input columns _k (key), _a (argument), _f (filter) by number; then the net values. */
static void
net_item(Delta *d, const DpGoldItem *item, int index)
{
	const char *condition = "";
	const char *what = "*";

	if (item->is_key)
	{
		dp_sql_append(&d->input, ", %E AS _k%d", dp_gold_render(d->q, item->text, DP_REL_NEW),
					  index);
		dp_sql_append(&d->values, "_k%d", index);
		return;
	}
	if (!item->star)
	{
		dp_sql_append(&d->input, ", %E AS _a%d", dp_gold_render(d->q, item->arg, DP_REL_NEW),
					  index);
		what = psprintf("_a%d", index);
	}
	if (item->filter.start >= 0)
	{
		dp_sql_append(&d->input, ", %E AS _f%d", dp_gold_render(d->q, item->filter, DP_REL_NEW),
					  index);
		condition = psprintf(" AND _f%d", index);
	}
	if (item->agg != DP_AGG_COUNT)
	{
		net_sum(d, item, index);
		return;
	}
	dp_sql_append(&d->values, "%I", item->name);
	dp_sql_append(&d->net, ", %s AS %I", net_count(what, condition), item->name);
	set(d, item->name, "g.%I + excluded.%I", item->name, item->name);
}

static void
net_sum(Delta *d, const DpGoldItem *item, int index)
{
	char	   *what = psprintf("_a%d", index);
	char	   *condition = item->filter.start < 0 ? "" : psprintf(" AND _f%d", index);
	char	   *finite = condition;
	char	   *sum = hidden_name("_sum", item);

	net_column(d, hidden_name("_n", item), "bigint", net_count(what, condition));
	if (special(d->q, item))
	{
		finite = psprintf("%s AND %s NOT IN ('NaN', 'Infinity', '-Infinity')", condition, what);
		net_column(d, hidden_name("_nan", item), "bigint",
				   net_count(what, psprintf("%s AND %s = 'NaN'", condition, what)));
		net_column(d, hidden_name("_pos", item), "bigint",
				   net_count(what, psprintf("%s AND %s = 'Infinity'", condition, what)));
		net_column(d, hidden_name("_neg", item), "bigint",
				   net_count(what, psprintf("%s AND %s = '-Infinity'", condition, what)));
	}
	net_column(d, sum, item->arg_type == INT2OID || item->arg_type == INT4OID ?
			   "bigint" : "numeric",
			   dp_sql("coalesce(sum(%s) FILTER (WHERE _new%s), 0) - "
					  "coalesce(sum(%s) FILTER (WHERE NOT _new%s), 0)",
					  what, finite, what, finite));
	dp_sql_append(&d->values, "%s", sum_of(item, "", NULL));
	set(d, item->name, "%s", sum_of(item, "g.", "excluded."));
}

/* A hidden column that simply adds up. */
static void
net_column(Delta *d, const char *name, const char *type, const char *net)
{
	dp_sql_append(&d->net, ", %s AS %I", net, name);
	hide(d, name, dp_sql("%s NOT NULL", type), dp_sql("%I", name));
	set(d, name, "g.%I + excluded.%I", name, name);
}

static void
hide(Delta *d, const char *name, const char *type, const char *value)
{
	dp_sql_append(&d->hidden, ", %I %s", name, type);
	dp_sql_append(&d->hidden_names, ", %I", name);
	d->hidden_list = lappend(d->hidden_list, unconstify(char *, name));
	dp_sql_append(&d->hidden_values, ", %s", value);
}

static void
set(Delta *d, const char *name, const char *fmt,...)
{
	va_list		args;
	char	   *value;

	va_start(args, fmt);
	value = dp_sql_va(fmt, args);
	va_end(args);
	dp_sql_append(&d->merge, "%s%I = %s", d->merge.len ? ", " : "", name, value);
}

/* The visible sum or avg of ITEM from its hidden columns, of one row or of two together. */
static char *
sum_of(const DpGoldItem *item, const char *left, const char *right)
{
	static const char *const kinds[] = {"_n", "_sum", "_nan", "_pos", "_neg"};
	char	   *part[lengthof(kinds)];
	char	   *value;

	for (int i = 0; i < lengthof(kinds); i++)
	{
		char	   *name = hidden_name(kinds[i], item);

		part[i] = right ? dp_sql("(%s%I + %s%I)", left, name, right, name) : dp_sql("%I", name);
	}
	value = item->agg == DP_AGG_SUM ? part[1] : dp_sql("%s::numeric / %s", part[1], part[0]);
	if (item->arg_type != NUMERICOID)
		return dp_sql("CASE WHEN %s > 0 THEN %s END", part[0], value);
	return dp_sql("CASE WHEN %s = 0 THEN NULL WHEN %s > 0 OR %s > 0 AND %s > 0 THEN 'NaN' "
				  "WHEN %s > 0 THEN 'Infinity' WHEN %s > 0 THEN '-Infinity' ELSE %s END",
				  part[0], part[2], part[3], part[4], part[3], part[4], value);
}

/* How many of WHAT come, less how many go; CONDITION is "" or " AND ...". */
static char *
net_count(const char *what, const char *condition)
{
	return psprintf("count(%s) FILTER (WHERE _new%s) - count(%s) FILTER (WHERE NOT _new%s)",
					what, condition, what, condition);
}

/* "_sum_revenue", shortened so that it fits. */
static char *
hidden_name(const char *kind, const DpGoldItem *item)
{
	return makeObjectName(kind, item->name, NULL);
}

/* The user's query over RELATION (NULL: silver), with the hidden columns added. */
static char *
append_select(const Delta *d, const char *relation)
{
	const DpGoldQuery *q = d->q;
	StringInfoData buf;
	char	   *keys = ordinals(q);

	initStringInfo(&buf);
	dp_sql_append(&buf, "SELECT %s%s\nFROM %s", d->values.data, d->hidden_values.data,
				  dp_gold_render(q, q->from, relation));
	if (q->where.start >= 0)
		dp_sql_append(&buf, "\nWHERE %E", dp_gold_render(q, q->where, DP_REL_NEW));
	if (q->nkeys > 0)
		dp_sql_append(&buf, "\nGROUP BY %s ORDER BY %s", keys, keys);
	return buf.data;
}

/* New minus old per group; with FILL what is in silver now. */
static char *
net_select(const Delta *d, bool fill)
{
	StringInfoData buf;
	char	   *keys = inner_keys(d->q);
	char	   *input = input_select(d, "true", fill ? NULL : DP_REL_NEW);

	if (!fill)
		input = dp_sql("%s\n\t\tUNION ALL %s", input, input_select(d, "false", DP_REL_OLD));
	initStringInfo(&buf);
	dp_sql_append(&buf, "SELECT %s%s\nFROM (SELECT %s\n\tFROM (%s) AS d", d->values.data,
				  d->hidden_values.data, keys[0] ? dp_sql("%s%s", keys, d->net.data) :
				  d->net.data + strlen(", "), input);
	if (keys[0])
		dp_sql_append(&buf, "\n\tGROUP BY %s) AS n\nORDER BY %s", keys, keys);
	else
		dp_sql_append(&buf, ") AS n");
	return buf.data;
}

/* The rows that count, with keys, arguments and filters computed once. */
static char *
input_select(const Delta *d, const char *sign, const char *relation)
{
	const DpGoldQuery *q = d->q;
	StringInfoData buf;

	initStringInfo(&buf);
	dp_sql_append(&buf, "SELECT %s AS _new%s FROM %s", sign, d->input.data,
				  dp_gold_render(q, q->from, relation));
	if (q->where.start >= 0)
		dp_sql_append(&buf, " WHERE %E", dp_gold_render(q, q->where, DP_REL_NEW));
	return buf.data;
}

/*
 * Groups without rows go.  Only groups of dynpipe_old can have lost their
 * last row; their keys one by one narrow the search, _rows decides.
 */
static char *
sweep_sql(const DpGoldPlan *gold, const Delta *d)
{
	StringInfoData buf;
	char	   *old = input_select(d, "false", DP_REL_OLD);

	initStringInfo(&buf);
	dp_sql_append(&buf, "DELETE FROM %T AS g WHERE g._rows = 0", &gold->table);
	for (int i = 0; i < d->q->nitems; i++)
		if (d->q->items[i].is_key)
			dp_gold_narrow(&buf, &d->q->items[i], "g",
						   dp_sql("SELECT DISTINCT _k%d FROM (%s) AS d", i, old));
	return buf.data;
}

/* The places of the keys in the select list. */
static char *
ordinals(const DpGoldQuery *q)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < q->nitems; i++)
		if (q->items[i].is_key)
			dp_sql_append(&buf, "%s%d", buf.len ? ", " : "", i + 1);
	return buf.data;
}

static char *
inner_keys(const DpGoldQuery *q)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < q->nitems; i++)
		if (q->items[i].is_key)
			dp_sql_append(&buf, "%s_k%d", buf.len ? ", " : "", i);
	return buf.data;
}

/* Can the argument be NaN or infinite while sums must be subtracted? */
static bool
special(const DpGoldQuery *q, const DpGoldItem *item)
{
	return q->upsert && item->arg_type == NUMERICOID;
}
