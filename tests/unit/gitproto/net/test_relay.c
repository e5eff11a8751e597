#include <sys/socket.h>
#include <unistd.h>

#include "gitproto/net/relay.h"
#include "tests/unit/gitproto/net/net_test.h"

#define MIB ((size_t)1024 * 1024)

/* source -> in | relay | out -> sink, over socket pairs */
struct rig {
	struct loop *loop;
	struct stream *source, *in, *out, *sink;
	struct relay *relay;
	uint64_t to_send, sent, got, tapped, peak;
	uint32_t sum_sent, sum_got, sum_tap;
	unsigned ends;
	enum relay_end how;
	bool slow; /* the sink takes a little at each tick */
	struct timer *tick;
	bool free_in_done;
};

static uint32_t
sum(uint32_t h, struct slice s)
{
	for (size_t i = 0; i < s.len; i++)
		h = (h ^ s.p[i]) * 16777619u;
	return h;
}

static void
feed(struct rig *r)
{
	uint8_t block[10000];

	while (r->sent < r->to_send && stream_queued(r->source) < STREAM_HIGH) {
		size_t n = MIN(sizeof(block), r->to_send - r->sent);

		for (size_t i = 0; i < n; i++)
			block[i] = (uint8_t)((r->sent + i) * 2654435761u >> 13);
		r->sum_sent = sum(r->sum_sent, slice_of(block, n));
		stream_write(r->source, slice_of(block, n));
		r->sent += n;
	}
	if (r->sent == r->to_send)
		stream_end(r->source);
}

static void
on_source(struct stream *s, enum stream_event e, void *arg)
{
	(void)s;
	if (e == STREAM_WRITABLE)
		feed(arg);
}

static void
sip(struct rig *r, size_t max)
{
	while (max > 0 && stream_readable(r->sink) > 0) {
		struct slice got = slice_head(stream_peek(r->sink, 0), max);

		r->sum_got = sum(r->sum_got, got);
		r->got += got.len;
		max -= got.len;
		stream_take(r->sink, got.len);
	}
	r->peak = MAX(r->peak, stream_readable(r->in) + stream_queued(r->out));
}

static void
on_sink(struct stream *s, enum stream_event e, void *arg)
{
	struct rig *r = arg;

	(void)s;
	if (e == STREAM_READABLE && !r->slow)
		sip(r, SIZE_MAX);
}

static void
on_tick(void *arg)
{
	struct rig *r = arg;

	sip(r, 128 * 1024);
	timer_set(r->tick, 1);
}

static void
on_tap(struct slice s, void *arg)
{
	struct rig *r = arg;

	r->tapped += s.len;
	r->sum_tap = sum(r->sum_tap, s);
}

static void
on_done(enum relay_end how, void *arg)
{
	struct rig *r = arg;

	r->ends++;
	r->how = how;
	if (r->free_in_done) {
		relay_free(&r->relay);
		stream_free(&r->in);
		stream_free(&r->out);
	}
}

static void
rig_init(struct rig *r)
{
	struct relay_opts o = { .end_to = true, .tap = on_tap, .done = on_done, .arg = r };
	int a[2], b[2];

	r->loop = loop_new("test");
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, a), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, b), 0);
	r->source = stream_open_fd(r->loop, a[0], a[0]);
	r->in = stream_open_fd(r->loop, a[1], a[1]);
	r->out = stream_open_fd(r->loop, b[0], b[0]);
	r->sink = stream_open_fd(r->loop, b[1], b[1]);
	stream_on(r->source, on_source, r);
	stream_on(r->sink, on_sink, r);
	r->relay = relay_new(r->in, r->out, &o);
}

static void
rig_release(struct rig *r)
{
	relay_free(&r->relay);
	stream_free(&r->source);
	stream_free(&r->in);
	stream_free(&r->out);
	stream_free(&r->sink);
	loop_free(&r->loop);
}

static bool
sink_at_end(void *arg)
{
	struct rig *r = arg;

	return stream_at_end(r->sink);
}

static bool
has_ended(void *arg)
{
	struct rig *r = arg;

	return r->ends > 0;
}

static void
all_bytes_once_in_order(void **state)
{
	static const uint64_t sizes[] = { 0, 1, 4095, 4096, 4097, 262144, 40 * MIB };

	(void)state;
	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct rig r = { .to_send = sizes[i] };

		rig_init(&r);
		feed(&r);
		assert_true(run_until(r.loop, sink_at_end, &r));
		assert_int_equal(r.got, sizes[i]);
		assert_int_equal(r.sum_got, r.sum_sent);
		assert_int_equal(r.sum_tap, r.sum_sent);
		assert_int_equal(relay_bytes(r.relay), sizes[i]);
		assert_int_equal(r.ends, 1);
		assert_int_equal(r.how, RELAY_DONE);
		rig_release(&r);
	}
}

static void
slow_reader_bounds_the_memory(void **state)
{
	struct rig r = { .to_send = 24 * MIB, .slow = true };

	(void)state;
	rig_init(&r);
	r.tick = timer_new(r.loop, on_tick, &r);
	timer_set(r.tick, 0);
	feed(&r);
	assert_true(run_until(r.loop, sink_at_end, &r));
	assert_int_equal(r.got, r.to_send);
	assert_int_equal(r.sum_got, r.sum_sent);
	assert_true(r.peak <= 3 * STREAM_HIGH);
	timer_free(&r.tick);
	rig_release(&r);
}

static void
source_that_dies(void **state)
{
	struct rig r = { .to_send = 64 * MIB };

	(void)state;
	rig_init(&r);
	feed(&r);
	run_msec(r.loop, 2);
	stream_reset(r.in, "cut");
	assert_true(run_until(r.loop, has_ended, &r));
	assert_int_equal(r.how, RELAY_FROM_DIED);
	assert_false(stream_is_dead(r.out)); /* the owner decides what the other side hears */
	rig_release(&r);
}

static void
target_that_dies(void **state)
{
	struct rig r = { .to_send = 64 * MIB, .slow = true, .free_in_done = true };

	(void)state;
	rig_init(&r);
	feed(&r);
	run_msec(r.loop, 2);
	stream_free(&r.sink);
	assert_true(run_until(r.loop, has_ended, &r));
	assert_int_equal(r.how, RELAY_TO_DIED);
	assert_int_equal(r.ends, 1);
	rig_release(&r);
}

static void
freed_half_way(void **state)
{
	struct rig r = { .to_send = 64 * MIB, .slow = true };

	(void)state;
	rig_init(&r);
	feed(&r);
	run_msec(r.loop, 2);
	relay_free(&r.relay);
	run_msec(r.loop, 10);
	assert_int_equal(r.ends, 0);
	assert_true(stream_readable(r.in) > 0);
	rig_release(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(all_bytes_once_in_order),
		cmocka_unit_test(slow_reader_bounds_the_memory),
		cmocka_unit_test(source_that_dies),
		cmocka_unit_test(target_that_dies),
		cmocka_unit_test(freed_half_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
