/* HOT: no allocation, no log line, no lock.  Whole blocks go from one queue to the other. */
#include "gitproto/net/relay.h"

#include "gitproto/base/mem.h"
#include "gitproto/net/stream_impl.h"

struct relay {
	unsigned magic;
#define RELAY_MAGIC 0x2e1a7d05u
	struct stream *from, *to; /* borrowed until relay_free or the end; then NULL */
	struct relay_opts opts;
	struct loop *loop;
	struct loop_task start;
	uint64_t bytes;
};

static void
let_go(struct relay *r)
{
	loop_task_revoke(r->loop, &r->start);
	if (r->from != NULL && !r->from->released)
		stream_set_reader(r->from, NULL, NULL);
	if (r->to != NULL && !r->to->released)
		stream_set_writer(r->to, NULL, NULL);
	r->from = r->to = NULL;
}

static void
finish(struct relay *r, enum relay_end how)
{
	struct relay_opts opts = r->opts;

	if (how == RELAY_DONE && opts.end_to)
		stream_end(r->to);
	let_go(r);
	if (opts.done != NULL)
		opts.done(how, opts.arg);
}

static void
show_tap(struct relay *r, size_t n)
{
	struct evbuffer_ptr at;
	struct evbuffer_iovec v;

	CHECK(evbuffer_ptr_set(r->from->in, &at, 0, EVBUFFER_PTR_SET) == 0);
	while (n > 0) {
		size_t k;

		CHECK(evbuffer_peek(r->from->in, -1, &at, &v, 1) >= 1);
		k = MIN(n, v.iov_len);
		r->opts.tap(slice_of(v.iov_base, k), r->opts.arg);
		n -= k;
		if (n > 0)
			CHECK(evbuffer_ptr_set(r->from->in, &at, k, EVBUFFER_PTR_ADD) == 0);
	}
}

static void
pump(struct relay *r)
{
	size_t n = stream_readable(r->from), queued = stream_queued(r->to);

	if (stream_write_failed(r->to)) {
		finish(r, RELAY_TO_DIED);
		return;
	}
	if (n > 0 && queued < STREAM_HIGH) {
		/* one step over the mark, so that the queue says when it has fallen */
		n = MIN(n, STREAM_HIGH - queued);
		if (r->opts.tap != NULL)
			show_tap(r, n);
		r->bytes += stream_move(r->to, r->from, n);
	}
	if (stream_readable(r->from) > 0)
		return; /* WRITABLE follows */
	if (stream_at_end(r->from))
		finish(r, RELAY_DONE);
	else if (stream_is_dead(r->from))
		finish(r, RELAY_FROM_DIED);
}

static void
on_from(struct stream *s, enum stream_event e, void *arg)
{
	struct relay *r = OBJ_FROM(arg, struct relay, RELAY_MAGIC);

	(void)s;
	if (e == STREAM_DEAD)
		finish(r, RELAY_FROM_DIED);
	else
		pump(r);
}

static void
on_to(struct stream *s, enum stream_event e, void *arg)
{
	struct relay *r = OBJ_FROM(arg, struct relay, RELAY_MAGIC);

	(void)s;
	if (e == STREAM_DEAD)
		finish(r, RELAY_TO_DIED);
	else
		pump(r);
}

static void
on_start(void *arg)
{
	pump(OBJ_FROM(arg, struct relay, RELAY_MAGIC));
}

struct relay *
relay_new(struct stream *from, struct stream *to, const struct relay_opts *opts)
{
	struct relay *r = MEM_NEW(struct relay);

	CHECK_LOOP(from->loop);
	CHECK(from->loop == to->loop);
	r->magic = RELAY_MAGIC;
	r->from = from;
	r->to = to;
	r->opts = *opts;
	r->loop = from->loop;
	loop_task_init(&r->start, on_start, r);
	loop_task_put(r->loop, &r->start);
	stream_set_reader(from, on_from, r);
	stream_set_writer(to, on_to, r);
	return r;
}

uint64_t
relay_bytes(const struct relay *r)
{
	return r->bytes;
}

void
relay_free(struct relay **rp)
{
	struct relay *r = *rp;

	*rp = NULL;
	if (r == NULL)
		return;
	let_go(r);
	loop_defer(r->loop, free, r);
}
