/*
 * check_gold.c
 *	  The gold tables of a pipeline.
 */
#include "dynpipe.h"

#include "config/check.h"

static const DpRange refresh_range = {1000, INT64CONST(366) * 86400000};

static const DpKey gold_keys[] = {
	{"table", &dp_kind_table, offsetof(DpGoldSpec, table), NULL, true},
	{"query", &dp_kind_text, offsetof(DpGoldSpec, query), NULL, true},
	{"refresh", &dp_kind_duration, offsetof(DpGoldSpec, refresh_ms), &refresh_range},
	{"description", &dp_kind_text, offsetof(DpGoldSpec, description)},
	{NULL}
};

const DpShape dp_shape_gold = {"a gold table", sizeof(DpGoldSpec), gold_keys};

static const char *same_as(const DpPipelineSpec *spec, int n, const DpTableName *table);

/* Gold stands on silver, and every table is written by one query only. */
void
dp_check_gold(DpCheck *chk, DpPipelineSpec *spec)
{
	if (spec->gold != NIL && !spec->silver)
		dp_check_problem_in(chk, "gold", "Give a schema and keep silver, or leave gold out.",
							"gold needs silver");
	for (int i = 0; i < list_length(spec->gold); i++)
	{
		const DpGoldSpec *gold = list_nth(spec->gold, i);
		const char *other = same_as(spec, i, &gold->table);

		if (other != NULL)
			dp_check_problem_in(chk, psprintf("gold/%d/table", i),
								"Each layer and each query has a table of its own.",
								"gold table %s is also that of %s",
								dp_name_table_text(&gold->table), other);
	}
}

/* What else writes TABLE: bronze, silver or one of the first N gold tables. */
static const char *
same_as(const DpPipelineSpec *spec, int n, const DpTableName *table)
{
	if (spec->bronze && dp_name_table_equal(table, &spec->bronze_table))
		return "bronze";
	if (spec->silver && dp_name_table_equal(table, &spec->silver_table))
		return "silver";
	for (int i = 0; i < n; i++)
		if (dp_name_table_equal(table, &((DpGoldSpec *) list_nth(spec->gold, i))->table))
			return psprintf("gold/%d", i);
	return NULL;
}
