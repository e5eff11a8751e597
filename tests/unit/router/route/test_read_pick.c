#include "router/route/read_pick.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define WELL .connected = true, .well = true, .full = true

/* Which nodes may be the answer, as a set of bits. */
static const struct {
	struct read_pick_member all[4];
	size_t n;
	unsigned want;
} cases[] = {
	{ { { 0 } }, 0, 1u << 0 },
	{ { { .node = 1 } }, 1, 1u << 0 },
	{ { { .node = 1, WELL } }, 1, 1u << 1 },
	{ { { .node = 1, WELL }, { .node = 2, WELL } }, 2, 1u << 1 | 1u << 2 },
	/* the same zone comes first */
	{ { { .node = 1, WELL }, { .node = 2, WELL, .near = true } }, 2, 1u << 2 },
	/* then those that lag, wherever they are */
	{ { { .node = 1, WELL, .lag = READ_PICK_LAG + 1, .near = true }, { .node = 2, WELL } },
	  2,
	  1u << 2 },
	{ { { .node = 1, WELL, .lag = READ_PICK_LAG }, { .node = 2, WELL } },
	  2,
	  1u << 1 | 1u << 2 },
	/* a learner serves when nobody else does */
	{ { { .node = 1, .connected = true, .well = true }, { .node = 2 } }, 2, 1u << 1 },
	{ { { .node = 1, .connected = true, .well = true, .near = true }, { .node = 2, WELL } },
	  2,
	  1u << 2 },
	/* silent ones are the last */
	{ { { .node = 1, .connected = true, .full = true }, { .node = 2, WELL, .lag = 100000 } },
	  2,
	  1u << 2 },
	{ { { .node = 1, .connected = true, .full = true }, { .node = 2 } }, 2, 1u << 1 },
	/* load decides only when it is notably more */
	{ { { .node = 1, WELL, .load = 100 }, { .node = 2, WELL } }, 2, 1u << 1 | 1u << 2 },
};

static void
test_classes(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		unsigned seen = 0;

		for (uint64_t k = 0; k < 400; k++)
			seen |= 1u << read_pick(cases[i].all, cases[i].n,
						k * UINT64_C(0x9e3779b97f4a7c15), k);
		assert_int_equal(seen, cases[i].want);
	}
}

static void
test_sticks(void **state)
{
	struct read_pick_member all[3] = { { .node = 1, WELL },
					   { .node = 2, WELL },
					   { .node = 3, WELL } };
	unsigned count[4] = { 0 };

	(void)state;
	for (uint64_t k = 0; k < 3000; k++) {
		uint64_t sticky = read_pick_sticky(slice_of(&k, sizeof(k)), SLICE_LIT("a/b"));
		uint32_t own = read_pick(all, 3, sticky, 0), left;
		struct read_pick_member less[2];

		count[own]++;
		for (uint64_t r = 1; r < 4; r++)
			assert_int_equal(read_pick(all, 3, sticky, r), own);
		/* when another one leaves, nothing changes for this client */
		left = own % 3 + 1;
		for (unsigned i = 0, n = 0; i < 3; i++)
			if (all[i].node != left)
				less[n++] = all[i];
		assert_int_equal(read_pick(less, 2, sticky, 0), own);
	}
	for (unsigned i = 1; i <= 3; i++)
		assert_in_range(count[i], 800, 1200);
}

/* A busy own choice: the random other one takes what it is drawn for, and no more. */
static void
test_load(void **state)
{
	struct read_pick_member all[3] = { { .node = 1, WELL },
					   { .node = 2, WELL },
					   { .node = 3, WELL } };
	uint64_t sticky = read_pick_sticky(SLICE_LIT("10.0.0.1"), SLICE_LIT("a/b"));
	uint32_t own = read_pick(all, 3, sticky, 0);

	(void)state;
	for (unsigned i = 0; i < 3; i++)
		all[i].load = 10;
	all[own - 1].load = 24;
	for (uint64_t r = 0; r < 3; r++)
		assert_int_equal(read_pick(all, 3, sticky, r), own);
	all[own - 1].load = 25;
	for (uint64_t r = 0; r < 3; r++)
		assert_int_equal(read_pick(all, 3, sticky, r), all[r].node);
}

static void
test_many(void **state)
{
	static struct read_pick_member all[READ_PICK_MAX + 10];

	(void)state;
	for (uint32_t i = 0; i < COUNT(all); i++)
		all[i] = (struct read_pick_member){ .node = i + 1, WELL };
	for (uint64_t k = 0; k < 1000; k++)
		assert_in_range(read_pick(all, COUNT(all), k, k), 1, READ_PICK_MAX);
}

static void
test_sticky(void **state)
{
	uint64_t a = read_pick_sticky(SLICE_LIT("10.0.0.1"), SLICE_LIT("a/b"));

	(void)state;
	assert_true(a == read_pick_sticky(SLICE_LIT("10.0.0.1"), SLICE_LIT("a/b")));
	assert_true(a != read_pick_sticky(SLICE_LIT("10.0.0.2"), SLICE_LIT("a/b")));
	assert_true(a != read_pick_sticky(SLICE_LIT("10.0.0.1"), SLICE_LIT("a/c")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_classes), cmocka_unit_test(test_sticks),
		cmocka_unit_test(test_load),    cmocka_unit_test(test_many),
		cmocka_unit_test(test_sticky),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
