#include "gitproto/base/clock.h"

#include "tests/unit/gitproto/base/base_test.h"

static void
test_format(void **state)
{
	static const struct {
		uint64_t ms;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ 951782400005, "2000-02-29T00:00:00.005Z" },
		{ 1767323045678, "2026-01-02T03:04:05.678Z" },
	};
	char out[CLOCK_TEXT];

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		clock_format(out, cases[i].ms);
		assert_string_equal(out, cases[i].text);
	}
	clock_format(out, UINT64_MAX); /* fits, whatever it says */
	assert_true(strlen(out) < CLOCK_TEXT);
}

static uint64_t
fixed(void *arg)
{
	return *(uint64_t *)arg;
}

static void
test_inject(void **state)
{
	uint64_t when = 42, a = clock_boot_ns(), b = clock_boot_ns();

	(void)state;
	assert_true(b >= a && a > 0);
	assert_true(clock_wall_ms() > UINT64_C(1700000000000));
	clock_inject(fixed, &when);
	assert_int_equal(clock_boot_ns(), 42);
	when = 43;
	assert_int_equal(clock_boot_ns(), 43);
	clock_inject(NULL, NULL);
	assert_true(clock_boot_ns() >= b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_inject),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
