#include "replica/serve/body.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zlib.h>

#include "gitproto/base/buf.h"
#include "gitproto/base/err.h"
#include "tests/unit/gitproto/net/net_test.h"

/* One body out of a socket, and what was told of it. */
struct rig {
	struct loop *loop;
	int fd; /* the sender's end; -1: closed */
	struct stream *from, *to;
	int to_fd; /* the child's end */
	struct body *body;
	unsigned more, passed, broken;
};

static void
on_body(struct body *b UNUSED, enum body_event ev, void *arg)
{
	struct rig *r = arg;

	r->more += ev == BODY_MORE;
	r->passed += ev == BODY_PASSED;
	r->broken += ev == BODY_BROKEN;
}

static void
rig_begin(struct rig *r, struct loop *l, const char *encoding, uint64_t max)
{
	int fd[2];

	memset(r, 0, sizeof(*r));
	r->loop = l;
	r->to_fd = -1;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	r->fd = fd[0];
	r->from = stream_open_fd(l, fd[1], fd[1]);
	assert_int_equal(body_new(&r->body, r->from, encoding, max, on_body, r, NULL), 0);
}

static void
rig_end(struct rig *r)
{
	body_free(&r->body);
	stream_free(&r->from);
	stream_free(&r->to);
	if (r->fd >= 0)
		close(r->fd);
	if (r->to_fd >= 0)
		close(r->to_fd);
}

static void
send_end(struct rig *r, struct slice bytes)
{
	while (bytes.len > 0) {
		ssize_t n = write(r->fd, bytes.p, bytes.len);

		assert_true(n > 0);
		bytes = slice_skip(bytes, (size_t)n);
	}
	shutdown(r->fd, SHUT_WR);
}

static struct buf
gzip(struct slice in)
{
	struct buf out = BUF_MAX(64u << 20);
	z_stream z = { 0 };
	size_t room;

	assert_int_equal(deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
	room = deflateBound(&z, in.len);
	z.next_in = (Bytef *)(uintptr_t)in.p;
	z.avail_in = (uInt)in.len;
	z.next_out = buf_grow(&out, room);
	z.avail_out = (uInt)room;
	assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
	out.len = z.total_out;
	deflateEnd(&z);
	return out;
}

static bool
is_over(void *arg)
{
	struct rig *r = arg;

	return r->broken > 0 || body_is_broken(r->body) || body_ended(r->body) || r->passed > 0;
}

/* Takes all there is as it comes. */
struct taking {
	struct rig *rig;
	struct buf got;
};

static bool
took_all(void *arg)
{
	struct taking *t = arg;
	struct slice in;

	while ((in = body_peek(t->rig->body)).len > 0) {
		assert_true(in.len <= BODY_WINDOW);
		buf_add_slice(&t->got, in);
		body_take(t->rig->body, in.len);
	}
	return is_over(t->rig);
}

static void
send_and_take(struct rig *r, struct slice in, struct buf *got)
{
	struct taking t = { r, BUF_MAX(64u << 20) };

	send_end(r, in);
	assert_true(run_until(r->loop, took_all, &t));
	*got = t.got;
}

static struct loop *loop;

static int
begin(void **state UNUSED)
{
	loop = loop_new("test");
	return 0;
}

static int
end(void **state UNUSED)
{
	loop_free(&loop);
	return 0;
}

static void
test_plain_and_gzip(void **state UNUSED)
{
	static const char *const encodings[] = { NULL, "identity", "gzip", "x-gzip" };
	static const char text[] = "0011command=fetch0001";

	for (size_t i = 0; i < COUNT(encodings); i++) {
		struct slice in = slice_of(text, sizeof(text) - 1);
		struct buf z = gzip(in), got;
		struct rig r;

		rig_begin(&r, loop, encodings[i], 0);
		send_and_take(&r, i < 2 ? in : buf_slice(&z), &got);
		assert_int_equal(r.broken, 0);
		assert_true(body_ended(r.body));
		assert_true(slice_eq_str(buf_slice(&got), text));
		buf_release(&got);
		buf_release(&z);
		rig_end(&r);
	}
}

static void
test_unknown_encoding(void **state UNUSED)
{
	struct body *b;
	struct err err;

	assert_int_equal(body_new(&b, NULL, "br", 0, on_body, NULL, &err), ERR_UNSUPPORTED);
	assert_non_null(strstr(err_text(&err), "'br'"));
}

/* Cut at every byte: never taken for whole, and what came is a beginning of the truth. */
static void
test_gzip_cut(void **state UNUSED)
{
	static const char text[] = "want 1234567890123456789012345678901234567890\n";
	struct buf z = gzip(slice_of(text, sizeof(text) - 1));

	for (size_t cut = 0; cut < z.len; cut++) {
		struct buf got;
		struct rig r;

		rig_begin(&r, loop, "gzip", 0);
		send_and_take(&r, slice_of(z.p, cut), &got);
		if (cut == 0) { /* no body at all is an empty one */
			assert_true(body_ended(r.body));
		} else {
			assert_true(body_is_broken(r.body));
			assert_int_equal(body_err(r.body)->code, ERR_BAD);
		}
		assert_true(got.len < sizeof(text));
		assert_memory_equal(buf_str(&got), text, got.len);
		buf_release(&got);
		rig_end(&r);
	}
	buf_release(&z);
}

/* The same, told by an event when nobody peeked. */
static void
test_broken_is_told_once(void **state UNUSED)
{
	struct rig r;

	rig_begin(&r, loop, "gzip", 0);
	send_end(&r, SLICE_LIT("this is no gzip"));
	assert_true(run_until(loop, is_over, &r));
	assert_int_equal(r.broken, 1);
	assert_int_equal(r.more, 0);
	run_msec(loop, 10);
	body_on_stream(r.body, STREAM_READABLE);
	assert_int_equal(r.broken, 1);
	rig_end(&r);
}

static void
test_bytes_behind_the_end(void **state UNUSED)
{
	struct buf z = gzip(SLICE_LIT("0000")), got;
	struct rig r;

	buf_add_byte(&z, 0);
	rig_begin(&r, loop, "gzip", 0);
	send_and_take(&r, buf_slice(&z), &got);
	assert_true(body_is_broken(r.body));
	assert_int_equal(body_err(r.body)->code, ERR_BAD);
	buf_release(&got);
	buf_release(&z);
	rig_end(&r);
}

static void
test_flipped_bits(void **state UNUSED)
{
	struct buf z = gzip(SLICE_LIT("a text that is long enough to be broken in many places"));

	for (size_t i = 0; i < z.len; i++) {
		struct buf got;
		struct rig r;

		if (i >= 3 && i <= 9)
			continue; /* time, flags of the compressor, system: nobody checks them */
		z.p[i] ^= 0x40;
		rig_begin(&r, loop, "gzip", 0);
		send_and_take(&r, buf_slice(&z), &got);
		assert_true(body_is_broken(r.body));
		buf_release(&got);
		rig_end(&r);
		z.p[i] ^= 0x40;
	}
	buf_release(&z);
}

static void
test_bomb_and_limit(void **state UNUSED)
{
	static const struct {
		size_t bytes;
		uint64_t max;
		int code;
	} t[] = {
		{ 40u << 20, 0, ERR_BAD }, /* 40 MB of nothing */
		{ 2u << 20, 1u << 20, ERR_TOO_BIG },
		{ 2u << 20, 2u << 20, 0 },
	};

	for (size_t i = 0; i < COUNT(t); i++) {
		uint8_t *zeros = mem_alloc(t[i].bytes);
		struct buf z = gzip(slice_of(zeros, t[i].bytes)), got;
		struct rig r;

		rig_begin(&r, loop, "gzip", t[i].max);
		send_and_take(&r, buf_slice(&z), &got);
		assert_int_equal(body_err(r.body)->code, t[i].code);
		if (t[i].code == 0)
			assert_int_equal(got.len, t[i].bytes);
		buf_release(&got);
		buf_release(&z);
		free(zeros);
		rig_end(&r);
	}
}

/* --- passing on ------------------------------------------------------------------------------ */

static void
pass_to_socket(struct rig *r)
{
	int fd[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fd), 0);
	r->to_fd = fd[0];
	r->to = stream_open_fd(r->loop, fd[1], fd[1]);
	body_pass(r->body, r->to);
}

static void
on_to(struct stream *s UNUSED, enum stream_event ev, void *arg)
{
	struct rig *r = arg;

	if (ev == STREAM_WRITABLE)
		body_on_stream(r->body, ev);
}

struct reading {
	struct rig *rig;
	struct buf got;
	struct slice rest; /* still to be sent */
	bool ended;
};

/* Both ends of the pipe, without blocking. */
static bool
read_all(void *arg)
{
	struct reading *d = arg;
	uint8_t piece[65536];
	ssize_t n;

	while (d->rest.len > 0 &&
	       (n = send(d->rig->fd, d->rest.p, d->rest.len, MSG_DONTWAIT)) > 0) {
		d->rest = slice_skip(d->rest, (size_t)n);
		if (d->rest.len == 0)
			shutdown(d->rig->fd, SHUT_WR);
	}
	while ((n = recv(d->rig->to_fd, piece, sizeof(piece), MSG_DONTWAIT)) > 0)
		buf_add(&d->got, piece, (size_t)n);
	d->ended = d->ended || n == 0;
	return d->ended && d->rig->passed > 0;
}

static void
test_pass(void **state UNUSED)
{
	size_t size = 3u << 20;
	uint8_t *bytes = mem_alloc(size);

	for (size_t i = 0; i < size; i++)
		bytes[i] = (uint8_t)((i * 2654435761u) >> 13);
	for (int zipped = 0; zipped < 2; zipped++) {
		struct buf z = gzip(slice_of(bytes, size));
		struct reading d = { .got = BUF_MAX(64u << 20) };
		struct rig r;

		rig_begin(&r, loop, zipped ? "gzip" : NULL, 0);
		d.rig = &r;
		d.rest = zipped ? buf_slice(&z) : slice_of(bytes, size);
		pass_to_socket(&r);
		stream_on(r.to, on_to, &r);
		assert_true(run_until(loop, read_all, &d));
		assert_int_equal(r.passed, 1);
		assert_int_equal(r.broken, 0);
		assert_int_equal(d.got.len, size);
		assert_memory_equal(d.got.p, bytes, size);
		buf_release(&d.got);
		buf_release(&z);
		rig_end(&r);
	}
	free(bytes);
}

static bool
has_more(void *arg)
{
	return ((struct rig *)arg)->more > 0;
}

/* What a peek found broken is told when the rest is to be passed: the child must not wait. */
static void
test_pass_of_a_broken_one(void **state UNUSED)
{
	uint8_t *zeros = mem_alloc(BODY_WINDOW + 1000);
	struct buf z = gzip(slice_of(zeros, BODY_WINDOW + 1000));
	struct rig r;

	rig_begin(&r, loop, "gzip", 0);
	send_end(&r, slice_of(z.p, z.len - 3));
	assert_true(run_until(loop, has_more, &r));
	assert_int_equal(body_peek(r.body).len, BODY_WINDOW); /* full: the fault lies behind it */
	assert_false(body_is_broken(r.body));
	body_take(r.body, BODY_WINDOW);
	body_peek(r.body);
	assert_true(body_is_broken(r.body));
	assert_int_equal(r.broken, 0);
	pass_to_socket(&r);
	assert_int_equal(r.broken, 1);
	assert_int_equal(r.passed, 0);
	buf_release(&z);
	free(zeros);
	rig_end(&r);
}

static bool
is_broken(void *arg)
{
	return ((struct rig *)arg)->broken > 0;
}

/* The client dies in the middle. */
static void
test_pass_cut(void **state UNUSED)
{
	struct buf z = gzip(SLICE_LIT("some bytes that are not all sent"));
	struct rig r;

	rig_begin(&r, loop, "gzip", 0);
	pass_to_socket(&r);
	send_end(&r, slice_of(z.p, z.len / 2));
	assert_true(run_until(loop, is_broken, &r));
	assert_int_equal(r.passed, 0);
	rig_end(&r);
	rig_begin(&r, loop, NULL, 0);
	pass_to_socket(&r);
	assert_int_equal(write(r.fd, "x", 1), 1);
	run_msec(loop, 5);
	stream_reset(r.from, "gone");
	assert_true(run_until(loop, is_broken, &r));
	assert_int_equal(body_err(r.body)->code, ERR_CLOSED);
	rig_end(&r);
	buf_release(&z);
}

/* A child that reads no more: the body is read to its end all the same. */
static void
test_pass_to_a_deaf_child(void **state UNUSED)
{
	uint8_t *bytes = mem_alloc(1u << 20);
	struct reading d = { .got = BUF_MAX(1024) };
	struct rig r;

	rig_begin(&r, loop, NULL, 0);
	pass_to_socket(&r);
	stream_on(r.to, on_to, &r);
	close(r.to_fd);
	r.to_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	d.rig = &r;
	d.rest = slice_of(bytes, 1u << 20);
	while (r.passed == 0) {
		read_all(&d);
		run_msec(loop, 1);
	}
	assert_int_equal(r.broken, 0);
	rig_end(&r);
	free(bytes);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, begin, end)
	const struct CMUnitTest tests[] = {
		T(test_plain_and_gzip),
		T(test_unknown_encoding),
		T(test_gzip_cut),
		T(test_broken_is_told_once),
		T(test_bytes_behind_the_end),
		T(test_flipped_bits),
		T(test_bomb_and_limit),
		T(test_pass),
		T(test_pass_of_a_broken_one),
		T(test_pass_cut),
		T(test_pass_to_a_deaf_child),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
