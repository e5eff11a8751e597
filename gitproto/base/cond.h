/* gitproto/base/cond.h - conditions that are waited for until a moment of a clock that nobody sets
 * (CLOCK_MONOTONIC).  Thread: any. */
#ifndef GITPROTO_BASE_COND_H
#define GITPROTO_BASE_COND_H

#include <pthread.h>
#include <time.h>

#include "gitproto/base/defs.h"

void cond_init(pthread_cond_t *); /* pthread_cond_destroy ends it */
/* The moment in so many nanoseconds. */
struct timespec cond_moment(uint64_t ns);
/* The lock is held.  False: the moment has come.  True, when told or by chance: look again. */
bool cond_wait_until(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
bool cond_wait_msec(pthread_cond_t *, pthread_mutex_t *, uint64_t msec);

#endif
