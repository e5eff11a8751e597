#include <pthread.h>

#include "gitproto/base/stats.h"
#include "tests/unit/gitproto/base/base_test.h"

enum { ST_REQUESTS, ST_OPEN, ST_TIME };

static const uint64_t bounds[] = { 1000, 500000, 0 };
static const struct stats_row rows[] = {
	[ST_REQUESTS] = { .name = "t_requests_total",
			  .kind = STATS_COUNTER,
			  .help = "requests",
			  .sets = (const char *const[]){ "kind=\"read\"", "kind=\"write\"",
							 NULL } },
	[ST_OPEN] = { .name = "t_open", .kind = STATS_GAUGE, .help = "open ones" },
	[ST_TIME] = { .name = "t_seconds",
		      .kind = STATS_HIST,
		      .help = "time",
		      .bounds = bounds,
		      .per_unit = 1000000 },
};

static void
test_text(void **state)
{
	struct stats *s = stats_new(rows, COUNT(rows));
	struct buf out = BUF_MAX(10000);

	(void)state;
	stats_add(s, ST_REQUESTS, 1, 3);
	stats_set(s, ST_OPEN, 0, 5);
	stats_move(s, ST_OPEN, 0, -7);
	stats_observe(s, ST_TIME, 0, 1000);
	stats_observe(s, ST_TIME, 0, 1001);
	stats_observe(s, ST_TIME, 0, 2000000);
	assert_int_equal(stats_get(s, ST_OPEN, 0), -2);
	assert_int_equal(stats_get(s, ST_TIME, 0), 3);
	stats_text(&out, s);
	assert_string_equal(buf_str(&out), "# HELP t_requests_total requests\n"
					   "# TYPE t_requests_total counter\n"
					   "t_requests_total{kind=\"read\"} 0\n"
					   "t_requests_total{kind=\"write\"} 3\n"
					   "# HELP t_open open ones\n"
					   "# TYPE t_open gauge\n"
					   "t_open -2\n"
					   "# HELP t_seconds time\n"
					   "# TYPE t_seconds histogram\n"
					   "t_seconds_bucket{le=\"0.001\"} 1\n"
					   "t_seconds_bucket{le=\"0.5\"} 2\n"
					   "t_seconds_bucket{le=\"+Inf\"} 3\n"
					   "t_seconds_sum 2.002001\n"
					   "t_seconds_count 3\n");
	buf_release(&out);
	stats_free(&s);
	assert_null(s);
}

static void *
count_much(void *arg)
{
	for (unsigned i = 0; i < 20000; i++) {
		stats_add(arg, ST_REQUESTS, i % 2, 1);
		stats_observe(arg, ST_TIME, 0, i);
	}
	return NULL;
}

static void
test_threads(void **state)
{
	struct stats *s = stats_new(rows, COUNT(rows));
	pthread_t t[4];

	(void)state;
	for (unsigned i = 0; i < COUNT(t); i++)
		assert_int_equal(pthread_create(&t[i], NULL, count_much, s), 0);
	for (unsigned i = 0; i < COUNT(t); i++)
		pthread_join(t[i], NULL);
	assert_int_equal(stats_get(s, ST_REQUESTS, 0), 40000);
	assert_int_equal(stats_get(s, ST_REQUESTS, 1), 40000);
	assert_int_equal(stats_get(s, ST_TIME, 0), 80000);
	stats_free(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
