#include "replica/serve/without_log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "gitproto/base/clock.h"

static void
test_parse(void **state)
{
	static const struct {
		const char *text;
		enum without_log_rule rule;
		uint64_t msec;
	} good[] = {
		{ "refuse", WITHOUT_LOG_REFUSE, 0 },
		{ "any", WITHOUT_LOG_ANY, 0 },
		{ "bounded(3s)", WITHOUT_LOG_BOUNDED, 3000 },
		{ "bounded(3000ms)", WITHOUT_LOG_BOUNDED, 3000 },
		{ "bounded(1h)", WITHOUT_LOG_BOUNDED, 3600000 },
	};
	static const char *const bad[] = {
		"",
		"Any",
		"refuse ",
		"bounded",
		"bounded()",
		"bounded(",
		"bounded(5s",
		"bounded(x)",
		"bounded(0)",
		"bounded(2999ms)",
		"bounded(5s)x",
		"bounded(-5s)",
		"bounded((5s))",
		"bounded(111111111111111111111111111111111111111111s)",
	};
	struct without_log w;
	struct err err;

	(void)state;
	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(without_log_parse(&w, good[i].text, &err), 0);
		assert_int_equal(w.rule, good[i].rule);
		assert_int_equal(w.bound_msec, good[i].msec);
	}
	for (size_t i = 0; i < COUNT(bad); i++) {
		assert_int_equal(without_log_parse(&w, bad[i], &err), ERR_BAD);
		assert_true(strlen(err.text) > 0);
	}
}

static void
test_serves(void **state)
{
	static const uint64_t now = 1000 * CLOCK_SEC;
	static const struct {
		struct without_log rule;
		uint64_t fresh_ns;
		bool serves;
		const char *age;
	} cases[] = {
		{ { WITHOUT_LOG_REFUSE, 0 }, 1000 * CLOCK_SEC, false, "0" },
		{ { WITHOUT_LOG_ANY, 0 }, 0, true, "unknown" },
		{ { WITHOUT_LOG_ANY, 0 }, CLOCK_SEC, true, "999" },
		{ { WITHOUT_LOG_BOUNDED, 5000 }, 0, false, "unknown" },
		{ { WITHOUT_LOG_BOUNDED, 5000 }, 995 * CLOCK_SEC, true, "5" },
		{ { WITHOUT_LOG_BOUNDED, 5000 }, 995 * CLOCK_SEC - 1, false, "6" },
		{ { WITHOUT_LOG_BOUNDED, 5000 }, 1001 * CLOCK_SEC, true, "0" },
	};
	char age[WITHOUT_LOG_AGE];

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		assert_int_equal(without_log_serves(&cases[i].rule, cases[i].fresh_ns, now, age),
				 cases[i].serves);
		assert_string_equal(age, cases[i].age);
	}
}

static void
test_refuses(void **state)
{
	struct err err;

	(void)state;
	assert_int_equal(without_log_refuse_write(&err), ERR_LOG_AWAY);
	assert_non_null(strstr(err.text, "nothing was changed, push again"));
	assert_int_equal(without_log_refuse_read(&err), ERR_LOG_AWAY);
	assert_non_null(strstr(err.text, "try again"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_serves),
		cmocka_unit_test(test_refuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
