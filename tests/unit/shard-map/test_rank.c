#include "shard-map/rank.h"
#include "tests/unit/shard-map/map_test.h"

static void
test_known(void **state)
{
	static const struct {
		uint32_t node, shard;
		uint64_t seed, rank;
	} cases[] = {
		{ 1, 0, 0, UINT64_C(0x1669dec6967d1424) },
		{ 1, 1, 0, UINT64_C(0x8c6a19a18027ca43) },
		{ 2, 0, 0, UINT64_C(0xe66fd9b7b64bbd63) },
		{ 1, 0, 1, UINT64_C(0xec73d0b7315dc9dc) },
		{ 65535, 65535, UINT64_C(0x0123456789abcdef), UINT64_C(0xe4488d115bc7377e) },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		uint64_t got = rank_of(cases[i].node, cases[i].shard, cases[i].seed);

		if (got != cases[i].rank)
			fail_msg("case %u: 0x%016llx", i, (unsigned long long)got);
	}
}

static void
test_order(void **state)
{
	unsigned wins[5] = { 0 };

	(void)state;
	assert_true(rank_before(2, 9, 1, 1));
	assert_false(rank_before(1, 1, 2, 9));
	assert_true(rank_before(1, 1, 1, 2));
	assert_false(rank_before(1, 1, 1, 1));
	for (uint32_t s = 0; s < 5000; s++) {
		uint32_t best = 0;

		for (uint32_t n = 1; n < 5; n++)
			if (rank_before(rank_of(n, s, 7), n, rank_of(best, s, 7), best))
				best = n;
		wins[best]++;
	}
	for (unsigned i = 0; i < 5; i++)
		assert_in_range(wins[i], 850, 1150);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
