/* The stream over descriptors: pipes of children, sockets.  All socket input and output of this
 * room happens here. */
#include "gitproto/net/stream_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <event2/event.h>

#include "gitproto/base/mem.h"

/* Just under powers of two: libevent rounds a block with its header up to one. */
#define READ_MIN 4000u
#define READ_MAX (64u * 1024 - 128)
#define READS_PER_EVENT 8 /* then others have their turn */
#define WRITE_PER_EVENT (1024u * 1024)

struct fd_stream {
	struct stream s;
	int rfd, wfd; /* owned; the same for a socket; -1: none, or done */
	struct event *rev, *wev;
	struct loop_task flush; /* writes once for many stream_write */
	size_t chunk;           /* size of the next read */
	bool same;              /* rfd and wfd were one */
	bool full;              /* reading stopped at STREAM_HIGH, goes on at half of it */
	bool shut;              /* the end was told to the peer */
};

static struct fd_stream *
of(struct stream *s)
{
	return CONTAINER_OF(s, struct fd_stream, s);
}

static void
close_write(struct fd_stream *f)
{
	loop_task_revoke(f->s.loop, &f->flush);
	if (f->wfd < 0)
		return;
	event_free(f->wev);
	f->wev = NULL;
	if (!f->same)
		close(f->wfd);
	f->wfd = -1;
}

static void
close_both(struct fd_stream *f)
{
	int fd = f->rfd >= 0 ? f->rfd : f->same ? f->wfd : -1;

	close_write(f);
	if (f->rev != NULL)
		event_free(f->rev);
	f->rev = NULL;
	if (fd >= 0)
		close(fd);
	f->rfd = -1;
}

static void
die(struct fd_stream *f, const char *why)
{
	close_both(f);
	stream_die(&f->s, why);
}

/* Reading is on while there is room, no pause and no end. */
static void
update_read(struct fd_stream *f)
{
	size_t have = evbuffer_get_length(f->s.in);
	bool want;

	if (f->rev == NULL)
		return;
	f->full = have >= (f->full ? STREAM_HIGH / 2 : STREAM_HIGH);
	want = !f->full && !f->s.paused && !f->s.peer_ended;
	if (want == (event_pending(f->rev, EV_READ, NULL) != 0))
		return;
	CHECK((want ? event_add(f->rev, NULL) : event_del(f->rev)) == 0);
}

static void
write_failure(struct fd_stream *f)
{
	bool read_over = f->s.peer_ended || f->rfd < 0;

	if (f->same && read_over) {
		die(f, "the peer closed the connection");
		return;
	}
	stream_fail_write(&f->s);
	close_write(f);
}

static void
end_of_input(struct fd_stream *f)
{
	if (f->same && f->s.write_failed) {
		die(f, "the peer closed the connection");
		return;
	}
	stream_got_end(&f->s);
	if (f->same) {
		update_read(f);
		return;
	}
	event_free(f->rev);
	f->rev = NULL;
	close(f->rfd);
	f->rfd = -1;
}

/* One read.  Its size follows what came before, so that small messages do not pin large blocks. */
static ssize_t
read_some(struct fd_stream *f, size_t room)
{
	struct evbuffer_iovec v[2];
	struct iovec io[2];
	int nv = evbuffer_reserve_space(f->s.in, (ssize_t)MIN(f->chunk, room), v, 2);
	ssize_t n;
	size_t left;

	CHECK(nv > 0 && "out of memory");
	for (int i = 0; i < nv; i++)
		io[i] = (struct iovec){ v[i].iov_base, v[i].iov_len };
	do
		n = readv(f->rfd, io, nv);
	while (n < 0 && errno == EINTR);
	left = n > 0 ? (size_t)n : 0;
	for (int i = 0; i < nv; i++) {
		v[i].iov_len = MIN(v[i].iov_len, left);
		left -= v[i].iov_len;
	}
	if (n > 0)
		CHECK(evbuffer_commit_space(f->s.in, v, nv) == 0);
	if (n >= (ssize_t)f->chunk)
		f->chunk = MIN(f->chunk * 2, READ_MAX);
	else if (n >= 0 && n < (ssize_t)f->chunk / 4)
		f->chunk = MAX(f->chunk / 2, READ_MIN);
	return n;
}

static void
on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct fd_stream *f = arg;
	ssize_t n = 1;

	(void)fd;
	(void)what;
	for (int i = 0; i < READS_PER_EVENT && n > 0; i++) {
		size_t have = evbuffer_get_length(f->s.in), asked;

		if (have >= STREAM_HIGH)
			break;
		asked = f->chunk;
		n = read_some(f, STREAM_HIGH - have + READ_MIN);
		if (n > 0)
			stream_got(&f->s);
		if (n > 0 && (size_t)n < asked)
			break; /* it is empty now; level-triggered, so nothing is lost */
	}
	if (n == 0)
		end_of_input(f);
	else if (n < 0 && errno != EAGAIN)
		die(f, errno == ECONNRESET ? "connection reset by the peer" : strerror(errno));
	else
		update_read(f);
}

static void
finish_write(struct fd_stream *f)
{
	if (!f->s.ended || f->shut)
		return;
	f->shut = true;
	if (f->same)
		shutdown(f->wfd, SHUT_WR);
	else
		close_write(f);
}

static void
flush(void *arg)
{
	struct fd_stream *f = arg;
	size_t done = 0;
	int n = 1;

	if (f->wfd < 0)
		return;
	while (evbuffer_get_length(f->s.out) > 0 && done < WRITE_PER_EVENT) {
		n = evbuffer_write(f->s.out, f->wfd);
		if (n <= 0)
			break;
		done += (size_t)n;
	}
	if (n < 0 && errno != EAGAIN && errno != EINTR) {
		write_failure(f);
		return;
	}
	if (evbuffer_get_length(f->s.out) > 0) {
		CHECK(event_add(f->wev, NULL) == 0);
		if (done > 0)
			stream_sent(&f->s, false);
		return;
	}
	finish_write(f);
	stream_sent(&f->s, true);
}

static void
on_writable(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	flush(arg);
}

static void
fd_took(struct stream *s, size_t n)
{
	(void)n;
	update_read(of(s));
}

static void
fd_pump(struct stream *s)
{
	struct fd_stream *f = of(s);

	if (f->wfd < 0)
		stream_fail_write(s);
	else if (!event_pending(f->wev, EV_WRITE, NULL))
		loop_task_put(s->loop, &f->flush);
}

static void
fd_reset(struct stream *s)
{
	close_both(of(s));
}

static void
fd_free(struct stream *s)
{
	close_both(of(s));
	stream_release(s);
	loop_defer(s->loop, free, of(s));
}

static const struct stream_ops ops = {
	.took = fd_took,
	.pump = fd_pump,
	.reset = fd_reset,
	.free = fd_free,
};

static void
set_nonblocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);

	CHECK(flags >= 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) == 0);
	CHECK(fcntl(fd, F_SETFD, FD_CLOEXEC) == 0);
}

struct stream *
stream_open_fd(struct loop *l, int rfd, int wfd)
{
	struct fd_stream *f = MEM_NEW(struct fd_stream);

	CHECK_LOOP(l);
	CHECK(rfd >= 0 || wfd >= 0);
	stream_init(&f->s, l, &ops);
	loop_task_init(&f->flush, flush, f);
	f->rfd = rfd;
	f->wfd = wfd;
	f->same = rfd == wfd;
	f->chunk = READ_MIN;
	f->s.peer_ended = rfd < 0;
	if (rfd >= 0) {
		set_nonblocking(rfd);
		f->rev = event_new(loop_base(l), rfd, EV_READ | EV_PERSIST, on_readable, f);
		CHECK(f->rev != NULL && event_add(f->rev, NULL) == 0);
	}
	if (wfd >= 0) {
		set_nonblocking(wfd);
		f->wev = event_new(loop_base(l), wfd, EV_WRITE, on_writable, f);
		CHECK(f->wev != NULL);
	}
	return &f->s;
}

void
stream_read_fd(struct stream *s)
{
	struct fd_stream *f = of(s);

	CHECK(s->ops == &ops);
	if (f->rev != NULL && event_pending(f->rev, EV_READ, NULL))
		on_readable(f->rfd, EV_READ, f);
}
