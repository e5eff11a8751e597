#include "gitproto/base/units.h"
#include "tests/unit/gitproto/base/base_test.h"

static void
test_good(void **state)
{
	static const struct {
		const char *text;
		uint64_t bytes, msec;
		int64_t number;
	} cases[] = {
		{ "0", 0, 0, 0 },
		{ "4096", 4096, UINT64_MAX, 4096 },
		{ "64K", 65536, UINT64_MAX, INT64_MIN },
		{ "2G", UINT64_C(2) << 30, UINT64_MAX, INT64_MIN },
		{ "1T", UINT64_C(1) << 40, UINT64_MAX, INT64_MIN },
		{ "500ms", UINT64_MAX, 500, INT64_MIN },
		{ "2s", UINT64_MAX, 2000, INT64_MIN },
		{ "5m", UINT64_MAX, 300000, INT64_MIN },
		{ "1h", UINT64_MAX, 3600000, INT64_MIN },
		{ "7d", UINT64_MAX, 604800000, INT64_MIN },
		{ "-12", UINT64_MAX, UINT64_MAX, -12 },
		{ "", UINT64_MAX, UINT64_MAX, INT64_MIN },
		{ "-", UINT64_MAX, UINT64_MAX, INT64_MIN },
		{ " 1", UINT64_MAX, UINT64_MAX, INT64_MIN },
		{ "1 ", UINT64_MAX, UINT64_MAX, INT64_MIN },
		{ "1.5s", UINT64_MAX, UINT64_MAX, INT64_MIN },
		{ "1k", UINT64_MAX, UINT64_MAX, INT64_MIN },
		{ "9223372036854775799", UINT64_C(9223372036854775799), UINT64_MAX,
		  INT64_C(9223372036854775799) },
		{ "9223372036854775808", UINT64_MAX, UINT64_MAX, INT64_MIN },
		{ "9007199254740992K", UINT64_MAX, UINT64_MAX, INT64_MIN },
		{ "9223372036854776s", UINT64_MAX, UINT64_MAX, INT64_MIN },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		uint64_t b = UINT64_MAX, m = UINT64_MAX;
		int64_t n = INT64_MIN;
		struct err err;

		assert_int_equal(units_bytes(&b, cases[i].text, &err),
				 cases[i].bytes == UINT64_MAX ? ERR_BAD : 0);
		assert_true(b == cases[i].bytes);
		assert_int_equal(units_msec(&m, cases[i].text, &err),
				 cases[i].msec == UINT64_MAX ? ERR_BAD : 0);
		assert_true(m == cases[i].msec);
		assert_int_equal(units_int(&n, cases[i].text, &err),
				 cases[i].number == INT64_MIN ? ERR_BAD : 0);
		assert_true(n == cases[i].number);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_good) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
