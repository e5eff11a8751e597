#include "gitproto/base/fault.h"

#ifdef GITSHARD_TEST

#include <pthread.h>
#include <signal.h>

#include "gitproto/base/log.h"

#define MAX_ARMED 8

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
	char point[64];
	int signo;
} armed[MAX_ARMED];

void
fault_at(const char *point)
{
	int signo = 0;

	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < MAX_ARMED && signo == 0; i++)
		if (armed[i].signo != 0 && strcmp(armed[i].point, point) == 0) {
			signo = armed[i].signo;
			armed[i].signo = 0;
		}
	pthread_mutex_unlock(&lock);
	if (signo == 0)
		return;
	log_warn("-", "fault", "point=%s signal=%d", point, signo);
	raise(signo);
}

bool
fault_arm(const char *point, const char *action)
{
	int signo = strcmp(action, "die") == 0    ? SIGKILL
		    : strcmp(action, "stop") == 0 ? SIGSTOP
						  : 0;
	bool done = false;

	if (signo == 0 && strcmp(action, "none") != 0)
		return false;
	pthread_mutex_lock(&lock);
	for (unsigned i = 0; i < MAX_ARMED; i++)
		if (strcmp(armed[i].point, point) == 0)
			armed[i].signo = 0;
	for (unsigned i = 0; i < MAX_ARMED && !done && signo != 0; i++)
		if (armed[i].signo == 0) {
			snprintf(armed[i].point, sizeof(armed[i].point), "%s", point);
			armed[i].signo = signo;
			done = true;
		}
	pthread_mutex_unlock(&lock);
	return done || signo == 0;
}

#else

bool
fault_arm(const char *point UNUSED, const char *action UNUSED)
{
	return false;
}

#endif
