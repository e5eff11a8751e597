#include "shard-map/directory.h"

#include <pthread.h>

#include "tests/unit/shard-map/map_test.h"

static void
test_set_drop(void **state)
{
	struct directory *d = directory_new();
	const struct map *m = first_map(64, 3, 3);
	uint32_t shard = 99, hashed = map_shard_of(m, SLICE_LIT("a/b")), pinned = (hashed + 1) % 64;

	(void)state;
	assert_false(directory_find(d, SLICE_LIT("a/b"), &shard));
	assert_int_equal(directory_shard(d, m, SLICE_LIT("a/b")), hashed);
	assert_int_equal(directory_shard(NULL, m, SLICE_LIT("a/b")), hashed);
	assert_int_equal(directory_set(d, SLICE_LIT("a/b"), 3), 0);
	assert_int_equal(directory_set(d, SLICE_LIT("a/b.wiki"), pinned), 0); /* the same key */
	assert_int_equal(directory_count(d), 1);
	assert_true(directory_find(d, SLICE_LIT("a/b.wiki"), &shard));
	assert_int_equal(shard, pinned);
	assert_int_equal(directory_shard(d, m, SLICE_LIT("a/b")), pinned);
	directory_drop(d, SLICE_LIT("a/b"));
	directory_drop(d, SLICE_LIT("a/b"));
	directory_drop(d, SLICE_LIT("never/there"));
	assert_int_equal(directory_count(d), 0);
	assert_false(directory_find(d, SLICE_LIT("a/b"), &shard));
	assert_int_equal(directory_set(d, SLICE_LIT("a/b"), 64), 0);
	assert_int_equal(directory_count(d), 1);
	assert_int_equal(directory_shard(d, m, SLICE_LIT("a/b")), hashed); /* no such shard */
	map_unref(&m);
	directory_free(&d);
	assert_null(d);
}

static void
test_refused(void **state)
{
	struct directory *d = directory_new();
	char name[DIRECTORY_KEY_MAX + 2];

	(void)state;
	memset(name, 'x', sizeof(name));
	assert_int_equal(directory_set(d, SLICE_NONE, 1), ERR_BAD);
	assert_int_equal(directory_set(d, slice_of(name, DIRECTORY_KEY_MAX + 1), 1), ERR_BAD);
	assert_int_equal(directory_set(d, slice_of(name, DIRECTORY_KEY_MAX), UINT32_MAX), ERR_BAD);
	mem_fail_at(1);
	assert_int_equal(directory_set(d, SLICE_LIT("a/b"), 1), ERR_NOMEM);
	mem_fail_at(0);
	assert_int_equal(directory_set(d, slice_of(name, DIRECTORY_KEY_MAX), 1), 0);
	for (unsigned i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "owner/%u", i);
		mem_fail_at(1);
		if (directory_set(d, slice_str(name), i) == ERR_NOMEM) {
			mem_fail_at(0);
			assert_int_equal(directory_set(d, slice_str(name), i), 0);
		}
	}
	mem_fail_at(0);
	assert_int_equal(directory_count(d), 10001);
	directory_free(&d);
}

static void
count_one(struct slice key, uint32_t shard, void *arg)
{
	uint64_t *sum = arg;

	*sum += shard + key.len * 0;
}

static void
test_million(void **state)
{
	struct directory *d = directory_new();
	char name[80];
	uint64_t sum = 0;

	(void)state;
	for (unsigned i = 0; i < 1000000; i++) {
		snprintf(name, sizeof(name),
			 "organisation-%07u/a-repository-with-a-longish-name-%06u", i / 10, i);
		assert_int_equal(directory_set(d, slice_str(name), i % 4096), 0);
	}
	assert_int_equal(directory_count(d), 1000000);
	assert_true(directory_bytes(d) < UINT64_C(128) * 1000000);
	for (unsigned i = 0; i < 1000000; i += 997) {
		uint32_t shard = 0;

		snprintf(name, sizeof(name),
			 "organisation-%07u/a-repository-with-a-longish-name-%06u", i / 10, i);
		assert_true(directory_find(d, slice_str(name), &shard));
		assert_int_equal(shard, i % 4096);
	}
	directory_each(d, count_one, &sum);
	assert_true(sum == UINT64_C(1000000) / 4096 * (4096 * 4095 / 2) + 576 * 575 / 2);
	directory_free(&d);
}

struct reading {
	struct directory *d;
	bool stop;
};

/* What was set before stays found while the table grows. */
static void *
read_on(void *arg)
{
	struct reading *r = arg;

	while (!__atomic_load_n(&r->stop, __ATOMIC_ACQUIRE)) {
		uint32_t shard = 0;

		assert_true(directory_find(r->d, SLICE_LIT("first/one"), &shard));
		assert_true(shard == 1 || shard == 2);
		if (directory_find(r->d, SLICE_LIT("owner/500"), &shard))
			assert_int_equal(shard, 500);
	}
	return NULL;
}

static void
test_readers(void **state)
{
	struct reading r = { .d = directory_new() };
	pthread_t t[2];
	char name[32];

	(void)state;
	assert_int_equal(directory_set(r.d, SLICE_LIT("first/one"), 1), 0);
	for (unsigned i = 0; i < COUNT(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, read_on, &r), 0);
	for (unsigned i = 0; i < 50000; i++) {
		snprintf(name, sizeof(name), "owner/%u", i);
		assert_int_equal(directory_set(r.d, slice_str(name), i), 0);
		if (i % 5000 == 0)
			assert_int_equal(directory_set(r.d, SLICE_LIT("first/one"), 1 + i % 2), 0);
	}
	__atomic_store_n(&r.stop, true, __ATOMIC_RELEASE);
	for (unsigned i = 0; i < COUNT(t); i++)
		pthread_join(t[i], NULL);
	directory_free(&r.d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_set_drop),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_million),
		cmocka_unit_test(test_readers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
