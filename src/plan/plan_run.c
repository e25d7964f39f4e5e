/*
 * plan_run.c
 *	  Make the changes that plan_ddl.c found: with the owner's rights, in the
 *	  caller's transaction.
 */
#include "dynpipe.h"

#include "executor/spi.h"
#include "plan/plan.h"
#include "util/as_owner.h"

void
dp_plan_run_change(const DpChange *change, Oid owner)
{
	DpRole		role;

	dp_role_become_owner(&role, owner);
	SPI_connect();
	if (SPI_execute(change->sql, false, 0) < 0)
		elog(ERROR, "cannot run: %s", change->sql);
	SPI_finish();
	dp_role_restore(&role);
}
