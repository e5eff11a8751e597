#include "tests/unit/shard-map/commitlog/core_test.h"

#include "gitproto/base/mem.h"

/* Repository 1 is alice/x (SHA-1) with these refs; id 2 was used and is gone. */
static const struct {
	const char *name;
	uint8_t value;
} living[] = {
	{ "refs/heads/main", 1 },
	{ "refs/heads/a", 2 },
	{ "refs/heads/dir/b", 3 },
};

static int fails; /* what every callback answers, unless 0 */

static int
find_repo(const uint8_t id[RECORD_ID], uint8_t *oid_len, void *arg UNUSED)
{
	*oid_len = 20;
	return fails != 0 ? fails : id[RECORD_ID - 1] == 1;
}

static int
is_used(const uint8_t id[RECORD_ID], void *arg UNUSED)
{
	return fails != 0 ? fails : id[RECORD_ID - 1] <= 2;
}

static int
is_taken(const char *path, void *arg UNUSED)
{
	return fails != 0 ? fails : strcmp(path, "alice/x") == 0;
}

static int
find_ref(const uint8_t id[RECORD_ID] UNUSED, const char *name, struct record_oid *out,
	 void *arg UNUSED)
{
	for (size_t i = 0; i < COUNT(living); i++)
		if (strcmp(living[i].name, name) == 0)
			*out = (struct record_oid){ 20, { living[i].value } };
	return fails;
}

static bool
is_dir_of(const char *dir, const char *name)
{
	size_t n = strlen(dir);

	return strncmp(dir, name, n) == 0 && name[n] == '/';
}

static int
find_conflict(const uint8_t id[RECORD_ID] UNUSED, const char *name,
	      bool (*ignore)(const char *, void *), void *ignore_arg, void *arg UNUSED)
{
	if (fails != 0)
		return fails;
	for (size_t i = 0; i < COUNT(living); i++)
		if (!ignore(living[i].name, ignore_arg) &&
		    (is_dir_of(living[i].name, name) || is_dir_of(name, living[i].name)))
			return 1;
	return 0;
}

static const struct verdict_content content = { find_repo, is_used,       is_taken,
						find_ref,  find_conflict, NULL };

static void
genesis_rules(void **state UNUSED)
{
	uint8_t cluster[RECORD_ID];
	struct verdict_state s, t;
	struct record g = genesis(), c = claim(1, 1, 0), other = genesis(), b = free_barrier();

	id_of(cluster, 0xcc);
	other.cluster[0] = 1;
	verdict_init(&s, cluster, SHARD);
	verdict_init(&t, cluster, SHARD);
	assert_int_equal(put(&s, &other, NULL, NULL), VERDICT_OUT);
	assert_int_equal(put(&s, &g, NULL, NULL), VERDICT_OUT); /* too late: offset 1 */
	assert_int_equal(put(&s, &c, NULL, NULL), VERDICT_OUT);
	assert_false(s.genesis);
	assert_int_equal(put(&t, &g, NULL, NULL), VERDICT_EFFECTIVE);
	assert_true(t.genesis);
	assert_int_equal(t.key_seed, 99);
	assert_int_equal(t.n_voters, 3);
	assert_int_equal(put(&t, &g, NULL, NULL), VERDICT_OUT);
	assert_int_equal(put(&t, &b, NULL, NULL), VERDICT_FREE);
	assert_int_equal(put(&t, &c, NULL, NULL), VERDICT_EFFECTIVE);
	assert_int_equal(t.last_offset, 3);
}

/* R2, with the holder's last in-order record at offset 2. */
static void
claims(void **state UNUSED)
{
	static const struct {
		uint64_t epoch;
		uint32_t node;
		uint64_t base;
		enum verdict v;
	} cases[] = {
		{ 2, 2, 2, VERDICT_EFFECTIVE }, { 2, 2, 9, VERDICT_EFFECTIVE },
		{ 2, 1, 2, VERDICT_EFFECTIVE }, /* the holder itself, too */
		{ 2, 2, 1, VERDICT_OUT },       /* the barrier stands above */
		{ 1, 2, 2, VERDICT_OUT },       { 3, 2, 2, VERDICT_OUT },
		{ 2, 4, 2, VERDICT_OUT }, /* no voter */
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct verdict_state s;
		struct record b = record_by(RECORD_BARRIER, 1, 1, 1);
		struct record c = claim(cases[i].epoch, cases[i].node, cases[i].base);

		begin(&s);
		assert_int_equal(put(&s, &b, NULL, NULL), VERDICT_EFFECTIVE);
		assert_int_equal(put(&s, &c, NULL, NULL), cases[i].v);
		assert_int_equal(s.reign.epoch, cases[i].v == VERDICT_EFFECTIVE ? 2 : 1);
		assert_int_equal(s.last_offset, cases[i].v == VERDICT_EFFECTIVE ? 3 : 2);
	}
}

static void
claim_needs_the_disk(void **state UNUSED)
{
	struct verdict_state s;
	struct record c = claim(2, 2, 1);

	begin(&s);
	id_of(c.claim.incarnation, 9);
	assert_int_equal(put(&s, &c, NULL, NULL), VERDICT_OUT);
}

static void
in_order(void **state UNUSED)
{
	static const struct {
		uint64_t epoch;
		uint32_t node;
		uint64_t boot, seq;
		enum verdict v;
	} cases[] = {
		{ 1, 1, 10, 5, VERDICT_EFFECTIVE }, { 1, 1, 10, 5, VERDICT_OUT }, /* twice */
		{ 1, 1, 10, 4, VERDICT_OUT },                                     /* overtaken */
		{ 1, 1, 11, 6, VERDICT_OUT },                                     /* another boot */
		{ 1, 2, 10, 6, VERDICT_OUT },                                     /* another node */
		{ 2, 1, 10, 6, VERDICT_OUT }, /* another epoch */
		{ 0, 0, 0, 6, VERDICT_OUT },        { 1, 1, 10, 6, VERDICT_EFFECTIVE },
	};
	struct verdict_state s;

	begin(&s);
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct record r =
			record_by(RECORD_BARRIER, cases[i].epoch, cases[i].node, cases[i].seq);

		r.reign.boot = cases[i].boot;
		assert_int_equal(put(&s, &r, NULL, NULL), cases[i].v);
	}
	assert_int_equal(s.last_seq, 6);
	assert_int_equal(s.last_offset, 1 + COUNT(cases));
}

/* A dead record counts for seq and base (trap 1). */
static void
dead_counts(void **state UNUSED)
{
	struct verdict_state s;
	struct record d = record_by(RECORD_DELETE, 1, 1, 5),
		      older = record_by(RECORD_BARRIER, 1, 1, 4);
	struct record c = claim(2, 2, 1);

	begin(&s);
	id_of(d.del.id, 3);
	assert_int_equal(put(&s, &d, &content, NULL), VERDICT_DEAD);
	assert_int_equal(s.last_type, RECORD_DELETE);
	assert_int_equal(put(&s, &older, &content, NULL), VERDICT_OUT);
	assert_int_equal(put(&s, &c, &content, NULL), VERDICT_OUT);
}

struct want {
	const char *name;
	uint8_t old, new;
};

static int
try_update(const struct want *w, size_t n, struct err *why)
{
	struct verdict_state s;
	struct record r = record_by(RECORD_UPDATE, 1, 1, 1);
	struct record_ref refs[32];

	for (size_t i = 0; i < n; i++)
		refs[i] = (struct record_ref){ w[i].name,
					       { 20, { w[i].old } },
					       { 20, { w[i].new } } };
	begin(&s);
	r.update = (struct record_update){ .oid_len = 20, .refs = refs, .n_refs = n };
	id_of(r.update.id, 1);
	return put(&s, &r, &content, why);
}

static void
updates(void **state UNUSED)
{
	static const struct {
		struct want w[3];
		int v, code;
	} cases[] = {
		{ { { "refs/heads/main", 1, 9 } }, VERDICT_EFFECTIVE, 0 },
		{ { { "refs/heads/main", 2, 9 } }, VERDICT_DEAD, ERR_CONFLICT },
		{ { { "refs/heads/main", 0, 9 } }, VERDICT_DEAD, ERR_CONFLICT },
		{ { { "refs/heads/new", 0, 9 } }, VERDICT_EFFECTIVE, 0 },
		{ { { "refs/heads/new", 1, 9 } }, VERDICT_DEAD, ERR_CONFLICT },
		{ { { "refs/heads/new", 0, 0 } }, VERDICT_EFFECTIVE, 0 },
		{ { { "refs/heads/main", 1, 0 } }, VERDICT_EFFECTIVE, 0 },
		/* one refused ref kills all */
		{ { { "refs/heads/new", 0, 9 }, { "refs/heads/a", 7, 9 } },
		  VERDICT_DEAD,
		  ERR_CONFLICT },
		{ { { "refs/heads/new", 0, 9 }, { "refs/heads/new", 0, 8 } },
		  VERDICT_DEAD,
		  ERR_BAD },
		/* directory against file: with what lives, and among themselves */
		{ { { "refs/heads/a/x", 0, 9 } }, VERDICT_DEAD, ERR_CONFLICT },
		{ { { "refs/heads/dir", 0, 9 } }, VERDICT_DEAD, ERR_CONFLICT },
		{ { { "refs/heads/a/x", 0, 9 }, { "refs/heads/a", 2, 0 } }, VERDICT_EFFECTIVE, 0 },
		{ { { "refs/heads/a", 2, 0 }, { "refs/heads/a/x", 0, 9 } }, VERDICT_EFFECTIVE, 0 },
		{ { { "refs/heads/dir", 0, 9 }, { "refs/heads/dir/b", 3, 0 } },
		  VERDICT_EFFECTIVE,
		  0 },
		{ { { "refs/heads/n", 0, 9 },
		    { "refs/heads/n-1", 0, 9 },
		    { "refs/heads/n/m", 0, 9 } },
		  VERDICT_DEAD,
		  ERR_CONFLICT },
		{ { { "refs/heads/a", 2, 9 }, { "refs/heads/a/b", 0, 9 } },
		  VERDICT_DEAD,
		  ERR_CONFLICT },
		{ { { "refs/heads/../x", 0, 9 } }, VERDICT_DEAD, ERR_BAD },
		{ { { "HEAD", 0, 9 } }, VERDICT_DEAD, ERR_BAD },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct err why = { 0 };
		size_t n = 0;

		while (n < 3 && cases[i].w[n].name != NULL)
			n++;
		assert_int_equal(try_update(cases[i].w, n, &why), cases[i].v);
		assert_int_equal(why.code, cases[i].code);
	}
}

static void
update_needs(void **state UNUSED)
{
	struct verdict_state s;
	struct record_ref ref = { "refs/heads/n", { 20, { 0 } }, { 20, { 1 } } };
	struct record r = record_by(RECORD_UPDATE, 1, 1, 1);
	struct err why = { 0 };

	begin(&s);
	r.update = (struct record_update){ .oid_len = 20, .refs = &ref, .n_refs = 1 };
	id_of(r.update.id, 2);
	assert_int_equal(verdict_content(&s, &r, &content, &why), VERDICT_DEAD);
	assert_int_equal(why.code, ERR_NOT_FOUND);
	id_of(r.update.id, 1);
	assert_int_equal(verdict_content(&s, &r, &content, NULL), VERDICT_EFFECTIVE);
	r.update.config = 1;
	assert_int_equal(verdict_content(&s, &r, &content, NULL), VERDICT_DEAD);
	r.update.config = 0;
	r.update.oid_len = 32;
	assert_int_equal(verdict_content(&s, &r, &content, NULL), VERDICT_DEAD);
	r.update.oid_len = 20;
	r.update.head = "nowhere";
	assert_int_equal(verdict_content(&s, &r, &content, NULL), VERDICT_DEAD);
	r.update.head = "refs/heads/elsewhere";
	assert_int_equal(verdict_content(&s, &r, &content, NULL), VERDICT_EFFECTIVE);
	fails = ERR_IO; /* nothing is decided on a guess */
	assert_int_equal(put(&s, &r, &content, NULL), ERR_IO);
	fails = 0;
	assert_int_equal(s.next, 2);
}

static void
many_refs(void **state UNUSED)
{
	struct want w[20];
	char names[COUNT(w)][24];

	for (size_t i = 0; i < COUNT(w); i++) {
		snprintf(names[i], sizeof(names[i]), "refs/heads/n%zu", i);
		w[i] = (struct want){ names[i], 0, 1 };
	}
	assert_int_equal(try_update(w, COUNT(w), NULL), VERDICT_EFFECTIVE);
	mem_fail_at(1);
	assert_int_equal(try_update(w, COUNT(w), NULL), ERR_NOMEM);
	mem_fail_at(0);
}

static void
repositories(void **state UNUSED)
{
	static const struct {
		uint8_t id;
		const char *path, *head;
		int v, code;
	} cases[] = {
		{ 3, "bob/y", "refs/heads/main", VERDICT_EFFECTIVE, 0 },
		{ 3, "bob/.github", "refs/heads/main", VERDICT_EFFECTIVE, 0 },
		{ 2, "bob/y", "refs/heads/main", VERDICT_DEAD, ERR_EXISTS }, /* used once */
		{ 3, "alice/x", "refs/heads/main", VERDICT_DEAD, ERR_EXISTS },
		{ 3, "bob/y", "main", VERDICT_DEAD, ERR_BAD },
		{ 3, "bob", "refs/heads/main", VERDICT_DEAD, ERR_BAD },
		{ 3, "bob/", "refs/heads/main", VERDICT_DEAD, ERR_BAD },
		{ 3, "/y", "refs/heads/main", VERDICT_DEAD, ERR_BAD },
		{ 3, "a/b/c", "refs/heads/main", VERDICT_DEAD, ERR_BAD },
		{ 3, "bob/..", "refs/heads/main", VERDICT_DEAD, ERR_BAD },
		{ 3, "./y", "refs/heads/main", VERDICT_DEAD, ERR_BAD },
		{ 3, "Bob/y", "refs/heads/main", VERDICT_DEAD, ERR_BAD },
		{ 3, "bob/y\n", "refs/heads/main", VERDICT_DEAD, ERR_BAD },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct verdict_state s;
		struct record r = record_by(RECORD_CREATE, 1, 1, 1);
		struct err why = { 0 };

		begin(&s);
		r.create = (struct record_create){ .oid_len = 20,
						   .path = cases[i].path,
						   .head = cases[i].head };
		id_of(r.create.id, cases[i].id);
		assert_int_equal(put(&s, &r, &content, &why), cases[i].v);
		assert_int_equal(why.code, cases[i].code);
		if (cases[i].code == ERR_EXISTS && cases[i].id == 2)
			continue;
		r = record_by(RECORD_RENAME, 1, 1, 2);
		id_of(r.rename.id, 1);
		r.rename.path = cases[i].path;
		assert_int_equal(put(&s, &r, &content, NULL), strcmp(cases[i].head, "main") == 0
								      ? (int)VERDICT_EFFECTIVE
								      : cases[i].v);
	}
}

static void
delete_and_meta(void **state UNUSED)
{
	static const enum record_type types[] = { RECORD_DELETE, RECORD_META, RECORD_RENAME };
	struct verdict_state s;

	begin(&s);
	for (uint8_t id = 1; id <= 2; id++)
		for (size_t i = 0; i < COUNT(types); i++) {
			struct record r = record_by(types[i], 1, 1, 10u * id + i);

			if (types[i] == RECORD_DELETE)
				id_of(r.del.id, id);
			else if (types[i] == RECORD_META)
				id_of(r.meta.id, id);
			else
				id_of(r.rename.id, id);
			if (types[i] == RECORD_RENAME)
				r.rename.path = "new/path";
			assert_int_equal(put(&s, &r, &content, NULL),
					 id == 1 ? VERDICT_EFFECTIVE : VERDICT_DEAD);
		}
}

static void
ref_names(void **state UNUSED)
{
	static const struct {
		const char *name;
		bool ok;
	} cases[] = {
		{ "refs/heads/fine", true },
		{ "refs/stash", true },
		{ "refs/heads/\xc3\xa9", true },
		{ "refs/heads/a.b", true },
		{ "refs/heads/@", true },
		{ "refs/heads/a.locks", true },
		{ "refs/", false },
		{ "refs//a", false },
		{ "refs/heads/", false },
		{ "refs/heads/.a", false },
		{ "refs/heads/a..b", false },
		{ "refs/heads/a.", false },
		{ "refs/heads/a.lock", false },
		{ "refs/heads/a.lock/b", false },
		{ "refs/heads/a b", false },
		{ "refs/heads/a\x7f", false },
		{ "refs/heads/a~1", false },
		{ "refs/heads/a@{1", false },
		{ "refs/heads/a\\b", false },
		{ "refs/heads/a[b", false },
		{ "heads/main", false },
		{ "", false },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct want w = { cases[i].name, 0, 1 };

		assert_int_equal(try_update(&w, 1, NULL),
				 cases[i].ok ? VERDICT_EFFECTIVE : VERDICT_DEAD);
	}
}

static void
configs(void **state UNUSED)
{
	static const struct record_member twice[] = { { 1, { [15] = 1 } }, { 1, { [15] = 9 } } };
	static const struct {
		uint64_t base;
		const struct record_member *voters, *learners;
		size_t n_voters, n_learners;
		bool single;
		enum verdict v;
	} cases[] = {
		{ 2, members, NULL, 2, 0, false, VERDICT_EFFECTIVE },
		{ 2, members, &members[2], 2, 2, false, VERDICT_EFFECTIVE },
		{ 1, members, NULL, 2, 0, false, VERDICT_DEAD }, /* the barrier stands above */
		{ 2, members, NULL, 1, 0, false, VERDICT_DEAD },
		{ 2, members, NULL, 1, 0, true, VERDICT_EFFECTIVE },
		{ 2, members, NULL, 0, 0, true, VERDICT_DEAD },
		{ 2, &members[1], NULL, 2, 0, false, VERDICT_DEAD }, /* without the holder */
		{ 2, twice, NULL, 2, 0, false, VERDICT_DEAD },
		{ 2, members, members, 2, 1, false, VERDICT_DEAD },
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct verdict_state s;
		struct record b = record_by(RECORD_BARRIER, 1, 1, 1);
		struct record r = record_by(RECORD_CONFIG, 1, 1, 2);

		begin(&s);
		assert_int_equal(put(&s, &b, NULL, NULL), VERDICT_EFFECTIVE);
		r.config.base = cases[i].base;
		r.config.members = (struct record_members){ cases[i].voters, cases[i].learners,
							    cases[i].n_voters, cases[i].n_learners,
							    cases[i].single };
		assert_int_equal(put(&s, &r, NULL, NULL), cases[i].v);
		assert_int_equal(s.config, cases[i].v == VERDICT_EFFECTIVE);
		assert_int_equal(s.n_voters,
				 cases[i].v == VERDICT_EFFECTIVE ? cases[i].n_voters : 3);
		assert_int_equal(s.last_offset, 3);
	}
}

static void
checkpoints(void **state UNUSED)
{
	static const struct {
		uint64_t head;
		const struct record_member *m;
		size_t n;
		enum verdict v;
	} cases[] = {
		{ 2, members, 2, VERDICT_EFFECTIVE },
		{ 3, members, 2, VERDICT_DEAD },     /* beyond itself */
		{ 2, members, 1, VERDICT_DEAD },     /* a minority */
		{ 2, &members[2], 2, VERDICT_DEAD }, /* one of them is no voter */
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct verdict_state s;
		struct record r = record_by(RECORD_CHECKPOINT, 1, 1, 1);

		begin(&s);
		r.checkpoint = (struct record_checkpoint){ cases[i].head, cases[i].m, cases[i].n };
		assert_int_equal(put(&s, &r, NULL, NULL), cases[i].v);
		assert_int_equal(s.checkpoint, cases[i].v == VERDICT_EFFECTIVE ? 2 : 0);
	}
}

static void
majorities(void **state UNUSED)
{
	static const unsigned want[] = { 2, 2, 2, 2, 3, 3, 4 };

	for (size_t n = 0; n < COUNT(want); n++) {
		assert_int_equal(verdict_majority(n, false), want[n]);
		assert_int_equal(verdict_majority(n, true), 1);
	}
}

static void
foreign_records(void **state UNUSED)
{
	struct verdict_state s;
	struct record shard = record_by(RECORD_BARRIER, 1, 1, 1);
	struct record cluster = record_by(RECORD_BARRIER, 1, 1, 1);
	struct record map = record_by(RECORD_MAP, 0, 0, 0);

	begin(&s);
	shard.shard = SHARD + 1;
	cluster.cluster[0] = 1;
	assert_int_equal(put(&s, &shard, NULL, NULL), VERDICT_OUT);
	assert_int_equal(put(&s, &cluster, NULL, NULL), VERDICT_OUT);
	assert_int_equal(put(&s, &map, NULL, NULL), VERDICT_OUT);
	assert_int_equal(s.last_offset, 1);
	assert_int_equal(s.next, 5);
}

static void
stored(void **state UNUSED)
{
	struct buf b = BUF_MAX(1 << 16), again = BUF_MAX(1 << 16);
	struct verdict_state s, d;
	struct record r = record_by(RECORD_CONFIG, 1, 1, 2);

	begin(&s);
	r.config = (struct record_config){ 1, { members, &members[2], 2, 1, false } };
	assert_int_equal(put(&s, &r, NULL, NULL), VERDICT_EFFECTIVE);
	verdict_state_encode(&b, &s);
	assert_int_equal(verdict_state_decode(&d, buf_slice(&b), NULL), 0);
	verdict_state_encode(&again, &d);
	assert_memory_equal(again.p, b.p, b.len);
	assert_true(verdict_is_voter(&d, 2, members[1].incarnation));
	assert_false(verdict_is_voter(&d, 3, members[2].incarnation));
	assert_true(verdict_is_member(&d, 3, members[2].incarnation));
	for (size_t n = 0; n < b.len; n++)
		assert_int_equal(verdict_state_decode(&d, slice_of(b.p, n), NULL), ERR_CORRUPT);
	b.p[0] = 2;
	assert_int_equal(verdict_state_decode(&d, buf_slice(&b), NULL), ERR_VERSION);
	buf_release(&b);
	buf_release(&again);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(genesis_rules),
		cmocka_unit_test(claims),
		cmocka_unit_test(claim_needs_the_disk),
		cmocka_unit_test(in_order),
		cmocka_unit_test(dead_counts),
		cmocka_unit_test(updates),
		cmocka_unit_test(update_needs),
		cmocka_unit_test(many_refs),
		cmocka_unit_test(repositories),
		cmocka_unit_test(delete_and_meta),
		cmocka_unit_test(ref_names),
		cmocka_unit_test(configs),
		cmocka_unit_test(checkpoints),
		cmocka_unit_test(majorities),
		cmocka_unit_test(foreign_records),
		cmocka_unit_test(stored),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
