/*
 * widen.h
 *	  on_misfit: widen.  A value does not fit the type that was inferred for its
 *	  column, so the column gets a wider one and the file loads again.
 *
 *	  load fails ─> its (sub)transaction is undone ─> dp_load_misfit: which type?
 *	            ─> dp_load_widen: column, definition, gold ─> a new plan, load again
 *
 * Each step up the lattice of infer_type.c is made at most once, so a file is
 * loaded again at most as often as its columns have steps to go.
 */
#ifndef DP_WIDEN_H
#define DP_WIDEN_H

#include "catalog/catalog.h"
#include "load/infer.h"

/*
 * The type that column COLUMN of PLAN needs so that RECORD, which was refused
 * for that column's value, loads.  LAYOUT is that of its file.  NULL when a
 * wider type would not help: the type was given, it is text already, or the
 * value is none.
 */
extern const char *dp_load_misfit(const DpPlan *plan, const char *layout,
								  const DpRecord *record, const char *column);

/*
 * Give COLUMN of pipeline ROW type TYPE: in silver as the owner, in the stored
 * definition as a new version, in the gold tables that depend on it; an event
 * tells so.  False when another process did it already.  Raises what PostgreSQL
 * refuses, such as a view on the column.  [in a transaction, which must hold
 * no batch of the pipeline]
 */
extern bool dp_load_widen(const DpPipelineRow *row, const char *column, const char *type);

#endif							/* DP_WIDEN_H */
