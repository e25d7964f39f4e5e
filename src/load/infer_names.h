/*
 * infer_names.h
 *	  Private to inference: columns for a pipeline that names none.
 */
#ifndef DP_INFER_NAMES_H
#define DP_INFER_NAMES_H

#include "load/sample.h"

/*
 * DpColumnSpec * with name, and with from: where the name is not the field's;
 * in context CXT.  Raises when the files have no fields.
 */
extern List *dp_infer_names(const DpPipelineSpec *spec, List *texts, MemoryContext cxt);

#endif							/* DP_INFER_NAMES_H */
