/*
 * stubs.h
 *	  Memory of the fuzzer: see stubs.c.
 */
#ifndef STUBS_H
#define STUBS_H

extern void stub_reset(void);

#endif
