#include "gitproto/base/buf.h"

#include "gitproto/base/mem.h"
#include "tests/unit/gitproto/base/base_test.h"

static void
test_add(void **state)
{
	struct buf b = BUF_MAX(1000);

	(void)state;
	assert_string_equal(buf_str(&b), "");
	buf_add_str(&b, "ab");
	buf_add_byte(&b, 'c');
	buf_addf(&b, "%d-%s", 7, "x");
	buf_add_slice(&b, SLICE_LIT("!"));
	assert_string_equal(buf_str(&b), "abc7-x!");
	buf_eat(&b, 3);
	assert_string_equal(buf_str(&b), "7-x!");
	buf_eat(&b, 4);
	assert_int_equal(b.len, 0);
	buf_add_u16(&b, 0x0102);
	buf_add_u32(&b, 0x03040506);
	buf_add_u64(&b, UINT64_C(0x0708090a0b0c0d0e));
	for (unsigned i = 0; i < 14; i++)
		assert_int_equal(b.p[i], i + 1);
	assert_true(buf_ok(&b));
	buf_release(&b);
	assert_null(b.p);
	assert_int_equal(b.max, 1000);
}

/* Whatever is added: never past the maximum, and a failure stays. */
static void
test_maximum(void **state)
{
	(void)state;
	for (size_t max = 0; max < 40; max++) {
		struct buf b = BUF_MAX(max);

		buf_add_str(&b, "0123456789");
		buf_addf(&b, "%s", "0123456789");
		buf_add_u64(&b, 1);
		assert_int_equal(buf_ok(&b), max >= 28);
		assert_true(b.len <= max);
		buf_add(&b, NULL, 0);
		assert_int_equal(buf_ok(&b), max >= 28);
		buf_clear(&b);
		assert_true(buf_ok(&b));
		buf_release(&b);
	}
}

static void
test_no_memory(void **state)
{
	struct buf b = BUF_MAX(100000);
	char block[5000] = { 0 };

	(void)state;
	buf_add_str(&b, "kept");
	mem_fail_at(1);
	buf_add(&b, block, sizeof(block));
	assert_false(buf_ok(&b));
	assert_string_equal(buf_str(&b), "kept");
	buf_add_byte(&b, 'x');
	assert_int_equal(b.len, 4);
	mem_fail_at(0);
	buf_release(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_add),
		cmocka_unit_test(test_maximum),
		cmocka_unit_test(test_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
