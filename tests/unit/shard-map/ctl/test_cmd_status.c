#include "shard-map/ctl/cmd_status.h"

#include <jansson.h>

#include "tests/unit/shard-map/ctl/ctl_run.h"

#define HEAD                                                                              \
	"{\"state\":\"ready\",\"map_version\":1,\"log\":{\"kind\":\"file\",\"ok\":true}," \
	"\"shards\":["
#define SHARD(n, role, epoch, primary, applied)                                              \
	"{\"shard\":" #n ",\"role\":\"" role "\",\"epoch\":" #epoch ",\"primary\":" #primary \
	",\"position\":9,\"applied\":" #applied ",\"missing_packs\":0,\"halted\":null}"

static struct stub_answer leads[] = {
	{ "GET /status", 200,
	  HEAD SHARD(0, "primary", 3, 1, 9) "," SHARD(1, "primary", 3, 1, 9) "," SHARD(
		  2, "follower", 1, 2, 8) "," SHARD(3, "follower", 1, 2, 9) "]}",
	  0 },
	{ NULL, 0, NULL, 0 }
};
static struct stub_answer follows[] = {
	{ "GET /status", 200,
	  HEAD SHARD(0, "follower", 3, 1, 9) "," SHARD(1, "follower", 3, 1, 9) "," SHARD(
		  2, "primary", 1, 2, 9) "," SHARD(3, "primary", 1, 2, 9) "]}",
	  0 },
	{ NULL, 0, NULL, 0 }
};

static void
test_healthy(void **state)
{
	struct ctl_run r = { 0 };
	json_t *o;

	(void)state;
	ctl_run_start(&r, leads, follows);
	assert_int_equal(ctl_run(&r, cmd_status, NULL, false), 0);
	check_has(&r,
		  "test is healthy: map version 1, 2 of 2 nodes answer, 4 of 4 shards are whole");
	check_has(&r, "ready  1    ok   4       2        1\n");
	assert_false(r.partial);
	assert_int_equal(ctl_run(&r, cmd_status, NULL, true), 0);
	o = json_loads(buf_str(&r.out), 0, NULL);
	assert_int_equal(json_integer_value(json_object_get(o, "schema")), 1);
	assert_string_equal(json_string_value(json_object_get(o, "verdict")), "healthy");
	assert_int_equal(json_array_size(json_object_get(o, "shards")), CTL_RUN_SHARDS);
	json_decref(o);
	ctl_run_end(&r);
}

static void
test_silent_node(void **state)
{
	struct stub_answer closed[] = { { "GET", 0, "", 0 }, { NULL, 0, NULL, 0 } };
	struct ctl_run r = { 0 };

	(void)state;
	ctl_run_start(&r, leads, closed);
	assert_int_equal(ctl_run(&r, cmd_status, NULL, false), 0);
	assert_true(r.partial);
	check_has(&r, "without a primary on some shards: map version 1, 1 of 2 nodes answer");
	check_has(&r, "no answer");
	check_has(&r, "shard 2: its primary node2 gives no answer; 1 of 2 members answer\n");
	/* What is worst stands first. */
	assert_true(strstr(buf_str(&r.out), "shard 3:") < strstr(buf_str(&r.out), "shard 0:"));
	assert_int_equal(ctl_run(&r, cmd_status, NULL, true), 0);
	check_has(&r, "\"answers\": false");
	ctl_run_end(&r);
}

/* A deposed primary has not heard of the next epoch; a halted shard says why. */
static void
test_epochs(void **state)
{
	struct stub_answer old[] = {
		{ "GET", 200,
		  HEAD SHARD(0, "primary", 3, 1,
			     9) ",{\"shard\":1,\"role\":\"halted\",\"epoch\":1,"
				"\"primary\":2,\"position\":9,\"applied\":9,"
				"\"missing_packs\":2,\"halted\":\"disk full\"}]}",
		  0 },
		{ NULL, 0, NULL, 0 }
	};
	struct stub_answer new[] = { { "GET", 200, HEAD SHARD(0, "follower", 4, 2, 9) "]}", 0 },
				     { NULL, 0, NULL, 0 } };
	struct ctl_run r = { 0 };

	(void)state;
	ctl_run_start(&r, old, new);
	assert_int_equal(ctl_run(&r, cmd_status, NULL, false), 0);
	check_has(&r, "shard 0: its primary node2 gives no answer\n");
	check_has(&r, "1 members miss packs; halted on node1: disk full\n");
	ctl_run_end(&r);
}

/* Full disks: what a node cannot write, and what it does not begin any more. */
static void
test_full(void **state)
{
	struct stub_answer one[] = {
		{ "GET", 200,
		  HEAD SHARD(0, "primary", 3, 1,
			     9) ",{\"shard\":1,\"role\":\"primary\",\"epoch\":1,\"primary\":1,"
				"\"position\":9,\"applied\":8,\"missing_packs\":0,"
				"\"stuck\":\"no space\"}],\"disk\":{\"ok\":false,"
				"\"why\":\"it is full\"}}",
		  0 },
		{ NULL, 0, NULL, 0 }
	};
	struct stub_answer two[] = { { "GET", 200, HEAD SHARD(0, "follower", 3, 1, 9) "]}", 0 },
				     { NULL, 0, NULL, 0 } };
	struct ctl_run r = { 0 };

	(void)state;
	ctl_run_start(&r, one, two);
	assert_int_equal(ctl_run(&r, cmd_status, NULL, false), 0);
	check_has(&r, "node node1 refuses pushes: it is full\n");
	check_has(&r, "; node1 cannot write: no space\n");
	assert_int_equal(ctl_run(&r, cmd_status, NULL, true), 0);
	check_has(&r, "\"stuck\": \"no space\"");
	ctl_run_end(&r);
}

/* What is being resolved, the oldest of a shard; and a log that is weak. */
static void
test_open(void **state)
{
	struct stub_answer one[] = {
		{ "GET", 200,
		  "{\"log\":{\"ok\":true,\"weak\":\"one disk\"},\"shards\":["
		  "{\"shard\":0,\"role\":\"primary\",\"epoch\":3,\"primary\":1,"
		  "\"outcomes_unknown\":2,\"open\":["
		  "{\"type\":\"create\",\"repo\":\"a/young\",\"request\":\"1\",\"for_ms\":1500,"
		  "\"doing\":\"x\"},{\"type\":\"update\",\"repo\":\"a/old\",\"request\":\"2\","
		  "\"for_ms\":12345,\"doing\":\"waiting for a barrier\"}]}]}",
		  0 },
		{ NULL, 0, NULL, 0 }
	};
	struct stub_answer two[] = { { "GET", 200, HEAD SHARD(0, "follower", 3, 1, 9) "]}", 0 },
				     { NULL, 0, NULL, 0 } };
	struct ctl_run r = { 0 };

	(void)state;
	ctl_run_start(&r, one, two);
	assert_int_equal(ctl_run(&r, cmd_status, NULL, false), 0);
	check_has(&r, "shard 0: 2 outcomes unknown, the oldest: update a/old of request 2 on node1 "
		      "for 12 s: waiting for a barrier\n");
	check_has(&r, "\nweak log (allowed by allow_weak_log): one disk\n");
	assert_int_equal(ctl_run(&r, cmd_status, NULL, true), 0);
	check_has(&r, "\"outcomes_unknown\": 2");
	check_has(&r, "\"weak_log\": \"one disk\"");
	ctl_run_end(&r);
}

/* No node has a log: that is the verdict, before what follows from it. */
static void
test_log_away(void **state)
{
	struct stub_answer gone[] = {
		{ "GET", 200,
		  "{\"log\":{\"ok\":false,\"away\":true,\"why\":\"moved\"},\"shards\":[]}", 0 },
		{ NULL, 0, NULL, 0 }
	};
	struct stub_answer both[] = {
		{ "GET", 200,
		  "{\"log\":{\"ok\":false,\"away\":true,\"why\":\"moved\"},\"shards\":[],"
		  "\"disk\":{\"ok\":false,\"why\":\"it is full\"}}",
		  0 },
		{ NULL, 0, NULL, 0 }
	};
	struct ctl_run r = { 0 };

	(void)state;
	ctl_run_start(&r, gone, both);
	assert_int_equal(ctl_run(&r, cmd_status, NULL, false), 0);
	check_has(&r, "test is without its commit log: ");
	check_has(&r, "\nnode node1 refuses pushes: its commit log is away (moved)\n");
	check_has(&r, "node node2 refuses pushes: its commit log is away (moved); it is full\n");
	ctl_run_end(&r);
	ctl_run_start(&r, gone, follows);
	assert_int_equal(ctl_run(&r, cmd_status, NULL, false), 0);
	check_has(&r, "test is without a primary on some shards: ");
	check_has(&r, "node node1 refuses pushes: its commit log is away (moved)\n");
	ctl_run_end(&r);
}

static void
test_nonsense(void **state)
{
	static const char *const bodies[] = {
		"{}",
		"[]",
		"5",
		"{\"shards\":5}",
		"{\"log\":{\"weak\":7},\"shards\":[{\"shard\":0,\"outcomes_unknown\":\"x\","
		"\"open\":[5,{},[]]},{\"shard\":1,\"open\":{}}]}",
		"{\"shards\":[1,null,[],\"x\",{}]}",
		"{\"shards\":[{\"shard\":-1},{\"shard\":99},{\"shard\":\"0\",\"epoch\":[]}]}",
		"{\"state\":7,\"log\":[],\"map_version\":\"x\",\"shards\":[{\"shard\":0,"
		"\"role\":1,\"primary\":99999999999,\"halted\":5}]}",
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(bodies); i++) {
		struct stub_answer one[] = { { "GET", 200, bodies[i], 0 }, { NULL, 0, NULL, 0 } };
		struct stub_answer two[] = { { "GET", 200, bodies[i], 0 }, { NULL, 0, NULL, 0 } };
		struct ctl_run r = { 0 };

		ctl_run_start(&r, one, two);
		assert_int_equal(ctl_run(&r, cmd_status, NULL, false), 0);
		check_has(&r, "node2");
		assert_int_equal(ctl_run(&r, cmd_status, NULL, true), 0);
		ctl_run_end(&r);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_healthy),  cmocka_unit_test(test_silent_node),
		cmocka_unit_test(test_epochs),   cmocka_unit_test(test_full),
		cmocka_unit_test(test_nonsense), cmocka_unit_test(test_open),
		cmocka_unit_test(test_log_away),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
