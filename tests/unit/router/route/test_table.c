#include "router/route/table.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static const struct map *
make_map(uint64_t version)
{
	struct map *m = map_alloc(4, 1, 4);

	assert_non_null(m);
	m->version = version;
	m->next_node = 8;
	m->nodes[0].id = 7;
	for (uint32_t s = 0; s < 4; s++) {
		m->members[s] = 7;
		m->first[s + 1] = s + 1;
	}
	map_seal(m);
	return m;
}

static void
test_swap(void **state)
{
	const struct map *one = make_map(1), *two = make_map(2);
	struct directory *d = directory_new();
	struct table t = { 0 };
	uint32_t n, by_hash;

	(void)state;
	assert_int_equal(table_version(&t), 0);
	table_set(&t, one, NULL);
	map_unref(&one);
	assert_int_equal(table_version(&t), 1);
	by_hash = table_shard(&t, SLICE_LIT("a/b"));
	assert_in_range(by_hash, 0, 3);
	assert_int_equal(table_members(&t, by_hash, &n)[0], 7);
	assert_int_equal(n, 1);
	assert_int_equal(table_shard(&t, SLICE_LIT("a/b.wiki")), by_hash);
	assert_int_equal(directory_set(d, SLICE_LIT("a/b"), (by_hash + 1) % 4), 0);
	table_set(&t, two, d);
	table_set(&t, two, d); /* the same again */
	map_unref(&two);
	assert_int_equal(table_version(&t), 2);
	assert_int_equal(table_shard(&t, SLICE_LIT("a/b")), (by_hash + 1) % 4);
	table_release(&t);
	table_release(&t);
	assert_int_equal(table_version(&t), 0);
	directory_free(&d);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_swap) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
