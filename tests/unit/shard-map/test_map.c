#include <pthread.h>

#include "tests/unit/shard-map/map_test.h"

static void
test_lookups(void **state)
{
	struct map_node node[3] = { make_node(1, 1, 0), make_node(7, 1, 0), make_node(9, 2, 1) };
	const struct map *empty = empty_map(64), *m = place(empty, node, 3, 2);
	uint32_t n, hits = 0;
	const uint32_t *member;

	(void)state;
	assert_int_equal(m->next_node, 10);
	assert_string_equal(map_node(m, 7)->name, "node7");
	assert_null(map_node(m, 0));
	assert_null(map_node(m, 2));
	assert_null(map_node(m, 10));
	assert_null(map_node(m, UINT32_MAX));
	assert_int_equal(map_node_named(m, "node9")->id, 9);
	assert_null(map_node_named(m, "node"));
	for (uint32_t s = 0; s < 64; s++) {
		member = map_members(m, s, &n);
		assert_int_equal(n, 2);
		assert_true(map_is_member(m, s, member[0]) && map_is_member(m, s, member[1]));
		hits += map_is_member(m, s, 9);
		assert_false(map_is_member(m, s, 2));
	}
	assert_int_equal(hits, 64); /* of two zones with two replicas, each has one */
	assert_true(map_shard_of(m, SLICE_LIT("a/b")) == map_shard_of(m, SLICE_LIT("a/b.wiki")));
	map_unref(&empty);
	map_unref(&m);
	assert_null(m);
	map_unref(&m);
}

static void
test_alloc(void **state)
{
	const struct map *m;

	(void)state;
	assert_null(map_alloc(MAP_MAX_SHARDS + 1, 1, 1));
	assert_null(map_alloc(1, MAP_MAX_NODES + 1, 1));
	for (unsigned i = 1; i <= 4; i++) {
		mem_fail_at(i);
		assert_null(map_alloc(16, 3, 48));
	}
	mem_fail_at(0);
	m = map_alloc(16, 3, 48);
	assert_non_null(m);
	map_unref(&m);
}

static void *
use(void *arg)
{
	for (unsigned i = 0; i < 2000; i++) {
		const struct map *m = map_ref(arg);

		assert_int_equal(m->nshards, 16);
		map_unref(&m);
	}
	return NULL;
}

static void
test_references(void **state)
{
	const struct map *m = first_map(16, 3, 3);
	pthread_t t[3];

	(void)state;
	for (unsigned i = 0; i < COUNT(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, use, (void *)(uintptr_t)m), 0);
	for (unsigned i = 0; i < COUNT(t); i++)
		pthread_join(t[i], NULL);
	map_unref(&m);
}

static void
test_names(void **state)
{
	static const struct {
		const char *name;
		bool ok;
	} cases[] = {
		{ "a", true },
		{ "node-1", true },
		{ "0", true },
		{ "", false },
		{ "-a", false },
		{ "a-", false },
		{ "A", false },
		{ "a_b", false },
		{ "a.b", false },
		{ "a b", false },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", true },
		{ "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", false },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++)
		assert_int_equal(map_name_ok(cases[i].name), cases[i].ok);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lookups),
		cmocka_unit_test(test_alloc),
		cmocka_unit_test(test_references),
		cmocka_unit_test(test_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
