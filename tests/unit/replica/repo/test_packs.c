/* What lies in objects/pack, and which of it is to be merged. */
#include "replica/repo/packs.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "gitproto/base/fsio.h"

static void
test_geometry(void **state)
{
	static const struct {
		uint64_t w[8];
		size_t n, want;
	} rows[] = {
		{ { 0 }, 0, 0 },
		{ { 5 }, 1, 0 },
		{ { 5, 10 }, 2, 0 },
		{ { 5, 9 }, 2, 2 },
		{ { 1, 2, 4, 8 }, 4, 0 },
		{ { 1, 1, 4, 8 }, 4, 2 },
		{ { 1, 1, 1, 8 }, 4, 3 },
		{ { 1, 1, 1, 5 }, 4, 4 },      /* three of them weigh too much to stand before it */
		{ { 1, 1, 4, 7, 100 }, 5, 4 }, /* a place out of order takes all below along */
		{ { 1, 1, 4, 8, 15 }, 5, 5 },
		{ { 1, 1, 1, 1, 1, 1, 1, 1 }, 8, 8 },
		{ { UINT64_MAX / 4, UINT64_MAX / 4 }, 2, 2 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		if (packs_geometry(rows[i].w, rows[i].n) != rows[i].want)
			fail_msg("row %zu: %zu", i, packs_geometry(rows[i].w, rows[i].n));
}

/* Whatever the weights: after the merge each is at least twice the one before. */
static void
test_geometry_holds(void **state)
{
	uint64_t seed = 7, w[24];

	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		size_t n = round % COUNT(w), k;
		uint64_t sum = 0;

		for (size_t i = 0; i < n; i++) {
			seed = seed * 6364136223846793005u + 1442695040888963407u;
			w[i] = 1 + (seed >> 40) % (1u << (1 + (seed >> 33) % 20));
			for (size_t j = i; j > 0 && w[j - 1] > w[j]; j--) {
				uint64_t t = w[j];

				w[j] = w[j - 1];
				w[j - 1] = t;
			}
		}
		k = packs_geometry(w, n);
		assert_true(k != 1 && k <= n);
		for (size_t i = 0; i < k; i++)
			sum += w[i];
		for (size_t i = k; i < n; i++) {
			uint64_t before = i > k ? w[i - 1] : sum;

			assert_true(w[i] / 2 >= before);
		}
	}
}

static unsigned named;

static void
on_name(struct slice name, void *arg)
{
	assert_ptr_equal(arg, &named);
	assert_int_equal(name.len, 40);
	named++;
}

#define HEX "0123456789012345678901234567890123456789"

/* Head, one chunk row and its end, the names. */
static struct slice
make_midx(uint8_t *out)
{
	static const uint8_t head[] =
		"MIDX\1\1\1\0\0\0\0\2PNAM\0\0\0\0\0\0\0\44\0\0\0\0\0\0\0\0\0\0";
	static const char names[] = "pack-" HEX ".idx\0pack-" HEX ".idx\0\0";

	memset(out, 0, 256);
	memcpy(out, head, 34);
	out[35] = 36 + sizeof(names);
	memcpy(out + 36, names, sizeof(names));
	return slice_of(out, 36 + sizeof(names));
}

static void
test_midx(void **state)
{
	uint8_t b[256], *cut;
	struct slice s = make_midx(b);

	(void)state;
	named = 0;
	assert_true(packs_midx_names(s, on_name, &named));
	assert_int_equal(named, 2);
	for (size_t n = 0; n < s.len; n++) { /* cut anywhere: no name that is not there */
		cut = malloc(n + 1);
		memcpy(cut, b, n);
		named = 0;
		packs_midx_names(slice_of(cut, n), on_name, &named);
		free(cut);
	}
	b[4] = 2; /* a version to come */
	assert_false(packs_midx_names(s, on_name, &named));
	b[4] = 1;
	b[6] = 255;
	assert_false(packs_midx_names(s, on_name, &named));
}

static char dir[64];

static void
make_file(const char *name, size_t size)
{
	char path[256], zero[256] = { 0 };

	snprintf(path, sizeof(path), "%s/objects/pack/%s", dir, name);
	assert_int_equal(fsio_write(path, slice_of(zero, size), 0444, NULL), 0);
}

static void
test_read(void **state)
{
	char path[128];
	struct packs p;
	struct err err;

	(void)state;
	snprintf(dir, sizeof(dir), "/tmp/gs-packs-XXXXXX");
	assert_non_null(mkdtemp(dir));
	assert_true(packs_read(&p, dir, &err) < 0);
	snprintf(path, sizeof(path), "%s/objects/pack", dir);
	assert_int_equal(fsio_mkdirs(path, 0700, NULL), 0);
	assert_int_equal(packs_read(&p, dir, &err), 0);
	assert_int_equal(p.n, 0);
	packs_release(&p);
	make_file("pack-" HEX ".pack", 30);
	make_file("pack-" HEX ".idx", 12);
	make_file("pack-a"
		  "123456789012345678901234567890123456789.pack",
		  3);
	make_file("pack-a"
		  "123456789012345678901234567890123456789.idx",
		  2);
	make_file("pack-a"
		  "123456789012345678901234567890123456789.keep",
		  0);
	make_file("pack-b"
		  "123456789012345678901234567890123456789.pack",
		  3); /* no index yet */
	make_file("pack-0123.pack", 3);
	make_file("pack-0123.idx", 3);
	make_file("tmp_pack_x", 3);
	make_file("multi-pack-index", 3);
	assert_int_equal(packs_read(&p, dir, &err), 0);
	assert_int_equal(p.n, 2);
	assert_int_equal(p.v[0].weight, 5);
	assert_true(p.v[0].keep);
	assert_int_equal(p.v[1].weight, 42);
	assert_string_equal(p.v[1].name, HEX);
	assert_false(p.v[1].keep || p.v[1].in_midx || p.midx);
	packs_release(&p);
	assert_int_equal(fsio_remove_tree(dir, NULL), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_geometry),
		cmocka_unit_test(test_geometry_holds),
		cmocka_unit_test(test_midx),
		cmocka_unit_test(test_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
