#include "shard-map/ctl/cmd_rename.h"

#include <jansson.h>

#include "tests/unit/shard-map/ctl/ctl_run.h"

#define DONE "{\"repo\":\"c/d\",\"id\":\"0f\",\"shard\":2}"

static struct stub_answer silent[] = { { NULL, 0, NULL, 0 } };

static void
start(struct ctl_run *r, struct stub_answer *answers)
{
	*r = (struct ctl_run){ 0 };
	ctl_run_start(r, answers, silent);
	/* The map's members of any shard are both: whichever is asked first must answer. */
	r->node[1].answers = answers;
}

static void
test_words(void **state)
{
	struct stub_answer answers[] = {
		{ "GET /v1/repos?repo=a/b ", 200, "{\"repos\":[]}", 0 },
		{ "POST /v1/repos/rename?repo=a/b&to=c/d ", 200, DONE, 2 },
		{ "POST", 409, "{\"error\":\"c/d exists already\",\"code\":\"exists\"}", 0 },
		{ NULL, 0, NULL, 0 }
	};
	struct ctl_run r;

	(void)state;
	start(&r, answers);
	r.second = "C/d.git";
	assert_int_equal(ctl_run(&r, cmd_repo_rename, "A/b", false), 0);
	check_has(&r, "renamed a/b to c/d (id 0f, shard 2)\n");
	r.second = "c/d";
	assert_int_equal(ctl_run(&r, cmd_repo_rename, "a/b", true), 0);
	check_has(&r, "\"repo\": \"c/d\"");
	r.second = "c/d";
	assert_int_equal(ctl_run(&r, cmd_repo_rename, "a/b", false), ERR_EXISTS);
	r.second = "nonsense";
	assert_int_equal(ctl_run(&r, cmd_repo_rename, "a/b", false), ERR_BAD);
	assert_true(r.usage);
	ctl_run_end(&r);
}

/* With the id the call is made again when its answer was lost. */
static void
test_lost_answer(void **state)
{
	struct stub_answer answers[] = { { "GET", 200, NULL, 0 },
					 { "POST /v1/repos/rename?repo=a/b&to=c/d", 0, NULL, 1 },
					 { "POST", 200, DONE, 0 },
					 { NULL, 0, NULL, 0 } };
	static char everywhere[200];
	struct ctl_run r;
	uint32_t shard;

	(void)state;
	/* Whatever shard a/b has in this map. */
	for (shard = 0; shard < CTL_RUN_SHARDS; shard++) {
		struct stub_answer again[COUNT(answers)];
		int rc;

		memcpy(again, answers, sizeof(answers));
		snprintf(everywhere, sizeof(everywhere),
			 "{\"repos\":[{\"repo\":\"a/b\",\"id\":\"0f0f\",\"shard\":%u}]}", shard);
		again[0].body = everywhere;
		start(&r, again);
		r.second = "c/d";
		rc = ctl_run(&r, cmd_repo_rename, "a/b", false);
		ctl_run_end(&r);
		if (rc == 0)
			break;
		assert_int_equal(rc, ERR_UNKNOWN); /* not its shard: no id, so not again */
	}
	assert_true(shard < CTL_RUN_SHARDS);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_lost_answer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
