/*
 * guard.c
 *	  Work that may fail, in a subtransaction: see guard.h.
 *
 * The abort of a subtransaction gives back what the work held: locks, SPI,
 * snapshots, the rights of another role.  Memory is the caller's.
 */
#include "dynpipe.h"

#include "access/xact.h"
#include "util/guard.h"
#include "utils/resowner.h"

ErrorData *
dp_guard_run(void (*work) (void *arg), void *arg, bool keep)
{
	MemoryContext caller = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(caller);
	PG_TRY();
	{
		work(arg);
		if (keep)
			ReleaseCurrentSubTransaction();
		else
			RollbackAndReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(caller);
	CurrentResourceOwner = owner;
	return error;
}
