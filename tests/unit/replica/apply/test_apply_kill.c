/* kill -9 at every step of every kind of record: the next process reads on from the catalog, and
 * ends where it would have ended. */
#include "tests/unit/replica/apply/pushes.h"

#include <signal.h>
#include <sys/wait.h>

#include "gitproto/base/fault.h"

static const char *const points[] = { "apply-read",   "apply-disk",  "apply-transaction",
				      "apply-stored", "apply-files", "layout-moved",
				      "pack-placed" };

/* The records of a repository's life; *mirror is what it has in the end. */
static void
log_life(struct world *w, struct refset *mirror)
{
	struct record_member me = { .node = 1 };
	struct record g = { .type = RECORD_GENESIS }, c = { .type = RECORD_CLAIM };
	struct record create = make_create(repo1, "o/one", format);
	struct record other = make_create(repo2, "o/two", format);
	struct record rename = { .type = RECORD_RENAME }, del = { .type = RECORD_DELETE };
	struct packed p = make_pack(&commits[1], ""), q = make_pack(&tag, "");
	struct change u;

	memcpy(me.incarnation, incarnation, 16);
	g.genesis = (struct record_genesis){ .format = 1, .cluster_name = "demo" };
	g.genesis.members = (struct record_members){ .voters = &me, .n_voters = 1, .single = true };
	memcpy(c.claim.incarnation, incarnation, 16);
	memcpy(rename.rename.id, repo1, 16);
	rename.rename.path = "p/new";
	memcpy(del.del.id, repo2, 16);
	world_log(w, &g);
	world_log(w, &c);
	world_log(w, &create);
	begin_change(&u, mirror);
	add_pack(&u, &p);
	add_ref(&u, mirror, "refs/heads/main", &commits[1]);
	world_log(w, &u.r);
	world_log(w, &other);
	world_log(w, &rename);
	begin_change(&u, mirror);
	q.pack.inlined = false;
	add_pack(&u, &q);
	add_ref(&u, mirror, "refs/tags/v", &tag);
	add_ref(&u, mirror, "refs/heads/main/x", &commits[0]);
	add_ref(&u, mirror, "refs/heads/main", &zero);
	world_log(w, &u.r);
	world_log(w, &del);
	drop_pack(&p);
	drop_pack(&q);
}

/* In the child: dies at the point while records from `at` on are applied, or ends with 0. */
static void
run_child(struct world *w, uint64_t at, const char *point)
{
	struct packed q = make_pack(&tag, "");
	uint64_t all = w->next;

	world_open(w);
	stage(w, &q);
	w->next = at;
	world_feed(w, 0);
	WAIT_FOR(w, w->applied >= at);
	if (!fault_arm(point, "die"))
		_exit(2);
	w->next = all;
	world_feed(w, at);
	WAIT_FOR(w, w->applied == w->next);
	_exit(0);
}

static bool
kill_and_go_on(struct world *w, struct refset *mirror, uint64_t at, const char *point)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0)
		run_child(w, at, point);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) != 0)
		fail_msg("the child failed at record %llu, %s", (unsigned long long)at, point);
	world_open(w);
	assert_true(w->applied >= at);
	world_feed(w, w->applied);
	WAIT_FOR(w, w->applied == w->next);
	/* The load mends git's files, when the death was before them. */
	expect_refs(w, "p/new", mirror);
	expect_git(w, "p/new", mirror);
	assert_int_equal(w->needs, 0);
	/* an empty folder of an owner may stay behind */
	assert_string_equal(
		sh("cd %s && find repos -name '*.git'; ls data/trash data/tmp", w->dir),
		"repos/p/new.git\ndata/tmp:\n\ndata/trash:\n02000000000000000000000000000000");
	world_close(w);
	sh("rm -r %s/repos %s/data", w->dir, w->dir);
	return WIFSIGNALED(status);
}

static void
test_kill(void **state)
{
	struct world *w = world_new();
	struct refset *mirror;
	unsigned killed = 0;

	(void)state;
	format = OID_SHA1;
	mirror = new_mirror();
	make_source(w);
	world_close(w);
	sh("rm -r %s/repos %s/data", w->dir, w->dir);
	log_life(w, mirror);
	for (uint64_t at = 0; at < w->next; at++) {
		for (unsigned i = 0; i < COUNT(points); i++)
			killed += kill_and_go_on(w, mirror, at, points[i]);
	}
	assert_true(killed > 4 * w->next);
	world_open(w);
	refset_free(&mirror);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_kill) };

	log_level_now = LOG_ERROR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
