/* Reading in bad times.  Run as "... append URL TEXT" it is a process of its own tests. */
#include "shard-map/commitlog/commitlog_file_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "gitproto/base/check.h"
#include "tests/lib/disk_fault.h"
#include "tests/lib/log_test.h"

static struct log_test place;

static void
append_elsewhere(const char *text)
{
	const char *args[] = { "append", place.url, text, NULL };
	int fd;

	assert_int_equal(log_test_wait(log_test_spawn(&fd, args)), 0);
	close(fd);
}

static void
change(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void
test_log_away(void **state UNUSED)
{
	struct commitlog *log = log_test_open(place.url);
	struct log_test_reader r[2];

	assert_int_equal(log_test_append(log, 1, "a").outcome, COMMITLOG_AT);
	for (unsigned i = 0; i < COUNT(r); i++)
		log_test_reader_start(&r[i], log, 1 + i, 0);
	assert_true(log_test_gate_wait(&r[0].gate, 1, LOG_TEST_MSEC));
	disk_fault_set(DISK_FAULT_READ, UINT32_MAX);
	append_elsewhere("b");
	for (unsigned i = 0; i < COUNT(r); i++) {
		assert_true(log_test_gate_wait(&r[i].troubles, 1, LOG_TEST_MSEC));
		assert_int_equal(r[i].trouble.code, ERR_UNAVAILABLE);
	}
	append_elsewhere("c");
	assert_false(log_test_gate_wait(&r[0].troubles, 2, 1500)); /* more than one look later */
	disk_fault_set(DISK_FAULT_READ, 0);
	for (unsigned i = 0; i < COUNT(r); i++) {
		assert_true(log_test_gate_wait(&r[i].troubles, 2, LOG_TEST_MSEC));
		assert_int_equal(r[i].trouble.code, ERR_OK);
	}
	assert_true(log_test_gate_wait(&r[0].gate, 3, LOG_TEST_MSEC));
	assert_int_equal(log_test_append(log, 2, "d").outcome, COMMITLOG_AT);
	assert_true(log_test_gate_wait(&r[1].gate, 1, LOG_TEST_MSEC));
	commitlog_close(&log);
	assert_string_equal(buf_str(&r[0].text), "a\nb\nc\n");
	for (unsigned i = 0; i < COUNT(r); i++)
		log_test_reader_release(&r[i]);
}

static void
test_file_replaced(void **state UNUSED)
{
	struct commitlog *log = log_test_open(place.url), *other;
	struct log_test_reader r;
	struct log_test_answer a;

	log_test_reader_start(&r, log, 1, 0);
	assert_int_equal(log_test_append(log, 1, "a").outcome, COMMITLOG_AT);
	assert_true(log_test_gate_wait(&r.gate, 1, LOG_TEST_MSEC));
	log_test_shell("cd %s && mkdir old && mv log log-wal log-shm old", place.folder);
	other = log_test_open(place.url);
	assert_true(log_test_gate_wait(&r.troubles, 1, LOG_TEST_MSEC));
	assert_int_equal(r.trouble.code, ERR_CORRUPT);
	assert_non_null(strstr(r.trouble.text, "replaced"));
	a = log_test_append(log, 1, "b");
	assert_int_equal(a.outcome, COMMITLOG_NOT);
	assert_int_equal(a.err.code, ERR_CORRUPT);
	assert_int_equal(log_test_append(other, 1, "c").offset, 0);
	commitlog_close(&log);
	commitlog_close(&other);
	assert_int_equal(r.troubles.count, 1);
	log_test_reader_release(&r);
	log_test_shell("rm -r %s/old", place.folder);
}

/* Moved away and back, as by somebody who errs: nothing is written meanwhile, and it goes on. */
static void
test_file_away(void **state UNUSED)
{
	struct commitlog *log = log_test_open(place.url);
	struct log_test_reader r;
	struct log_test_answer a;

	log_test_reader_start(&r, log, 1, 0);
	assert_int_equal(log_test_append(log, 1, "a").outcome, COMMITLOG_AT);
	assert_true(log_test_gate_wait(&r.gate, 1, LOG_TEST_MSEC));
	log_test_shell("cd %s && mkdir away && mv log log-wal log-shm away", place.folder);
	a = log_test_append(log, 1, "b");
	assert_int_equal(a.outcome, COMMITLOG_NOT);
	assert_non_null(strstr(a.err.text, "put it back"));
	assert_true(log_test_gate_wait(&r.troubles, 1, LOG_TEST_MSEC));
	assert_int_equal(r.trouble.code, ERR_UNAVAILABLE);
	log_test_shell("cd %s && mv away/* . && rmdir away", place.folder);
	assert_true(log_test_gate_wait(&r.troubles, 2, LOG_TEST_MSEC));
	assert_int_equal(r.trouble.code, ERR_OK);
	assert_int_equal(log_test_append(log, 1, "c").offset, 1);
	assert_true(log_test_gate_wait(&r.gate, 2, LOG_TEST_MSEC));
	commitlog_close(&log);
	assert_string_equal(buf_str(&r.text), "a\nc\n");
	log_test_reader_release(&r);
}

struct held {
	struct log_test_gate entered, go;
};

static void
hold(uint32_t stream UNUSED, const struct commitlog_record *r UNUSED, size_t n UNUSED, void *arg)
{
	struct held *h = arg;

	log_test_gate_add(&h->entered, 1);
	CHECK(log_test_gate_wait(&h->go, 1, LOG_TEST_MSEC));
}

static void
ignore_trouble(uint32_t stream UNUSED, const struct err *err UNUSED, void *arg UNUSED)
{
}

/* Records that were trimmed before a reader in step had looked at them. */
static void
test_trimmed_unseen(void **state UNUSED)
{
	struct commitlog *slow = log_test_open(place.url), *log = log_test_open(place.url);
	struct log_test_reader r;
	struct held h;
	struct err err;

	log_test_gate_init(&h.entered);
	log_test_gate_init(&h.go);
	log_test_reader_start(&r, slow, 2, 0);
	assert_int_equal(log_test_append(log, 2, "seen").outcome, COMMITLOG_AT);
	assert_true(log_test_gate_wait(&r.gate, 1, LOG_TEST_MSEC));
	commitlog_read(slow, 1, 0, hold, ignore_trouble, &h);
	assert_int_equal(log_test_append(log, 1, "x").outcome, COMMITLOG_AT);
	assert_true(log_test_gate_wait(&h.entered, 1, LOG_TEST_MSEC));
	assert_int_equal(log_test_append(log, 2, "unseen").outcome, COMMITLOG_AT);
	assert_int_equal(commitlog_trim(log, 2, 2, &err), 0);
	log_test_gate_add(&h.go, 1);
	assert_true(log_test_gate_wait(&r.troubles, 1, LOG_TEST_MSEC));
	assert_int_equal(r.trouble.code, ERR_NOT_FOUND);
	commitlog_close(&slow);
	commitlog_close(&log);
	assert_int_equal(r.gate.count, 1);
	log_test_reader_release(&r);
}

static void
test_damaged(void **state UNUSED)
{
	struct commitlog *log = log_test_open(place.url);
	struct log_test_reader r;

	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(log_test_append(log, 1, "x").outcome, COMMITLOG_AT);
	commitlog_close(&log);
	change(place.path, "DELETE FROM record WHERE off = 1");
	log = log_test_open(place.url);
	log_test_reader_start(&r, log, 1, 0);
	assert_true(log_test_gate_wait(&r.troubles, 1, LOG_TEST_MSEC));
	assert_int_equal(r.trouble.code, ERR_CORRUPT);
	assert_non_null(strstr(r.trouble.text, "1/1 is missing"));
	commitlog_close(&log);
	log_test_reader_release(&r);
}

static int
run_append(const char *url, const char *text)
{
	struct commitlog *log = log_test_open(url);

	CHECK(log_test_append(log, 1, text).outcome == COMMITLOG_AT);
	commitlog_close(&log);
	return 0;
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

#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_log_away),       TEST(test_file_replaced), TEST(test_file_away),
		TEST(test_trimmed_unseen), TEST(test_damaged),
	};

	if (argc == 4 && strcmp(argv[1], "append") == 0)
		return run_append(argv[2], argv[3]);
	disk_fault_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
