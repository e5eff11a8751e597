#include "tests/unit/gitproto/base/base_test.h"

#include "gitproto/base/err.h"
#include "gitproto/base/hex.h"

static void
test_both_ways(void **state)
{
	uint8_t all[256], back[256];
	char text[513];

	(void)state;
	for (unsigned i = 0; i < 256; i++)
		all[i] = (uint8_t)i;
	hex_encode(text, all, sizeof(all));
	assert_int_equal(strlen(text), 512);
	assert_memory_equal(text, "000102", 6);
	assert_string_equal(text + 506, "fdfeff");
	assert_int_equal(hex_decode(back, 256, slice_str(text)), 0);
	assert_memory_equal(back, all, 256);
	hex_encode(text, all, 0);
	assert_string_equal(text, "");
}

static void
test_refused(void **state)
{
	static const char *const bad[] = { "", "0", "000", "0g", "G0", "AB", "0 ", "00000" };
	uint8_t out[1];

	(void)state;
	for (unsigned i = 0; i < COUNT(bad); i++)
		assert_int_equal(hex_decode(out, 1, slice_str(bad[i])), ERR_BAD);
	assert_int_equal(hex_decode(out, 1, slice_str("ff")), 0);
	assert_int_equal(out[0], 255);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
