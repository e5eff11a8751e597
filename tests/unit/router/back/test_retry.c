#include "router/back/retry.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static void
test_status(void **state)
{
	enum retry_reason why = RETRY_NO_NODE;

	(void)state;
	for (int status = 200; status < 600; status++)
		assert_int_equal(retry_status(status, &why), status == 421 || status == 503);
	assert_true(retry_status(421, &why));
	assert_string_equal(retry_word(why), "wrong_node");
	assert_true(retry_status(503, &why));
	assert_string_equal(retry_word(why), "busy");
}

static void
test_wait(void **state)
{
	unsigned last = 0;

	(void)state;
	for (unsigned round = 0; round < 100; round++) {
		unsigned most = retry_wait_msec(round, UINT64_MAX);

		for (uint64_t r = 0; r < 1000; r++) {
			unsigned ms = retry_wait_msec(round, r);

			assert_in_range(ms, 10, RETRY_WAIT_MAX);
			most = MAX(most, ms);
		}
		assert_true(most >= last);
		last = most;
	}
	assert_int_equal(last, RETRY_WAIT_MAX);
	assert_in_range(retry_wait_msec(1, 0), 1, 20);
}

static void
test_words(void **state)
{
	(void)state;
	for (unsigned i = 0; i < RETRY_NREASONS; i++)
		assert_true(retry_word((enum retry_reason)i)[0] != '\0');
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_status),
		cmocka_unit_test(test_wait),
		cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
