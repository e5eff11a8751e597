#include "tests/unit/gitproto/base/base_test.h"

#include "gitproto/base/rnd.h"

static void
test_seeded(void **state)
{
	uint64_t a, b;
	uint8_t first[21], second[21];

	(void)state;
	rnd_seed(1);
	a = rnd_u64();
	rnd_bytes(first, sizeof(first));
	rnd_seed(1);
	assert_true(rnd_u64() == a);
	rnd_bytes(second, sizeof(second));
	assert_memory_equal(first, second, sizeof(first));
	rnd_seed(2);
	b = rnd_u64();
	assert_true(a != b);
	rnd_seed(0);
	a = rnd_u64();
	assert_true(a != rnd_u64());
}

static void
test_below(void **state)
{
	unsigned seen[7] = { 0 };

	(void)state;
	rnd_seed(7);
	for (unsigned i = 0; i < 7000; i++) {
		uint64_t x = rnd_below(7);

		assert_true(x < 7);
		seen[x]++;
	}
	for (unsigned i = 0; i < 7; i++)
		assert_in_range(seen[i], 850, 1150);
	assert_int_equal(rnd_below(1), 0);
	rnd_seed(0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_seeded),
		cmocka_unit_test(test_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
