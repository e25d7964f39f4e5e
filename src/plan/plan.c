/*
 * plan.c
 *	  From a pipeline's spec to its DpPlan: types looked up, columns laid out,
 *	  expressions analysed; the statements are then written by plan_sql.c, the
 *	  gold tables planned by gold.c.
 *
 *	  schema columns --> fields (dynpipe_batch) --> silver columns --> rules
 *	                                  derive: adds or replaces ^
 *
 * Everything is looked up as the pipeline's owner.  All memory of the plan is
 * in plan->cxt; problems are added in the caller's context, since the plan is
 * thrown away when there are any.  The spec is referred to, not copied: the
 * caller keeps it as long as the plan.
 */
#include "dynpipe.h"

#include "catalog/pg_type.h"
#include "nodes/nodeFuncs.h"
#include "parser/parse_type.h"
#include "plan/build.h"
#include "source/source.h"
#include "util/as_owner.h"
#include "util/attempt.h"
#include "utils/builtins.h"
#include "utils/lsyscache.h"
#include "utils/memutils.h"

/* What a guarded look-up works on. */
typedef struct TypeLookup
{
	const char *name;
	Oid			type;
	int32		typmod;
	const char *value;			/* default value */
	Datum		datum;
} TypeLookup;

static void raise_broken(const DpPipelineSpec *spec, const DpDocument *doc);
static void build_all(DpBuild *build);
static void build_fields(DpBuild *build);
static void build_field(DpBuild *build, int index, const DpColumnSpec *column);
static void build_default(DpBuild *build, int index, const DpColumnSpec *column);
static void look_up_type(void *arg);
static void read_default(void *arg);
static const char *type_hint(const char *name);
static void build_silver(DpBuild *build);
static void build_derived(DpBuild *build);
static bool has_inferred(const DpPlan *plan);
static void build_key(DpBuild *build);
static void check_names(DpBuild *build, const List *names, const char *key, bool is_key);
static void build_rules(DpBuild *build);

DpPlan *
dp_plan_build(const DpPipelineSpec *spec, int64 pipeline_id, int32 version, Oid owner,
			  bool tables_exist, DpDocument *doc, MemoryContext parent)
{
	MemoryContext caller = CurrentMemoryContext;
	MemoryContext cxt = AllocSetContextCreate(parent, "dynpipe plan", ALLOCSET_DEFAULT_SIZES);
	DpDocument	own_doc = {0};
	DpBuild		build = {.doc = doc ? doc : &own_doc, .caller = caller,
	.tables_exist = tables_exist};
	DpPlan	   *plan;
	DpRole		role;

	MemoryContextSwitchTo(cxt);
	build.plan = plan = palloc0(sizeof(DpPlan));
	plan->cxt = cxt;
	plan->pipeline_id = pipeline_id;
	plan->version = version;
	plan->owner = owner;
	plan->spec = spec;
	/* A stream only goes on; what is read as a whole may also be taken back as a whole. */
	plan->retracts = dp_source_find(spec->scheme) == NULL;
	dp_role_become_owner(&role, owner);
	build_all(&build);
	dp_role_restore(&role);
	MemoryContextSwitchTo(caller);
	if (build.nproblems == 0)
		return plan;
	MemoryContextDelete(cxt);
	if (!doc)
		raise_broken(spec, &own_doc);
	return NULL;
}

DpField *
dp_plan_fields(const DpPipelineSpec *spec, Oid owner, int *n)
{
	DpDocument	doc = {0};
	DpPlan	   *plan = palloc0(sizeof(DpPlan));
	DpBuild		build = {.doc = &doc, .caller = CurrentMemoryContext, .plan = plan};
	DpRole		role;

	plan->cxt = CurrentMemoryContext;
	plan->owner = owner;
	plan->spec = spec;
	dp_role_become_owner(&role, owner);
	build_fields(&build);
	dp_role_restore(&role);
	if (build.nproblems > 0)
		raise_broken(spec, &doc);
	*n = plan->nfields;
	return plan->fields;
}

/* A pipeline that was applied does not fit the database any more. */
static void
raise_broken(const DpPipelineSpec *spec, const DpDocument *doc)
{
	const DpProblem *first = linitial(doc->problems);

	ereport(ERROR,
			(errcode(ERRCODE_INVALID_OBJECT_DEFINITION),
			 errmsg("pipeline \"%s\" no longer fits its tables: %s", spec->name, first->message),
			 errdetail("Found at %s of its document, with %d other problems.",
					   first->pointer, list_length(doc->problems) - 1),
			 errhint("%s", first->hint ? first->hint :
					 "Repair the table, or apply a document that fits it.")));
}

/* A stage that relies on the types found by another is left out when that found problems. */
static void
build_all(DpBuild *build)
{
	DpPlan	   *plan = build->plan;

	if (!plan->spec->silver)
		return;
	build_fields(build);
	if (build->nproblems)
	{
		dp_expr_check_all_syntax(build);
		return;
	}
	plan->batch_desc = dp_rowtype_batch(plan);
	build_silver(build);
	build_derived(build);
	if (build->nproblems)
		return;
	build_key(build);
	build_rules(build);
	dp_rowtype_silver(build);
	if (build->nproblems)
		return;
	plan->rows_desc = dp_rowtype_rows(plan);
	dp_plan_sql(plan);
	plan->ngold = list_length(plan->spec->gold);
	plan->gold = palloc0(sizeof(DpGoldPlan) * (plan->ngold + 1));
	for (int i = 0; i < plan->ngold; i++)
		dp_gold_build(build, i);
}

void
dp_build_problem(DpBuild *build, const char *place, const char *hint, const char *fmt,...)
{
	MemoryContext old = MemoryContextSwitchTo(build->caller);
	char	   *pointer = psprintf("%s%s", build->plan->spec->pointer ?
								   build->plan->spec->pointer : "", place);
	StringInfoData message;

	initStringInfo(&message);
	for (;;)
	{
		va_list		args;
		int			needed;

		va_start(args, fmt);
		needed = appendStringInfoVA(&message, fmt, args);
		va_end(args);
		if (needed == 0)
			break;
		enlargeStringInfo(&message, needed);
	}
	dp_config_add_problem(build->doc, pointer, hint, "%s", message.data);
	build->nproblems++;
	MemoryContextSwitchTo(old);
}

static void
build_fields(DpBuild *build)
{
	DpPlan	   *plan = build->plan;
	ListCell   *lc;

	plan->fields = palloc0(sizeof(DpField) * (list_length(plan->spec->columns) + 1));
	foreach(lc, plan->spec->columns)
		build_field(build, foreach_current_index(lc), lfirst(lc));
	plan->nfields = list_length(plan->spec->columns);
}

static void
build_field(DpBuild *build, int index, const DpColumnSpec *column)
{
	DpField    *field = &build->plan->fields[index];
	TypeLookup	look = {.name = column->type ? column->type : "text"};
	ErrorData  *error;
	ListCell   *lc;

	field->name = column->name;
	field->required = column->required;
	/* Without from: the name is meant as it is, also if it starts with '/' or '@'. */
	field->from = DP_FROM_VALUE;
	field->path = column->name;
	if (column->from)
		field->from = dp_field_from(column->from, &field->path);
	foreach(lc, build->plan->spec->key)
		field->is_key |= strcmp(lfirst(lc), column->name) == 0;
	field->clean = palloc(sizeof(DpClean) * (list_length(column->clean) + 1));
	foreach(lc, column->clean)
		field->clean[field->nclean++] = lfirst_int(lc);
	error = dp_attempt(look_up_type, &look);
	if (error)
	{
		dp_build_problem(build, psprintf("/schema/%d/type", index), type_hint(look.name),
						 "%s", error->message);
		return;
	}
	field->type = look.type;
	field->typmod = look.typmod;
	dp_cast_init(&field->cast, field->type, field->typmod, build->plan->cxt);
	if (column->inferred)
		dp_cast_exact(&field->cast);
	if (column->default_value)
		build_default(build, index, column);
}

static void
build_default(DpBuild *build, int index, const DpColumnSpec *column)
{
	DpField    *field = &build->plan->fields[index];
	TypeLookup	look = {.type = field->type, .typmod = field->typmod,
	.value = column->default_value};
	ErrorData  *error = dp_attempt(read_default, &look);

	if (error)
	{
		dp_build_problem(build, psprintf("/schema/%d/default", index),
						 psprintf("Give a value that the type %s accepts.",
								  format_type_with_typemod(field->type, field->typmod)),
						 "%s", error->message);
		return;
	}
	field->has_default = true;
	field->default_value = look.datum;
}

static void
look_up_type(void *arg)
{
	TypeLookup *look = arg;

	dp_parse_type(look->name, &look->type, &look->typmod);
	if (get_typtype(look->type) == TYPTYPE_PSEUDO)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TABLE_DEFINITION),
				 errmsg("pseudo-type %s cannot be the type of a column",
						format_type_be(look->type))));
}

static void
read_default(void *arg)
{
	TypeLookup *look = arg;
	Oid			input;
	Oid			ioparam;

	getTypeInputInfo(look->type, &input, &ioparam);
	look->datum = OidInputFunctionCall(input, unconstify(char *, look->value), ioparam,
									   look->typmod);
}

static const char *
type_hint(const char *name)
{
	static const char *const common[] = {
		"bigint", "integer", "smallint", "numeric", "real", "double precision", "boolean",
		"text", "varchar", "char", "date", "time", "timetz", "timestamp", "timestamptz",
		"interval", "uuid", "json", "jsonb", "bytea", "inet", "cidr", "macaddr", "money", "point",
		NULL
	};
	const char *near = dp_nearest(name, common);

	return near ? psprintf("Did you mean \"%s\"? Qualify types of your own with their schema.",
						   near) :
		"Give the name of an SQL type; qualify types of your own with their schema.";
}

/* Silver columns: the fields in order, then what derive adds. */
static void
build_silver(DpBuild *build)
{
	DpPlan	   *plan = build->plan;

	plan->silver = palloc0(sizeof(DpSilverColumn) *
						   (plan->nfields + list_length(plan->spec->derive) + 1));
	for (int i = 0; i < plan->nfields; i++)
	{
		DpSilverColumn *column = &plan->silver[plan->nsilver++];
		DpColumnSpec *spec = list_nth(plan->spec->columns, i);

		column->name = plan->fields[i].name;
		column->type = plan->fields[i].type;
		column->typmod = plan->fields[i].typmod;
		column->collation = get_typcollation(column->type);
		column->field = i;
		column->description = spec->description;
		column->inferred = spec->inferred;
	}
	if (plan->nsilver + list_length(plan->spec->derive) == 0)
		dp_build_problem(build, "/schema", "Declare the columns to take from each record.",
						 "silver table has no columns");
}

static void
build_key(DpBuild *build)
{
	DpPlan	   *plan = build->plan;
	ListCell   *lc;

	check_names(build, plan->spec->key, "key", true);
	check_names(build, plan->spec->sequence_by, "sequence_by", false);
	plan->upsert = plan->spec->key != NIL;
	foreach(lc, plan->spec->key)
	{
		DpSilverColumn *column = dp_plan_column(plan, lfirst(lc));

		if (column)
			column->is_key = true;
	}
}

static void
build_derived(DpBuild *build)
{
	DpPlan	   *plan = build->plan;
	ListCell   *lc;

	foreach(lc, plan->spec->derive)
	{
		DpDeriveSpec *derive = lfirst(lc);
		DpSilverColumn *column = dp_plan_column(plan, derive->name);
		Node	   *expr = dp_expr_check(build, psprintf("/silver/derive/%s", derive->name),
										 derive->expr, plan->batch_desc, false);

		if (!column)
			column = &plan->silver[plan->nsilver++];
		column->name = derive->name;
		column->field = -1;
		column->expr = derive->expr;
		if (!expr)
			continue;
		column->type = exprType(expr);
		column->typmod = exprTypmod(expr);
		column->collation = get_typcollation(column->type);
		column->inferred = has_inferred(plan);
	}
}

/* A derived column's type may follow from one that was inferred. */
static bool
has_inferred(const DpPlan *plan)
{
	ListCell   *lc;

	foreach(lc, plan->spec->columns)
		if (((DpColumnSpec *) lfirst(lc))->inferred)
			return true;
	return false;
}

/* The silver column called NAME, or NULL. */
DpSilverColumn *
dp_plan_column(const DpPlan *plan, const char *name)
{
	for (int i = 0; i < plan->nsilver; i++)
		if (strcmp(plan->silver[i].name, name) == 0)
			return &plan->silver[i];
	return NULL;
}

/* Columns of key and sequence_by must exist and have an order. */
static void
check_names(DpBuild *build, const List *names, const char *key, bool is_key)
{
	DpPlan	   *plan = build->plan;
	const char **valid = palloc0(sizeof(char *) * (plan->nsilver + 1));
	ListCell   *lc;

	for (int i = 0; i < plan->nsilver; i++)
		valid[i] = plan->silver[i].name;
	foreach(lc, names)
	{
		const char *name = lfirst(lc);
		DpSilverColumn *column = dp_plan_column(plan, name);
		char	   *place = psprintf("/silver/%s/%d", key, foreach_current_index(lc));
		const char *near = column ? NULL : dp_nearest(name, valid);

		if (!column)
			dp_build_problem(build, place, near ? psprintf("Did you mean \"%s\"?", near) : NULL,
							 "column \"%s\" is neither in schema nor derived", name);
		else if (OidIsValid(column->type) && !dp_plan_equals(column->type))
			dp_build_problem(build, place, "Use a column of a type that can be sorted.",
							 "column \"%s\" of type %s has no order", name,
							 format_type_be(column->type));
	}
}

/* Expectations, and the other conditions, which see the silver columns. */
static void
build_rules(DpBuild *build)
{
	DpPlan	   *plan = build->plan;
	const DpPipelineSpec *spec = plan->spec;
	TupleDesc	desc = dp_rowtype_checked(plan);
	ListCell   *lc;

	if (spec->where)
		dp_expr_check(build, "/silver/where", spec->where, desc, true);
	if (spec->delete_when)
		dp_expr_check(build, "/silver/delete_when", spec->delete_when, desc, true);
	if (list_length(spec->expect) > 63)
		dp_build_problem(build, "/silver/expect", "Join some of the checks with AND.",
						 "a pipeline can have at most 63 expectations");
	plan->rules = palloc0(sizeof(DpRule) * (list_length(spec->expect) + 1));
	foreach(lc, spec->expect)
	{
		DpExpectSpec *expect = lfirst(lc);
		DpRule	   *rule = &plan->rules[plan->nrules++];

		dp_expr_check(build, psprintf("/silver/expect/%d/check", foreach_current_index(lc)),
					  expect->check, desc, true);
		rule->name = expect->name;
		rule->check = expect->check;
		rule->action = expect->otherwise;
	}
}
