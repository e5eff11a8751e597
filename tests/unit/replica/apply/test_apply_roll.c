/* The exchange of packs for one: every step, what it refuses, and what later records find. */
#include "tests/unit/replica/apply/pushes.h"

/* With all of it, the second pack might be byte for byte the one that git makes of both. */
static const char *
without_first(void)
{
	static char spec[80];

	snprintf(spec, sizeof(spec), "^%s", oid_text(&commits[0]));
	return spec;
}

struct rolled {
	struct apply_roll roll;
	struct world *w;
	bool done;
	int rc;
	struct err err;
	const char *names[4];
	enum catalog_pack_kind kinds[4];
	char made[65], from[300];
};

static void
on_rolled(int rc, const struct err *err, void *arg)
{
	struct rolled *r = arg;

	pthread_mutex_lock(&r->w->lock);
	r->done = true;
	r->rc = rc;
	r->err = *err;
	pthread_cond_broadcast(&r->w->told);
	pthread_mutex_unlock(&r->w->lock);
}

static int
step(struct world *w, struct rolled *r, void (*what)(struct apply *, struct apply_roll *))
{
	r->w = w;
	r->done = false;
	memcpy(r->roll.id, repo1, 16);
	r->roll.names = r->names;
	r->roll.kinds = r->kinds;
	r->roll.made = r->made;
	r->roll.from = r->from;
	r->roll.done = on_rolled;
	r->roll.arg = r;
	what(w->apply, &r->roll);
	WAIT_FOR(w, r->done);
	return r->rc;
}

static void
on_file(int rc, const struct catalog_pack *pack UNUSED, void *arg)
{
	struct world *w = arg;

	pthread_mutex_lock(&w->lock);
	w->loads++;
	w->load_rc = rc;
	pthread_cond_broadcast(&w->told);
	pthread_mutex_unlock(&w->lock);
}

static int
ask_file(struct world *w, const char *text, const char *name)
{
	unsigned n = w->loads;
	uint8_t sha256[32] = { 0 };

	memcpy(sha256, text, strlen(text));
	apply_find_file(w->apply, repo1, sha256, name, on_file, w);
	WAIT_FOR(w, w->loads > n);
	return w->load_rc;
}

static unsigned
count_packs(const struct world *w)
{
	return (unsigned)atoi(sh("ls %s/repos/o/one.git/objects/pack/*.pack | wc -l", w->dir));
}

/* Two pushes, one inline and one staged, and the pack that git makes of both. */
static void
set_up(struct world *w, struct refset *mirror, struct packed *p, struct packed *q, struct rolled *r)
{
	struct change c;

	memset(r, 0, sizeof(*r));
	q->pack.inlined = false;
	stage(w, q);
	begin_change(&c, mirror);
	add_pack(&c, p);
	add_ref(&c, mirror, "refs/heads/main", &commits[0]);
	world_expect(w, &c.r, VERDICT_EFFECTIVE);
	begin_change(&c, mirror);
	add_pack(&c, q);
	add_ref(&c, mirror, "refs/heads/next", &commits[1]);
	world_expect(w, &c.r, VERDICT_EFFECTIVE);
	snprintf(r->made, sizeof(r->made), "%s",
		 sh("cd %s/repos/o/one.git && printf 'pack-%s.pack\npack-%s.pack\n' |"
		    " git pack-objects -q --stdin-packs %s/data/tmp/roll",
		    w->dir, p->name, q->name, w->dir));
	snprintf(r->from, sizeof(r->from), "%s/data/tmp/roll-%s", w->dir, r->made);
	r->names[0] = p->name;
	r->names[1] = q->name;
	r->names[2] = r->made;
	r->roll.n = 3;
}

static void
test_exchange(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct packed p = make_pack(&commits[0], ""), q = make_pack(&commits[1], without_first());
	struct rolled r;
	struct change c;

	(void)state;
	set_up(w, mirror, &p, &q, &r);
	assert_int_equal(step(w, &r, apply_roll_kinds), 0);
	assert_int_equal(r.kinds[0], CATALOG_PACK_NAMED);
	assert_int_equal(r.kinds[1], CATALOG_PACK_NAMED);
	assert_int_equal(r.kinds[2], CATALOG_PACK_UNKNOWN);
	r.roll.n = 2;
	assert_int_equal(step(w, &r, apply_roll_out), ERR_CONFLICT); /* nothing stands for them */
	assert_int_equal(count_packs(w), 2);
	assert_int_equal(step(w, &r, apply_roll_in), 0);
	assert_int_equal(step(w, &r, apply_roll_in), 0); /* again, after a crash */
	assert_int_equal(count_packs(w), 3);
	assert_int_equal(step(w, &r, apply_roll_out), 0);
	assert_int_equal(count_packs(w), 1);
	expect_git(w, "o/one", mirror);
	/* Of the staged one the index is kept, of the other the log has all. */
	assert_string_equal(sh("ls %s/data/rolled/*/ | wc -l", w->dir), "1");
	assert_string_equal(sh("cmp %s/data/rolled/*/*.idx %s/p-%s.idx && echo same", w->dir, src,
			       q.name),
			    "same");
	r.names[0] = r.made;
	r.roll.n = 1;
	assert_int_equal(step(w, &r, apply_roll_kinds), 0);
	assert_int_equal(r.kinds[0], CATALOG_PACK_MADE);
	/* A push that brings just these bytes and is refused must not take them along. */
	assert_int_equal(ask_file(w, "no such pack", r.made), 0);
	assert_int_equal(ask_file(w, "no such pack", p.name), 0);
	assert_int_equal(ask_file(w, "no such pack", "0123"), ERR_NOT_FOUND);
	/* The same packs once more: their objects are here, none of them comes back. */
	for (unsigned i = 0; i < 2; i++) {
		begin_change(&c, mirror);
		add_pack(&c, i == 0 ? &p : &q);
		add_ref(&c, mirror, i == 0 ? "refs/heads/x" : "refs/heads/y", &commits[i]);
		world_expect(w, &c.r, VERDICT_EFFECTIVE);
	}
	assert_int_equal(count_packs(w), 1);
	assert_int_equal(w->needs, 0);
	expect_git(w, "o/one", mirror);
	world_close(w);
	world_open(w);
	expect_git(w, "o/one", mirror);
	drop_pack(&p);
	drop_pack(&q);
	refset_free(&mirror);
	world_free(w);
}

/* Deleted in the middle: nothing is done, nothing of it stays. */
static void
test_deleted(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct packed p = make_pack(&commits[0], ""), q = make_pack(&commits[1], without_first());
	struct record del = { .type = RECORD_DELETE };
	struct rolled r;

	(void)state;
	set_up(w, mirror, &p, &q, &r);
	r.roll.n = 2;
	assert_int_equal(step(w, &r, apply_roll_in), 0);
	assert_int_equal(step(w, &r, apply_roll_out), 0);
	memcpy(del.del.id, repo1, 16);
	world_expect(w, &del, VERDICT_EFFECTIVE);
	assert_int_equal(step(w, &r, apply_roll_kinds), ERR_NOT_FOUND);
	assert_int_equal(step(w, &r, apply_roll_in), ERR_NOT_FOUND);
	assert_int_equal(step(w, &r, apply_roll_out), ERR_NOT_FOUND);
	assert_string_equal(sh("ls %s/data/rolled", w->dir), "");
	drop_pack(&p);
	drop_pack(&q);
	refset_free(&mirror);
	world_free(w);
}

/* A pack that was made anew stands for the one that a record named. */
static void
test_made_anew(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct packed p = make_pack(&commits[0], ""), all = make_pack(&commits[2], "");
	struct apply_pack_files f = { .size = all.pack.size, .idx_size = all.pack.idx_size };
	struct change c;
	struct rolled r = { .names = { all.name } };

	(void)state;
	p.pack.inlined = false;
	begin_change(&c, mirror);
	add_pack(&c, &p);
	add_ref(&c, mirror, "refs/heads/main", &commits[0]);
	world_expect(w, &c.r, VERDICT_EFFECTIVE);
	WAIT_FOR(w, w->needs == 1);
	stage(w, &all);
	memcpy(f.sha256, all.pack.sha256, 32);
	memcpy(f.idx_sha256, all.pack.idx_sha256, 32);
	apply_pack_arrived(w->apply, repo1, p.pack.sha256, &f);
	WAIT_FOR(w, w->wholes == 1);
	expect_git(w, "o/one", mirror);
	assert_string_equal(sh("ls %s/repos/o/one.git/objects/pack/pack-%s.pack | wc -l", w->dir,
			       all.name),
			    "1");
	r.roll.n = 1;
	assert_int_equal(step(w, &r, apply_roll_kinds), 0);
	assert_int_equal(r.kinds[0], CATALOG_PACK_NAMED);
	drop_pack(&p);
	drop_pack(&all);
	refset_free(&mirror);
	world_free(w);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_exchange),
		cmocka_unit_test(test_deleted),
		cmocka_unit_test(test_made_anew),
	};

	log_level_now = LOG_ERROR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
