/* What every keeper of the commit log has to do, whatever it is made of: the log of GITSHARD_LOG_URL
 * (its streams 0 to 7 and the two named ones may have content), or a new file log.
 * Run as "... write URL WRITER COUNT" and "... echo URL FROM" it is a process of these tests. */
#include "shard-map/commitlog/commitlog.h"

#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/mem.h"
#include "tests/lib/log_test.h"
#include "tests/lib/log_writers.h"

#define QUIET 5u  /* a stream of one test at a time */
#define WRITERS 5 /* processes */

static struct log_test place;

/* ---- the echoing process: answers every record of stream QUIET with one of stream QUIET + 1 ---- */

struct echo {
	struct commitlog *log;
	struct log_test_gate gate;
	bool last;
};

static void
ignore_answer(enum commitlog_outcome o UNUSED, uint64_t offset UNUSED, const struct err *e UNUSED,
	      void *arg UNUSED)
{
}

static void
send_back(uint32_t stream, const struct commitlog_record *r, size_t n, void *arg)
{
	struct echo *e = arg;

	for (size_t i = 0; i < n; i++) {
		commitlog_append(e->log, stream + 1, r[i].bytes, ignore_answer, NULL);
		log_test_gate_add(&e->gate, slice_eq_str(r[i].bytes, "end"));
	}
}

static void
fail_on_trouble(uint32_t stream, const struct err *err, void *arg UNUSED)
{
	fprintf(stderr, "stream %u: %s\n", stream, err->text);
	abort();
}

static int
run_echo(const char *url, uint64_t from)
{
	struct echo e = { .log = log_test_open(url) };

	log_test_gate_init(&e.gate);
	commitlog_read(e.log, QUIET, from, send_back, fail_on_trouble, &e);
	CHECK(log_test_gate_wait(&e.gate, 1, LOG_TEST_MSEC));
	commitlog_close(&e.log);
	return 0;
}

/* ---- tests ---- */

static void
test_append_and_read(void **state UNUSED)
{
	struct commitlog *log = log_test_open(place.url);
	static const uint32_t streams[] = { 0, QUIET, COMMITLOG_MAP, COMMITLOG_DIRECTORY };
	struct log_test_reader r;

	for (size_t i = 0; i < COUNT(streams); i++) {
		uint64_t from = log_test_next(log, streams[i]);
		struct log_test_answer a;

		log_test_reader_start(&r, log, streams[i], from);
		for (unsigned n = 0; n < 3; n++) {
			a = log_test_append(log, streams[i], n == 0 ? "a" : n == 1 ? "bb" : "ccc");
			assert_int_equal(a.outcome, COMMITLOG_AT);
			assert_int_equal(a.offset, from + n);
		}
		assert_true(log_test_gate_wait(&r.gate, 3, LOG_TEST_MSEC));
		commitlog_unread(log, streams[i]);
		assert_string_equal(buf_str(&r.text), "a\nbb\nccc\n");
		assert_int_equal(r.troubles.count, 0);
		log_test_reader_release(&r);
		assert_int_equal(log_test_next(log, streams[i]), from + 3);
	}
	commitlog_close(&log);
	assert_null(log);
}

static void
test_largest_record(void **state UNUSED)
{
	struct commitlog *log = log_test_open(place.url);
	char *text = mem_alloc(COMMITLOG_MAX_RECORD + 1);
	struct log_test_reader r;

	memset(text, 'q', COMMITLOG_MAX_RECORD);
	log_test_reader_start(&r, log, QUIET, log_test_next(log, QUIET));
	for (unsigned i = 0; i < 12; i++) /* more than one batch of anybody */
		assert_int_equal(log_test_append(log, QUIET, text).outcome, COMMITLOG_AT);
	assert_true(log_test_gate_wait(&r.gate, 12, LOG_TEST_MSEC));
	commitlog_unread(log, QUIET);
	assert_int_equal(r.text.len, 12 * (COMMITLOG_MAX_RECORD + 1));
	for (size_t i = 0; i < r.text.len; i++)
		if (r.text.p[i] !=
		    (i % (COMMITLOG_MAX_RECORD + 1) == COMMITLOG_MAX_RECORD ? '\n' : 'q'))
			fail_msg("byte %zu differs", i);
	log_test_reader_release(&r);
	free(text);
	commitlog_close(&log);
}

static void
test_many_writers(void **state UNUSED)
{
	enum { EACH = 300 };
	uint64_t from[LOG_WRITERS_STREAMS];
	struct log_writers_history h = { NULL, 0, 0 };
	pid_t pid[WRITERS];
	int fd[WRITERS];

	log_writers_ends(from, place.url);
	for (unsigned i = 0; i < WRITERS; i++)
		pid[i] = log_writers_spawn(&fd[i], place.url, i, EACH);
	for (unsigned i = 0; i < WRITERS; i++) {
		log_writers_hear(&h, fd[i], SIZE_MAX);
		assert_int_equal(log_test_wait(pid[i]), 0);
		close(fd[i]);
	}
	assert_int_equal(h.n, WRITERS * EACH);
	for (size_t i = 0; i < h.n; i++)
		assert_int_equal(h.told[i].outcome, COMMITLOG_AT);
	assert_int_equal(log_writers_check(&h, from, place.url), WRITERS * EACH);
	free(h.told);
}

/* Writers are killed at any moment; what one of them heard is there afterwards.  What was on its way
 * may land in a later round: each round has writers of its own. */
static void
test_killed_writers(void **state UNUSED)
{
	enum { ROUNDS = 12, PAIR = 2 };
	uint64_t from[LOG_WRITERS_STREAMS];
	unsigned seed = 20260101;

	log_writers_ends(from, place.url);
	for (unsigned round = 0; round < ROUNDS; round++) {
		struct log_writers_history h = { NULL, 0, 0 };
		pid_t pid[PAIR];
		int fd[PAIR];

		for (unsigned i = 0; i < PAIR; i++)
			pid[i] = log_writers_spawn(&fd[i], place.url, 50 + PAIR * round + i,
						   1000000);
		for (unsigned i = 0; i < PAIR; i++) {
			log_writers_hear(&h, fd[i], (size_t)rand_r(&seed) % 150);
			usleep((useconds_t)rand_r(&seed) % 2000);
			kill(pid[i], SIGKILL);
			assert_int_equal(log_test_wait(pid[i]), 128 + SIGKILL);
			log_writers_hear(&h, fd[i], SIZE_MAX);
			close(fd[i]);
		}
		log_writers_check(&h, from, place.url);
		log_writers_ends(from, place.url);
		free(h.told);
	}
}

/* Another process reads what this one appends, and the other way round, without waiting for any
 * timer: a hundred times there and back. */
static void
test_wake_other_process(void **state UNUSED)
{
	enum { TIMES = 100 };
	struct commitlog *log = log_test_open(place.url);
	uint64_t from = log_test_next(log, QUIET), begin, worst = 0, total = 0;
	char where[32];
	const char *args[] = { "echo", place.url, where, NULL };
	struct log_test_reader r;
	pid_t pid;
	int fd;

	snprintf(where, sizeof(where), "%" PRIu64, from);
	log_test_reader_start(&r, log, QUIET + 1, log_test_next(log, QUIET + 1));
	pid = log_test_spawn(&fd, args);
	for (unsigned i = 0; i < TIMES; i++) {
		begin = clock_boot_ns();
		assert_int_equal(log_test_append(log, QUIET, "there").outcome, COMMITLOG_AT);
		assert_true(log_test_gate_wait(&r.gate, i + 1, LOG_TEST_MSEC));
		if (i == 0)
			continue; /* the other process has just begun */
		worst = MAX(worst, clock_boot_ns() - begin);
		total += clock_boot_ns() - begin;
	}
	print_message("there and back: %u us, %u us at worst\n", (unsigned)(total / TIMES / 1000),
		      (unsigned)(worst / 1000));
	assert_true(total < TIMES * 300 * CLOCK_MSEC); /* a timer of 1 s would need more */
	assert_int_equal(log_test_append(log, QUIET, "end").outcome, COMMITLOG_AT);
	assert_int_equal(log_test_wait(pid), 0);
	close(fd);
	commitlog_close(&log);
	log_test_reader_release(&r);
}

/* Readers that begin at any offset while appends go on miss nothing. */
static void
test_late_readers(void **state UNUSED)
{
	enum { EACH = 600, READERS = 6 };
	uint64_t from[LOG_WRITERS_STREAMS];
	struct commitlog *log[READERS];
	struct log_test_reader r[READERS];
	struct log_writers_history h = { NULL, 0, 0 };
	pid_t pid;
	int fd;

	log_writers_ends(from, place.url);
	pid = log_writers_spawn(&fd, place.url, 30, EACH * LOG_WRITERS_STREAMS);
	for (unsigned i = 0; i < READERS; i++) {
		log_writers_hear(&h, fd, EACH / 2);
		log[i] = log_test_open(place.url);
		log_test_reader_start(&r[i], log[i], i % LOG_WRITERS_STREAMS,
				      from[i % LOG_WRITERS_STREAMS] + i);
	}
	log_writers_hear(&h, fd, SIZE_MAX);
	assert_int_equal(log_test_wait(pid), 0);
	close(fd);
	for (unsigned i = 0; i < READERS; i++) {
		assert_true(log_test_gate_wait(&r[i].gate, EACH - i, LOG_TEST_MSEC));
		commitlog_close(&log[i]);
		assert_int_equal(r[i].next, from[i % LOG_WRITERS_STREAMS] + EACH);
		assert_int_equal(r[i].troubles.count, 0);
		log_test_reader_release(&r[i]);
	}
	log_writers_check(&h, from, place.url);
	free(h.told);
}

static void
test_ends_and_trim(void **state UNUSED)
{
	struct commitlog *log = log_test_open(place.url);
	uint64_t begin = log_test_next(log, QUIET), first, next;
	struct log_test_reader r;
	struct err err;

	for (unsigned i = 0; i < 10; i++)
		assert_int_equal(log_test_append(log, QUIET, "x").outcome, COMMITLOG_AT);
	assert_int_equal(commitlog_trim(log, QUIET, begin + 11, &err), ERR_BAD);
	assert_int_equal(commitlog_trim(log, QUIET, begin + 4, &err), 0);
	assert_int_equal(commitlog_trim(log, QUIET, begin + 2, &err), 0); /* was forgotten before */
	assert_int_equal(commitlog_ends(log, QUIET, &first, &next, &err), 0);
	assert_int_equal(first, begin + 4);
	assert_int_equal(next, begin + 10);

	log_test_reader_start(&r, log, QUIET, begin + 4);
	assert_true(log_test_gate_wait(&r.gate, 6, LOG_TEST_MSEC));
	commitlog_unread(log, QUIET);
	log_test_reader_release(&r);

	log_test_reader_start(&r, log, QUIET, begin + 3);
	assert_true(log_test_gate_wait(&r.troubles, 1, LOG_TEST_MSEC));
	commitlog_unread(log, QUIET);
	assert_int_equal(r.trouble.code, ERR_NOT_FOUND);
	log_test_reader_release(&r);

	assert_int_equal(commitlog_trim(log, QUIET, begin + 10, &err), 0);
	assert_int_equal(log_test_append(log, QUIET, "y").offset, begin + 10);
	assert_int_equal(commitlog_ends(log, QUIET, &first, &next, &err), 0);
	assert_int_equal(first, begin + 10);
	assert_int_equal(next, begin + 11);
	commitlog_close(&log);
}

static void
test_beyond_the_end(void **state UNUSED)
{
	struct commitlog *log = log_test_open(place.url);
	uint64_t next = log_test_next(log, QUIET);
	struct log_test_reader r;
	struct err err;

	log_test_reader_start(&r, log, QUIET, next + 1);
	assert_true(log_test_gate_wait(&r.troubles, 1, LOG_TEST_MSEC));
	assert_int_equal(r.trouble.code, ERR_CORRUPT);
	log_test_append(log, QUIET, "not told");
	commitlog_unread(log, QUIET);
	assert_int_equal(r.troubles.count, 1);
	assert_int_equal(r.gate.count, 0);
	log_test_reader_release(&r);
	assert_int_equal(commitlog_scan(log, QUIET, next + 2, 1, send_back, NULL, &err),
			 ERR_CORRUPT);
	assert_int_equal(commitlog_scan(log, QUIET, next + 1, 1, send_back, NULL, &err), 0);
	commitlog_close(&log);
}

static void
count_records(uint32_t stream UNUSED, const struct commitlog_record *r UNUSED, size_t n, void *arg)
{
	*(size_t *)arg += n;
}

static void
test_scan(void **state UNUSED)
{
	struct commitlog *log = log_test_open(place.url);
	uint64_t begin = log_test_next(log, QUIET);
	size_t n = 0;
	struct err err;

	for (unsigned i = 0; i < 20; i++)
		assert_int_equal(log_test_append(log, QUIET, "x").outcome, COMMITLOG_AT);
	assert_int_equal(commitlog_scan(log, QUIET, begin, 7, count_records, &n, &err), 0);
	assert_int_equal(n, 7);
	assert_int_equal(commitlog_scan(log, QUIET, begin, 0, count_records, &n, &err), 0);
	assert_int_equal(n, 7);
	assert_int_equal(commitlog_scan(log, QUIET, begin + 5, 100, count_records, &n, &err), 0);
	assert_int_equal(n, 7 + 15);
	assert_int_equal(commitlog_trim(log, QUIET, begin + 6, &err), 0);
	assert_int_equal(commitlog_scan(log, QUIET, begin + 5, 100, count_records, &n, &err),
			 ERR_NOT_FOUND);
	assert_int_equal(n, 7 + 15);
	commitlog_close(&log);
}

/* ---- unread ---- */

struct holding {
	struct commitlog *log;
	struct log_test_gate entered, go, left, returned;
	struct log_test_gate again; /* records of the second subscription */
};

static void
hold(uint32_t stream UNUSED, const struct commitlog_record *r UNUSED, size_t n UNUSED, void *arg)
{
	struct holding *h = arg;

	log_test_gate_add(&h->entered, 1);
	CHECK(log_test_gate_wait(&h->go, 1, LOG_TEST_MSEC));
	log_test_gate_add(&h->left, 1);
}

static void
read_again(uint32_t stream UNUSED, const struct commitlog_record *r UNUSED, size_t n, void *arg)
{
	struct holding *h = arg;

	log_test_gate_add(&h->again, (unsigned)n);
}

static void
unread_inside(uint32_t stream, const struct commitlog_record *r, size_t n UNUSED, void *arg)
{
	struct holding *h = arg;

	log_test_gate_add(&h->entered, 1);
	commitlog_unread(h->log, stream);
	commitlog_read(h->log, stream, r[0].offset, read_again, fail_on_trouble, h);
	log_test_gate_add(&h->left, 1);
}

static void *
unread_outside(void *arg)
{
	struct holding *h = arg;

	commitlog_unread(h->log, QUIET);
	CHECK(h->left.count == 1);
	log_test_gate_add(&h->returned, 1);
	return NULL;
}

static void
init_holding(struct holding *h)
{
	struct log_test_gate *gates[] = { &h->entered, &h->go, &h->left, &h->returned, &h->again };

	h->log = log_test_open(place.url);
	for (size_t i = 0; i < COUNT(gates); i++)
		log_test_gate_init(gates[i]);
}

static void
test_unread_waits(void **state UNUSED)
{
	struct holding h;
	pthread_t thread;

	init_holding(&h);
	commitlog_read(h.log, QUIET, log_test_next(h.log, QUIET), hold, fail_on_trouble, &h);
	log_test_append(h.log, QUIET, "held");
	assert_true(log_test_gate_wait(&h.entered, 1, LOG_TEST_MSEC));
	assert_int_equal(pthread_create(&thread, NULL, unread_outside, &h), 0);
	assert_false(log_test_gate_wait(&h.returned, 1, 50));
	log_test_append(h.log, QUIET, "for nobody");
	log_test_gate_add(&h.go, 1);
	assert_true(log_test_gate_wait(&h.returned, 1, LOG_TEST_MSEC));
	pthread_join(thread, NULL);
	commitlog_close(&h.log);
	assert_int_equal(h.entered.count, 1);
}

static void
test_unread_inside(void **state UNUSED)
{
	struct holding h;
	uint64_t from;

	init_holding(&h);
	from = log_test_next(h.log, QUIET);
	for (unsigned i = 0; i < 5; i++)
		log_test_append(h.log, QUIET, "x");
	commitlog_read(h.log, QUIET, from, unread_inside, fail_on_trouble, &h);
	assert_true(log_test_gate_wait(&h.again, 5, LOG_TEST_MSEC));
	assert_int_equal(h.entered.count, 1);
	commitlog_unread(h.log, QUIET);
	commitlog_unread(h.log, QUIET); /* nothing to end is no mistake */
	commitlog_close(&h.log);
	assert_int_equal(h.again.count, 5);
}

/* ---- close ---- */

struct closing {
	struct commitlog *log;
	unsigned answers, at; /* on log threads, one at a time; read after close */
	uint64_t last;
};

static void
count_answer(enum commitlog_outcome outcome, uint64_t offset, const struct err *err UNUSED,
	     void *arg)
{
	struct closing *c = arg;

	c->answers++;
	c->at += outcome == COMMITLOG_AT;
	if (outcome == COMMITLOG_AT)
		c->last = offset;
	if (c->answers == 100) /* allowed, and answered too */
		commitlog_append(c->log, QUIET, SLICE_LIT("late"), count_answer, c);
}

static void
test_close_and_open(void **state UNUSED)
{
	enum { N = 400 };
	struct closing c = { .log = log_test_open(place.url) };
	uint64_t from = log_test_next(c.log, QUIET);
	struct commitlog *log;

	for (unsigned i = 0; i < N; i++)
		commitlog_append(c.log, QUIET, SLICE_LIT("in flight"), count_answer, &c);
	commitlog_close(&c.log);
	assert_int_equal(c.answers, N + 1);
	log = log_test_open(place.url);
	assert_true(log_test_next(log, QUIET) >= from + c.at);
	assert_true(c.at == 0 || log_test_next(log, QUIET) > c.last);
	assert_int_equal(log_test_append(log, QUIET, "again").outcome, COMMITLOG_AT);
	commitlog_close(&log);
	commitlog_close(&log); /* of nothing */
}

static int
setup(void **state UNUSED)
{
	log_test_setup(&place);
	return 0;
}

static int
teardown(void **state UNUSED)
{
	log_test_cleanup(&place);
	return 0;
}

int
main(int argc, char **argv)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_append_and_read),
		cmocka_unit_test(test_largest_record),
		cmocka_unit_test(test_many_writers),
		cmocka_unit_test(test_killed_writers),
		cmocka_unit_test(test_wake_other_process),
		cmocka_unit_test(test_late_readers),
		cmocka_unit_test(test_ends_and_trim),
		cmocka_unit_test(test_beyond_the_end),
		cmocka_unit_test(test_scan),
		cmocka_unit_test(test_unread_waits),
		cmocka_unit_test(test_unread_inside),
		cmocka_unit_test(test_close_and_open),
	};

	if (argc == 5 && strcmp(argv[1], "write") == 0)
		return log_writers_run(argv[2], (uint32_t)atoi(argv[3]), (uint32_t)atoi(argv[4]));
	if (argc == 4 && strcmp(argv[1], "echo") == 0)
		return run_echo(argv[2], strtoull(argv[3], NULL, 10));
	return cmocka_run_group_tests(tests, setup, teardown);
}
