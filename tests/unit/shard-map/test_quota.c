#include "shard-map/quota.h"

#include "gitproto/base/rnd.h"
#include "tests/unit/shard-map/map_test.h"

struct node_case {
	uint32_t zone, weight, has, quota;
};

static void
test_known(void **state)
{
	static const struct {
		uint32_t shards, replicas, n, nzones;
		struct node_case node[6];
	} cases[] = {
		{ 256, 3, 3, 1, { { 0, 1, 0, 256 }, { 0, 1, 0, 256 }, { 0, 1, 0, 256 } } },
		{ 256,
		  3,
		  4,
		  1,
		  { { 0, 1, 0, 192 }, { 0, 1, 0, 192 }, { 0, 1, 0, 192 }, { 0, 1, 0, 192 } } },
		/* the odd one goes to who holds it already */
		{ 16, 1, 3, 1, { { 0, 1, 0, 5 }, { 0, 1, 6, 6 }, { 0, 1, 0, 5 } } },
		/* a heavy node is full at one member of each shard; the rest goes by weight */
		{ 100, 2, 3, 1, { { 0, 90, 0, 100 }, { 0, 3, 0, 75 }, { 0, 1, 0, 25 } } },
		{ 64, 1, 2, 1, { { 0, 3, 0, 48 }, { 0, 1, 0, 16 } } },
		/* three zones, three replicas: one in each, whatever the weights */
		{ 64,
		  3,
		  4,
		  3,
		  { { 0, 1, 0, 64 }, { 1, 100, 0, 64 }, { 2, 1, 0, 32 }, { 2, 1, 0, 32 } } },
		/* two zones: one or two in each */
		{ 64,
		  3,
		  4,
		  2,
		  { { 0, 1, 0, 48 }, { 0, 1, 0, 48 }, { 1, 1, 0, 48 }, { 1, 1, 0, 48 } } },
		/* a zone of one node gets no more than that node can hold */
		{ 64,
		  3,
		  5,
		  2,
		  { { 0, 1, 0, 64 },
		    { 1, 1, 0, 32 },
		    { 1, 1, 0, 32 },
		    { 1, 1, 0, 32 },
		    { 1, 1, 0, 32 } } },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct quota_node node[6];
		struct quota_zone zone[3];

		for (uint32_t j = 0; j < cases[i].n; j++)
			node[j] =
				(struct quota_node){ cases[i].node[j].zone, cases[i].node[j].weight,
						     cases[i].node[j].has, j, 0 };
		quota_fill(node, cases[i].n, zone, cases[i].nzones, cases[i].shards,
			   cases[i].replicas);
		for (uint32_t j = 0; j < cases[i].n; j++)
			if (node[j].quota != cases[i].node[j].quota)
				fail_msg("case %u node %u: %u", i, j, node[j].quota);
	}
}

/* Sums, bounds, and of two nodes of a zone the heavier never has less (but for the odd shard). */
static void
test_properties(void **state)
{
	(void)state;
	rnd_seed(20);
	for (unsigned round = 0; round < 3000; round++) {
		uint32_t n = 1 + (uint32_t)rnd_below(40),
			 nzones = 1 + (uint32_t)rnd_below(MIN(n, 8));
		uint32_t replicas = 1 + (uint32_t)rnd_below(MIN(n, 6));
		uint32_t shards = 1u << rnd_below(11);
		struct quota_node node[40];
		struct quota_zone zone[8];
		uint64_t sum = 0;
		uint32_t lo = 0, hi = 0;

		for (uint32_t i = 0; i < n; i++)
			node[i] = (struct quota_node){
				.zone = i < nzones ? i : (uint32_t)rnd_below(nzones),
				.weight = 1 + (uint32_t)rnd_below(rnd_below(2) ? 3 : 10000),
				.has = (uint32_t)rnd_below(shards + 1),
				.tie = rnd_u64()
			};
		quota_fill(node, n, zone, nzones, shards, replicas);
		for (uint32_t i = 0; i < n; i++) {
			sum += node[i].quota;
			assert_true(node[i].quota <= shards);
			for (uint32_t j = 0; j < n; j++)
				if (node[i].zone == node[j].zone && node[i].weight > node[j].weight)
					assert_true(node[i].quota + 1 >= node[j].quota);
		}
		assert_int_equal(sum, (uint64_t)shards * replicas);
		for (uint32_t z = 0; z < nzones; z++) {
			uint64_t in_zone = 0;

			for (uint32_t i = 0; i < n; i++)
				in_zone += node[i].zone == z ? node[i].quota : 0;
			assert_int_equal(in_zone, zone[z].total);
			assert_true(zone[z].total >= (uint64_t)zone[z].lo * shards);
			assert_true(zone[z].total <= (uint64_t)zone[z].hi * shards);
			assert_true(zone[z].hi <= zone[z].lo + 1);
			lo += zone[z].lo;
			hi += zone[z].hi;
		}
		assert_true(lo <= replicas && hi >= replicas);
	}
	rnd_seed(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known),
		cmocka_unit_test(test_properties),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
