/* Records in, repositories out. */
#include "tests/unit/replica/apply/pushes.h"

/* A first commit, then several refs in one push, a tag among them. */
static void
run_pushes(struct world *w, struct refset *mirror, struct repo *repo)
{
	struct packed p;
	struct change c;
	struct reflist list;
	struct refset_ref got;
	char base[80];

	expect_git(w, "o/one", mirror);
	simple_push(w, mirror, "refs/heads/main", &commits[0], "");
	expect_git(w, "o/one", mirror);
	snprintf(base, sizeof(base), "^%s", oid_text(&commits[0]));
	p = make_pack(&tag, base);
	begin_change(&c, mirror);
	add_pack(&c, &p);
	add_ref(&c, mirror, "refs/tags/v", &tag);
	add_ref(&c, mirror, "refs/heads/main", &commits[1]);
	add_ref(&c, mirror, "refs/heads/x/y", &commits[0]);
	world_expect(w, &c.r, VERDICT_EFFECTIVE);
	drop_pack(&p);
	expect_git(w, "o/one", mirror);
	pthread_mutex_lock(&repo->shared.lock);
	refset_list(repo->shared.refs, &list);
	assert_true(oid_eq(&reflist_find(&list, SLICE_LIT("refs/tags/v"))->peeled, &commits[1]));
	assert_int_equal(reflist_find(&list, SLICE_LIT("refs/heads/main"))->peeled.len, 0);
	assert_true(refset_get(repo->shared.refs, "refs/heads/main", &got));
	assert_true(oid_eq(&got.before, &commits[0]));
	assert_int_equal(repo->shared.applied, w->next - 1);
	pthread_mutex_unlock(&repo->shared.lock);
}

/* A ref that cannot be made from `old` to `new`: the update is dead. */
static void
expect_dead(struct world *w, struct refset *mirror, const char *name, const struct oid *old,
	    const char *why)
{
	struct change c;

	begin_change(&c, mirror);
	c.refs[c.r.update.n_refs++] = (struct record_ref){ name, ro(old), ro(&commits[1]) };
	world_expect(w, &c.r, VERDICT_DEAD);
	if (strstr(w->why[w->next - 1], why) == NULL)
		fail_msg("'%s' is not in '%s'", why, w->why[w->next - 1]);
	expect_git(w, "o/one", mirror);
}

static void
run_life(enum oid_format f)
{
	struct world *w = begin(f);
	struct refset *mirror = new_mirror();
	struct repo *repo = repo_find(w->table, "o/one");
	struct change c;

	assert_non_null(repo);
	run_pushes(w, mirror, repo);
	expect_dead(w, mirror, "refs/heads/main", &commits[0], "changed by another push");
	expect_dead(w, mirror, "refs/heads/gone", &commits[0], "changed by another push");
	expect_dead(w, mirror, "refs/heads/main", &zero, "changed by another push");
	expect_dead(w, mirror, "refs/heads/x", &zero, "in the way");
	expect_dead(w, mirror, "refs/heads/main/z", &zero, "in the way");
	/* but in one push x/y may go and x come; HEAD moves with it */
	begin_change(&c, mirror);
	add_ref(&c, mirror, "refs/heads/x", &commits[1]);
	add_ref(&c, mirror, "refs/heads/x/y", &zero);
	c.r.update.head = "refs/heads/x";
	refset_set_head(mirror, "refs/heads/x");
	refset_digest(mirror, c.r.update.digest);
	world_expect(w, &c.r, VERDICT_EFFECTIVE);
	expect_git(w, "o/one", mirror);
	/* of another reign: changes nothing */
	begin_change(&c, mirror);
	c.refs[c.r.update.n_refs++] =
		(struct record_ref){ "refs/heads/late", ro(&zero), ro(&commits[1]) };
	c.r.reign = (struct record_reign){ .epoch = 1, .boot = 76, .node = 1 };
	c.r.seq = 500;
	world_expect(w, &c.r, VERDICT_OUT);
	expect_git(w, "o/one", mirror);
	assert_false(repo->shared.quarantined);
	repo_unref(&repo);
	refset_free(&mirror);
	world_free(w);
}

static void
test_life_sha1(void **state)
{
	(void)state;
	run_life(OID_SHA1);
}

static void
test_life_sha256(void **state)
{
	(void)state;
	run_life(OID_SHA256);
}

/* The same records again, from every position, after a restart; and many at once. */
static void
test_replay(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct verdict_state s;
	uint8_t hash[32];

	(void)state;
	simple_push(w, mirror, "refs/heads/main", &commits[0], "");
	simple_push(w, mirror, "refs/heads/a", &commits[3], "");
	world_feed(w, 0); /* delivered again: ignored */
	world_close(w);
	world_open(w);
	assert_int_equal(apply_shard_state(w->apply, SHARD, &s, NULL), 0);
	assert_int_equal(s.next, w->next);
	assert_int_equal(s.reign.epoch, 1);
	apply_shard_hash(w->apply, SHARD, hash);
	assert_memory_equal(hash, w->hash[w->next - 1], 32);
	world_feed(w, 0);
	expect_refs(w, "o/one", mirror);
	simple_push(w, mirror, "refs/heads/a", &commits[4], "");
	expect_git(w, "o/one", mirror);
	assert_int_equal(w->decided_twice, 0);
	/* a node that begins with nothing reads it all at once */
	world_close(w);
	sh("rm -r %s/repos %s/data", w->dir, w->dir);
	world_open(w);
	assert_int_equal(w->applied, 0);
	world_feed(w, 0);
	WAIT_FOR(w, w->applied == w->next);
	expect_refs(w, "o/one", mirror);
	expect_git(w, "o/one", mirror);
	refset_free(&mirror);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life_sha1),
		cmocka_unit_test(test_life_sha256),
		cmocka_unit_test(test_replay),
	};

	log_level_now = LOG_ERROR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
