#include "router/front/front_stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

static const struct {
	enum front_stats_kind kind;
	int status;
	bool cut;
	const char *line;
} cases[] = {
	{ FRONT_STATS_ADVERTISE_FETCH, 200, false, "kind=\"advertise-fetch\",code=\"2xx\"} 1\n" },
	{ FRONT_STATS_ADVERTISE_PUSH, 401, false, "kind=\"advertise-push\",code=\"4xx\"} 1\n" },
	{ FRONT_STATS_FETCH, 304, false, "kind=\"fetch\",code=\"3xx\"} 1\n" },
	{ FRONT_STATS_FETCH, 200, true, "kind=\"fetch\",code=\"cut\"} 1\n" },
	{ FRONT_STATS_PUSH, 503, false, "kind=\"push\",code=\"5xx\"} 1\n" },
	{ FRONT_STATS_PUSH, 0, true, "kind=\"push\",code=\"gone\"} 1\n" },
	{ FRONT_STATS_OTHER, 404, false, "kind=\"other\",code=\"4xx\"} 1\n" },
};

static void
test_outcomes(void **state)
{
	struct stats *st = front_stats_new();
	struct buf text = BUF_MAX(1024 * 1024);

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++)
		front_stats_done(st, cases[i].kind, cases[i].status, cases[i].cut, 1000);
	stats_text(&text, st);
	for (unsigned i = 0; i < COUNT(cases); i++)
		assert_non_null(strstr(buf_str(&text), cases[i].line));
	for (unsigned i = 0; i < FRONT_STATS_NKINDS; i++)
		assert_int_equal(stats_get(st, FRONT_STATS_TIME, i) > 0, true);
	buf_release(&text);
	stats_free(&st);
}

/* The names of the sets stand in the order of their enums. */
static void
test_retry_sets(void **state)
{
	struct stats *st = front_stats_new();
	struct buf text = BUF_MAX(1024 * 1024);
	char line[80];

	(void)state;
	for (unsigned r = 0; r < RETRY_NREASONS; r++)
		stats_add(st, FRONT_STATS_RETRIES, r, 10 + r);
	stats_text(&text, st);
	for (unsigned r = 0; r < RETRY_NREASONS; r++) {
		snprintf(line, sizeof(line), "reason=\"%s\"} %u\n", retry_word(r), 10 + r);
		assert_non_null(strstr(buf_str(&text), line));
	}
	buf_release(&text);
	stats_free(&st);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_retry_sets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
