/* gitproto/base/clock.h - the two clocks, injectable.  Thread: any.
 * Deadlines, leases and waits use clock_boot_ns (CLOCK_BOOTTIME: goes on while the machine sleeps,
 * protocol R6).  Wall time is for people only and decides nothing. */
#ifndef GITPROTO_BASE_CLOCK_H
#define GITPROTO_BASE_CLOCK_H

#include "gitproto/base/defs.h"

#define CLOCK_MSEC UINT64_C(1000000) /* nanoseconds */
#define CLOCK_SEC UINT64_C(1000000000)

uint64_t clock_boot_ns(void); /* a fresh sample at every call, never cached */
uint64_t clock_wall_ms(void); /* since 1970, UTC */

/* "2026-01-02T03:04:05.678Z" */
#define CLOCK_TEXT 32
void clock_format(char out[CLOCK_TEXT], uint64_t wall_ms);

/* Tests: every later call of clock_boot_ns in this process returns fn(arg); NULL ends it. */
void clock_inject(uint64_t (*fn)(void *), void *arg);

#endif
