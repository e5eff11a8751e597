/* How records come into batches changes nothing: random ones, one by one and all at once. */
#include "tests/unit/replica/apply/world.h"

#define RECORDS 1500
#define REPOS 4

static uint64_t seed;
static uint8_t lives[REPOS]; /* deletes of each so far: a new id for the next life */
static int deleting;         /* which one the last record deletes; -1: none */

static unsigned
pick(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(seed >> 33) % n;
}

static const char *const names[] = { "refs/heads/a",   "refs/heads/a/b", "refs/heads/a/b/c",
				     "refs/heads/a-b", "refs/heads/b",   "refs/tags/a" };

static struct record_oid
pick_oid(void)
{
	struct record_oid o = { .len = 20 };

	/* a third of them zero, few others: many a guess at an old value is right */
	o.b[0] = (uint8_t)pick(3);
	return o;
}

static int
pick_id(uint8_t id[16])
{
	unsigned slot = pick(REPOS);

	memset(id, 0, 16);
	id[0] = (uint8_t)(1 + slot);
	id[1] = lives[slot];
	return (int)slot;
}

static void
log_random(struct world *w)
{
	static const char *const paths[] = { "o/a", "o/b", "p/a", "p/b", "p/c" };
	struct record r = { .type = RECORD_UPDATE };
	struct record_ref refs[4];
	unsigned what = pick(60);

	deleting = -1;
	if (what < 4) {
		uint8_t id[16];

		pick_id(id);
		r = make_create(id, paths[pick(5)], OID_SHA1);
	} else if (what == 4) {
		r.type = RECORD_DELETE;
		deleting = pick_id(r.del.id);
	} else if (what == 5) {
		r.type = RECORD_RENAME;
		pick_id(r.rename.id);
		r.rename.path = paths[pick(5)];
	} else {
		pick_id(r.update.id);
		r.update.oid_len = 20;
		r.update.refs = refs;
		r.update.n_refs = pick(4);
		r.update.head = pick(5) == 0 ? names[pick(COUNT(names))] : NULL;
		for (size_t i = 0; i < r.update.n_refs; i++)
			refs[i] = (struct record_ref){ names[pick(COUNT(names))], pick_oid(),
						       pick_oid() };
	}
	world_log(w, &r);
}

/* Everything that can be seen of the repositories. */
static void
describe(struct world *w, struct buf *b)
{
	for (unsigned i = 0; i < REPOS; i++) {
		const uint8_t id[16] = { (uint8_t)(1 + i), lives[i] };
		struct repo *repo = repo_find_id(w->table, id);
		struct reflist list;
		unsigned n = w->loads;

		if (repo == NULL)
			continue;
		apply_load(w->apply, repo, on_loaded, w);
		WAIT_FOR(w, w->loads > n);
		assert_int_equal(w->load_rc, 0);
		refset_list(repo->shared.refs, &list);
		buf_addf(b, "%u %s %s %u:", i, repo->shared.path, list.head_target,
			 (unsigned)repo->shared.applied);
		for (size_t k = 0; k < list.n; k++) {
			struct refset_ref ref;

			assert_true(refset_get(repo->shared.refs, list.items[k]->name, &ref));
			buf_addf(b, " %s=%u<%u@%u", list.items[k]->name, ref.oid.b[0],
				 ref.before.b[0], (unsigned)ref.changed);
		}
		buf_add_str(b, "\n");
		repo_unref(&repo);
	}
	buf_add_str(b, sh("cd %s/repos && grep -r . --include=HEAD --include=packed-refs . | sort;"
			  " grep -r . */*/refs | sort; true",
			  w->dir));
	assert_true(buf_ok(b));
}

static void
start_anew(struct world *w)
{
	world_close(w);
	sh("rm -rf %s/repos %s/data", w->dir, w->dir);
	world_open(w);
}

static void
run(uint64_t s)
{
	struct world *w = world_new();
	struct buf want = BUF_MAX(1u << 20), have = BUF_MAX(1u << 20);
	uint8_t *verdicts;
	unsigned effective = 0;

	seed = s;
	memset(lives, 0, sizeof(lives));
	world_begin(w);
	for (unsigned i = 0; i < RECORDS; i++) {
		uint64_t at = w->next;

		log_random(w);
		world_feed(w, at);
		WAIT_FOR(w, w->applied > at);
		if (w->verdict[at] != VERDICT_EFFECTIVE)
			continue;
		effective++;
		if (deleting >= 0)
			lives[deleting]++;
	}
	assert_true(effective > RECORDS / 20);
	describe(w, &want);
	verdicts = mem_dup(w->verdict, w->next);
	start_anew(w);
	world_feed(w, 0);
	WAIT_FOR(w, w->applied == w->next);
	assert_memory_equal(verdicts, w->verdict, w->next);
	describe(w, &have);
	assert_string_equal(buf_str(&have), buf_str(&want));
	/* restarted now and then */
	start_anew(w);
	for (uint64_t at = 0, end; at < w->next; at = end) {
		uint64_t all = w->next;

		end = at + 1 + pick(300);
		end = MIN(end, all);
		w->next = end;
		world_feed(w, w->applied);
		if (pick(2) == 0)
			WAIT_FOR(w, w->applied == w->next);
		w->next = all;
		world_close(w);
		world_open(w);
		end = w->applied > at ? w->applied : at;
	}
	world_feed(w, w->applied);
	WAIT_FOR(w, w->applied == w->next);
	assert_memory_equal(verdicts, w->verdict, w->next);
	buf_clear(&have);
	describe(w, &have);
	assert_string_equal(buf_str(&have), buf_str(&want));
	free(verdicts);
	buf_release(&want);
	buf_release(&have);
	world_free(w);
}

static void
test_order(void **state)
{
	(void)state;
	for (uint64_t s = 1; s <= 3; s++)
		run(s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_order) };

	log_level_now = LOG_ERROR;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
