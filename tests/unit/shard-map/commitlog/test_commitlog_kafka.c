/* The Kafka log where no broker answers; with brokers it has to pass test_commitlog_conformance. */
#include "shard-map/commitlog/commitlog_kafka.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "gitproto/base/log.h"
#include "tests/lib/log_test.h"

static char url[64];
static int held = -1; /* bound, never listened on: connections are refused */

static void
not_without_create(void **state UNUSED)
{
	struct commitlog_opts opts = { .cluster = "test", .allow_weak = true };
	struct commitlog *log;
	struct err err;

	assert_int_equal(commitlog_open(&log, url, &opts, &err), ERR_UNAVAILABLE);
	assert_null(log);
	assert_int_equal(commitlog_create_topics(url, &opts, 8, &err), ERR_UNAVAILABLE);
}

static void
waits(void **state UNUSED)
{
	struct commitlog_opts opts = { .cluster = "test",
				       .wait = true,
				       .allow_weak = true }; /* as nodes do */
	struct commitlog *log;
	struct log_test_reader r;
	struct log_test_answer a;
	uint64_t first, next;
	struct err err;

	assert_int_equal(commitlog_open(&log, url, &opts, &err), 0);
	assert_string_equal(commitlog_kind(log), "kafka");
	a = log_test_append(log, 0, "never sent");
	assert_int_equal(a.outcome, COMMITLOG_NOT);
	assert_int_equal(a.err.code, ERR_UNAVAILABLE);
	log_test_reader_start(&r, log, 0, 0);
	assert_true(log_test_gate_wait(&r.troubles, 1, LOG_TEST_MSEC));
	assert_int_equal(r.trouble.code, ERR_UNAVAILABLE);
	assert_int_equal(commitlog_ends(log, 0, &first, &next, &err), ERR_UNAVAILABLE);
	commitlog_unread(log, 0);
	assert_int_equal(r.troubles.count, 1);
	log_test_reader_release(&r);
	commitlog_close(&log);
}

static int
setup(void **state UNUSED)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(a);

	held = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (bind(held, (struct sockaddr *)&a, len) < 0 ||
	    getsockname(held, (struct sockaddr *)&a, &len) < 0)
		return -1;
	snprintf(url, sizeof(url), "kafka:127.0.0.1:%u", ntohs(a.sin_port));
	log_level_now = LOG_ERROR;
	return 0;
}

static int
teardown(void **state UNUSED)
{
	return close(held);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(not_without_create),
		cmocka_unit_test(waits),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
