#include "shard-map/ctl/cmd_repo.h"

#include <jansson.h>

#include "tests/unit/shard-map/ctl/ctl_run.h"

#define COPY(repo, id, applied, digest)                                                      \
	"{\"repo\":\"" repo "\",\"id\":\"" id "\",\"shard\":1,\"object_format\":\"sha1\","   \
	"\"applied\":" #applied ",\"state\":\"ok\",\"head\":\"refs/heads/main\",\"refs\":3," \
	"\"digest\":\"" digest "\"}"

static void
list(struct ctl_run *r, const char *one, const char *two)
{
	static struct stub_answer first[2], second[2];

	first[0] = (struct stub_answer){ "GET /v1/repos", 200, one, 0 };
	second[0] = (struct stub_answer){ "GET /v1/repos", 200, two, 0 };
	*r = (struct ctl_run){ 0 };
	ctl_run_start(r, first, second);
}

static void
test_list(void **state)
{
	struct ctl_run r;
	json_t *o, *repos;

	(void)state;
	list(&r,
	     "{\"repos\":[" COPY("b/same", "01", 5, "aa") "," COPY("a/late", "02", 5, "aa") "]}",
	     "{\"repos\":[" COPY("b/same", "01", 5, "aa") "," COPY(
		     "a/late", "02", 4, "bb") "," COPY("c/wrong", "03", 5, "bb") "]}");
	assert_int_equal(ctl_run(&r, cmd_repo_list, NULL, false), 0);
	check_has(&r, "a/late      1      2       catching up  3     refs/heads/main  02\n");
	check_has(&r, "b/same      1      2       equal        3     refs/heads/main  01\n");
	check_has(&r, "c/wrong     1      1       equal        3     refs/heads/main  03\n");
	assert_int_equal(ctl_run(&r, cmd_repo_list, NULL, true), 0);
	o = json_loads(buf_str(&r.out), 0, NULL);
	repos = json_object_get(o, "repos");
	assert_int_equal(json_array_size(repos), 3);
	assert_string_equal(json_string_value(json_object_get(json_array_get(repos, 0), "repo")),
			    "a/late");
	json_decref(o);
	ctl_run_end(&r);
	list(&r, "{\"repos\":[" COPY("a/b", "01", 5, "aa") "]}",
	     "{\"repos\":[" COPY("a/b", "01", 5, "bb") "]}");
	assert_int_equal(ctl_run(&r, cmd_repo_list, NULL, false), 0);
	check_has(&r, "DIFFERENT");
	ctl_run_end(&r);
}

static void
test_list_nonsense(void **state)
{
	static const char *const bodies[] = {
		"{}", "[]", "{\"repos\":{}}", "{\"repos\":[1,{},{\"id\":5},{\"id\":\"x\"}]}",
		"{\"repos\":[{\"id\":\"x\",\"repo\":[],\"shard\":{}}]}"
	};

	(void)state;
	for (unsigned i = 0; i < COUNT(bodies); i++) {
		struct ctl_run r;

		list(&r, bodies[i], bodies[i]);
		assert_int_equal(ctl_run(&r, cmd_repo_list, NULL, false), 0);
		assert_int_equal(ctl_run(&r, cmd_repo_list, NULL, true), 0);
		ctl_run_end(&r);
	}
}

static void
test_where(void **state)
{
	struct ctl_run r;
	json_t *o;

	(void)state;
	list(&r, "{\"repos\":[" COPY("a/b", "01", 5, "aa") "]}", "{\"repos\":[]}");
	assert_int_equal(ctl_run(&r, cmd_where, "A/B.git", false), 0);
	check_has(&r, "a/b: shard ");
	check_has(&r, "id 01");
	assert_int_equal(ctl_run(&r, cmd_where, "a/b.wiki", true), 0);
	o = json_loads(buf_str(&r.out), 0, NULL);
	assert_string_equal(json_string_value(json_object_get(o, "key")), "a/b");
	assert_string_equal(json_string_value(json_object_get(o, "repo")), "a/b.wiki");
	json_decref(o);
	assert_int_equal(ctl_run(&r, cmd_where, "nonsense", false), ERR_BAD);
	assert_true(r.usage);
	ctl_run_end(&r);
	list(&r, "{\"repos\":[]}", "{\"repos\":[]}");
	assert_int_equal(ctl_run(&r, cmd_where, "a/b", false), 0);
	check_has(&r, "no such repository");
	ctl_run_end(&r);
}

static void
test_create_delete(void **state)
{
	struct stub_answer one[] = {
		{ "POST /v1/repos", 201, "{\"repo\":\"a/b\",\"id\":\"0f\",\"shard\":2}", 1 },
		{ "POST", 409, "{\"error\":\"a/b exists already\",\"code\":\"exists\"}", 0 },
		{ "DELETE /v1/repos?repo=a/b ", 200, "{\"repo\":\"a/b\",\"id\":\"0f\",\"shard\":2}",
		  1 },
		{ "DELETE", 404, "{\"error\":\"a/b does not exist\",\"code\":\"not_found\"}", 0 },
		{ NULL, 0, NULL, 0 }
	};
	struct stub_answer two[] = { { NULL, 0, NULL, 0 } };
	struct ctl_run r = { 0 };

	(void)state;
	/* The map's members of any shard are both: whichever is asked first must answer. */
	ctl_run_start(&r, one, two);
	r.node[1].answers = one;
	assert_int_equal(ctl_run(&r, cmd_repo_create, "A/b", false), 0);
	check_has(&r, "created a/b (id 0f, shard 2)\n");
	assert_int_equal(ctl_run(&r, cmd_repo_create, "a/b", false), ERR_EXISTS);
	assert_int_equal(ctl_run(&r, cmd_repo_delete, "a/b", true), 0);
	check_has(&r, "\"id\": \"0f\"");
	assert_int_equal(ctl_run(&r, cmd_repo_delete, "a/b", false), ERR_NOT_FOUND);
	ctl_run_end(&r);
}

static void
test_no_map(void **state)
{
	struct stub_answer none[] = { { NULL, 0, NULL, 0 } };
	struct ctl_run r = { 0 };
	struct log_test other;
	struct log_test kept;

	(void)state;
	ctl_run_start(&r, none, none);
	kept = r.folder;
	log_test_setup(&other);
	r.folder = other;
	assert_int_equal(ctl_run(&r, cmd_repo_list, NULL, false), ERR_NOT_FOUND); /* no log */
	{
		struct commitlog *log = log_test_open(other.url);

		commitlog_close(&log);
	}
	assert_int_equal(ctl_run(&r, cmd_repo_list, NULL, false), ERR_NOT_FOUND);
	log_test_cleanup(&other);
	r.folder = kept;
	ctl_run_end(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_list),   cmocka_unit_test(test_list_nonsense),
		cmocka_unit_test(test_where),  cmocka_unit_test(test_create_delete),
		cmocka_unit_test(test_no_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
