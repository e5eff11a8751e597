#include "shard-map/commitlog/commitlog_fault.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "tests/lib/log_test.h"

static struct log_test place;

static struct commitlog *
open_with(const char *faults)
{
	char url[200];

	snprintf(url, sizeof(url), "fault:%s:file:%s", faults, place.path);
	return log_test_open(url);
}

static void
test_rules(void **state UNUSED)
{
	static const struct {
		const char *url;
		const char *words; /* NULL: fine, down to the log below */
	} cases[] = {
		{ "fault:1:kept:x", NULL },
		{ "fault:1,lost=1000,twice=5@100ms:kept:x", NULL },
		{ "fault:1", "no scheme" },
		{ "fault:x:kept:x", "number" },
		{ "fault:1,lost:kept:x", "\"lost\"" },
		{ "fault:1,lose=1:kept:x", "\"lose=1\"" },
		{ "fault:1,lost=1001:kept:x", "NAME=PERMILLE" },
		{ "fault:1,late=1@soon:kept:x", "\"late=1@soon\"" },
	};
	struct commitlog_opts opts = { .cluster = "test", .create = true, .allow_weak = true };

	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *words = cases[i].words != NULL ? cases[i].words : "\"kept:\"";
		struct commitlog *log;
		struct err err = { 0, "" };

		if (commitlog_open(&log, cases[i].url, &opts, &err) != ERR_BAD ||
		    strstr(err.text, words) == NULL)
			fail_msg("%s: %d %s", cases[i].url, err.code, err.text);
	}
}

/* What the writer is told, and what a log without faults has in the end. */
static void
test_each_fault(void **state UNUSED)
{
	static const struct {
		const char *faults;
		enum commitlog_outcome outcome;
		unsigned records;
	} cases[] = {
		{ "1", COMMITLOG_AT, 1 },
		{ "1,refuse=1000", COMMITLOG_NOT, 0 },
		{ "1,lost=1000", COMMITLOG_UNKNOWN, 0 },
		{ "1,lostack=1000", COMMITLOG_UNKNOWN, 1 },
		{ "1,late=1000@50ms", COMMITLOG_UNKNOWN, 1 },
		{ "1,twice=1000@50ms", COMMITLOG_AT, 2 },
		{ "1,delay=1000@50ms", COMMITLOG_AT, 1 },
		{ "1,freeze=1000@50ms", COMMITLOG_AT, 1 },
	};
	struct commitlog *plain = log_test_open(place.url);

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct commitlog *log = open_with(cases[i].faults);
		uint64_t from = log_test_next(plain, 1);
		struct log_test_reader r;
		struct log_test_answer a;

		log_test_reader_start(&r, plain, 1, from);
		a = log_test_append(log, 1, "x");
		assert_int_equal(a.outcome, cases[i].outcome);
		if (a.outcome == COMMITLOG_AT)
			assert_int_equal(a.offset, from);
		else
			assert_non_null(strstr(a.err.text, "fault: "));
		assert_true(log_test_gate_wait(&r.gate, cases[i].records, LOG_TEST_MSEC));
		commitlog_close(&log);
		commitlog_unread(plain, 1);
		assert_int_equal(log_test_next(plain, 1), from + cases[i].records);
		log_test_reader_release(&r);
	}
	commitlog_close(&plain);
}

static bool
has_metric(struct commitlog *log, const char *line)
{
	struct buf b = BUF_MAX(65536);
	bool has;

	commitlog_fault_metrics(log, &b);
	has = strstr(buf_str(&b), line) != NULL;
	buf_release(&b);
	return has;
}

/* A fault counts when it took place: a late record or a second one when the log has it. */
static void
test_metrics(void **state UNUSED)
{
	static const struct {
		const char *faults, *line;
	} cases[] = {
		{ "1", "_total{kind=\"lost\"} 0\n" },
		{ "1,refuse=1000", "_total{kind=\"refuse\"} 1\n" },
		{ "1,lost=1000", "_total{kind=\"lost\"} 1\n" },
		{ "1,lostack=1000", "_total{kind=\"lostack\"} 1\n" },
		{ "1,late=1000@1h", "_total{kind=\"late\"} 0\n" },
		{ "1,late=1000@1ms", "_total{kind=\"late\"} 1\n" },
		{ "1,twice=1000@1h", "_total{kind=\"twice\"} 0\n" },
		{ "1,twice=1000@1ms", "_total{kind=\"twice\"} 1\n" },
		{ "1,delay=1000@1ms", "_total{kind=\"delay\"} 1\n" },
		{ "1,freeze=1000@1ms", "_total{kind=\"freeze\"} 1\n" },
	};
	struct commitlog *plain = log_test_open(place.url);

	assert_false(has_metric(plain, "faults"));
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct commitlog *log = open_with(cases[i].faults);
		uint64_t give_up = clock_boot_ns() + LOG_TEST_MSEC * CLOCK_MSEC;

		(void)log_test_append(log, 1, "x");
		while (!has_metric(log, cases[i].line) && clock_boot_ns() < give_up)
			usleep(1000);
		if (!has_metric(log, cases[i].line))
			fail_msg("%s: no %s", cases[i].faults, cases[i].line);
		commitlog_close(&log);
	}
	commitlog_close(&plain);
}

static void
run_seed(const char *faults, char *fates, size_t n)
{
	struct commitlog *log = open_with(faults);

	for (size_t i = 0; i < n; i++)
		fates[i] = (char)('0' + log_test_append(log, 1, "x").outcome);
	fates[n] = '\0';
	commitlog_close(&log);
}

static void
test_seed_decides(void **state UNUSED)
{
	enum { N = 60 };
	char one[N + 1], again[N + 1], other[N + 1];

	run_seed("7,refuse=200,lost=200,twice=100@5ms,delay=100@2ms", one, N);
	run_seed("7,refuse=200,lost=200,twice=100@5ms,delay=100@2ms", again, N);
	run_seed("8,refuse=200,lost=200,twice=100@5ms,delay=100@2ms", other, N);
	assert_string_equal(one, again);
	assert_string_not_equal(one, other);
}

/* A frozen handle reads nothing, and goes on where it was. */
static void
test_freeze(void **state UNUSED)
{
	struct commitlog *plain = log_test_open(place.url);
	struct commitlog *log = open_with("1,freeze=1000@300ms");
	uint64_t begin = clock_boot_ns();
	struct log_test_answers a;
	struct log_test_reader r;

	log_test_answers_init(&a);
	log_test_reader_start(&r, log, 1, log_test_next(plain, 1));
	commitlog_append(log, 1, SLICE_LIT("frozen"), log_test_on_answer, &a);
	assert_int_equal(log_test_append(plain, 1, "meanwhile").outcome, COMMITLOG_AT);
	assert_true(log_test_gate_wait(&r.gate, 2, LOG_TEST_MSEC));
	assert_true(clock_boot_ns() - begin >= 300 * CLOCK_MSEC);
	assert_true(log_test_gate_wait(&a.gate, 1, LOG_TEST_MSEC));
	assert_string_equal(buf_str(&r.text), "meanwhile\nfrozen\n");
	commitlog_close(&log);
	commitlog_close(&plain);
	log_test_reader_release(&r);
}

/* Everybody is answered, whatever is still to come. */
static void
test_close(void **state UNUSED)
{
	enum { N = 200 };
	struct commitlog *log =
		open_with("3,late=100@1h,twice=100@1h,delay=100@1h,freeze=20@1h,lostack=100");
	struct log_test_answers a;

	log_test_answers_init(&a);
	for (unsigned i = 0; i < N; i++)
		commitlog_append(log, 1, SLICE_LIT("x"), log_test_on_answer, &a);
	commitlog_close(&log);
	assert_int_equal(a.gate.count, N);
	assert_int_equal(a.at + a.not +a.unknown, N);
}

static int
setup(void **state UNUSED)
{
	log_test_setup(&place);
	snprintf(place.url, sizeof(place.url), "file:%s", place.path);
	return 0;
}

static int
teardown(void **state UNUSED)
{
	log_test_cleanup(&place);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rules),   cmocka_unit_test(test_each_fault),
		cmocka_unit_test(test_metrics), cmocka_unit_test(test_seed_decides),
		cmocka_unit_test(test_freeze),  cmocka_unit_test(test_close),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
