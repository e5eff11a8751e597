/* Outcomes of appends, on librdkafka's own imitation of brokers: what real ones do is the business of
 * test_commitlog_conformance. */
#include "shard-map/commitlog/commitlog_kafka_write.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>
#include <librdkafka/rdkafka_mock.h>

#include "gitproto/base/log.h"
#include "tests/lib/log_test.h"

#define PRODUCE 0 /* the request's number */

static rd_kafka_t *host;
static rd_kafka_mock_cluster_t *brokers;

struct world {
	struct commitlog_kafka_conf conf;
	struct commitlog_kafka_write *write;
	struct log_test_answers answers;
};

static void
ignore_hint(void *arg UNUSED)
{
}

static void
begin(struct world *w, uint64_t append_msec)
{
	struct commitlog_opts opts = { .cluster = "test", .append_msec = append_msec };
	struct err err;

	memset(w, 0, sizeof(*w));
	log_test_answers_init(&w->answers);
	assert_int_equal(commitlog_kafka_conf_init(
				 &w->conf, rd_kafka_mock_cluster_bootstraps(brokers), &opts, &err),
			 0);
	assert_int_equal(commitlog_kafka_write_new(&w->write, &w->conf, ignore_hint, w, &err), 0);
}

static void
end(struct world *w)
{
	commitlog_kafka_write_free(&w->write);
	commitlog_kafka_conf_release(&w->conf);
	log_test_gate_release(&w->answers.gate);
}

static void
append(struct world *w, uint32_t stream)
{
	commitlog_kafka_write_append(w->write, stream, SLICE_LIT("record"), log_test_on_answer,
				     &w->answers);
}

static void
check_answers(struct world *w, unsigned at, unsigned refused, unsigned unknown)
{
	assert_true(log_test_gate_wait(&w->answers.gate, at + refused + unknown, LOG_TEST_MSEC));
	assert_int_equal(w->answers.at, at);
	assert_int_equal(w->answers.not, refused);
	assert_int_equal(w->answers.unknown, unknown);
}

static void
delivered(void **state UNUSED)
{
	struct world w;

	begin(&w, 0);
	append(&w, 0);
	check_answers(&w, 0, 1, 0); /* it is away at first */
	assert_int_equal(w.answers.last.code, ERR_UNAVAILABLE);
	commitlog_kafka_write_away(w.write, NULL);
	for (unsigned i = 0; i < 100; i++)
		append(&w, i % 4);
	append(&w, COMMITLOG_MAP);
	check_answers(&w, 101, 1, 0);
	append(&w, 4); /* there is no such partition */
	check_answers(&w, 101, 2, 0);
	assert_int_equal(w.answers.last.code, ERR_NOT_FOUND);
	end(&w);
}

/* The broker knows another sequence: librdkafka gives up on the handle, we make a new one. */
static void
fatal_error(void **state UNUSED)
{
	struct world w;

	begin(&w, 0);
	commitlog_kafka_write_away(w.write, NULL);
	append(&w, 1);
	check_answers(&w, 1, 0, 0);
	rd_kafka_mock_push_request_errors(brokers, PRODUCE, 1,
					  RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER);
	append(&w, 1);
	check_answers(&w, 1, 0, 1);
	for (unsigned i = 0; i < 10; i++)
		append(&w, 1);
	check_answers(&w, 11, 0, 1);
	end(&w);
}

/* Sent and not answered in time: perhaps in the log.  A time-out never means that it is not. */
static void
timed_out(void **state UNUSED)
{
	struct world w;

	begin(&w, 1500);
	commitlog_kafka_write_away(w.write, NULL);
	append(&w, 0);
	check_answers(&w, 1, 0, 0);
	rd_kafka_mock_broker_set_rtt(brokers, -1, 60000);
	append(&w, 0);
	append(&w, 0);
	check_answers(&w, 1, 0, 2);
	assert_int_equal(w.answers.last.code, ERR_UNKNOWN);
	rd_kafka_mock_broker_set_rtt(brokers, -1, 0);
	end(&w);
}

/* The log goes away: what waits in the handle and was never sent is refused at once. */
static void
away_and_back(void **state UNUSED)
{
	struct err why = { ERR_UNAVAILABLE, "no broker answers" };
	struct world w;

	begin(&w, 0);
	commitlog_kafka_write_away(w.write, NULL);
	append(&w, 0);
	check_answers(&w, 1, 0, 0);
	rd_kafka_mock_broker_set_down(brokers, 1);
	usleep(200000); /* nothing depends on it: the connection may fail before or after the append */
	append(&w, 0);
	commitlog_kafka_write_away(w.write, &why);
	append(&w, 0);
	assert_true(log_test_gate_wait(&w.answers.gate, 3, LOG_TEST_MSEC / 3));
	assert_int_equal(w.answers.at, 1);
	assert_true(w.answers.not >= 1);
	rd_kafka_mock_broker_set_up(brokers, 1);
	commitlog_kafka_write_away(w.write, NULL);
	append(&w, 0);
	assert_true(log_test_gate_wait(&w.answers.gate, 4, LOG_TEST_MSEC));
	assert_int_equal(w.answers.at, 2);
	end(&w);
}

static int
setup(void **state UNUSED)
{
	static const char *const topics[] = { "test.commits", "test.map", "test.directory" };
	char why[200];

	log_level_now = LOG_ERROR;
	host = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), why, sizeof(why));
	if (host == NULL)
		return -1;
	brokers = rd_kafka_mock_cluster_new(host, 1);
	for (size_t i = 0; i < COUNT(topics); i++)
		rd_kafka_mock_topic_create(brokers, topics[i], i == 0 ? 4 : 1, 1);
	return 0;
}

static int
teardown(void **state UNUSED)
{
	rd_kafka_mock_cluster_destroy(brokers);
	rd_kafka_destroy(host);
	return 0;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(delivered),
		cmocka_unit_test(fatal_error),
		cmocka_unit_test(timed_out),
		cmocka_unit_test(away_and_back),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
