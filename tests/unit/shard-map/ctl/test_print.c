#include "shard-map/ctl/print.h"

#include "tests/unit/shard-map/map_test.h"

static void
test_table(void **state)
{
	static const char *const titles[] = { "A", "LONGER", "LAST" };
	struct print_table *t = print_table_new(titles, 3);
	struct buf out = BUF_MAX(1000);

	(void)state;
	print_cell(t, "%s", "wide one");
	print_cell(t, "%d", 1);
	print_cell(t, "%s", "");
	print_cell(t, "a\tb\033[1m");
	print_cell(t, "x");
	print_cell(t, "y");
	print_table_end(&out, &t);
	assert_null(t);
	assert_string_equal(buf_str(&out), "A         LONGER  LAST\n"
					   "wide one  1       -\n"
					   "a?b?[1m   x       y\n");
	buf_release(&out);
}

static void
test_get(void **state)
{
	json_t *o = json_pack("{s:s, s:i}", "a", "x", "b", 1);

	(void)state;
	assert_string_equal(print_get(o, "a", "?"), "x");
	assert_string_equal(print_get(o, "b", "?"), "?");
	assert_string_equal(print_get(NULL, "b", "?"), "?");
	json_decref(o);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_get),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
