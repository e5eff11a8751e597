/* What becomes of repositories: names, folders, files, memory. */
#include "tests/unit/replica/apply/pushes.h"

static void
test_rename_delete(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct record r = { .type = RECORD_RENAME }, d = { .type = RECORD_DELETE };
	struct record again = make_create(repo1, "o/three", OID_SHA1);
	struct record second = make_create(repo2, "o/one", OID_SHA1);
	struct repo *repo = repo_find(w->table, "o/one");

	(void)state;
	simple_push(w, mirror, "refs/heads/main", &commits[0], "");
	memcpy(r.rename.id, repo1, 16);
	memcpy(d.del.id, repo1, 16);
	r.rename.path = "p/two";
	world_expect(w, &second, VERDICT_DEAD); /* taken */
	world_expect(w, &r, VERDICT_EFFECTIVE);
	expect_git(w, "p/two", mirror);
	assert_null(repo_find(w->table, "o/one"));
	assert_string_equal(repo->shared.path, "p/two");
	simple_push(w, mirror, "refs/heads/main", &commits[2], "");
	expect_git(w, "p/two", mirror);
	second = make_create(repo2, "o/one", OID_SHA1);
	world_expect(w, &second, VERDICT_EFFECTIVE);
	world_close(w);
	repo_unref(&repo);
	world_open(w);
	expect_refs(w, "p/two", mirror);
	repo = repo_find_id(w->table, repo1);
	world_expect(w, &d, VERDICT_EFFECTIVE);
	assert_true(repo->shared.deleted);
	assert_null(repo_find(w->table, "p/two"));
	assert_string_equal(sh("ls %s/repos; ls %s/data/trash", w->dir, w->dir),
			    "o\n01000000000000000000000000000000");
	apply_load(w->apply, repo, on_loaded, w);
	WAIT_FOR(w, w->loads == 2);
	assert_int_equal(w->load_rc, ERR_NOT_FOUND);
	repo_unref(&repo);
	world_expect(w, &again, VERDICT_DEAD); /* the id is used up */
	d.seq = d.reign.epoch = 0;
	d.seen = 0;
	world_expect(w, &d, VERDICT_DEAD);
	/* and all of it again by a node that begins with nothing */
	world_close(w);
	sh("rm -r %s/repos %s/data", w->dir, w->dir);
	world_open(w);
	world_feed(w, 0);
	WAIT_FOR(w, w->applied == w->next);
	assert_string_equal(sh("ls %s/repos; ls %s/data/trash", w->dir, w->dir),
			    "o\n01000000000000000000000000000000");
	refset_free(&mirror);
	world_free(w);
}

static void
test_meta(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct record_pair pairs[] = { { "receive.denyDeletes", "true" },
				       { "core.hooksPath", "/evil" },
				       { "gitweb.owner", "me" } };
	struct record r = { .type = RECORD_META };

	(void)state;
	memcpy(r.meta.id, repo1, 16);
	r.meta.description = "what it is";
	r.meta.pairs = pairs;
	r.meta.n_pairs = COUNT(pairs);
	world_expect(w, &r, VERDICT_EFFECTIVE);
	assert_string_equal(
		sh("cd %s/repos/o/one.git && cat description && git config gitweb.owner &&"
		   " git config receive.denydeletes && git config core.hookspath",
		   w->dir),
		"what it is"
		"me\ntrue\n/our/hooks");
	world_free(w);
}

static void
test_digest_differs(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct repo *repo = repo_find(w->table, "o/one");
	struct change c;

	(void)state;
	simple_push(w, mirror, "refs/heads/main", &commits[5], "");
	begin_change(&c, mirror);
	add_ref(&c, mirror, "refs/heads/a", &commits[0]);
	c.r.update.digest[3] ^= 1;
	world_expect(w, &c.r, VERDICT_EFFECTIVE);
	assert_true(repo->shared.quarantined);
	assert_non_null(strstr(repo->shared.why, "differ from record 4"));
	repo_unref(&repo);
	world_close(w);
	world_open(w);
	repo = repo_find(w->table, "o/one");
	assert_true(repo->shared.quarantined);
	repo_unref(&repo);
	refset_free(&mirror);
	world_free(w);
}

/* Files that were changed behind our back are mended by the check at start. */
static void
test_mends(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct repo *repo;
	struct apply_counts n;

	(void)state;
	simple_push(w, mirror, "refs/heads/main", &commits[3], "");
	world_close(w);
	sh("cd %s/repos/o/one.git && git update-ref refs/heads/evil %s && rm refs/heads/main &&"
	   " touch -d 2001-01-01 HEAD.lock && ls",
	   w->dir, oid_text(&commits[0]));
	world_open(w);
	repo = repo_find(w->table, "o/one");
	loaded(w, repo);
	expect_git(w, "o/one", mirror);
	apply_counts(w->apply, &n);
	assert_int_equal(n.mended, 2);
	sh("cd %s/repos/o/one.git && git update-ref refs/heads/main %s", w->dir,
	   oid_text(&commits[0]));
	apply_check_projection(w->apply, repo);
	loaded(w, repo);
	expect_git(w, "o/one", mirror);
	repo_unref(&repo);
	/* the folder is gone: nothing is made anew, nothing served, until it is back */
	world_close(w);
	sh("mv %s/repos/o %s/repos/elsewhere", w->dir, w->dir);
	world_open(w);
	repo = repo_find(w->table, "o/one");
	loaded(w, repo);
	assert_true(repo->shared.quarantined);
	assert_string_equal(sh("ls %s/repos", w->dir), "elsewhere");
	sh("mv %s/repos/elsewhere %s/repos/o", w->dir, w->dir);
	apply_check_projection(w->apply, repo);
	loaded(w, repo);
	assert_false(repo->shared.quarantined);
	repo_unref(&repo);
	refset_free(&mirror);
	world_free(w);
}

/* Refs leave memory, least recently used first, and come back when they are asked for. */
static void
test_unload(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct record second = make_create(repo2, "o/two", OID_SHA1);
	struct refset *mirror = new_mirror();
	struct repo *one = repo_find(w->table, "o/one"), *two;
	struct apply_counts n = { .refs_bytes = 1 };

	(void)state;
	simple_push(w, mirror, "refs/heads/main", &commits[0], "");
	world_expect(w, &second, VERDICT_EFFECTIVE);
	repo_unref(&one);
	world_close(w);
	w->refs_max = 1;
	world_open(w);
	one = repo_find(w->table, "o/one");
	two = repo_find(w->table, "o/two");
	loaded(w, one);
	apply_load(w->apply, two, on_loaded, w);
	apply_load(w->apply, two, on_loaded, w);
	WAIT_FOR(w, w->loads == 3);
	/* unused for a second, it goes */
	for (uint64_t end = clock_boot_ns() + WAIT_SEC * CLOCK_SEC; n.refs_bytes > 0;) {
		assert_true(clock_boot_ns() < end);
		usleep(10000);
		apply_counts(w->apply, &n);
	}
	pthread_mutex_lock(&one->shared.lock);
	assert_null(one->shared.refs);
	pthread_mutex_unlock(&one->shared.lock);
	simple_push(w, mirror, "refs/heads/main", &commits[2], "");
	expect_git(w, "o/one", mirror);
	expect_refs(w, "o/one", mirror);
	repo_unref(&one);
	repo_unref(&two);
	refset_free(&mirror);
	world_free(w);
}

/* A record of another shard's stream. */
static void
feed_other(struct world *w, uint64_t offset, struct record *r)
{
	struct buf b = BUF_MAX(RECORD_MAX);
	struct commitlog_record c;
	struct err err = { 0 };

	memcpy(r->cluster, cluster, 16);
	r->shard = SHARD + 1;
	r->seen = RECORD_SEEN_NONE;
	if (record_has_reign(r)) {
		r->reign = (struct record_reign){ .epoch = 1, .boot = 5, .node = 1 };
		r->seq = r->type == RECORD_CLAIM ? 0 : offset;
	}
	if (record_encode(&b, r, &err) < 0)
		fail_msg("%s", err.text);
	c = (struct commitlog_record){ offset, buf_slice(&b) };
	apply_records(SHARD + 1, &c, 1, w->apply);
	buf_release(&b);
}

/* Two streams that give one path away: the second shard stops, nothing is overwritten. */
static void
test_other_shard(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct record_member me = { .node = 1 };
	struct record g = { .type = RECORD_GENESIS }, c = { .type = RECORD_CLAIM };
	struct record fine = make_create(repo2, "o/fine", OID_SHA1), same;
	const uint8_t id[16] = { 9 };

	(void)state;
	memcpy(me.incarnation, incarnation, 16);
	memcpy(c.claim.incarnation, incarnation, 16);
	g.genesis = (struct record_genesis){ .format = 1, .cluster_name = "demo" };
	g.genesis.members = (struct record_members){ .voters = &me, .n_voters = 1, .single = true };
	same = make_create(id, "o/one", OID_SHA1);
	apply_follow(w->apply, SHARD + 1, cluster);
	feed_other(w, 0, &g);
	feed_other(w, 1, &c);
	feed_other(w, 2, &fine);
	feed_other(w, 3, &same);
	WAIT_FOR(w, w->halts == 1);
	assert_non_null(strstr(w->halt.text, "taken by a repository of shard 3"));
	assert_string_equal(sh("ls %s/repos/o", w->dir), "fine.git\none.git");
	/* its own shard goes on */
	fine = make_create(id, "o/x", OID_SHA1);
	world_expect(w, &fine, VERDICT_EFFECTIVE);
	world_free(w);
}

/* Names that no file system takes stop neither the shard nor the other refs. */
static void
test_long_names(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct record create, rename = { .type = RECORD_RENAME };
	struct change c;
	struct repo *repo;
	char name[400], path[300];

	(void)state;
	simple_push(w, mirror, "refs/heads/main", &commits[3], "");
	snprintf(name, sizeof(name), "refs/heads/%0300d", 7);
	snprintf(path, sizeof(path), "o/%0253d", 7);
	begin_change(&c, mirror);
	add_ref(&c, mirror, "refs/heads/a", &commits[0]);
	add_ref(&c, mirror, name, &commits[1]);
	world_expect(w, &c.r, VERDICT_EFFECTIVE);
	expect_git(w, "o/one", mirror);
	begin_change(&c, mirror);
	add_ref(&c, mirror, name, &zero);
	world_expect(w, &c.r, VERDICT_EFFECTIVE);
	expect_git(w, "o/one", mirror);
	create = make_create(repo2, path, OID_SHA1);
	world_expect(w, &create, VERDICT_EFFECTIVE);
	repo = repo_find(w->table, path);
	apply_load(w->apply, repo, on_loaded, w);
	WAIT_FOR(w, w->loads == 1);
	assert_true(repo->shared.quarantined);
	repo_unref(&repo);
	memcpy(rename.rename.id, repo2, 16);
	rename.rename.path = "o/short";
	world_expect(w, &rename, VERDICT_EFFECTIVE);
	rename = (struct record){ .type = RECORD_RENAME };
	memcpy(rename.rename.id, repo1, 16);
	rename.rename.path = path;
	world_expect(w, &rename, VERDICT_EFFECTIVE);
	rename = (struct record){ .type = RECORD_RENAME };
	memcpy(rename.rename.id, repo1, 16);
	rename.rename.path = "o/back";
	world_expect(w, &rename, VERDICT_EFFECTIVE);
	refset_free(&mirror);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rename_delete),  cmocka_unit_test(test_meta),
		cmocka_unit_test(test_digest_differs), cmocka_unit_test(test_mends),
		cmocka_unit_test(test_unload),         cmocka_unit_test(test_other_shard),
		cmocka_unit_test(test_long_names),
	};

	log_level_now = LOG_ERROR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
