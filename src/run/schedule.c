/*
 * schedule.c
 *	  Backoff by SQLSTATE; see schedule.h.  No state, no clock, no I/O.
 */
#include "dynpipe.h"

#include "run/schedule.h"

typedef struct ClassRule
{
	char		code[6];		/* a SQLSTATE, or its first two characters */
	DpFailureClass class;
} ClassRule;

/* Read in order: exact codes stand before their class. */
static const ClassRule class_rules[] = {
	{"40001", DP_FAILURE_CONFLICT}, /* serialization_failure */
	{"40P01", DP_FAILURE_CONFLICT}, /* deadlock_detected */
	{"55P03", DP_FAILURE_TRANSIENT},	/* lock_not_available: has waited for lock_timeout already */
	{"57014", DP_FAILURE_TRANSIENT},	/* query_canceled */
	{"57P", DP_FAILURE_TRANSIENT},	/* shutdown, starting up */
	{"55006", DP_FAILURE_TRANSIENT},	/* object_in_use */
	{"08", DP_FAILURE_TRANSIENT},	/* connection */
	{"53", DP_FAILURE_TRANSIENT},	/* insufficient resources */
	{"58", DP_FAILURE_TRANSIENT},	/* system error, I/O */
	{"25", DP_FAILURE_TRANSIENT},	/* read-only transaction and the like */
	{"40", DP_FAILURE_TRANSIENT},
	{"55", DP_FAILURE_REPAIR},	/* object not in prerequisite state */
	{"42", DP_FAILURE_REPAIR},	/* missing object, privilege, syntax */
	{"28", DP_FAILURE_REPAIR},	/* credentials */
	{"0L", DP_FAILURE_REPAIR},	/* invalid grantor */
	{"0P", DP_FAILURE_REPAIR},	/* invalid role */
	{"0A", DP_FAILURE_REPAIR},	/* feature not supported */
	{"2F", DP_FAILURE_REPAIR},	/* SQL routine */
	{"38", DP_FAILURE_REPAIR},	/* external routine */
	{"39", DP_FAILURE_REPAIR},
	{"3D", DP_FAILURE_REPAIR},	/* catalog name */
	{"3F", DP_FAILURE_REPAIR},	/* schema name */
	{"21", DP_FAILURE_REPAIR},	/* cardinality */
	{"22", DP_FAILURE_REPAIR},	/* data that no quarantine could take */
	{"23", DP_FAILURE_REPAIR},	/* constraint */
	{"44", DP_FAILURE_REPAIR},	/* WITH CHECK OPTION */
	{"54", DP_FAILURE_REPAIR},	/* program limit */
	{"F0", DP_FAILURE_REPAIR},	/* configuration file */
	{"HV", DP_FAILURE_REPAIR},	/* foreign data wrapper options */
	{"P0", DP_FAILURE_REPAIR},	/* raised by a user's function */
};

DpFailureClass
dp_schedule_classify(int sqlerrcode)
{
	const char *state = unpack_sql_state(sqlerrcode);

	for (int i = 0; i < lengthof(class_rules); i++)
	{
		if (strncmp(state, class_rules[i].code, strlen(class_rules[i].code)) == 0)
			return class_rules[i].class;
	}
	return DP_FAILURE_INTERNAL;
}

int64
dp_schedule_delay(DpFailureClass class, int failures, int initial, int max, double random)
{
	int64		delay;
	int			doublings = failures - 1;

	if (class == DP_FAILURE_CONFLICT)
	{
		if (failures <= DP_CONFLICT_RETRIES)
			return 0;
		doublings -= DP_CONFLICT_RETRIES;
	}
	/* 2^20 times the smallest wait is far beyond any cap. */
	delay = (int64) initial << Min(Max(doublings, 0), 20);
	delay = Min(delay, max);
	delay += (int64) (delay * (random - 0.5) * 0.3);
	return Min(delay, max);
}

bool
dp_schedule_worth_logging(int failures)
{
	return failures > 0 && (failures & (failures - 1)) == 0;
}
