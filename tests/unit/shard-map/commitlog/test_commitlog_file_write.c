/* Run as "... full FOLDER KIND" or "... armed URL POINT ACTION" it is a process of its own tests. */
#include "shard-map/commitlog/commitlog_file_write.h"

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "gitproto/base/check.h"
#include "gitproto/base/fault.h"
#include "gitproto/base/mem.h"
#include "tests/lib/disk_fault.h"
#include "tests/lib/log_test.h"

static struct log_test place;

static struct commitlog *
open_impatient(uint64_t msec)
{
	struct commitlog_opts opts = {
		.cluster = "test", .create = true, .allow_weak = true, .append_msec = msec
	};
	struct commitlog *log;
	struct err err;

	assert_int_equal(commitlog_open(&log, place.url, &opts, &err), 0);
	return log;
}

static int
lock_writers(void)
{
	char path[100];
	int fd;

	snprintf(path, sizeof(path), "%s-lock", place.path);
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	return fd;
}

static void
test_lock_held(void **state UNUSED)
{
	struct commitlog *log = open_impatient(1500);
	struct log_test_answer a;
	struct err err;
	int fd;

	assert_int_equal(log_test_append(log, 1, "before").outcome, COMMITLOG_AT);
	fd = lock_writers();
	a = log_test_append(log, 1, "never");
	assert_int_equal(a.outcome, COMMITLOG_NOT);
	assert_int_equal(a.err.code, ERR_TIMEOUT);
	assert_int_equal(commitlog_trim(log, 1, 1, &err), ERR_TIMEOUT);
	assert_int_equal(log_test_next(log, 1), 1); /* reading goes on */
	close(fd);
	a = log_test_append(log, 1, "after");
	assert_int_equal(a.outcome, COMMITLOG_AT);
	assert_int_equal(a.offset, 1);
	commitlog_close(&log);
}

/* Close returns although the thread cannot; it goes away when the lock is free. */
static void
test_close_while_lock_held(void **state UNUSED)
{
	struct commitlog *log = open_impatient(300);
	struct log_test_answers a;
	int fd = lock_writers();

	log_test_answers_init(&a);
	for (unsigned i = 0; i < 10; i++)
		commitlog_append(log, 1, SLICE_LIT("x"), log_test_on_answer, &a);
	commitlog_close(&log);
	assert_int_equal(a.not, 10);
	close(fd);
	fd = lock_writers();
	close(fd);
	log = log_test_open(place.url);
	assert_int_equal(log_test_next(log, 1), 0);
	commitlog_close(&log);
}

static void
test_queue_is_bounded(void **state UNUSED)
{
	enum { FIT = COMMITLOG_FILE_WRITE_QUEUE / COMMITLOG_MAX_RECORD };
	struct commitlog *log = log_test_open(place.url);
	struct log_test_answers a;
	uint8_t *bytes = mem_alloc(COMMITLOG_MAX_RECORD);
	int fd = lock_writers();

	log_test_answers_init(&a);
	for (unsigned i = 0; i < FIT + 5; i++)
		commitlog_append(log, 1, slice_of(bytes, COMMITLOG_MAX_RECORD), log_test_on_answer,
				 &a);
	close(fd);
	assert_true(log_test_gate_wait(&a.gate, FIT + 5, LOG_TEST_MSEC));
	assert_int_equal(a.at, FIT);
	assert_int_equal(a.not, 5);
	assert_int_equal(a.last.code, ERR_UNAVAILABLE);
	commitlog_close(&log);
	free(bytes);
}

static void
test_no_memory(void **state UNUSED)
{
	struct commitlog *log = log_test_open(place.url);
	struct log_test_answer a;

	mem_fail_at(1);
	a = log_test_append(log, 1, "x");
	mem_fail_at(0);
	assert_int_equal(a.outcome, COMMITLOG_NOT);
	assert_int_equal(a.err.code, ERR_NOMEM);
	commitlog_close(&log);
}

/* What a recovery of the files as they are now would find, as after a crash of the machine. */
static void
recover(char *text, size_t cap)
{
	char url[100];
	struct commitlog *log;
	struct log_test_reader r;

	log_test_shell("cp %s %s/copy && cp %s-wal %s/copy-wal", place.path, place.folder,
		       place.path, place.folder);
	snprintf(url, sizeof(url), "file:%s/copy", place.folder);
	log = log_test_open(url);
	log_test_reader_start(&r, log, 1, 0);
	assert_true(log_test_gate_wait(&r.gate, (unsigned)log_test_next(log, 1), LOG_TEST_MSEC));
	commitlog_close(&log);
	snprintf(text, cap, "%s", buf_str(&r.text));
	log_test_reader_release(&r);
	log_test_shell("rm %s/copy*", place.folder);
}

static void
test_commit_fails(void **state UNUSED)
{
	static const struct {
		enum disk_fault fault;
		unsigned times;
		enum commitlog_outcome outcome;
		int code;
	} cases[] = {
		{ DISK_FAULT_SYNC, 1, COMMITLOG_NOT, ERR_IO },
		{ DISK_FAULT_SYNC, 2, COMMITLOG_UNKNOWN, ERR_IO },
		{ DISK_FAULT_WRITE, 1, COMMITLOG_NOT, ERR_IO },
		{ DISK_FAULT_WRITE, 2, COMMITLOG_UNKNOWN, ERR_IO },
		{ DISK_FAULT_FULL, 1, COMMITLOG_NOT, ERR_FULL },
		{ DISK_FAULT_FULL, 2, COMMITLOG_NOT, ERR_FULL },
	};
	struct commitlog *log = log_test_open(place.url);
	char want[200] = "first\n", got[200], name[20];

	assert_int_equal(log_test_append(log, 1, "first").outcome, COMMITLOG_AT);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct log_test_answer a;

		disk_fault_set(cases[i].fault, cases[i].times);
		a = log_test_append(log, 1, "failed");
		disk_fault_set(cases[i].fault, 0);
		assert_int_equal(a.outcome, cases[i].outcome);
		assert_int_equal(a.err.code, cases[i].code);
		recover(got, sizeof(got));
		if (a.outcome == COMMITLOG_NOT)
			assert_string_equal(got, want);
		snprintf(name, sizeof(name), "after %zu", i);
		a = log_test_append(log, 1, name);
		assert_int_equal(a.outcome, COMMITLOG_AT);
		assert_int_equal(a.offset, i + 1);
		snprintf(want + strlen(want), sizeof(want) - strlen(want), "%s\n", name);
		recover(got, sizeof(got));
		assert_string_equal(got, want);
	}
	commitlog_close(&log);
}

/* The disk does not answer: those who wait are told, also when the log is closed meanwhile. */
static void
test_commit_hangs(void **state UNUSED)
{
	struct commitlog *log = open_impatient(1500);
	struct log_test_answers a;
	int fd;

	log_test_answers_init(&a);
	assert_int_equal(log_test_append(log, 1, "x").outcome, COMMITLOG_AT);
	disk_fault_set(DISK_FAULT_HANG, 1);
	commitlog_append(log, 1, SLICE_LIT("hangs"), log_test_on_answer, &a);
	assert_true(log_test_gate_wait(&a.gate, 1, LOG_TEST_MSEC));
	assert_int_equal(a.unknown, 1);
	assert_int_equal(a.last.code, ERR_UNKNOWN);
	commitlog_append(log, 1, SLICE_LIT("waits"), log_test_on_answer, &a);
	commitlog_close(&log);
	assert_int_equal(a.unknown, 1);
	assert_int_equal(a.not, 1);
	disk_fault_set(DISK_FAULT_HANG, 0);
	fd = lock_writers(); /* the thread left behind has let go of it */
	close(fd);
	log = log_test_open(place.url);
	assert_int_equal(log_test_next(log, 1), 2); /* it did arrive */
	commitlog_close(&log);
}

/* ---- processes that die or stop in the middle ---- */

static int
run_armed(const char *url, const char *point, const char *action)
{
	struct commitlog *log = log_test_open(url);

	CHECK(fault_arm(point, action));
	CHECK(log_test_append(log, 1, "x").outcome == COMMITLOG_AT);
	commitlog_close(&log);
	return 0;
}

static void
test_death_inside(void **state UNUSED)
{
	static const struct {
		const char *point;
		unsigned records;
	} cases[] = { { "log.locked", 0 }, { "log.committed", 1 } };

	for (size_t i = 0; i < COUNT(cases); i++) {
		const char *args[] = { "armed", place.url, cases[i].point, "die", NULL };
		struct commitlog *log = log_test_open(place.url);
		uint64_t next = log_test_next(log, 1);
		int fd;

		assert_int_equal(log_test_wait(log_test_spawn(&fd, args)), 128 + SIGKILL);
		close(fd);
		assert_int_equal(log_test_next(log, 1), next + cases[i].records);
		assert_int_equal(log_test_append(log, 1, "y").offset, next + cases[i].records);
		commitlog_close(&log);
	}
}

/* It holds the lock: nobody else writes, everybody is told, and it goes on where it was. */
static void
test_stop_inside(void **state UNUSED)
{
	const char *args[] = { "armed", place.url, "log.locked", "stop", NULL };
	struct commitlog *log = open_impatient(1500);
	struct log_test_answer a;
	siginfo_t info;
	pid_t pid;
	int fd;

	pid = log_test_spawn(&fd, args);
	assert_int_equal(waitid(P_PID, (id_t)pid, &info, WSTOPPED | WNOWAIT), 0);
	a = log_test_append(log, 1, "never");
	assert_int_equal(a.outcome, COMMITLOG_NOT);
	assert_int_equal(a.err.code, ERR_TIMEOUT);
	kill(pid, SIGCONT);
	assert_int_equal(log_test_wait(pid), 0);
	close(fd);
	a = log_test_append(log, 1, "y");
	assert_int_equal(a.outcome, COMMITLOG_AT);
	assert_int_equal(a.offset, 1);
	commitlog_close(&log);
}

/* ---- room ---- */

static void
fill(struct commitlog *log, uint64_t *kept)
{
	char text[20001];
	struct log_test_answer a;

	memset(text, 'f', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	do {
		a = log_test_append(log, 1, text);
		CHECK(a.outcome == COMMITLOG_AT || a.outcome == COMMITLOG_NOT);
		*kept += a.outcome == COMMITLOG_AT;
	} while (a.outcome == COMMITLOG_AT && *kept < 10000);
	fprintf(stderr, "full after %u records: %s\n", (unsigned)*kept, a.err.text);
	CHECK(a.err.code == ERR_FULL);
}

/* Until there is no room, and when there is again.  0, or 77: not possible here. */
static int
run_full(const char *folder, bool limit)
{
	struct rlimit r = { 3 << 20, RLIM_INFINITY };
	char url[300], filler[200];
	struct commitlog *log;
	uint64_t kept = 0;

	snprintf(url, sizeof(url), "file:%s/log", folder);
	snprintf(filler, sizeof(filler), "%s/filler", folder);
	signal(SIGXFSZ, SIG_IGN);
	if (!limit &&
	    (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	     mount("log", folder, "tmpfs", 0, "size=6m") < 0))
		return 77;
	log = log_test_open(url);
	if (limit) {
		CHECK(setrlimit(RLIMIT_FSIZE, &r) == 0);
	} else {
		snprintf(url, sizeof(url), "head -c 3000000 /dev/zero >%s", filler);
		CHECK(system(url) == 0);
	}
	fill(log, &kept);
	CHECK(log_test_next(log, 1) == kept);
	r.rlim_cur = RLIM_INFINITY;
	CHECK(setrlimit(RLIMIT_FSIZE, &r) == 0 && (limit || unlink(filler) == 0));
	CHECK(log_test_append(log, 1, "room again").offset == kept);
	commitlog_close(&log);
	snprintf(url, sizeof(url), "file:%s/log", folder);
	log = log_test_open(url);
	CHECK(log_test_next(log, 1) == kept + 1);
	commitlog_close(&log);
	return 0;
}

static void
test_disk_full(void **state UNUSED)
{
	static const char *const kinds[] = { "limit", "tmpfs" };

	for (size_t i = 0; i < COUNT(kinds); i++) {
		const char *args[] = { "full", place.folder, kinds[i], NULL };
		int fd, rc = log_test_wait(log_test_spawn(&fd, args));

		close(fd);
		if (rc == 77)
			print_message("%s: cannot be had here\n", kinds[i]);
		else
			assert_int_equal(rc, 0);
	}
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
		TEST(test_lock_held),        TEST(test_close_while_lock_held),
		TEST(test_queue_is_bounded), TEST(test_no_memory),
		TEST(test_commit_fails),     TEST(test_commit_hangs),
		TEST(test_death_inside),     TEST(test_stop_inside),
		TEST(test_disk_full),
	};

	if (argc == 4 && strcmp(argv[1], "full") == 0)
		return run_full(argv[2], strcmp(argv[3], "limit") == 0);
	if (argc == 5 && strcmp(argv[1], "armed") == 0)
		return run_armed(argv[2], argv[3], argv[4]);
	disk_fault_install();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
