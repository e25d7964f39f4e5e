/*
 * publish.h
 *	  From what is wanted to what is there: objects are written and removed
 *	  after the transaction that wanted them.
 *
 *	  lock -> look -> SELECT as the owner -> encode -> pack -> put -> finish -> mark
 *
 * An object becomes visible, whole, at finish; its mark commits with the
 * caller's transaction.  Whatever happens in between, the object is wanted
 * still and is written again under the same name, with what its rows are then.
 * One that fails is marked with the reason and the next try, undone in a
 * subtransaction; others go on.
 */
#ifndef DP_PUBLISH_H
#define DP_PUBLISH_H

#include "catalog/catalog.h"

typedef struct DpPublisher DpPublisher;

typedef enum DpPublishState
{
	DP_PUBLISH_DONE,
	DP_PUBLISH_FAILED,
	DP_PUBLISH_SUPERSEDED		/* wanted anew while it was published */
} DpPublishState;

typedef struct DpPublished
{
	char	   *url;
	bool		remove;
	int64		rows;			/* -1: not known */
	int64		bytes;
	DpPublishState state;
	char	   *message;		/* NULL unless it failed */
	char	   *hint;
} DpPublished;

/*
 * For the destination that ROW's definition names; the store is opened at
 * first use, with the owner's rights, and kept.  May outlive transactions.
 */
extern DpPublisher *dp_publisher_open(const DpPipelineRow *row, MemoryContext parent);
extern void dp_publisher_close(DpPublisher *publisher);

/*
 * [in a transaction of its own] Publish one object that is due; false when
 * there is none, or others are at work on them.
 */
extern bool dp_publisher_next(DpPublisher *publisher, DpPublished *result);

/* PROGRESS is called after each piece that was sent; NULL: nobody wants to know. */
extern void dp_publisher_progress(DpPublisher *publisher, void (*progress) (void));

/* [in a transaction] Publish KEY, due or not; false when there is nothing to do for it. */
extern bool dp_publisher_key(DpPublisher *publisher, const char *key, DpPublished *result);

/*
 * [in a transaction of its own] For workers: open, publish one object, log a
 * failure, close.  True when something was tried, so there may be more.
 */
extern bool dp_publish_next(const DpPipelineRow *row, void (*progress) (void));

#endif							/* DP_PUBLISH_H */
