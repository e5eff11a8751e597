#include "router/front/door.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>

#define UP "application/x-git-upload-pack-request"
#define DOWN "application/x-git-receive-pack-request"

static const struct {
	const char *method, *target, *type, *coding;
	int status;
	enum front_stats_kind kind;
} cases[] = {
	{ "GET", "/", NULL, NULL, 404, FRONT_STATS_OTHER },
	{ "GET", "/?x=y", NULL, NULL, 404, FRONT_STATS_OTHER },
	{ "GET", "/a/b.git/info/refs?service=git-upload-pack", NULL, NULL, 0,
	  FRONT_STATS_ADVERTISE_FETCH },
	{ "GET", "/a/b/info/refs?x&service=git-receive-pack", NULL, NULL, 0,
	  FRONT_STATS_ADVERTISE_PUSH },
	{ "POST", "/a/b.git/info/refs?service=git-upload-pack", NULL, NULL, 405,
	  FRONT_STATS_ADVERTISE_FETCH },
	{ "HEAD", "/a/b.git/info/refs?service=git-upload-pack", NULL, NULL, 405,
	  FRONT_STATS_ADVERTISE_FETCH },
	{ "GET", "/a/b.git/info/refs", NULL, NULL, 403, FRONT_STATS_OTHER },
	{ "GET", "/a/b.git/info/refs?service=git-shell", NULL, NULL, 403, FRONT_STATS_OTHER },
	{ "GET", "/a/b.git/HEAD", NULL, NULL, 403, FRONT_STATS_OTHER },
	{ "GET", "/a/b.git/objects/info/packs", NULL, NULL, 403, FRONT_STATS_OTHER },
	{ "POST", "/a/b.git/git-upload-archive", NULL, NULL, 403, FRONT_STATS_OTHER },
	{ "POST", "/a/b.git/git-upload-pack", UP, NULL, 0, FRONT_STATS_FETCH },
	{ "POST", "/a/b.git/git-upload-pack", UP, "gzip", 0, FRONT_STATS_FETCH },
	{ "POST", "/a/b.git/git-upload-pack", UP, "X-GZIP", 0, FRONT_STATS_FETCH },
	{ "POST", "/a/b.git/git-upload-pack", UP, "br", 415, FRONT_STATS_FETCH },
	{ "POST", "/a/b.git/git-upload-pack", UP "; charset=utf-8", NULL, 415, FRONT_STATS_FETCH },
	{ "POST", "/a/b.git/git-upload-pack", DOWN, NULL, 415, FRONT_STATS_FETCH },
	{ "POST", "/a/b.git/git-upload-pack", NULL, NULL, 415, FRONT_STATS_FETCH },
	{ "POST", "/a/b.git/git-receive-pack", DOWN, NULL, 0, FRONT_STATS_PUSH },
	{ "PUT", "/a/b.git/git-receive-pack", DOWN, NULL, 405, FRONT_STATS_PUSH },
	{ "GET", "/a/../b.git/info/refs?service=git-upload-pack", NULL, NULL, 400,
	  FRONT_STATS_OTHER },
};

static void
test_cases(void **state)
{
	(void)state;
	for (unsigned i = 0; i < COUNT(cases); i++) {
		struct http_head *h = http_head_new();
		struct door d;

		http_head_request(h, cases[i].method, cases[i].target);
		if (cases[i].type != NULL)
			http_head_addf(h, "content-type", "%s", cases[i].type);
		if (cases[i].coding != NULL)
			http_head_addf(h, "content-encoding", "%s", cases[i].coding);
		assert_int_equal(door_check(&d, h), cases[i].status);
		assert_int_equal(d.kind, cases[i].kind);
		assert_int_equal(d.allow != NULL, cases[i].status == 405);
		assert_int_equal(d.why.text[0] != '\0', cases[i].status != 0);
		if (cases[i].status == 0) {
			assert_true(d.named);
			assert_string_equal(d.path.repo.path, "a/b");
			assert_int_equal(d.has_body, cases[i].type != NULL);
			assert_int_equal(d.writes, d.kind == FRONT_STATS_PUSH ||
							   d.kind == FRONT_STATS_ADVERTISE_PUSH);
		}
		http_head_free(&h);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_cases) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
