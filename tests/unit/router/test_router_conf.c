#include "router/router_conf.h"

#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define BASE "cluster=c", "log=file:/x", "router.listen=127.0.0.1:1", "router.admin=127.0.0.1:2"

static const struct {
	const char *set[6];
	const char *why; /* NULL: it is right */
} cases[] = {
	{ { BASE }, NULL },
	{ { BASE, "router.zone=east-1" }, NULL },
	{ { BASE, "router.threads=64" }, NULL },
	{ { BASE, "router.threads=65" }, "64" },
	{ { BASE, "router.threads=-1" }, "router.threads" },
	{ { BASE, "router.zone=East" }, "router.zone" },
	{ { BASE, "cluster=C" }, "cluster" },
	{ { BASE, "log_level=loud" }, "log_level" },
	{ { BASE, "router.max_requests=0" }, "router.max_requests" },
	{ { BASE, "router.retry_deadline=soon" }, "router.retry_deadline" },
	{ { BASE, "router.body_stall=1ms" }, "router.body_stall" },
	{ { BASE, "router.unknown=1" }, "unknown" },
	{ { "cluster=c", "log=file:/x", "router.listen=127.0.0.1:1" }, "router.admin" },
};

static void
test_cases(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct router_conf c;
		struct err e = { 0 };
		size_t n = 0;
		int rc;

		while (n < COUNT(cases[i].set) && cases[i].set[n] != NULL)
			n++;
		rc = conf_load(&router_conf_table, &c, NULL, cases[i].set, n, &e);
		if (rc == 0) {
			rc = router_conf_check(&c, &e);
			conf_release(&router_conf_table, &c);
		}
		assert_int_equal(rc < 0, cases[i].why != NULL);
		if (cases[i].why != NULL)
			assert_non_null(strstr(e.text, cases[i].why));
	}
}

static void
test_defaults(void **state)
{
	const char *set[] = { BASE };
	struct router_conf c;

	(void)state;
	assert_int_equal(conf_load(&router_conf_table, &c, NULL, set, COUNT(set), NULL), 0);
	assert_int_equal(c.retry_deadline, 15000);
	assert_int_equal(c.body_stall, 120000);
	assert_int_equal(c.threads, 0);
	assert_null(c.cache);
	assert_null(c.zone);
	assert_false(c.insecure || c.allow_weak_log);
	conf_release(&router_conf_table, &c);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_cases),
		cmocka_unit_test(test_defaults),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
