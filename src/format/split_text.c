/*
 * split_text.c
 *	  The text of a file into lines: \n, \r\n or \r ends one.  Every line is a
 *	  record, an empty one too; nothing follows the last line end.
 */
#include "dynpipe.h"

#include "format/field.h"
#include "format/scan.h"

DpSplitter *
dp_text_splitter(const DpPipelineSpec *spec, const char *sample, Size len, bool all)
{
	DpSplitter *splitter = palloc0(sizeof(DpSplitter));

	splitter->ops = &dp_format_text_ops;
	splitter->description = "one line a record";
	splitter->layout = "";
	return splitter;
}

DpSplit
dp_text_split(DpSplitter *splitter, const char *s, Size len, bool at_end, DpSpan *span)
{
	DpScanSet	ends = {{'\n', '\r', '\n', '\r'}};
	Size		i = dp_scan(&ends, s, splitter->seen, len);
	int			n = 0;

	memset(span, 0, sizeof(DpSpan));
	if (len == 0 && at_end)
		return DP_SPLIT_END;
	if (i < len)
		n = s[i] == '\r' && i + 1 < len && s[i + 1] == '\n' ? 2 : 1;
	if (!at_end && (i == len || (s[i] == '\r' && i + 1 == len)))
	{
		splitter->seen = i;
		return DP_SPLIT_MORE;
	}
	span->len = i;
	span->used = i + n;
	span->lines = n > 0;
	splitter->seen = 0;
	return DP_SPLIT_RECORD;
}
