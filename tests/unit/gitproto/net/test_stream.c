#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "gitproto/net/relay.h"
#include "gitproto/net/stream.h"
#include "tests/unit/gitproto/net/net_test.h"

#define MIB ((size_t)1024 * 1024)

/* One end under test: counts events, checks a running byte pattern. */
struct end {
	struct stream *s;
	unsigned n[4]; /* by enum stream_event */
	uint64_t got;
	bool wrong; /* a byte out of order */
	bool take;  /* takes what comes */
	uint64_t to_send, sent;
	bool free_at_event;
};

static uint8_t
pattern(uint64_t i)
{
	return (uint8_t)(i * 31 + (i >> 8) * 7 + (i >> 16));
}

static void
send_more(struct end *e)
{
	uint8_t block[8192];

	while (e->sent < e->to_send && stream_queued(e->s) < STREAM_HIGH) {
		size_t n = MIN(sizeof(block), e->to_send - e->sent);

		for (size_t i = 0; i < n; i++)
			block[i] = pattern(e->sent + i);
		stream_write(e->s, slice_of(block, n));
		e->sent += n;
	}
	if (e->sent == e->to_send)
		stream_end(e->s);
}

static void
take_all(struct end *e)
{
	while (stream_readable(e->s) > 0) {
		struct slice got = stream_peek(e->s, 0);

		for (size_t i = 0; i < got.len; i++)
			e->wrong |= got.p[i] != pattern(e->got + i);
		e->got += got.len;
		stream_take(e->s, got.len);
	}
}

static void
on_end(struct stream *s, enum stream_event ev, void *arg)
{
	struct end *e = arg;

	assert_ptr_equal(s, e->s);
	e->n[ev]++;
	if (e->free_at_event) {
		stream_free(&e->s);
		return;
	}
	if (ev == STREAM_READABLE && e->take)
		take_all(e);
	if (ev == STREAM_WRITABLE)
		send_more(e);
}

static void
open_pair(struct loop *l, struct end *a, struct end *b)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fd), 0);
	a->s = stream_open_fd(l, fd[0], fd[0]);
	b->s = stream_open_fd(l, fd[1], fd[1]);
	stream_on(a->s, on_end, a);
	stream_on(b->s, on_end, b);
}

static bool
at_end(void *arg)
{
	struct end *e = arg;

	return stream_at_end(e->s);
}

static bool
is_dead(void *arg)
{
	struct end *e = arg;

	return e->n[STREAM_DEAD] > 0;
}

static bool
was_drained(void *arg)
{
	struct end *e = arg;

	return e->n[STREAM_DRAINED] > 0;
}

static bool
was_freed(void *arg)
{
	struct end *e = arg;

	return e->s == NULL;
}

static void
socket_both_ways(void **state)
{
	struct loop *l = loop_new("test");
	struct end a = { .take = true, .to_send = 20 * MIB };
	struct end b = { .take = true, .to_send = 7 * MIB };

	(void)state;
	open_pair(l, &a, &b);
	send_more(&a);
	send_more(&b);
	assert_int_equal(a.n[STREAM_DRAINED], 0); /* no event from inside a call */
	assert_true(run_until(l, at_end, &b));
	assert_true(run_until(l, at_end, &a));
	assert_int_equal(b.got, a.to_send);
	assert_int_equal(a.got, b.to_send);
	assert_false(a.wrong || b.wrong);
	assert_true(a.n[STREAM_DRAINED] > 0);
	assert_int_equal(a.n[STREAM_DEAD] + b.n[STREAM_DEAD], 0);
	stream_free(&a.s);
	stream_free(&b.s);
	loop_free(&l);
}

static void
reader_that_stops_stops_the_writer(void **state)
{
	struct loop *l = loop_new("test");
	struct end a = { .to_send = 64 * MIB }, b = { .take = false };

	(void)state;
	open_pair(l, &a, &b);
	send_more(&a);
	run_msec(l, 50);
	assert_true(stream_readable(b.s) >= STREAM_HIGH);
	assert_true(stream_readable(b.s) <= STREAM_HIGH + 128 * 1024);
	assert_true(stream_queued(a.s) >= STREAM_HIGH && a.sent < 2 * MIB);
	assert_false(stream_at_end(b.s));
	b.take = true;
	take_all(&b);
	assert_true(run_until(l, at_end, &b));
	assert_int_equal(b.got, a.to_send);
	assert_false(b.wrong);
	stream_free(&a.s);
	stream_free(&b.s);
	loop_free(&l);
}

static void
paused_stream_reads_nothing(void **state)
{
	struct loop *l = loop_new("test");
	struct end a = { .to_send = 100 }, b = { .take = true };

	(void)state;
	open_pair(l, &a, &b);
	stream_pause(b.s, true);
	send_more(&a);
	run_msec(l, 20);
	assert_int_equal(b.n[STREAM_READABLE], 0);
	stream_pause(b.s, false);
	assert_true(run_until(l, at_end, &b));
	assert_int_equal(b.got, 100);
	stream_free(&a.s);
	stream_free(&b.s);
	loop_free(&l);
}

static void
late_listener_hears_what_is_there(void **state)
{
	struct loop *l = loop_new("test");
	struct end a = { .to_send = 100 }, b = { .take = true };

	(void)state;
	open_pair(l, &a, &b);
	stream_on(b.s, NULL, NULL);
	send_more(&a);
	run_msec(l, 10);
	assert_true(stream_peer_ended(b.s) && !stream_at_end(b.s));
	stream_on(b.s, on_end, &b);
	assert_true(run_until(l, at_end, &b));
	stream_reset(b.s, "not wanted");
	assert_true(run_until(l, is_dead, &b));
	assert_string_equal(stream_why(b.s), "not wanted");
	assert_true(stream_write_failed(b.s));
	stream_write(b.s, SLICE_LIT("dropped"));
	assert_int_equal(stream_queued(b.s), 0);
	stream_free(&a.s);
	stream_free(&b.s);
	loop_free(&l);
}

static void
peer_that_vanishes_is_a_death(void **state)
{
	struct loop *l = loop_new("test");
	struct end a = { .to_send = 64 * MIB }, b = { .take = false };

	(void)state;
	open_pair(l, &a, &b);
	send_more(&a);
	run_msec(l, 10);
	stream_free(&b.s); /* unread bytes: the kernel resets */
	assert_true(run_until(l, is_dead, &a));
	assert_true(stream_is_dead(a.s) && stream_why(a.s)[0] != '\0');
	assert_int_equal(a.n[STREAM_DEAD], 1);
	stream_free(&a.s);
	loop_free(&l);
}

/* A git child that closed its standard input still has an answer to give. */
static void
broken_pipe_keeps_the_reading_side(void **state)
{
	struct loop *l = loop_new("test");
	struct end c = { .take = false };
	int to[2], from[2];
	uint8_t answer[5000];

	(void)state;
	assert_int_equal(pipe2(to, O_CLOEXEC), 0);
	assert_int_equal(pipe2(from, O_CLOEXEC), 0);
	for (size_t i = 0; i < sizeof(answer); i++)
		answer[i] = pattern(i);
	assert_int_equal(write(from[1], answer, sizeof(answer)), sizeof(answer));
	close(from[1]);
	close(to[0]);
	c.s = stream_open_fd(l, from[0], to[1]);
	stream_on(c.s, on_end, &c);
	stream_write(c.s, SLICE_LIT("hello"));
	assert_true(run_until(l, was_drained, &c));
	assert_true(stream_write_failed(c.s));
	assert_false(stream_is_dead(c.s));
	assert_int_equal(stream_queued(c.s), 0);
	assert_int_equal(c.n[STREAM_WRITABLE], 1);
	stream_write(c.s, SLICE_LIT("dropped"));
	c.take = true;
	take_all(&c);
	assert_true(run_until(l, at_end, &c));
	assert_int_equal(c.got, sizeof(answer));
	assert_false(c.wrong);
	assert_int_equal(c.n[STREAM_DEAD], 0);
	stream_free(&c.s);
	loop_free(&l);
}

static void
pipe_end_is_closed_after_the_last_byte(void **state)
{
	struct loop *l = loop_new("test");
	struct end w = { .to_send = 3 * MIB }, r = { .take = true };
	int fd[2];

	(void)state;
	assert_int_equal(pipe2(fd, O_CLOEXEC), 0);
	w.s = stream_open_fd(l, -1, fd[1]);
	r.s = stream_open_fd(l, fd[0], -1);
	stream_on(w.s, on_end, &w);
	stream_on(r.s, on_end, &r);
	assert_true(stream_at_end(w.s));
	send_more(&w);
	assert_true(run_until(l, at_end, &r));
	assert_int_equal(r.got, w.to_send);
	stream_free(&w.s);
	stream_free(&r.s);
	loop_free(&l);
}

static void
freed_in_its_own_event(void **state)
{
	struct loop *l = loop_new("test");
	struct end a = { .free_at_event = true }, b = { .to_send = 100000 };

	(void)state;
	open_pair(l, &a, &b);
	send_more(&b);
	assert_true(run_until(l, was_freed, &a));
	stream_free(&b.s);
	loop_free(&l);
}

static void
peek_joins_blocks(void **state)
{
	struct loop *l = loop_new("test");
	struct end a = { .to_send = 200000 }, b = { .take = false };
	struct slice got;

	(void)state;
	open_pair(l, &a, &b);
	assert_int_equal(stream_peek(b.s, 10).len, 0);
	send_more(&a);
	run_msec(l, 20);
	assert_int_equal(stream_readable(b.s), 200000);
	got = stream_peek(b.s, 150000);
	assert_true(got.len >= 150000);
	for (size_t i = 0; i < got.len; i++)
		assert_int_equal(got.p[i], pattern(i));
	got = stream_peek(b.s, 1 << 30);
	assert_int_equal(got.len, 200000);
	stream_free(&a.s);
	stream_free(&b.s);
	loop_free(&l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(socket_both_ways),
		cmocka_unit_test(reader_that_stops_stops_the_writer),
		cmocka_unit_test(paused_stream_reads_nothing),
		cmocka_unit_test(late_listener_hears_what_is_there),
		cmocka_unit_test(peer_that_vanishes_is_a_death),
		cmocka_unit_test(broken_pipe_keeps_the_reading_side),
		cmocka_unit_test(pipe_end_is_closed_after_the_last_byte),
		cmocka_unit_test(freed_in_its_own_event),
		cmocka_unit_test(peek_joins_blocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
