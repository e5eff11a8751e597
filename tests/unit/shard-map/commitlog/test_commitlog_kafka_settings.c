#include "shard-map/commitlog/commitlog_kafka_settings.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "gitproto/base/log.h"

static void
settings(void **state UNUSED)
{
	static const struct {
		const char *name, *value;
		bool weak, wrong;
	} cases[] = {
		{ "min.insync.replicas", "2", false, false },
		{ "min.insync.replicas", "3", false, false },
		{ "min.insync.replicas", "1", true, false },
		{ "unclean.leader.election.enable", "false", false, false },
		{ "unclean.leader.election.enable", "true", true, false },
		{ "retention.ms", "-1", false, false },
		{ "retention.ms", "604800000", true, false },
		{ "retention.bytes", "-1", false, false },
		{ "retention.bytes", "1000", true, false },
		{ "message.timestamp.type", "LogAppendTime", false, false },
		{ "message.timestamp.type", "CreateTime", true, false },
		{ "cleanup.policy", "delete", false, false },
		{ "cleanup.policy", "compact", false, true },
		{ "cleanup.policy", "compact,delete", false, true },
		{ "max.message.bytes", "1048588", false, false },
		{ "max.message.bytes", "100000", false, true },
		{ "max.message.bytes", "", false, true },
		{ "segment.bytes", "1", false, false },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct commitlog_kafka_settings s;
		struct err err = { 0 };

		commitlog_kafka_settings_init(&s);
		commitlog_kafka_settings_replicas(&s, "c.commits", 3);
		commitlog_kafka_settings_add(&s, "c.commits", cases[i].name, cases[i].value);
		assert_int_equal(commitlog_kafka_settings_judge(&s, true, &err),
				 cases[i].wrong ? ERR_REFUSED : 0);
		assert_int_equal(commitlog_kafka_settings_judge(&s, false, &err),
				 cases[i].wrong || cases[i].weak ? ERR_REFUSED : 0);
		if (cases[i].weak || cases[i].wrong)
			assert_non_null(strstr(err.text, cases[i].name));
		if (cases[i].weak)
			assert_non_null(strstr(err.text, "allow_weak_log"));
		commitlog_kafka_settings_release(&s);
	}
}

static void
replicas(void **state UNUSED)
{
	for (int n = 1; n <= 3; n++) {
		struct commitlog_kafka_settings s;
		struct err err;

		commitlog_kafka_settings_init(&s);
		commitlog_kafka_settings_replicas(&s, "c.map", n);
		assert_int_equal(commitlog_kafka_settings_judge(&s, false, &err),
				 n < 3 ? ERR_REFUSED : 0);
		commitlog_kafka_settings_release(&s);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings),
		cmocka_unit_test(replicas),
	};

	log_level_now = LOG_ERROR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
