#include "shard-map/ctl/ask_all.h"

#include "gitproto/base/clock.h"
#include "tests/unit/shard-map/ctl/stub_node.h"

static void
test_answers(void **state)
{
	struct stub_answer answers[] = {
		{ "GET /good HTTP/1.1", 200, "{\"a\":1}", 0 },
		{ "POST /made", 201, "{\"id\":\"x\"}", 0 },
		{ "GET /refused", 409, "{\"error\":\"it is there\",\"code\":\"exists\"}", 0 },
		{ "GET /text", 503, "not now\nsecond line", 0 },
		{ "GET /nojson", 200, "hello", 0 },
		{ "GET /closed", 0, "", 0 },
		{ "GET /never", -1, "", 0 },
		{ NULL, 0, NULL, 0 },
	};
	static const struct {
		const char *method, *target, *body;
		int status, code;
		const char *words;
	} cases[] = {
		{ "GET", "/good", NULL, 200, 0, "" },
		{ "POST", "/made", "{\"repo\":\"a/b\"}", 201, 0, "" },
		{ "GET", "/refused", NULL, 409, ERR_EXISTS, "it is there" },
		{ "GET", "/text", NULL, 503, ERR_UNAVAILABLE, "HTTP 503: not now" },
		{ "GET", "/nojson", NULL, 200, ERR_BAD, "no JSON" },
		{ "GET", "/closed", NULL, 0, ERR_CLOSED, "" },
		{ "GET", "/unknown", NULL, 404, ERR_NOT_FOUND, "404" },
		{ "GET", "/never", NULL, 0, ERR_TIMEOUT, "" },
	};
	struct ask asks[COUNT(cases) + 1] = { 0 };
	struct stub_node node;
	uint64_t begin = clock_boot_ns();

	(void)state;
	stub_start(&node, answers);
	for (unsigned i = 0; i < COUNT(cases); i++)
		asks[i] = (struct ask){ .addr = node.addr,
					.method = cases[i].method,
					.target = cases[i].target,
					.body = cases[i].body };
	asks[COUNT(cases)] = (struct ask){ .addr = "127.0.0.1:1", .method = "GET", .target = "/" };
	ask_all(asks, COUNT(asks), 1000);
	assert_true(clock_boot_ns() - begin < 30 * CLOCK_SEC);
	for (unsigned i = 0; i < COUNT(cases); i++)
		if (asks[i].status != cases[i].status || asks[i].err.code != cases[i].code ||
		    strstr(asks[i].err.text, cases[i].words) == NULL)
			fail_msg("case %u: %d %d %s", i, asks[i].status, asks[i].err.code,
				 asks[i].err.text);
	assert_int_equal(json_integer_value(json_object_get(asks[0].json, "a")), 1);
	assert_int_equal(asks[COUNT(cases)].err.code, ERR_UNAVAILABLE);
	ask_release(asks, COUNT(asks));
	stub_stop(&node);
	assert_int_equal(node.asked, COUNT(cases));
}

static void
test_body(void **state)
{
	struct stub_answer answers[] = { { "POST /v1/repos", 201, "{}", 0 }, { NULL, 0, NULL, 0 } };
	struct stub_node node;
	struct ask a;

	(void)state;
	stub_start(&node, answers);
	a = (struct ask){ node.addr, "POST", "/v1/repos", "{\"x\":1}", 0, NULL, { 0 }, { 0 } };
	ask_all(&a, 1, 5000);
	assert_int_equal(a.status, 201);
	ask_release(&a, 1);
	stub_stop(&node);
	assert_non_null(strstr(node.last, "content-type: application/json\r\n"));
	assert_non_null(strstr(node.last, "\r\n\r\n{\"x\":1}"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),
		cmocka_unit_test(test_body),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
