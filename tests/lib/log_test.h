/* tests/lib/log_test.h - what tests of the commit log share: a fresh log, calls that wait, records
 * gathered, other processes.  Thread: the test's, callbacks apart.  Failures end the process. */
#ifndef TESTS_LIB_LOG_TEST_H
#define TESTS_LIB_LOG_TEST_H

#include <pthread.h>

#include "gitproto/base/buf.h"
#include "shard-map/commitlog/commitlog.h"

#define LOG_TEST_MSEC 120000 /* deadline of every wait: patience */

/* A new folder, and the URL of a log in it; url is GITSHARD_LOG_URL when that is set. */
struct log_test {
	char folder[64];
	char path[80];
	char url[512];
};
void log_test_setup(struct log_test *);
void log_test_cleanup(struct log_test *);
struct commitlog *log_test_open(const char *url); /* made when missing, cluster "test" */

struct log_test_answer {
	enum commitlog_outcome outcome;
	uint64_t offset;
	struct err err;
};
struct log_test_answer log_test_append(struct commitlog *, uint32_t stream, const char *text);
uint64_t log_test_next(struct commitlog *, uint32_t stream);

/* Counts down to a condition that callbacks bring about. */
struct log_test_gate {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	unsigned count;
};
void log_test_gate_init(struct log_test_gate *);
void log_test_gate_release(struct log_test_gate *);
void log_test_gate_add(struct log_test_gate *, unsigned n);
/* false after msec with fewer than n. */
MUST_CHECK bool log_test_gate_wait(struct log_test_gate *, unsigned n, unsigned msec);

/* Counts the answers to many appends. */
struct log_test_answers {
	struct log_test_gate gate; /* all of them */
	unsigned at, not, unknown; /* under gate.lock, each before the gate counts it */
	struct err last;           /* of those that are not AT */
};
void log_test_answers_init(struct log_test_answers *);
commitlog_append_fn log_test_on_answer; /* arg: struct log_test_answers */

/* Gathers one stream: its records as text, each followed by a line feed. */
struct log_test_reader {
	struct log_test_gate gate; /* records so far */
	struct log_test_gate troubles;
	struct err trouble; /* the last one; under troubles.lock */
	uint64_t first, next;
	struct buf text; /* under gate.lock */
};
void log_test_reader_start(struct log_test_reader *, struct commitlog *, uint32_t stream,
			   uint64_t from);
void log_test_reader_release(struct log_test_reader *); /* after unread or close */

/* A shell command, which has to succeed.  What is done to a database that is open has to be done so:
 * a process that opens and closes it loses SQLite's locks. */
void log_test_shell(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* This program again, with the arguments; *out reads its standard output. */
pid_t log_test_spawn(int *out, const char *const *args);
int log_test_wait(pid_t); /* exit code, or 128 + signal */

#endif
