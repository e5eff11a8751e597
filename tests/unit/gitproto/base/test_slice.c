#include "gitproto/base/slice.h"

#include "tests/unit/gitproto/base/base_test.h"

static void
test_compare(void **state)
{
	static const struct {
		const char *a, *b;
		int order;
	} cases[] = {
		{ "", "", 0 },    { "a", "a", 0 },   { "", "a", -1 },
		{ "a", "b", -1 }, { "ab", "b", -1 }, { "a", "ab", -1 },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct slice a = slice_str(cases[i].a), b = slice_str(cases[i].b);

		assert_int_equal(slice_eq(a, b), cases[i].order == 0);
		assert_int_equal((slice_cmp(a, b) > 0) - (slice_cmp(a, b) < 0), cases[i].order);
		assert_int_equal((slice_cmp(b, a) > 0) - (slice_cmp(b, a) < 0), -cases[i].order);
	}
	assert_true(slice_eq(SLICE_NONE, SLICE_LIT("")));
	assert_true(slice_begins(SLICE_LIT("abc"), SLICE_LIT("ab")));
	assert_false(slice_begins(SLICE_LIT("a"), SLICE_LIT("ab")));
	assert_true(slice_begins(SLICE_NONE, SLICE_NONE));
	assert_true(slice_ends(SLICE_LIT("abc"), SLICE_LIT("bc")));
	assert_false(slice_ends(SLICE_LIT("c"), SLICE_LIT("bc")));
}

static void
test_cut(void **state)
{
	struct slice s = SLICE_LIT("a,,bc");

	(void)state;
	assert_true(slice_eq_str(slice_cut(&s, ','), "a"));
	assert_true(slice_eq_str(slice_cut(&s, ','), ""));
	assert_true(slice_eq_str(slice_cut(&s, ','), "bc"));
	assert_int_equal(s.len, 0);
	assert_true(slice_eq_str(slice_cut(&s, ','), ""));
	assert_int_equal(slice_find(SLICE_LIT("abc"), 'c'), 2);
	assert_int_equal(slice_find(SLICE_LIT("abc"), 'x'), -1);
	assert_int_equal(slice_find(SLICE_NONE, 'x'), -1);
	assert_true(slice_eq_str(slice_head(SLICE_LIT("abc"), 9), "abc"));
	assert_true(slice_eq_str(slice_skip(SLICE_LIT("abc"), 1), "bc"));
	assert_int_equal(slice_skip(SLICE_LIT("abc"), 9).len, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
