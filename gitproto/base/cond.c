#include "gitproto/base/cond.h"

#include <errno.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"

void
cond_init(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	CHECK(pthread_condattr_init(&attr) == 0);
	CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	CHECK(pthread_cond_init(cond, &attr) == 0);
	pthread_condattr_destroy(&attr);
}

struct timespec
cond_moment(uint64_t ns)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	ns += (uint64_t)t.tv_nsec;
	t.tv_sec += (time_t)(ns / CLOCK_SEC);
	t.tv_nsec = (long)(ns % CLOCK_SEC);
	return t;
}

bool
cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *lock, const struct timespec *moment)
{
	return pthread_cond_timedwait(cond, lock, moment) != ETIMEDOUT;
}

bool
cond_wait_msec(pthread_cond_t *cond, pthread_mutex_t *lock, uint64_t msec)
{
	struct timespec moment = cond_moment(msec * CLOCK_MSEC);

	return cond_wait_until(cond, lock, &moment);
}
