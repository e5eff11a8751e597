#include "shard-map/prefer.h"

#include "gitproto/base/rnd.h"
#include "tests/unit/shard-map/map_test.h"

/* Random members, `each` of n nodes per shard. */
static struct map *
random_members(uint32_t nshards, uint32_t n, uint32_t each)
{
	struct map *m = map_alloc(nshards, n, nshards * each);

	m->next_node = n + 1;
	m->key_seed = rnd_u64();
	for (uint32_t i = 0; i < n; i++)
		m->nodes[i] = make_node(i + 1, 1, 0);
	for (uint32_t s = 0; s < nshards; s++) {
		uint32_t start = (uint32_t)rnd_below(n);

		m->first[s] = s * each;
		for (uint32_t i = 0; i < each; i++)
			m->members[s * each + i] = 1 + (start + i) % n;
	}
	m->first[nshards] = nshards * each;
	return m;
}

static void
test_even(void **state)
{
	(void)state;
	rnd_seed(3);
	for (unsigned round = 0; round < 300; round++) {
		uint32_t n = 1 + (uint32_t)rnd_below(30), each = 1 + (uint32_t)rnd_below(MIN(n, 5));
		uint32_t nshards = 1u << rnd_below(9), holds[31] = { 0 }, firsts[31] = { 0 };
		struct map *m = random_members(nshards, n, each);
		uint32_t *old = mem_array(nshards, sizeof(*old));
		const struct map *dropped = m;

		for (uint32_t s = 0; s < nshards; s++)
			old[s] = (uint32_t)rnd_below(n + 1);
		prefer_order(m, old);
		for (uint32_t i = 0; i < m->nmembers; i++)
			holds[m->members[i]]++;
		for (uint32_t s = 0; s < nshards; s++)
			firsts[m->members[s * each]]++;
		for (uint32_t i = 1; i <= n; i++)
			assert_true(firsts[i] >= holds[i] / each &&
				    firsts[i] <= (holds[i] + each - 1) / each);
		/* What is even already stays as it is. */
		for (uint32_t s = 0; s < nshards; s++)
			old[s] = m->members[s * each];
		prefer_order(m, old);
		for (uint32_t s = 0; s < nshards; s++)
			assert_int_equal(m->members[s * each], old[s]);
		free(old);
		map_unref(&dropped);
	}
	rnd_seed(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_even) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
