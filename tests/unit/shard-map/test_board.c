#include "shard-map/board.h"

#include "gitproto/base/rnd.h"
#include "tests/unit/shard-map/map_test.h"

static struct board *
make_board(uint32_t nshards, uint32_t n, uint32_t nzones, uint32_t replicas)
{
	struct board *b = board_new(nshards, n, nzones, replicas);

	assert_non_null(b);
	for (uint32_t i = 0; i < n; i++)
		b->node[i] = (struct quota_node){ .zone = i % nzones, .weight = 1, .tie = i };
	quota_fill(b->node, n, b->zone, nzones, nshards, replicas);
	board_set_quotas(b);
	return b;
}

static void
test_rules(void **state)
{
	struct board *b = make_board(4, 6, 3, 2); /* nodes 0 3, 1 4, 2 5 by zone */

	(void)state;
	assert_true(board_may_add(b, 0, 0));
	board_add(b, 0, 0);
	assert_true(board_has(b, 0, 0) && !board_was(b, 0, 0));
	assert_false(board_may_add(b, 0, 0)); /* there already */
	assert_false(board_may_add(b, 0, 3)); /* its zone has one */
	assert_true(board_may_add(b, 0, 1));
	board_add(b, 0, 1);
	assert_false(board_may_add(b, 0, 2)); /* no place left */
	assert_true(board_may_swap(b, 0, 0, 3));
	assert_true(board_may_swap(b, 0, 0, 2));
	assert_false(board_may_swap(b, 0, 0, 4)); /* zone of 1 */
	assert_false(board_may_swap(b, 0, 2, 3)); /* is not there */
	board_drop(b, 0, 0);
	assert_int_equal(b->count[0], 0);
	assert_int_equal(b->held[0], 1);
	board_free(&b);
}

/* Chains alone fill any board, and never break a rule. */
static void
test_exchange_fills(void **state)
{
	(void)state;
	rnd_seed(4);
	for (unsigned round = 0; round < 200; round++) {
		uint32_t n = 1 + (uint32_t)rnd_below(20), nshards = 1u << rnd_below(7);
		uint32_t replicas = 1 + (uint32_t)rnd_below(MIN(n, 5));
		struct board *b = make_board(nshards, n, 1 + (uint32_t)rnd_below(n), replicas);

		for (uint32_t s = 0; s < nshards; s++)
			while (b->held[s] < replicas)
				assert_true(board_exchange(b, s, BOARD_NONE, false));
		for (uint32_t i = 0; i < n; i++)
			assert_int_equal(b->count[i], b->node[i].quota);
		for (uint32_t s = 0; s < nshards; s++)
			for (uint32_t z = 0; z < b->nzones; z++)
				assert_in_range(b->in_zone[s * b->nzones + z], b->zone[z].lo,
						b->zone[z].hi);
		board_free(&b);
	}
	rnd_seed(0);
}

static void
test_no_memory(void **state)
{
	(void)state;
	for (unsigned i = 1; i <= 8; i++) {
		mem_fail_at(i);
		assert_null(board_new(16, 4, 2, 2));
	}
	mem_fail_at(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),
		cmocka_unit_test(test_exchange_fills),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
