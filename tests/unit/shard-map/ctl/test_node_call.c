#include "shard-map/ctl/node_call.h"

#include "tests/unit/shard-map/ctl/stub_node.h"

#define NOT_NOW "{\"error\":\"shard 0 has no primary now\",\"code\":\"unavailable\"}"

/* A map of one shard whose two members are these. */
static const struct map *
map_of(const struct stub_node *a, const char *b)
{
	struct map_node node[2] = { make_node(1, 1, 0), make_node(2, 1, 0) };
	const struct map *empty = empty_map(1), *m;

	snprintf(node[0].admin, sizeof(node[0].admin), "%s", a->addr);
	snprintf(node[1].admin, sizeof(node[1].admin), "%s", b);
	m = place(empty, node, 2, 2);
	map_unref(&empty);
	return m;
}

static void
test_waits_for_a_primary(void **state)
{
	struct stub_answer answers[] = { { "POST /v1/repos", 503, NOT_NOW, 3 },
					 { "POST /v1/repos", 201, "{\"id\":\"x\"}", 0 },
					 { NULL, 0, NULL, 0 } };
	struct stub_node node;
	const struct map *m;
	json_t *answer;
	struct err err = { 0 };

	(void)state;
	stub_start(&node, answers);
	m = map_of(&node, "127.0.0.1:1"); /* nobody listens there: the other one is asked */
	assert_int_equal(node_call(&answer, m, 0, "POST", "/v1/repos", "{}", 30000, &err), 0);
	assert_string_equal(json_string_value(json_object_get(answer, "id")), "x");
	json_decref(answer);
	map_unref(&m);
	stub_stop(&node);
	assert_int_equal(node.asked, 4);
}

static void
test_refusals(void **state)
{
	static const struct {
		struct stub_answer answer;
		int code;
		const char *words;
		unsigned asked; /* 0: any number */
	} cases[] = {
		{ { "POST", 409, "{\"error\":\"exists already\",\"code\":\"exists\"}", 0 },
		  ERR_EXISTS,
		  "exists already",
		  1 },
		{ { "POST", 503, "{\"error\":\"outcome unknown\",\"code\":\"unknown\"}", 0 },
		  ERR_UNKNOWN,
		  "outcome unknown",
		  1 },
		/* It may have been done: never a second time. */
		{ { "POST", 0, "", 0 }, ERR_UNKNOWN, "may have been done or not", 1 },
		{ { "POST", 503, NOT_NOW, 0 }, ERR_TIMEOUT, "no primary now", 0 },
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct stub_answer answers[] = { cases[i].answer, { NULL, 0, NULL, 0 } };
		struct stub_node node;
		const struct map *m;
		json_t *answer;
		struct err err = { 0 };

		stub_start(&node, answers);
		m = map_of(&node, "127.0.0.1:1");
		assert_int_equal(node_call(&answer, m, 0, "POST", "/v1/repos", "{}", 700, &err),
				 cases[i].code);
		if (strstr(err.text, cases[i].words) == NULL)
			fail_msg("case %u: %s", i, err.text);
		assert_null(answer);
		map_unref(&m);
		stub_stop(&node);
		if (cases[i].asked > 0)
			assert_int_equal(node.asked, cases[i].asked);
	}
}

static void
test_all(void **state)
{
	struct stub_answer answers[] = { { "GET /status", 200, "{\"node\":\"node1\"}", 0 },
					 { NULL, 0, NULL, 0 } };
	struct stub_node node;
	const struct map *m;
	struct ask *asks;

	(void)state;
	stub_start(&node, answers);
	m = map_of(&node, "127.0.0.1:1");
	asks = node_call_all(m, "/status", 5000);
	assert_int_equal(asks[0].err.code, 0);
	assert_int_equal(asks[1].err.code, ERR_UNAVAILABLE);
	assert_int_equal(node_call_silent(m, asks), 1);
	ask_release(asks, 2);
	free(asks);
	map_unref(&m);
	stub_stop(&node);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_waits_for_a_primary),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
