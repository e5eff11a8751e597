/* tests/e2e/harness/netcut.c - a network that is cut: preloaded into a daemon, it ends its connections to
 * the ports that a file names, and makes none to them, as long as the file is there.  CUT_FLAG names it.
 * What others have opened to the daemon is theirs to end. */
#include <arpa/inet.h>
#include <dlfcn.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

static int
is_cut_port(int port)
{
	const char *flag = getenv("CUT_FLAG");
	int saved = errno, cut = 0, one;
	FILE *f = flag != NULL ? fopen(flag, "re") : NULL;

	while (f != NULL && !cut && fscanf(f, "%d", &one) == 1)
		cut = one == port;
	if (f != NULL)
		fclose(f);
	errno = saved;
	return cut;
}

static int
port_of(const struct sockaddr *a)
{
	return a->sa_family == AF_INET    ? ntohs(((const struct sockaddr_in *)a)->sin_port)
	       : a->sa_family == AF_INET6 ? ntohs(((const struct sockaddr_in6 *)a)->sin6_port)
					  : -1;
}

static int
is_cut(int fd)
{
	struct sockaddr_storage a;
	socklen_t n = sizeof(a);
	int saved = errno, cut;

	cut = getpeername(fd, (struct sockaddr *)&a, &n) == 0 &&
	      is_cut_port(port_of((struct sockaddr *)&a));
	errno = cut ? ECONNRESET : saved;
	return cut;
}

#define REAL(type, name, ...) ((type(*)(__VA_ARGS__))dlsym(RTLD_NEXT, name))

int
connect(int fd, const struct sockaddr *to, socklen_t n)
{
	if (is_cut_port(port_of(to))) {
		errno = EHOSTUNREACH;
		return -1;
	}
	return REAL(int, "connect", int, const struct sockaddr *, socklen_t)(fd, to, n);
}

ssize_t
readv(int fd, const struct iovec *v, int n)
{
	return is_cut(fd) ? -1 : REAL(ssize_t, "readv", int, const struct iovec *, int)(fd, v, n);
}

ssize_t
writev(int fd, const struct iovec *v, int n)
{
	return is_cut(fd) ? -1 : REAL(ssize_t, "writev", int, const struct iovec *, int)(fd, v, n);
}

ssize_t
sendmsg(int fd, const struct msghdr *m, int flags)
{
	return is_cut(fd) ? -1
			  : REAL(ssize_t, "sendmsg", int, const struct msghdr *, int)(fd, m, flags);
}
