/*
 * hooks.h
 *	  Statements that concern the processes; see hooks.c.
 */
#ifndef DP_HOOKS_H
#define DP_HOOKS_H

/* _PG_init, only when preloaded. */
extern void dp_hooks_init(void);

#endif							/* DP_HOOKS_H */
