#include "replica/serve/file_send.h"

#include "tests/unit/replica/serve/files_test.h"

struct sent {
	unsigned times;
	int rc;
};

static void
on_sent(int rc, void *arg)
{
	struct sent *s = arg;

	s->times++;
	s->rc = rc;
}

static void
on_stream(struct stream *s UNUSED, enum stream_event ev, void *arg)
{
	struct file_send **f = arg;

	if (ev == STREAM_WRITABLE && *f != NULL)
		file_send_go_on(*f);
}

struct reading {
	int fd;
	struct sent *sent;
	struct buf got;
	size_t want;
};

static bool
has_all(void *arg)
{
	struct reading *r = arg;
	uint8_t piece[65536];
	ssize_t n;

	while ((n = recv(r->fd, piece, sizeof(piece), MSG_DONTWAIT)) > 0)
		buf_add(&r->got, piece, (size_t)n);
	return r->sent->times > 0 && r->got.len >= r->want;
}

static void
test_two_files(void **state)
{
	static const uint64_t sizes[][2] = {
		{ 3u << 20, 777 }, { 1, 1 }, { 0, 10 }, { 10, 0 }, { 0, 0 }
	};
	struct files *f = *state;
	uint8_t *bytes = some_bytes((3u << 20) + 777);

	for (size_t i = 0; i < COUNT(sizes); i++) {
		size_t all = (size_t)(sizes[i][0] + sizes[i][1]);
		struct reading r = { .got = BUF_MAX(16u << 20), .want = all };
		struct file_send *send;
		struct sent sent = { 0 };
		int fds[2];

		fds[0] = make_file(f, "a", bytes, (size_t)sizes[i][0]);
		fds[1] = make_file(f, "b", bytes + sizes[i][0], (size_t)sizes[i][1]);
		files_connect(f);
		send = file_send_new(f->work, f->stream, fds, sizes[i], 2, PACK_TO_VOTER, on_sent,
				     &sent);
		stream_on(f->stream, on_stream, &send);
		close(fds[0]); /* it has its own */
		close(fds[1]);
		r.fd = f->fd;
		r.sent = &sent;
		assert_true(run_until(f->loop, has_all, &r));
		run_msec(f->loop, 5);
		assert_int_equal(sent.times, 1);
		assert_int_equal(sent.rc, 0);
		assert_int_equal(r.got.len, all);
		assert_memory_equal(buf_str(&r.got), bytes, all);
		file_send_free(&send);
		file_send_free(&send);
		buf_release(&r.got);
	}
	free(bytes);
}

static bool
is_full(void *arg)
{
	return stream_queued(((struct files *)arg)->stream) >= STREAM_HIGH;
}

/* A reader that does not read stops it: no more than the stream's bound waits in memory. */
static void
test_back_pressure(void **state)
{
	struct files *f = *state;
	uint64_t size = 8u << 20;
	uint8_t *bytes = some_bytes(size);
	struct sent sent = { 0 };
	struct file_send *send;
	int fd = make_file(f, "a", bytes, size);

	files_connect(f);
	send = file_send_new(f->work, f->stream, &fd, &size, 1, PACK_TO_VOTER, on_sent, &sent);
	stream_on(f->stream, on_stream, &send);
	assert_true(run_until(f->loop, is_full, f));
	run_msec(f->loop, 100);
	assert_int_equal(sent.times, 0);
	assert_true(stream_queued(f->stream) >= STREAM_HIGH);
	assert_true(stream_queued(f->stream) < 2 * STREAM_HIGH);
	file_send_free(&send);
	close(fd);
	free(bytes);
}

static bool
was_told(void *arg)
{
	return ((struct sent *)arg)->times > 0;
}

static void
test_file_too_short(void **state)
{
	struct files *f = *state;
	struct sent sent = { 0 };
	struct file_send *send;
	uint64_t size = 11;
	int fd = make_file(f, "a", "0123456789", 10);

	files_connect(f);
	send = file_send_new(f->work, f->stream, &fd, &size, 1, PACK_TO_VOTER, on_sent, &sent);
	assert_true(run_until(f->loop, was_told, &sent));
	assert_int_equal(sent.rc, ERR_IO);
	file_send_free(&send);
	close(fd);
}

static void
test_freed_while_reading(void **state)
{
	struct files *f = *state;
	struct sent sent = { 0 };
	struct file_send *send;
	uint64_t size = 10;
	int fd = make_file(f, "a", "0123456789", 10);

	for (unsigned i = 0; i < 20; i++) {
		files_connect(f);
		send = file_send_new(f->work, f->stream, &fd, &size, 1, PACK_TO_VOTER, on_sent,
				     &sent);
		file_send_free(&send);
		stream_free(&f->stream);
	}
	run_msec(f->loop, 50);
	assert_int_equal(sent.times, 0);
	close(fd);
}

static void
test_dead_stream(void **state)
{
	struct files *f = *state;
	struct sent sent = { 0 };
	struct file_send *send;
	uint64_t size = 10;
	int fd = make_file(f, "a", "0123456789", 10);

	files_connect(f);
	stream_reset(f->stream, "gone");
	send = file_send_new(f->work, f->stream, &fd, &size, 1, PACK_TO_VOTER, on_sent, &sent);
	run_msec(f->loop, 20);
	file_send_go_on(send);
	assert_int_equal(sent.times, 0);
	file_send_free(&send);
	close(fd);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, files_begin, files_end)
	const struct CMUnitTest tests[] = {
		T(test_two_files),           T(test_back_pressure), T(test_file_too_short),
		T(test_freed_while_reading), T(test_dead_stream),
	};

	replica_stats_init();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
