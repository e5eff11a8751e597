#include "router/front/admit.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static void
test_bounds(void **state)
{
	struct admit a;

	(void)state;
	admit_init(&a, 2);
	assert_true(admit_enter(&a));
	assert_true(admit_enter(&a));
	assert_false(admit_enter(&a));
	assert_int_equal(admit_active(&a), 2);
	admit_leave(&a);
	assert_true(admit_enter(&a));
	admit_leave(&a);
	admit_leave(&a);
	assert_int_equal(admit_active(&a), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_bounds) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
