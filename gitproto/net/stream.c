#include "gitproto/net/stream_impl.h"

#include <stdio.h>

/* Less than this is copied: a moved block keeps its whole capacity, and a queue of many nearly
 * empty blocks would hold far more memory than its length says. */
#define MOVE_MIN 4096

#define BIT(event) (1u << (event))

/* Tells one event.  false: the stream was freed meanwhile. */
static bool
tell(struct stream *s, struct stream_ear ear, enum stream_event e)
{
	if (ear.fn == NULL)
		return true;
	if (e == STREAM_DEAD)
		s->dead_told = true;
	ear.fn(s, e, ear.arg);
	return !s->released;
}

static bool
deliver_one(struct stream *s, enum stream_event e)
{
	switch (e) {
	case STREAM_READABLE:
		return tell(s, s->reader.fn != NULL ? s->reader : s->ear, e);
	case STREAM_WRITABLE:
		return tell(s, s->writer.fn != NULL ? s->writer : s->ear, e);
	case STREAM_DRAINED:
		return tell(s, s->ear, e);
	case STREAM_DEAD:
		return tell(s, s->reader, e) && tell(s, s->writer, e) && tell(s, s->ear, e);
	}
	return true;
}

static void
deliver(void *arg)
{
	static const enum stream_event order[] = { STREAM_READABLE, STREAM_WRITABLE, STREAM_DRAINED,
						   STREAM_DEAD };
	struct stream *s = OBJ_FROM(arg, struct stream, STREAM_MAGIC);

	if (s->ops->first != NULL) {
		s->ops->first(s);
		if (s->released)
			return;
	}
	for (size_t i = 0; i < COUNT(order); i++) {
		if (!(s->due & BIT(order[i])))
			continue;
		s->due &= ~BIT(order[i]);
		if (!deliver_one(s, order[i]))
			return;
	}
}

static void
mark(struct stream *s, enum stream_event e)
{
	s->due |= BIT(e);
	loop_task_put(s->loop, &s->task);
}

void
stream_init(struct stream *s, struct loop *l, const struct stream_ops *ops)
{
	*s = (struct stream){ .magic = STREAM_MAGIC, .ops = ops, .loop = l };
	s->in = evbuffer_new();
	s->out = evbuffer_new();
	CHECK(s->in != NULL && s->out != NULL);
	loop_task_init(&s->task, deliver, s);
}

void
stream_release(struct stream *s)
{
	CHECK(!s->released);
	s->released = true;
	s->due = 0;
	loop_task_revoke(s->loop, &s->task);
	evbuffer_free(s->in);
	evbuffer_free(s->out);
	s->in = s->out = NULL;
}

void
stream_kick(struct stream *s)
{
	loop_task_put(s->loop, &s->task);
}

void
stream_got(struct stream *s)
{
	if (!s->dead)
		mark(s, STREAM_READABLE);
}

void
stream_got_end(struct stream *s)
{
	if (s->dead || s->peer_ended)
		return;
	s->peer_ended = true;
	mark(s, STREAM_READABLE);
}

void
stream_sent(struct stream *s, bool drained)
{
	if (s->dead)
		return;
	if (s->high && evbuffer_get_length(s->out) < STREAM_LOW) {
		s->high = false;
		mark(s, STREAM_WRITABLE);
	}
	if (drained)
		mark(s, STREAM_DRAINED);
}

void
stream_fail_write(struct stream *s)
{
	if (s->write_failed || s->dead)
		return;
	s->write_failed = true;
	s->high = false;
	evbuffer_drain(s->out, evbuffer_get_length(s->out));
	mark(s, STREAM_WRITABLE);
	mark(s, STREAM_DRAINED);
}

void
stream_die(struct stream *s, const char *why)
{
	if (s->dead)
		return;
	s->dead = true;
	snprintf(s->why, sizeof(s->why), "%s", why);
	evbuffer_drain(s->out, evbuffer_get_length(s->out));
	mark(s, STREAM_DEAD);
}

/* What a listener that came late must hear. */
static void
remind_reader(struct stream *s)
{
	if (evbuffer_get_length(s->in) > 0 || (s->peer_ended && !s->dead))
		mark(s, STREAM_READABLE);
	if (s->dead && !s->dead_told)
		mark(s, STREAM_DEAD);
}

void
stream_on(struct stream *s, stream_fn *fn, void *arg)
{
	CHECK_LOOP(s->loop);
	s->ear = (struct stream_ear){ fn, arg };
	if (fn != NULL)
		remind_reader(s);
}

void
stream_set_reader(struct stream *s, stream_fn *fn, void *arg)
{
	CHECK(fn == NULL || s->reader.fn == NULL);
	s->reader = (struct stream_ear){ fn, arg };
	remind_reader(s);
}

void
stream_set_writer(struct stream *s, stream_fn *fn, void *arg)
{
	CHECK(fn == NULL || s->writer.fn == NULL);
	s->writer = (struct stream_ear){ fn, arg };
}

struct slice
stream_peek(struct stream *s, size_t want)
{
	size_t have = evbuffer_get_length(s->in);
	size_t first = evbuffer_get_contiguous_space(s->in);
	void *p;

	if (have == 0)
		return SLICE_NONE;
	if (want == 0 && first == 0)
		want = 1;
	if (want > have)
		want = have;
	if (first < want)
		first = want;
	p = evbuffer_pullup(s->in, (ssize_t)first);
	CHECK(p != NULL && "out of memory");
	/* a pullup may have joined more than was asked for */
	return slice_of(p, evbuffer_get_contiguous_space(s->in));
}

size_t
stream_readable(const struct stream *s)
{
	return evbuffer_get_length(s->in);
}

void
stream_take(struct stream *s, size_t n)
{
	CHECK(n <= evbuffer_get_length(s->in));
	if (n == 0)
		return;
	evbuffer_drain(s->in, n);
	s->ops->took(s, n);
}

bool
stream_at_end(const struct stream *s)
{
	return s->peer_ended && evbuffer_get_length(s->in) == 0;
}

bool
stream_peer_ended(const struct stream *s)
{
	return s->peer_ended;
}

void
stream_pause(struct stream *s, bool paused)
{
	if (s->paused == paused)
		return;
	s->paused = paused;
	if (!s->dead)
		s->ops->took(s, 0);
}

void
stream_add_bytes(struct evbuffer *to, const void *p, size_t n)
{
	CHECK(evbuffer_add(to, p, n) == 0 && "out of memory");
}

void
stream_move_bytes(struct evbuffer *to, struct evbuffer *from, size_t n)
{
	if (n < MOVE_MIN) {
		struct evbuffer_iovec v[8];
		int got = evbuffer_peek(from, (ssize_t)n, NULL, v, COUNT(v));
		size_t left = n;

		if (got <= (int)COUNT(v)) {
			for (int i = 0; i < got && left > 0; i++) {
				size_t k = MIN(left, v[i].iov_len);

				stream_add_bytes(to, v[i].iov_base, k);
				left -= k;
			}
			evbuffer_drain(from, n);
			return;
		}
	}
	CHECK(evbuffer_remove_buffer(from, to, n) == (int)n);
}

void
stream_added(struct stream *s)
{
	if (evbuffer_get_length(s->out) >= STREAM_HIGH)
		s->high = true;
	s->ops->pump(s);
}

void
stream_write(struct stream *s, struct slice bytes)
{
	CHECK_LOOP(s->loop);
	if (s->dead || s->write_failed || bytes.len == 0)
		return;
	CHECK(!s->ended);
	stream_add_bytes(s->out, bytes.p, bytes.len);
	stream_added(s);
}

size_t
stream_move(struct stream *to, struct stream *from, size_t max)
{
	size_t n = MIN(max, evbuffer_get_length(from->in));

	CHECK_LOOP(to->loop);
	if (n == 0)
		return 0;
	n = MIN(n, (size_t)1 << 30);
	if (to->dead || to->write_failed) {
		evbuffer_drain(from->in, n);
	} else {
		CHECK(!to->ended);
		stream_move_bytes(to->out, from->in, n);
		stream_added(to);
	}
	from->ops->took(from, n);
	return n;
}

size_t
stream_queued(const struct stream *s)
{
	return evbuffer_get_length(s->out);
}

void
stream_end(struct stream *s)
{
	CHECK_LOOP(s->loop);
	if (s->ended)
		return;
	s->ended = true;
	if (!s->dead && !s->write_failed)
		s->ops->pump(s);
}

bool
stream_write_failed(const struct stream *s)
{
	return s->write_failed || s->dead;
}

void
stream_reset(struct stream *s, const char *why)
{
	CHECK_LOOP(s->loop);
	if (s->dead)
		return;
	stream_die(s, why);
	s->ops->reset(s);
}

bool
stream_is_dead(const struct stream *s)
{
	return s->dead;
}

const char *
stream_why(const struct stream *s)
{
	return s->why;
}

void
stream_free(struct stream **sp)
{
	struct stream *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	CHECK_LOOP(s->loop);
	CHECK(s->magic == STREAM_MAGIC && !s->released);
	CHECK(s->ops->free != NULL);
	s->ops->free(s);
}
