#include "shard-map/diff.h"
#include "tests/unit/shard-map/map_test.h"

/* Four shards over three nodes, with these members. */
static const struct map *
make_map(const uint32_t members[4][2])
{
	struct map *m = map_alloc(4, 3, 8);

	for (uint32_t i = 0; i < 3; i++)
		m->nodes[i] = make_node(i + 1, 1, 0);
	m->next_node = 4;
	for (uint32_t s = 0; s < 4; s++) {
		m->first[s] = 2 * s;
		memcpy(&m->members[2 * s], members[s], 2 * sizeof(uint32_t));
	}
	m->first[4] = 8;
	map_seal(m);
	return m;
}

static void
test_rows(void **state)
{
	static const uint32_t before[4][2] = { { 1, 2 }, { 1, 2 }, { 1, 2 }, { 1, 2 } };
	static const uint32_t after[4][2] = { { 1, 2 }, { 2, 1 }, { 1, 3 }, { 3, 2 } };
	static const struct diff_row want[] = {
		{ 1, 2, DIFF_PREFER }, { 2, 3, DIFF_JOIN },  { 2, 2, DIFF_LEAVE },
		{ 3, 3, DIFF_JOIN },   { 3, 1, DIFF_LEAVE }, { 3, 3, DIFF_PREFER },
	};
	const struct map *a = make_map(before), *b = make_map(after);
	struct diff d;

	(void)state;
	diff_make(&d, a, b);
	assert_int_equal(d.n, COUNT(want));
	for (unsigned i = 0; i < COUNT(want); i++) {
		assert_int_equal(d.rows[i].shard, want[i].shard);
		assert_int_equal(d.rows[i].node, want[i].node);
		assert_int_equal(d.rows[i].kind, want[i].kind);
	}
	assert_int_equal(d.joins, 2);
	assert_int_equal(d.leaves, 2);
	assert_int_equal(d.prefers, 2);
	diff_release(&d);
	diff_make(&d, a, a);
	assert_int_equal(d.n, 0);
	diff_release(&d);
	map_unref(&a);
	map_unref(&b);
}

static void
test_from_nothing(void **state)
{
	const struct map *empty = empty_map(64), *m = first_map(64, 5, 3);
	struct diff d;

	(void)state;
	diff_make(&d, empty, m);
	assert_int_equal(d.joins, 192);
	assert_int_equal(d.leaves, 0);
	assert_int_equal(d.prefers, 64);
	diff_release(&d);
	map_unref(&empty);
	map_unref(&m);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_from_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
