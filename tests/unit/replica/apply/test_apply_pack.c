/* Packs inline, staged, missing, damaged. */
#include "tests/unit/replica/apply/pushes.h"

/* Peeled, and no need left, also after a restart. */
static void
expect_whole(struct world *w, unsigned needs)
{
	struct reflist list;
	struct repo *repo;

	world_close(w);
	world_open(w);
	repo = repo_find(w->table, "o/one");
	refset_list(loaded(w, repo), &list);
	assert_true(oid_eq(&reflist_find(&list, SLICE_LIT("refs/tags/v"))->peeled, &commits[1]));
	assert_int_equal(w->needs, needs);
	repo_unref(&repo);
}

static void
test_staged_and_missing(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct repo *repo = repo_find(w->table, "o/one");
	struct packed p = make_pack(&commits[0], ""), q = make_pack(&tag, "");
	struct change c;
	struct reflist list;

	(void)state;
	p.pack.inlined = q.pack.inlined = false;
	stage(w, &p);
	begin_change(&c, mirror);
	add_pack(&c, &p);
	add_ref(&c, mirror, "refs/heads/main", &commits[0]);
	world_expect(w, &c.r, VERDICT_EFFECTIVE);
	expect_git(w, "o/one", mirror);
	assert_int_equal(w->needs, 0);
	/* not staged here: decided all the same, served later */
	begin_change(&c, mirror);
	add_pack(&c, &q);
	add_ref(&c, mirror, "refs/tags/v", &tag);
	world_expect(w, &c.r, VERDICT_EFFECTIVE);
	WAIT_FOR(w, w->needs == 1);
	assert_memory_equal(w->need.pack_sha256, q.pack.sha256, 32);
	assert_int_equal(w->need.pack_size, q.pack.size);
	assert_int_equal(w->need.from_node, 1);
	assert_int_equal(w->need.offset, w->next - 1);
	assert_int_equal(repo->shared.missing, 1);
	assert_int_equal(apply_shard_missing(w->apply, SHARD), 1);
	assert_string_equal(sh("cd %s/repos/o/one.git && git tag", w->dir), "");
	repo_unref(&repo);
	/* told again at start */
	world_close(w);
	world_open(w);
	WAIT_FOR(w, w->needs == 2);
	assert_int_equal(apply_shard_missing(w->apply, SHARD), 1);
	/* it is said to have come and has not: told once more */
	arrive(w, &q.pack);
	WAIT_FOR(w, w->needs == 3);
	stage(w, &q);
	arrive(w, &q.pack);
	WAIT_FOR(w, w->wholes == 1);
	repo = repo_find(w->table, "o/one");
	assert_int_equal(repo->shared.missing, 0);
	assert_int_equal(apply_shard_missing(w->apply, SHARD), 0);
	refset_list(loaded(w, repo), &list);
	assert_true(oid_eq(&reflist_find(&list, SLICE_LIT("refs/tags/v"))->peeled, &commits[1]));
	expect_git(w, "o/one", mirror);
	repo_unref(&repo);
	expect_whole(w, 3);
	drop_pack(&p);
	drop_pack(&q);
	refset_free(&mirror);
	world_free(w);
}

static void
on_found(int rc, const struct catalog_pack *p, void *arg)
{
	struct world *w = arg;

	pthread_mutex_lock(&w->lock);
	w->loads++;
	w->load_rc = rc;
	if (p != NULL)
		snprintf(w->why[0], sizeof(w->why[0]), "%s", p->name);
	pthread_cond_broadcast(&w->told);
	pthread_mutex_unlock(&w->lock);
}

static void
test_find_pack(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct packed p = make_pack(&commits[0], "");

	(void)state;
	simple_push(w, mirror, "refs/heads/main", &commits[0], "");
	apply_find_pack(w->apply, repo1, p.pack.sha256, on_found, w);
	WAIT_FOR(w, w->loads == 1);
	assert_int_equal(w->load_rc, 0);
	assert_string_equal(w->why[0], p.name);
	apply_find_pack(w->apply, repo2, p.pack.sha256, on_found, w);
	WAIT_FOR(w, w->loads == 2);
	assert_int_equal(w->load_rc, ERR_NOT_FOUND);
	drop_pack(&p);
	refset_free(&mirror);
	world_free(w);
}

/* Damaged inline packs are not put into place: they are fetched like missing ones. */
static void
test_damaged_pack(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct packed p = make_pack(&commits[0], "");
	struct change c;

	(void)state;
	p.bytes[20] ^= 1;
	begin_change(&c, mirror);
	add_pack(&c, &p);
	add_ref(&c, mirror, "refs/heads/main", &commits[0]);
	world_expect(w, &c.r, VERDICT_EFFECTIVE);
	WAIT_FOR(w, w->needs == 1);
	assert_string_equal(sh("ls %s/repos/o/one.git/objects/pack", w->dir), "");
	drop_pack(&p);
	refset_free(&mirror);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_staged_and_missing),
		cmocka_unit_test(test_find_pack),
		cmocka_unit_test(test_damaged_pack),
	};

	log_level_now = LOG_ERROR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
