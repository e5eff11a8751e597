#include "gitproto/base/clock.h"

#include <time.h>

static uint64_t (*injected)(void *);
static void *injected_arg;

uint64_t
clock_boot_ns(void)
{
	struct timespec ts;

	if (injected != NULL)
		return injected(injected_arg);
	clock_gettime(CLOCK_BOOTTIME, &ts);
	return (uint64_t)ts.tv_sec * CLOCK_SEC + (uint64_t)ts.tv_nsec;
}

uint64_t
clock_wall_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / CLOCK_MSEC;
}

void
clock_format(char out[CLOCK_TEXT], uint64_t wall_ms)
{
	time_t t = (time_t)(wall_ms / 1000);
	struct tm tm;
	size_t n;

	gmtime_r(&t, &tm);
	n = strftime(out, CLOCK_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + n, CLOCK_TEXT - n, ".%03uZ", (unsigned)(wall_ms % 1000));
}

void
clock_inject(uint64_t (*fn)(void *), void *arg)
{
	injected_arg = arg;
	injected = fn;
}
