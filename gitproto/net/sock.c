#include "gitproto/net/sock.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#include <event2/event.h>

#include "gitproto/base/mem.h"
#include "gitproto/base/slice.h"

/* Bytes that the kernel takes before it can send them.  Its own bound is megabytes: on a slow line a
 * PING would wait behind them for longer than a peer that is well takes to answer. */
#define UNSENT_MAX (128 * 1024)

static int
parse_port(uint16_t *out, struct slice s)
{
	unsigned n = 0;

	if (s.len == 0 || s.len > 5)
		return -1;
	for (size_t i = 0; i < s.len; i++) {
		if (s.p[i] < '0' || s.p[i] > '9')
			return -1;
		n = n * 10 + (unsigned)(s.p[i] - '0');
	}
	*out = (uint16_t)n;
	return n <= 65535 ? 0 : -1;
}

int
sock_parse(struct sock_addr *out, const char *text, struct err *e)
{
	const char *colon = strrchr(text, ':');
	struct sockaddr_in *v4 = (struct sockaddr_in *)&out->ss;
	struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->ss;
	char host[SOCK_TEXT];
	struct slice h;
	uint16_t port;

	*out = (struct sock_addr){ 0 };
	if (colon == NULL || parse_port(&port, slice_str(colon + 1)) < 0)
		goto bad;
	h = slice_of(text, (size_t)(colon - text));
	if (h.len >= 2 && h.p[0] == '[' && h.p[h.len - 1] == ']')
		h = slice_of(h.p + 1, h.len - 2);
	if (h.len >= sizeof(host))
		goto bad;
	snprintf(host, sizeof(host), "%.*s", SLICE_ARG(h));
	if (text[0] != '[' && inet_pton(AF_INET, host, &v4->sin_addr) == 1) {
		v4->sin_family = AF_INET;
		v4->sin_port = htons(port);
		out->len = sizeof(*v4);
		return 0;
	}
	if (text[0] == '[' && inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
		v6->sin6_family = AF_INET6;
		v6->sin6_port = htons(port);
		out->len = sizeof(*v6);
		return 0;
	}
bad:
	return err_set(e, ERR_BAD, "\"%s\" is no address like 127.0.0.1:7001 or [::1]:7001", text);
}

unsigned
sock_port(const struct sock_addr *a)
{
	if (a->ss.ss_family == AF_INET6)
		return ntohs(((const struct sockaddr_in6 *)&a->ss)->sin6_port);
	return ntohs(((const struct sockaddr_in *)&a->ss)->sin_port);
}

void
sock_format(char out[SOCK_TEXT], const struct sock_addr *a)
{
	bool six = a->ss.ss_family == AF_INET6;
	const void *host = six ? (const void *)&((const struct sockaddr_in6 *)&a->ss)->sin6_addr
			       : (const void *)&((const struct sockaddr_in *)&a->ss)->sin_addr;
	char text[INET6_ADDRSTRLEN] = "?";

	inet_ntop(a->ss.ss_family, host, text, sizeof(text));
	snprintf(out, SOCK_TEXT, six ? "[%s]:%u" : "%s:%u", text, sock_port(a));
}

bool
sock_is_loopback(const struct sock_addr *a)
{
	const struct in6_addr *six = &((const struct sockaddr_in6 *)&a->ss)->sin6_addr;

	if (a->ss.ss_family == AF_INET)
		return ntohl(((const struct sockaddr_in *)&a->ss)->sin_addr.s_addr) >> 24 == 127;
	if (a->ss.ss_family != AF_INET6)
		return false;
	return IN6_IS_ADDR_LOOPBACK(six) || (IN6_IS_ADDR_V4MAPPED(six) && six->s6_addr[12] == 127);
}

int
sock_listen(int *out, struct sock_addr *bound, const struct sock_addr *at, bool reuse_port,
	    struct err *e)
{
	int fd = socket(at->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	char text[SOCK_TEXT];
	int one = 1, rc;

	sock_format(text, at);
	if (fd < 0)
		return err_errno(e, "socket for %s", text);
	*bound = (struct sock_addr){ .len = sizeof(bound->ss) };
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) < 0 ||
	    (reuse_port && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)) < 0) ||
	    (at->ss.ss_family == AF_INET6 &&
	     setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &one, sizeof(one)) < 0) ||
	    bind(fd, (const struct sockaddr *)&at->ss, at->len) < 0 || listen(fd, 1024) < 0 ||
	    getsockname(fd, (struct sockaddr *)&bound->ss, &bound->len) < 0) {
		rc = err_errno(e, "listen on %s", text);
		close(fd);
		return rc;
	}
	*out = fd;
	return 0;
}

static void
set_options(int fd)
{
	int one = 1, unsent = UNSENT_MAX;

	/* a unix socket in a test has no such options */
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NOTSENT_LOWAT, &unsent, sizeof(unsent));
}

int
sock_accept(int listen_fd, struct sock_addr *peer)
{
	int fd;

	*peer = (struct sock_addr){ .len = sizeof(peer->ss) };
	fd = accept4(listen_fd, (struct sockaddr *)&peer->ss, &peer->len,
		     SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0)
		set_options(fd);
	return fd;
}

struct sock_dial {
	unsigned magic;
#define SOCK_DIAL_MAGIC 0x5d1a1105u
	struct loop *loop; /* borrowed */
	int fd;            /* owned until it is handed over */
	int error;         /* of an attempt that failed at once */
	struct event *ev;  /* owned; writable, or too late */
	struct loop_task failed;
	sock_dial_fn *fn;
	void *arg;
};

static void
hand_over(struct sock_dial *d, const char *why)
{
	int fd = d->fd;

	event_free(d->ev);
	d->ev = NULL;
	d->fd = -1;
	if (why != NULL && fd >= 0) {
		close(fd);
		fd = -1;
	}
	if (fd >= 0)
		set_options(fd);
	d->fn(fd, why, d->arg);
}

static void
on_connected(evutil_socket_t fd, short what, void *arg)
{
	struct sock_dial *d = OBJ_FROM(arg, struct sock_dial, SOCK_DIAL_MAGIC);
	int error = 0;
	socklen_t len = sizeof(error);

	if (what & EV_TIMEOUT) {
		hand_over(d, "connecting took too long");
		return;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	hand_over(d, error != 0 ? strerror(error) : NULL);
}

static void
on_failed(void *arg)
{
	struct sock_dial *d = OBJ_FROM(arg, struct sock_dial, SOCK_DIAL_MAGIC);

	hand_over(d, strerror(d->error));
}

struct sock_dial *
sock_dial_new(struct loop *l, const struct sock_addr *to, unsigned msec, sock_dial_fn *fn,
	      void *arg)
{
	struct sock_dial *d = MEM_NEW(struct sock_dial);
	struct timeval tv = { .tv_sec = msec / 1000, .tv_usec = msec % 1000 * 1000 };

	CHECK_LOOP(l);
	d->magic = SOCK_DIAL_MAGIC;
	d->loop = l;
	d->fn = fn;
	d->arg = arg;
	loop_task_init(&d->failed, on_failed, d);
	d->fd = socket(to->ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0)
		d->error = errno;
	else if (connect(d->fd, (const struct sockaddr *)&to->ss, to->len) < 0 &&
		 errno != EINPROGRESS)
		d->error = errno;
	d->ev = event_new(loop_base(l), d->fd, EV_WRITE, on_connected, d);
	CHECK(d->ev != NULL);
	if (d->error != 0)
		loop_task_put(l, &d->failed);
	else
		CHECK(event_add(d->ev, &tv) == 0);
	return d;
}

void
sock_dial_free(struct sock_dial **dp)
{
	struct sock_dial *d = *dp;

	*dp = NULL;
	if (d == NULL)
		return;
	loop_task_revoke(d->loop, &d->failed);
	if (d->ev != NULL)
		event_free(d->ev);
	if (d->fd >= 0)
		close(d->fd);
	loop_defer(d->loop, free, d);
}
