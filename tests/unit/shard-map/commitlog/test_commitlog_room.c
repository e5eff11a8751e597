#include "shard-map/commitlog/commitlog_room.h"

#include "tests/unit/shard-map/map_test.h"

static void
test_room(void **state)
{
	static const char *const unknown[] = { "", "file", "file:/no/such/file", "kafka:h:1" };

	(void)state;
	for (size_t i = 0; i < COUNT(unknown); i++)
		assert_true(commitlog_room(unknown[i]) == UINT64_MAX);
	assert_true(commitlog_room("file:/tmp") < UINT64_MAX);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_room) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
