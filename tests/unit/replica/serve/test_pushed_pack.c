#include "replica/serve/pushed_pack.h"

#include <sys/stat.h>

#include "tests/unit/replica/serve/files_test.h"

#define NAME "0123456789012345678901234567890123456789"

struct got {
	unsigned times;
	struct pushed_pack *pack;
	struct err err;
};

static void
on_pack(struct pushed_pack *p, const struct err *err, void *arg)
{
	struct got *g = arg;

	g->times++;
	g->pack = p;
	g->err = *err;
}

static bool
was_told(void *arg)
{
	return ((struct got *)arg)->times > 0;
}

static void
examine(struct files *f, uint64_t inline_max, struct got *g)
{
	memset(g, 0, sizeof(*g));
	pushed_pack_examine(f->work, f->dir, inline_max, on_pack, g);
	assert_int_equal(g->times, 0);
	assert_true(run_until(f->loop, was_told, g));
	assert_non_null(g->pack);
}

static void
put(struct files *f, const char *name, const void *p, size_t n)
{
	char path[128], file[128];

	snprintf(path, sizeof(path), "%s/pack", f->dir);
	mkdir(path, 0700);
	snprintf(file, sizeof(file), "pack/%s", name);
	close(make_file(f, file, p, n));
}

static void
test_nothing(void **state)
{
	struct files *f = *state;
	struct got g;

	examine(f, 1000, &g); /* no folder */
	assert_int_equal(g.err.code, 0);
	assert_false(g.pack->present);
	pushed_pack_free(&g.pack);
	put(f, "tmp_pack_1", "x", 1);
	put(f, "pack-short.pack", "x", 1);
	examine(f, 1000, &g);
	assert_int_equal(g.err.code, 0);
	assert_false(g.pack->present);
	pushed_pack_free(&g.pack);
	pushed_pack_free(&g.pack);
}

static void
test_inline_or_not(void **state)
{
	struct files *f = *state;
	uint8_t *bytes = some_bytes(700000), want[32];
	struct got g;

	put(f, "pack-" NAME ".pack", bytes, 600000);
	put(f, "pack-" NAME ".idx", bytes + 600000, 100000);
	for (unsigned inlined = 0; inlined < 2; inlined++) {
		examine(f, 699999 + inlined, &g);
		assert_int_equal(g.err.code, 0);
		assert_true(g.pack->present);
		assert_string_equal(g.pack->name, NAME);
		assert_int_equal(g.pack->inlined, inlined);
		assert_int_equal(g.pack->pack.size, 600000);
		assert_int_equal(g.pack->idx.size, 100000);
		sum(want, bytes, 600000);
		assert_memory_equal(g.pack->pack.sha256, want, 32);
		sum(want, bytes + 600000, 100000);
		assert_memory_equal(g.pack->idx.sha256, want, 32);
		assert_int_equal(g.pack->pack.bytes.len, inlined * 600000);
		if (inlined)
			assert_memory_equal(g.pack->idx.bytes.p, bytes + 600000, 100000);
		pushed_pack_free(&g.pack);
	}
	free(bytes);
}

/* Its files stay readable when git has moved them. */
static void
test_files_stay_open(void **state)
{
	struct files *f = *state;
	struct got g;
	char path[160];
	uint8_t sha256[32];
	uint64_t size;

	put(f, "pack-" NAME ".pack", "abc", 3);
	put(f, "pack-" NAME ".idx", "d", 1);
	examine(f, 0, &g);
	snprintf(path, sizeof(path), "%s/pack/pack-%s.pack", f->dir, NAME);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(pushed_file_hash(g.pack->pack.fd, sha256, &size, NULL), 0);
	assert_int_equal(size, 3);
	assert_memory_equal(sha256, g.pack->pack.sha256, 32);
	pushed_pack_free(&g.pack);
}

static void
test_refusals(void **state)
{
	struct files *f = *state;
	struct got g;

	put(f, "pack-" NAME ".pack", "abc", 3);
	examine(f, 1000, &g);
	assert_int_equal(g.err.code, ERR_IO); /* no index */
	pushed_pack_free(&g.pack);
	put(f, "pack-" NAME ".idx", "d", 1);
	put(f, "pack-" NAME "abcdefabcdefabcdefabcdef.pack", "e", 1);
	examine(f, 1000, &g);
	assert_int_equal(g.err.code, ERR_UNSUPPORTED); /* two */
	pushed_pack_free(&g.pack);
}

int
main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, files_begin, files_end)
	const struct CMUnitTest tests[] = {
		T(test_nothing),
		T(test_inline_or_not),
		T(test_files_stay_open),
		T(test_refusals),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
