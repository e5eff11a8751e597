#include "shard-map/commitlog/commitlog_thread.h"

#include <errno.h>
#include <signal.h>
#include <time.h>

#include "gitproto/base/check.h"

int
commitlog_thread_start(pthread_t *out, void *(*run)(void *), void *arg, const char *name,
		       struct err *err)
{
	sigset_t all, before;
	int rc;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	rc = pthread_create(out, NULL, run, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (rc != 0) {
		errno = rc;
		return err_errno(err, "start thread %s", name);
	}
	pthread_setname_np(*out, name);
	return 0;
}

void
commitlog_thread_cond(pthread_cond_t *cond)
{
	pthread_condattr_t attr;

	CHECK(pthread_condattr_init(&attr) == 0);
	CHECK(pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0);
	CHECK(pthread_cond_init(cond, &attr) == 0);
	pthread_condattr_destroy(&attr);
}

void
commitlog_thread_wait(pthread_cond_t *cond, pthread_mutex_t *lock, unsigned msec)
{
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += msec / 1000;
	until.tv_nsec += (long)(msec % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_cond_timedwait(cond, lock, &until);
}
