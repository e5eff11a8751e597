/* Records in, repositories out: with packs made by the real git, and git as the judge. */
#include "tests/unit/replica/apply/world.h"

#include <openssl/evp.h>

static enum oid_format format;
static struct oid commits[6], tag; /* a line of commits; tag names commits[1] */
static char src[128];              /* where they were made */

static struct oid
read_oid(const char *hex)
{
	struct oid o = OID_NONE;

	assert_int_equal(oid_parse(&o, slice_str(hex), format), 0);
	return o;
}

static void
make_source(const struct world *w)
{
	char parent[80] = "";

	snprintf(src, sizeof(src), "%s/src.git", w->dir);
	sh("git init -q --bare --object-format=%s %s", oid_name(format), src);
	for (unsigned i = 0; i < COUNT(commits); i++) {
		commits[i] = read_oid(sh(
			"cd %s && export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=b "
			"GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=b &&"
			"b=$(echo %u | git hash-object -w --stdin) &&"
			"git commit-tree -m %u %s $(printf '100644 blob '$b'\\tf\\n' | git mktree)",
			src, i, i, parent));
		snprintf(parent, sizeof(parent), "-p %s", oid_text(&commits[i]));
	}
	tag = read_oid(sh("cd %s && printf 'object %s\\ntype commit\\ntag v\\n"
			  "tagger a <a@b> 0 +0000\\n\\n' | git mktag",
			  src, oid_text(&commits[1])));
}

struct packed {
	struct record_pack pack;
	char name[65];
	uint8_t *bytes, *idx; /* owned */
};

static void
sum(uint8_t out[32], const uint8_t *p, size_t n)
{
	assert_int_equal(EVP_Digest(p, n, out, NULL, EVP_sha256(), NULL), 1);
}

/* The objects of `what` that `base` ("" or "^HEX") does not have. */
static struct packed
make_pack(const struct oid *what, const char *base)
{
	struct packed p = { 0 };
	char path[256];
	size_t n, m;

	snprintf(p.name, sizeof(p.name), "%s",
		 sh("cd %s && printf '%s\\n%s\\n' | git pack-objects -q --revs %s/p", src,
		    oid_text(what), base, src));
	snprintf(path, sizeof(path), "%s/p-%s.pack", src, p.name);
	assert_int_equal(disk_read(&p.bytes, &n, path, 1u << 20, NULL), 0);
	snprintf(path, sizeof(path), "%s/p-%s.idx", src, p.name);
	assert_int_equal(disk_read(&p.idx, &m, path, 1u << 20, NULL), 0);
	p.pack = (struct record_pack){ .inlined = true,
				       .size = n,
				       .idx_size = m,
				       .pack = slice_of(p.bytes, n),
				       .idx = slice_of(p.idx, m) };
	sum(p.pack.sha256, p.bytes, n);
	sum(p.pack.idx_sha256, p.idx, m);
	return p;
}

static void
drop_pack(struct packed *p)
{
	free(p->bytes);
	free(p->idx);
}

/* Puts it where staged packs lie. */
static void
stage(const struct world *w, const struct packed *p)
{
	char base[256], path[300];
	int n = snprintf(base, sizeof(base), "%s/data/" APPLY_STAGING "/", w->dir);

	for (unsigned i = 0; i < 32; i++)
		n += snprintf(base + n, sizeof(base) - (size_t)n, "%02x", p->pack.sha256[i]);
	snprintf(path, sizeof(path), "%s.pack", base);
	assert_int_equal(disk_write_new(path, slice_of(p->bytes, p->pack.size), 0444, NULL), 0);
	snprintf(path, sizeof(path), "%s.idx", base);
	assert_int_equal(disk_write_new(path, slice_of(p->idx, p->pack.idx_size), 0444, NULL), 0);
}

static struct record_oid
ro(const struct oid *o)
{
	struct record_oid r = { .len = (uint8_t)oid_size(format) };

	memcpy(r.b, o->b, sizeof(r.b));
	return r;
}

/* An update under construction, with the digest that the refs in `mirror` will have. */
struct change {
	struct record r;
	struct record_ref refs[8];
	struct record_pack packs[2];
};

static const struct oid zero; /* of length 0: absent */

static void
add_ref(struct change *c, struct refset *mirror, const char *name, const struct oid *new)
{
	struct refset_ref now;
	size_t i = c->r.update.n_refs++;
	const struct oid none = oid_null(format);

	refset_get(mirror, name, &now);
	c->refs[i] = (struct record_ref){ name, ro(&now.oid), ro(new) };
	refset_set(mirror, name, oid_is_zero(new) ? &none : new, NULL, 0);
	refset_digest(mirror, c->r.update.digest);
}

static void
begin_change(struct change *c, struct refset *mirror)
{
	memset(c, 0, sizeof(*c));
	c->r.type = RECORD_UPDATE;
	memcpy(c->r.update.id, repo1, 16);
	c->r.update.oid_len = (uint8_t)oid_size(format);
	c->r.update.refs = c->refs;
	c->r.update.packs = c->packs;
	refset_digest(mirror, c->r.update.digest);
}

static void
add_pack(struct change *c, struct packed *p)
{
	c->packs[c->r.update.n_packs] = p->pack;
	c->packs[c->r.update.n_packs++].name = p->name;
}

static struct refset *
new_mirror(void)
{
	struct refset *m = refset_new(format);

	refset_set_head(m, "refs/heads/main");
	return m;
}

/* One ref with a pack of its own. */
static void
simple_push(struct world *w, struct refset *mirror, const char *name, const struct oid *new,
	    const char *base)
{
	struct packed p = make_pack(new, base);
	struct change c;

	begin_change(&c, mirror);
	add_ref(&c, mirror, name, new);
	add_pack(&c, &p);
	world_expect(w, &c.r, VERDICT_EFFECTIVE);
	drop_pack(&p);
}

/* What git sees is what the mirror has, and nothing is broken. */
static void
expect_git(const struct world *w, const char *path, const struct refset *mirror)
{
	struct buf want = BUF_MAX(1u << 20);
	struct reflist list;

	refset_list(mirror, &list);
	for (size_t i = 0; i < list.n; i++)
		buf_addf(&want, "%s%s %s", i > 0 ? "\n" : "", list.items[i]->name,
			 oid_text(&list.items[i]->oid));
	assert_string_equal(
		sh("cd %s/root/%s.git && git for-each-ref --format='%%(refname) %%(objectname)'",
		   w->dir, path),
		buf_str(&want));
	sh("cd %s/root/%s.git && git fsck --strict 2>&1", w->dir, path);
	assert_string_equal(sh("cd %s/root/%s.git && git symbolic-ref HEAD", w->dir, path),
			    refset_head(mirror));
	buf_release(&want);
}

static struct world *
begin(enum oid_format f)
{
	struct world *w = world_new();
	struct record r = make_create(repo1, "o/one", f);

	format = f;
	make_source(w);
	world_begin(w);
	world_expect(w, &r, VERDICT_EFFECTIVE);
	return w;
}

static void
run_life(enum oid_format f)
{
	struct world *w = begin(f);
	struct refset *mirror = new_mirror();
	struct repo *repo = repo_find(w->table, "o/one");
	struct refset_ref got;
	struct reflist list;
	struct change c;
	struct packed p;
	char base[80];

	assert_non_null(repo);
	expect_git(w, "o/one", mirror);
	simple_push(w, mirror, "refs/heads/main", &commits[0], "");
	expect_git(w, "o/one", mirror);
	snprintf(base, sizeof(base), "^%s", oid_text(&commits[0]));

	/* several refs in one push, a tag among them */
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
	assert_false(repo->shared.quarantined);
	pthread_mutex_unlock(&repo->shared.lock);

	/* old values that are not there, and names in each other's way */
	begin_change(&c, mirror);
	c.refs[c.r.update.n_refs++] =
		(struct record_ref){ "refs/heads/main", ro(&commits[0]), ro(&commits[1]) };
	world_expect(w, &c.r, VERDICT_DEAD);
	assert_non_null(strstr(w->why[w->next - 1], "changed by another push"));
	begin_change(&c, mirror);
	c.refs[c.r.update.n_refs++] =
		(struct record_ref){ "refs/heads/x", ro(&zero), ro(&commits[1]) };
	world_expect(w, &c.r, VERDICT_DEAD);
	begin_change(&c, mirror);
	c.refs[c.r.update.n_refs++] =
		(struct record_ref){ "refs/heads/main/z", ro(&zero), ro(&commits[1]) };
	world_expect(w, &c.r, VERDICT_DEAD);
	expect_git(w, "o/one", mirror);
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

static struct refset *
loaded(struct world *w, struct repo *repo)
{
	unsigned n = w->loads;

	apply_load(w->apply, repo, on_loaded, w);
	WAIT_FOR(w, w->loads > n);
	assert_int_equal(w->load_rc, 0);
	assert_non_null(repo->shared.refs);
	return repo->shared.refs;
}

static void
expect_refs(struct world *w, const char *path, const struct refset *mirror)
{
	struct repo *repo = repo_find(w->table, path);
	uint8_t a[REFSET_DIGEST], b[REFSET_DIGEST];

	assert_non_null(repo);
	refset_digest(loaded(w, repo), a);
	refset_digest(mirror, b);
	assert_memory_equal(a, b, sizeof(a));
	assert_false(repo->shared.quarantined);
	repo_unref(&repo);
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
	sh("rm -r %s/root %s/data", w->dir, w->dir);
	world_open(w);
	assert_int_equal(w->applied, 0);
	world_feed(w, 0);
	WAIT_FOR(w, w->applied == w->next);
	expect_refs(w, "o/one", mirror);
	expect_git(w, "o/one", mirror);
	refset_free(&mirror);
	world_free(w);
}

/* Hundreds of updates of one ref in a few batches. */
static void
test_batches(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct apply_counts n;
	struct change c;
	uint64_t from;

	(void)state;
	simple_push(w, mirror, "refs/heads/main", &commits[5], "");
	from = w->next;
	for (unsigned i = 0; i < 1000; i++) {
		char name[40];

		begin_change(&c, mirror);
		add_ref(&c, mirror, "refs/heads/main", &commits[i % 5]);
		snprintf(name, sizeof(name), "refs/heads/b%u/c", i % 50);
		add_ref(&c, mirror, name, i % 3 == 2 ? &zero : &commits[i % 4]);
		world_log(w, &c.r);
	}
	world_feed(w, from);
	WAIT_FOR(w, w->applied == w->next);
	for (uint64_t at = from; at < w->next; at++)
		assert_int_equal(w->verdict[at], VERDICT_EFFECTIVE);
	expect_refs(w, "o/one", mirror);
	expect_git(w, "o/one", mirror);
	apply_counts(w->apply, &n);
	assert_true(n.batches < 100);
	assert_int_equal(n.updates, 1001);
	assert_int_equal(n.quarantined, 0);
	refset_free(&mirror);
	world_free(w);
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
	assert_string_equal(sh("cd %s/root/o/one.git && git tag", w->dir), "");
	repo_unref(&repo);
	/* told again at start */
	world_close(w);
	world_open(w);
	WAIT_FOR(w, w->needs == 2);
	assert_int_equal(apply_shard_missing(w->apply, SHARD), 1);
	/* it is said to have come and has not: told once more */
	apply_pack_arrived(w->apply, repo1, q.pack.sha256);
	WAIT_FOR(w, w->needs == 3);
	stage(w, &q);
	apply_pack_arrived(w->apply, repo1, q.pack.sha256);
	WAIT_FOR(w, w->wholes == 1);
	repo = repo_find(w->table, "o/one");
	assert_int_equal(repo->shared.missing, 0);
	assert_int_equal(apply_shard_missing(w->apply, SHARD), 0);
	refset_list(loaded(w, repo), &list);
	assert_true(oid_eq(&reflist_find(&list, SLICE_LIT("refs/tags/v"))->peeled, &commits[1]));
	expect_git(w, "o/one", mirror);
	repo_unref(&repo);
	/* peeled, and no need left, also after a restart */
	world_close(w);
	world_open(w);
	repo = repo_find(w->table, "o/one");
	refset_list(loaded(w, repo), &list);
	assert_true(oid_eq(&reflist_find(&list, SLICE_LIT("refs/tags/v"))->peeled, &commits[1]));
	assert_int_equal(w->needs, 3);
	repo_unref(&repo);
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
	assert_string_equal(sh("ls %s/root/o/one.git/objects/pack", w->dir), "");
	drop_pack(&p);
	refset_free(&mirror);
	world_free(w);
}

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
	assert_string_equal(sh("ls %s/root; ls %s/data/trash", w->dir, w->dir),
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
	sh("rm -r %s/root %s/data", w->dir, w->dir);
	world_open(w);
	world_feed(w, 0);
	WAIT_FOR(w, w->applied == w->next);
	assert_string_equal(sh("ls %s/root; ls %s/data/trash", w->dir, w->dir),
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
		sh("cd %s/root/o/one.git && cat description && git config gitweb.owner &&"
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
	sh("cd %s/root/o/one.git && git update-ref refs/heads/evil %s && rm refs/heads/main &&"
	   " touch -d 2001-01-01 HEAD.lock && ls",
	   w->dir, oid_text(&commits[0]));
	world_open(w);
	repo = repo_find(w->table, "o/one");
	loaded(w, repo);
	expect_git(w, "o/one", mirror);
	apply_counts(w->apply, &n);
	assert_int_equal(n.mended, 2);
	sh("cd %s/root/o/one.git && git update-ref refs/heads/main %s", w->dir,
	   oid_text(&commits[0]));
	apply_check_projection(w->apply, repo);
	loaded(w, repo);
	expect_git(w, "o/one", mirror);
	repo_unref(&repo);
	/* the folder is gone: nothing is made anew, nothing served, until it is back */
	world_close(w);
	sh("mv %s/root/o %s/root/elsewhere", w->dir, w->dir);
	world_open(w);
	repo = repo_find(w->table, "o/one");
	loaded(w, repo);
	assert_true(repo->shared.quarantined);
	assert_string_equal(sh("ls %s/root", w->dir), "elsewhere");
	sh("mv %s/root/elsewhere %s/root/o", w->dir, w->dir);
	apply_check_projection(w->apply, repo);
	loaded(w, repo);
	assert_false(repo->shared.quarantined);
	repo_unref(&repo);
	refset_free(&mirror);
	world_free(w);
}

static void
expect_halt(struct world *w, int code, const char *words)
{
	WAIT_FOR(w, w->halts == 1);
	assert_int_equal(w->halt.code, code);
	if (strstr(w->halt.text, words) == NULL)
		fail_msg("'%s' is not in '%s'", words, w->halt.text);
}

static void
test_unknown_record(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct record b = { .type = RECORD_BARRIER };
	uint64_t at;

	(void)state;
	at = world_log(w, &b);
	w->log[at].p[6] = 99; /* its type: see docs/commit-log.md */
	world_feed(w, at);
	expect_halt(w, ERR_UNSUPPORTED, "its type is not known");
	b = (struct record){ .type = RECORD_BARRIER };
	world_append(w, &b);
	/* nothing is skipped */
	world_close(w);
	world_open(w);
	assert_int_equal(w->applied, at);
	world_free(w);
}

static void
test_gap(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct record b = { .type = RECORD_BARRIER };

	(void)state;
	world_log(w, &b);
	b = (struct record){ .type = RECORD_BARRIER };
	world_append(w, &b);
	expect_halt(w, ERR_BAD, "is next");
	world_free(w);
}

static void
test_another_log(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct record b = { .type = RECORD_BARRIER };
	uint64_t at;

	(void)state;
	b.seen = 2;
	memset(b.seen_hash, 7, sizeof(b.seen_hash));
	at = world_append(w, &b);
	expect_halt(w, ERR_CONFLICT, "another log");
	/* the log was read again and agrees: the writer is wrong */
	apply_trust(w->apply, SHARD, at);
	apply_follow(w->apply, SHARD, cluster);
	world_feed(w, at);
	WAIT_FOR(w, w->applied == w->next);
	assert_int_equal(w->decided_twice, 0);
	/* seen beyond its own place: it was cut */
	b = (struct record){ .type = RECORD_BARRIER, .seen = 50 };
	world_append(w, &b);
	WAIT_FOR(w, w->halts == 2);
	world_free(w);
}

static void
test_no_genesis(void **state)
{
	struct world *w = world_new();
	struct record b = { .type = RECORD_BARRIER };

	(void)state;
	world_append(w, &b);
	expect_halt(w, ERR_BAD, "genesis");
	world_free(w);
}

static void
test_full_disk(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct packed p = make_pack(&commits[0], "");
	struct record create = make_create(repo2, "o/two", OID_SHA1);
	struct repo *repo;
	struct change c;
	uint64_t at;

	(void)state;
	/* At every write that these two records make: the pack's, the index's, ... */
	for (unsigned nth = 1; nth < 5; nth++) {
		unsigned resumes = w->resumes;

		disk_fail_from(nth);
		begin_change(&c, mirror);
		add_ref(&c, mirror, "refs/heads/main", &commits[nth % 2]);
		if (nth == 1)
			add_pack(&c, &p);
		at = world_append(w, &c.r);
		if (nth == 1) {
			WAIT_FOR(w, w->halts > 0);
			assert_int_equal(w->halt.code, ERR_FULL);
			assert_true(w->decided > at);
			assert_true(w->applied <= at);
			/* what needs no space goes on */
			repo = repo_find(w->table, "o/one");
			loaded(w, repo);
			repo_unref(&repo);
		}
		disk_fail_from(0);
		WAIT_FOR(w, w->applied > at);
		if (nth == 1)
			WAIT_FOR(w, w->resumes > resumes);
	}
	for (unsigned nth = 1; nth < 12; nth += 3) {
		create = make_create(repo2, "o/two", OID_SHA1);
		create.create.id[15] = (uint8_t)nth;
		create.create.path = nth == 1 ? "o/a" : nth == 4 ? "o/b" : nth == 7 ? "q/c" : "q/d";
		disk_fail_from(nth);
		at = world_append(w, &create);
		WAIT_FOR(w, w->halts > w->resumes || w->applied > at);
		disk_fail_from(0);
		WAIT_FOR(w, w->applied > at);
		sh("cd %s/root/%s.git && git fsck", w->dir, create.create.path);
	}
	assert_int_equal(w->decided_twice, 0);
	drop_pack(&p);
	refset_free(&mirror);
	world_free(w);
}

/* Stopping in the middle of a full disk loses nothing: the records are read again. */
static void
test_stop_while_full(void **state)
{
	struct world *w = begin(OID_SHA1);
	struct refset *mirror = new_mirror();
	struct packed p = make_pack(&commits[0], "");
	struct change c;
	uint64_t at;

	(void)state;
	disk_fail_from(1);
	begin_change(&c, mirror);
	add_pack(&c, &p);
	add_ref(&c, mirror, "refs/heads/main", &commits[0]);
	at = world_append(w, &c.r);
	WAIT_FOR(w, w->halts > 0);
	world_close(w);
	disk_fail_from(0);
	world_open(w);
	assert_int_equal(w->applied, at);
	world_feed(w, at);
	WAIT_FOR(w, w->applied == w->next);
	expect_git(w, "o/one", mirror);
	drop_pack(&p);
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
	struct apply_counts n;
	struct refset *refs;

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
	pthread_mutex_lock(&one->shared.lock);
	refs = one->shared.refs;
	pthread_mutex_unlock(&one->shared.lock);
	assert_null(refs);
	apply_counts(w->apply, &n);
	assert_true(n.refs_bytes > 0);
	simple_push(w, mirror, "refs/heads/main", &commits[2], "");
	expect_git(w, "o/one", mirror);
	expect_refs(w, "o/one", mirror);
	repo_unref(&one);
	repo_unref(&two);
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
		cmocka_unit_test(test_batches),
		cmocka_unit_test(test_staged_and_missing),
		cmocka_unit_test(test_find_pack),
		cmocka_unit_test(test_damaged_pack),
		cmocka_unit_test(test_rename_delete),
		cmocka_unit_test(test_meta),
		cmocka_unit_test(test_digest_differs),
		cmocka_unit_test(test_mends),
		cmocka_unit_test(test_unknown_record),
		cmocka_unit_test(test_gap),
		cmocka_unit_test(test_another_log),
		cmocka_unit_test(test_no_genesis),
		cmocka_unit_test(test_full_disk),
		cmocka_unit_test(test_stop_while_full),
		cmocka_unit_test(test_unload),
	};

	log_level_now = (enum log_level) - 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
