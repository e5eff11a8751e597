#include "replica/serve/pack_recv.h"

#include "gitproto/base/hex.h"
#include "tests/unit/replica/serve/files_test.h"

struct got {
	unsigned times;
	struct err err;
	struct pack_recv **free_me; /* freed inside the callback */
};

static void
on_got(const struct err *err, void *arg)
{
	struct got *g = arg;

	g->times++;
	g->err = *err;
	if (g->free_me != NULL)
		pack_recv_free(g->free_me);
}

static bool
was_told(void *arg)
{
	return ((struct got *)arg)->times > 0;
}

#define PACK (1500u * 1024)
#define IDX 3000u

static struct pack_name
name_of(const uint8_t *bytes, size_t pack, size_t idx)
{
	struct pack_name n = { .size = pack, .idx_size = idx };

	sum(n.sha256, bytes, pack);
	sum(n.idx_sha256, bytes + pack, idx);
	return n;
}

/* Sends all of the bytes and ends; the socket's buffer may be small. */
struct sending {
	struct got *got;
	int fd;
	struct slice rest;
};

static bool
sent_and_told(void *arg)
{
	struct sending *s = arg;
	ssize_t n;

	while (s->rest.len > 0 && (n = send(s->fd, s->rest.p, s->rest.len, MSG_DONTWAIT)) > 0)
		s->rest = slice_skip(s->rest, (size_t)n);
	if (s->rest.len == 0)
		shutdown(s->fd, SHUT_WR);
	return s->got->times > 0;
}

static void
receive(struct files *f, const struct pack_name *name, struct slice bytes, struct got *got)
{
	struct sending s = { got, 0, bytes };
	struct pack_recv *r;

	memset(got, 0, sizeof(*got));
	files_connect(f);
	s.fd = f->fd;
	r = pack_recv_new(f->work, f->dir, f->stream, name, on_got, got);
	assert_int_equal(got->times, 0);
	assert_true(run_until(f->loop, sent_and_told, &s));
	run_msec(f->loop, 5);
	assert_int_equal(got->times, 1);
	pack_recv_free(&r);
}

static void
file_is(const struct files *f, const struct pack_name *n, const char *end, struct slice want)
{
	struct buf b = BUF_MAX(16u << 20);
	char path[256], hex[65];

	hex_encode(hex, n->sha256, 32);
	snprintf(path, sizeof(path), "%s/%s.%s", f->dir, hex, end);
	assert_int_equal(fsio_read(&b, path, 16u << 20, NULL), 0);
	assert_int_equal(b.len, want.len);
	assert_memory_equal(buf_str(&b), want.p != NULL ? (const char *)want.p : "", want.len);
	buf_release(&b);
}

static void
test_good(void **state)
{
	static const size_t sizes[][2] = { { PACK, IDX }, { 1, 1 }, { 32, 1072 }, { 5, 0 } };
	struct files *f = *state;
	uint8_t *bytes = some_bytes(PACK + IDX);
	struct got got;

	for (size_t i = 0; i < COUNT(sizes); i++) {
		size_t pack = sizes[i][0], idx = sizes[i][1];
		struct pack_name n = name_of(bytes, pack, idx);

		receive(f, &n, slice_of(bytes, pack + idx), &got);
		if (got.err.code != 0)
			fail_msg("%zu: %s", i, err_text(&got.err));
		file_is(f, &n, "pack", slice_of(bytes, pack));
		file_is(f, &n, "idx", slice_of(bytes + pack, idx));
		assert_int_equal(count_files(f), 2 * (i + 1));
	}
	free(bytes);
}

static void
test_damaged(void **state)
{
	static const size_t at[] = { 0, 777, PACK - 1, PACK, PACK + IDX - 1 };
	struct files *f = *state;
	uint8_t *bytes = some_bytes(PACK + IDX);
	struct pack_name n = name_of(bytes, PACK, IDX);
	struct got got;

	for (size_t i = 0; i < COUNT(at); i++) {
		bytes[at[i]] ^= 1;
		receive(f, &n, slice_of(bytes, PACK + IDX), &got);
		assert_int_equal(got.err.code, ERR_CORRUPT);
		assert_int_equal(count_files(f), 0);
		bytes[at[i]] ^= 1;
	}
	free(bytes);
}

static void
test_cut(void **state)
{
	struct files *f = *state;
	uint8_t *bytes = some_bytes(64);
	struct pack_name n = name_of(bytes, 40, 24);
	struct got got;

	for (size_t cut = 0; cut < 64; cut++) {
		receive(f, &n, slice_of(bytes, cut), &got);
		assert_int_equal(got.err.code, ERR_CLOSED);
		assert_int_equal(count_files(f), 0);
	}
	free(bytes);
}

static void
test_reset(void **state)
{
	struct files *f = *state;
	uint8_t *bytes = some_bytes(64);
	struct pack_name n = name_of(bytes, 40, 24);
	struct got got = { 0 };
	struct pack_recv *r;

	files_connect(f);
	r = pack_recv_new(f->work, f->dir, f->stream, &n, on_got, &got);
	got.free_me = &r;
	assert_int_equal(write(f->fd, bytes, 50), 50);
	run_msec(f->loop, 20);
	stream_reset(f->stream, "gone");
	assert_true(run_until(f->loop, was_told, &got));
	assert_int_equal(got.err.code, ERR_CLOSED);
	assert_null(r);
	assert_int_equal(count_files(f), 0);
	free(bytes);
}

static bool
is_clean(void *files)
{
	return count_files(files) == 0;
}

/* Let go of at any moment: nothing is told, and half a file is not left behind. */
static void
test_freed_on_the_way(void **state)
{
	struct files *f = *state;
	uint8_t *bytes = some_bytes(PACK);
	struct pack_name n = name_of(bytes, PACK - 100, 100);
	struct got got = { 0 };

	for (unsigned msec = 0; msec < 6; msec++) {
		struct sending s = { &got, 0, slice_of(bytes, PACK / 2) };
		struct pack_recv *r;

		files_connect(f);
		s.fd = f->fd;
		r = pack_recv_new(f->work, f->dir, f->stream, &n, on_got, &got);
		sent_and_told(&s);
		run_msec(f->loop, msec);
		pack_recv_free(&r);
		assert_null(r);
		stream_free(&f->stream); /* gone before the worker's end is heard of */
	}
	assert_true(run_until(f->loop, is_clean, f));
	run_msec(f->loop, 50);
	assert_int_equal(got.times, 0);
	assert_int_equal(count_files(f), 0);
	free(bytes);
}

static void
test_no_folder(void **state)
{
	struct files *f = *state;
	struct pack_name n = { .size = 4, .idx_size = 4 };
	struct got got = { 0 };
	struct pack_recv *r;

	files_connect(f);
	r = pack_recv_new(f->work, "/no-such-folder", f->stream, &n, on_got, &got);
	assert_int_equal(got.times, 0);
	assert_true(run_until(f->loop, was_told, &got));
	assert_int_equal(got.err.code, ERR_IO);
	pack_recv_free(&r);
}

static void
test_names(void **state UNUSED)
{
	static const char zeros[] =
		"0000000000000000000000000000000000000000000000000000000000000000";
	static const struct {
		const char *tail;
		bool ok;
		uint64_t size;
	} t[] = {
		{ ":0", true, 0 },   { ":12345678901", true, 12345678901 },
		{ "", false, 0 },    { ":", false, 0 },
		{ ":-1", false, 0 }, { ": 1", false, 0 },
		{ ":1x", false, 0 }, { "0:1", false, 0 },
		{ ":+1", false, 0 }, { ":99999999999999999999999", false, 0 },
	};
	char text[256], back[PACK_NAME_TEXT];
	uint8_t sha256[32];
	uint64_t size;

	for (size_t i = 0; i < COUNT(t); i++) {
		snprintf(text, sizeof(text), "%s%s", zeros, t[i].tail);
		assert_int_equal(pack_name_parse(sha256, &size, text), t[i].ok);
		if (!t[i].ok)
			continue;
		assert_int_equal(size, t[i].size);
		pack_name_format(back, sha256, size);
		assert_string_equal(back, text);
	}
	assert_false(pack_name_parse(sha256, &size, NULL));
	snprintf(text, sizeof(text), "%.*sg:1", 63, zeros);
	assert_false(pack_name_parse(sha256, &size, text));
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, files_begin, files_end)
	const struct CMUnitTest tests[] = {
		T(test_good),  T(test_damaged),          T(test_cut),
		T(test_reset), T(test_freed_on_the_way), T(test_no_folder),
		T(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
