#include "gitproto/caps.h"

#include "tests/unit/gitproto/git_test.h"

static void
lookups(void **state)
{
	static const struct {
		const char *list, *name, *value; /* value "-": not there, "!": there without one */
	} rows[] = {
		{ "a b=c d", "a", "!" },
		{ "a b=c d", "b", "c" },
		{ " a  b=c\td\n", "d", "!" },
		{ "a b=c d", "c", "-" },
		{ "", "a", "-" },
		{ "   ", "a", "-" },
		{ "report-status-v2", "report-status", "-" },
		{ "report-status-v2 report-status", "report-status", "!" },
		{ "agent=git/2.39.5-x=y", "agent", "git/2.39.5-x=y" },
		{ "b= c", "b", "" },
		{ "x=1 x=2", "x", "1" },
		{ "foo=\ratomic", "atomic", "!" },
		{ "foo=atomic", "atomic", "-" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct slice list = slice_str(rows[i].list), value = SLICE_NONE;
		bool there = caps_get(&value, list, rows[i].name);

		assert_int_equal(there, caps_has(list, rows[i].name));
		assert_int_equal(there, strcmp(rows[i].value, "-") != 0);
		if (!there)
			continue;
		assert_int_equal(value.p == NULL, strcmp(rows[i].value, "!") == 0);
		if (value.p != NULL)
			assert_slice_str(value, rows[i].value);
	}
}

static void
positions(void **state)
{
	struct slice line = SLICE_LIT("0123 refs/heads/x\0a b=c\0more"), caps;
	struct caps_item item;

	(void)state;
	caps = caps_split(&line);
	assert_slice_str(line, "0123 refs/heads/x");
	assert_slice_str(caps, "a b=c");
	line = SLICE_LIT("no capabilities");
	caps = caps_split(&line);
	assert_slice_str(line, "no capabilities");
	assert_int_equal(caps.len, 0);
	item = caps_line(SLICE_LIT("fetch=shallow wait-for-done=x"));
	assert_slice_str(item.name, "fetch");
	assert_slice_str(item.value, "shallow wait-for-done=x");
	item = caps_line(SLICE_LIT("object-info"));
	assert_slice_str(item.name, "object-info");
	assert_null(item.value.p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lookups),
		cmocka_unit_test(positions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
