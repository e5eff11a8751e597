/* The log in a file: what is its own, beyond test_commitlog_conformance.c: opening, and room. */
#include "shard-map/commitlog/commitlog_file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"
#include "tests/lib/log_test.h"

static struct log_test place;

static void
change(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static void
test_open_refused(void **state UNUSED)
{
	char missing[100], folder[100], foreign[100], text[100], empty[100], newer[100];
	const struct commitlog_opts make = { .cluster = "test",
					     .create = true,
					     .allow_weak = true },
				    strict = { .cluster = "test", .create = true },
				    find = { .cluster = "test", .allow_weak = true },
				    other = { .cluster = "other",
					      .create = true,
					      .allow_weak = true };
	struct {
		const char *url;
		struct commitlog_opts opts;
		int code;
		const char *words;
	} cases[] = {
		{ "nothing", make, ERR_BAD, "scheme" },
		{ "kept:elsewhere", make, ERR_BAD, "\"kept:\"" },
		{ "file:", make, ERR_BAD, "path" },
		{ place.url, strict, ERR_REFUSED, "allow_weak_log = yes" },
		{ missing, find, ERR_NOT_FOUND, "there is no log" },
		{ folder, make, ERR_NOT_FOUND, "make it first" },
		{ foreign, make, ERR_REFUSED, "another program" },
		{ text, make, ERR_CORRUPT, "not a database" },
		{ empty, find, ERR_NOT_FOUND, "never made" },
		{ place.url, other, ERR_REFUSED, "cluster \"test\"" },
		{ newer, make, ERR_VERSION, "format 2" },
		{ "file:/dev/null", make, ERR_BAD, "no file" },
	};
	struct commitlog *log = log_test_open(place.url);

	commitlog_close(&log);
	snprintf(missing, sizeof(missing), "file:%s-missing", place.path);
	snprintf(folder, sizeof(folder), "file:%s/no/log", place.folder);
	snprintf(foreign, sizeof(foreign), "file:%s-foreign", place.path);
	snprintf(text, sizeof(text), "file:%s-text", place.path);
	snprintf(empty, sizeof(empty), "file:%s-empty", place.path);
	snprintf(newer, sizeof(newer), "file:%s-newer", place.path);
	change(foreign + 5, "CREATE TABLE theirs(x)");
	log_test_shell("seq 10000 >%s; : >%s", text + 5, empty + 5);
	log = log_test_open(newer);
	commitlog_close(&log);
	change(newer + 5, "PRAGMA user_version = 2");
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err err = { 0, "" };

		log = (struct commitlog *)&err;
		if (commitlog_open(&log, cases[i].url, &cases[i].opts, &err) != cases[i].code ||
		    strstr(err.text, cases[i].words) == NULL)
			fail_msg("case %zu: %d %s", i, err.code, err.text);
		assert_null(log);
		assert_int_equal(err.code, cases[i].code);
	}
}

static void *
open_here(void *arg UNUSED)
{
	struct commitlog *log = log_test_open(place.url);

	CHECK(log_test_append(log, 1, "x").outcome == COMMITLOG_AT);
	return log;
}

/* All at once, each of them willing to make the database. */
static void
test_open_together(void **state UNUSED)
{
	enum { N = 8 };
	pthread_t thread[N];
	void *log[N];

	for (unsigned i = 0; i < N; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, open_here, NULL), 0);
	for (unsigned i = 0; i < N; i++)
		pthread_join(thread[i], &log[i]);
	assert_int_equal(log_test_next(log[0], 1), N);
	assert_string_equal(commitlog_kind(log[0]), "file");
	for (unsigned i = 0; i < N; i++) {
		struct commitlog *one = log[i];

		commitlog_close(&one);
	}
}

/* A process that died between making the file and making its content. */
static void
test_open_half_made(void **state UNUSED)
{
	struct commitlog *log;

	change(place.path, "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA journal_mode = WAL;");
	log = log_test_open(place.url);
	assert_int_equal(log_test_append(log, 1, "x").offset, 0);
	assert_int_equal(log_test_append(log, 1, "").offset, 1); /* no bytes at all */
	commitlog_close(&log);
}

static void
test_trim_gives_room_back(void **state UNUSED)
{
	enum { N = 60, SMALL = 1000 };
	struct commitlog *log = log_test_open(place.url);
	uint8_t *bytes = mem_alloc(COMMITLOG_MAX_RECORD);
	struct log_test_answers a;
	struct stat st;
	struct err err;

	log_test_answers_init(&a);
	for (unsigned i = 0; i < N; i++)
		commitlog_append(log, 1, slice_of(bytes, COMMITLOG_MAX_RECORD), log_test_on_answer,
				 &a);
	for (unsigned i = 0; i < SMALL; i++)
		commitlog_append(log, 1, SLICE_LIT("small"), log_test_on_answer, &a);
	assert_true(log_test_gate_wait(&a.gate, N + SMALL, LOG_TEST_MSEC));
	assert_int_equal(a.at, N + SMALL);
	assert_int_equal(commitlog_trim(log, 1, N + SMALL - 1, &err), 0);
	assert_int_equal(log_test_append(log, 1, "x").offset, N + SMALL);
	commitlog_close(&log);
	assert_int_equal(stat(place.path, &st), 0);
	assert_in_range(st.st_size, 1, 10 << 20);
	free(bytes);
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
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(test_open_refused),
		TEST(test_open_together),
		TEST(test_open_half_made),
		TEST(test_trim_gives_room_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
