#include "shard-map/commitlog/commitlog_thread.h"

#include <errno.h>
#include <signal.h>

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
