/* tests/e2e/harness/slow.c - a node behind a slow line: preloaded into a daemon, it lets bulk from TCP
 * sockets in at SLOW_RATE bytes a second, all of them together, as long as the file SLOW_FLAG is there.
 * A connection that never brought SLOW_BULK bytes at once is not held up: a slow line is shared, it
 * does not stop small messages on other connections.  For daemons that read in one thread. */
#include <dlfcn.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

#define SLOW_BULK 16384
#define FDS 4096

static char is_bulk[FDS];
static double tokens; /* bytes that may come in now; below 0: too many came */
static double last, looked;
static int on;

static double
now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int
is_on(double t)
{
	const char *flag = getenv("SLOW_FLAG");
	int saved = errno;

	if (t - looked > 0.05) {
		looked = t;
		on = flag != NULL && access(flag, F_OK) == 0;
		errno = saved;
	}
	return on;
}

static int
is_tcp(int fd)
{
	int domain = 0, saved = errno;
	socklen_t len = sizeof(domain);
	int yes = fd >= 0 && fd < FDS &&
		  getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) == 0 &&
		  (domain == AF_INET || domain == AF_INET6);

	errno = saved;
	return yes;
}

static void
refill(double t)
{
	const char *rate = getenv("SLOW_RATE");
	double per_second = rate != NULL ? atof(rate) : 1e6;

	tokens += (t - last) * per_second;
	if (tokens > per_second / 20)
		tokens = per_second / 20;
	last = t;
}

ssize_t
readv(int fd, const struct iovec *v, int n)
{
	ssize_t (*real)(int, const struct iovec *, int) =
		(ssize_t(*)(int, const struct iovec *, int))dlsym(RTLD_NEXT, "readv");
	double t = now();
	ssize_t got;

	if (!is_tcp(fd) || !is_on(t))
		return real(fd, v, n);
	refill(t);
	if (is_bulk[fd] && tokens <= 0) {
		usleep(1000); /* it is readable: the loop comes back at once */
		errno = EAGAIN;
		return -1;
	}
	got = real(fd, v, n);
	if (got >= SLOW_BULK)
		is_bulk[fd] = 1;
	if (got > 0)
		tokens -= (double)got;
	return got;
}

int
close(int fd)
{
	int (*real)(int) = (int (*)(int))dlsym(RTLD_NEXT, "close");

	if (fd >= 0 && fd < FDS)
		is_bulk[fd] = 0;
	return real(fd);
}
