#include "shard-map/commitlog/commitlog_kafka_conf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char path[] = "/tmp/gitshard-kafka-XXXXXX";

static void
brokers(void **state UNUSED)
{
	static const struct {
		const char *where;
		int code;
	} cases[] = {
		{ "a:1", 0 },
		{ "127.0.0.1:9092,kafka-2.example:9092", 0 },
		{ "[::1]:9092", 0 },
		{ "", ERR_BAD },
		{ "a", ERR_BAD },
		{ ":9092", ERR_BAD },
		{ "a:", ERR_BAD },
		{ "a:x", ERR_BAD },
		{ "a:123456", ERR_BAD },
		{ "a:1,,b:1", ERR_BAD },
		{ "a b:1", ERR_BAD },
		{ "sasl://u@a:1", ERR_BAD },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct commitlog_opts opts = { .cluster = "c" };
		struct commitlog_kafka_conf c = { .brokers = NULL };
		struct err err;

		assert_int_equal(commitlog_kafka_conf_init(&c, cases[i].where, &opts, &err),
				 cases[i].code);
		commitlog_kafka_conf_release(&c);
	}
}

static void
streams(void **state UNUSED)
{
	struct commitlog_opts opts = { .cluster = "demo", .append_msec = 0 };
	struct commitlog_kafka_conf c = { .brokers = NULL };

	assert_int_equal(commitlog_kafka_conf_init(&c, "a:1", &opts, NULL), 0);
	assert_string_equal(c.topic[commitlog_kafka_topic_of(7)], "demo.commits");
	assert_string_equal(c.topic[commitlog_kafka_topic_of(COMMITLOG_MAP)], "demo.map");
	assert_string_equal(c.topic[commitlog_kafka_topic_of(COMMITLOG_DIRECTORY)],
			    "demo.directory");
	assert_int_equal(commitlog_kafka_partition_of(7), 7);
	assert_int_equal(commitlog_kafka_partition_of(COMMITLOG_MAP), 0);
	assert_true(c.append_msec > 0);
	commitlog_kafka_conf_release(&c);
}

static int
load(struct commitlog_kafka_conf *c, const char *text, mode_t mode, struct err *err)
{
	struct commitlog_opts opts = { .cluster = "c", .kafka_options = path };
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fputs(text, f) >= 0, 1);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, mode), 0);
	memset(c, 0, sizeof(*c));
	return commitlog_kafka_conf_init(c, "127.0.0.1:1", &opts, err);
}

static void
options(void **state UNUSED)
{
	static const struct {
		const char *text;
		mode_t mode;
		int code;
		const char *words;
	} cases[] = {
		{ "", 0600, 0, NULL },
		{ "# why\n\n client.id = x \r\nclient.rack=r", 0600, 0, NULL },
		{ "sasl.password=a=b\nsecurity.protocol=plaintext\n", 0400, 0, NULL },
		{ "client.id=x\n", 0640, ERR_REFUSED, "chmod 600" },
		{ "client.id=x\nwhat\n", 0600, ERR_BAD, ":2: write name=value" },
		{ "=x\n", 0600, ERR_BAD, ":1:" },
		{ "acks=0\n", 0600, ERR_REFUSED, "'acks'" },
		{ "enable.idempotence=false\n", 0600, ERR_REFUSED, "enable.idempotence" },
		{ "client.idle=1\n", 0600, ERR_REFUSED, "client.idle" },
		{ "sasl.=1\n", 0600, ERR_REFUSED, "sasl." },
	};
	struct commitlog_kafka_conf c;
	struct err err;

	for (size_t i = 0; i < COUNT(cases); i++) {
		err.text[0] = '\0';
		assert_int_equal(load(&c, cases[i].text, cases[i].mode, &err), cases[i].code);
		if (cases[i].words != NULL)
			assert_non_null(strstr(err.text, cases[i].words));
		commitlog_kafka_conf_release(&c);
	}
}

static void
on_error(rd_kafka_t *rk UNUSED, int e UNUSED, const char *reason UNUSED, void *opaque UNUSED)
{
}

/* Each of the settings has to be one that librdkafka knows, for each kind of handle. */
static void
handles(void **state UNUSED)
{
	struct commitlog_kafka_conf c;
	struct commitlog_kafka_client k;
	struct err err;

	assert_int_equal(load(&c, "client.id=me\n", 0600, &err), 0);
	for (unsigned role = 0; role <= COMMITLOG_KAFKA_CONTROL; role++) {
		assert_int_equal(
			commitlog_kafka_client_open(&k, &c, role, on_error, NULL, NULL, &err), 0);
		assert_non_null(strstr(rd_kafka_name(k.rk), "me"));
		commitlog_kafka_client_close(&k);
		commitlog_kafka_client_close(&k); /* of nothing */
	}
	commitlog_kafka_conf_release(&c);
	assert_int_equal(load(&c, "security.protocol=carrier_pigeon\n", 0600, &err), 0);
	assert_int_equal(commitlog_kafka_client_open(&k, &c, COMMITLOG_KAFKA_CONTROL, on_error,
						     NULL, NULL, &err),
			 ERR_BAD);
	assert_non_null(strstr(err.text, "security.protocol"));
	commitlog_kafka_conf_release(&c);
}

static int
setup(void **state UNUSED)
{
	int fd = mkstemp(path);

	return fd < 0 ? -1 : close(fd);
}

static int
teardown(void **state UNUSED)
{
	return unlink(path);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(brokers),
		cmocka_unit_test(streams),
		cmocka_unit_test(options),
		cmocka_unit_test(handles),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
