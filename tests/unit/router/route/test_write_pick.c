#include "router/route/write_pick.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define WELL .connected = true, .well = true
#define SILENT .connected = true

static const struct {
	struct write_pick_member all[3];
	uint32_t primary, want;
} cases[] = {
	{ { { .node = 1, WELL }, { .node = 2, WELL }, { .node = 3, WELL } }, 2, 2 },
	/* it was asked and is not asked again before there is news */
	{ { { .node = 1, WELL }, { .node = 2, WELL, .tried = true }, { .node = 3, WELL } }, 2, 0 },
	/* it is away: the others cannot help, only the log can */
	{ { { .node = 1, WELL }, { .node = 2 }, { .node = 3, WELL } }, 2, 0 },
	{ { { .node = 1, WELL }, { .node = 2, SILENT }, { .node = 3, WELL } }, 2, 0 },
	/* unknown: in order, each once */
	{ { { .node = 1, WELL }, { .node = 2, WELL }, { .node = 3, WELL } }, 0, 1 },
	{ { { .node = 1, WELL, .tried = true }, { .node = 2, WELL }, { .node = 3, WELL } }, 0, 2 },
	{ { { .node = 1, SILENT }, { .node = 2, WELL }, { .node = 3, WELL } }, 0, 2 },
	{ { { .node = 1, SILENT }, { .node = 2 }, { .node = 3, WELL, .tried = true } }, 0, 1 },
	{ { { .node = 1 }, { .node = 2 }, { .node = 3 } }, 0, 0 },
	/* one that the map does not name */
	{ { { .node = 1, WELL }, { .node = 2, WELL }, { .node = 3, WELL } }, 9, 1 },
};

static void
test_cases(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++)
		assert_int_equal(write_pick(cases[i].all, 3, cases[i].primary), cases[i].want);
	assert_int_equal(write_pick(NULL, 0, 0), 0);
	assert_int_equal(write_pick(NULL, 0, 1), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
