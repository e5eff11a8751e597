/* tests/unit/replica/apply/pushes.h - pushes for a world: commits and packs made by the real git,
 * updates that carry them, and git as the judge of what came out. */
#ifndef TESTS_UNIT_REPLICA_APPLY_PUSHES_H
#define TESTS_UNIT_REPLICA_APPLY_PUSHES_H

#include "tests/unit/replica/apply/world.h"

#include <openssl/evp.h>

static enum oid_format format;
static struct oid commits[6], tag; /* a line of commits; tag names commits[1] */
static char src[128];              /* where they were made */

static UNUSED struct oid
read_oid(const char *hex)
{
	struct oid o = OID_NONE;

	assert_int_equal(oid_parse(&o, slice_str(hex), format), 0);
	return o;
}

static UNUSED void
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

static UNUSED void
sum(uint8_t out[32], const uint8_t *p, size_t n)
{
	assert_int_equal(EVP_Digest(p, n, out, NULL, EVP_sha256(), NULL), 1);
}

/* It lies in staging, as the record says. */
static UNUSED void
arrive(struct world *w, const struct record_pack *p)
{
	struct apply_pack_files f = { .size = p->size, .idx_size = p->idx_size };

	memcpy(f.sha256, p->sha256, sizeof(f.sha256));
	memcpy(f.idx_sha256, p->idx_sha256, sizeof(f.idx_sha256));
	apply_pack_arrived(w->apply, repo1, p->sha256, &f);
}

/* The objects of `what` that `base` ("" or "^HEX") does not have. */
static UNUSED struct packed
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

static UNUSED void
drop_pack(struct packed *p)
{
	free(p->bytes);
	free(p->idx);
}

/* Puts it where staged packs lie. */
static UNUSED void
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

static UNUSED struct record_oid
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

static UNUSED void
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

static UNUSED void
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

static UNUSED void
add_pack(struct change *c, struct packed *p)
{
	c->packs[c->r.update.n_packs] = p->pack;
	c->packs[c->r.update.n_packs++].name = p->name;
}

static UNUSED struct refset *
new_mirror(void)
{
	struct refset *m = refset_new(format);

	refset_set_head(m, "refs/heads/main");
	return m;
}

/* One ref with a pack of its own. */
static UNUSED void
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
static UNUSED void
expect_git(const struct world *w, const char *path, const struct refset *mirror)
{
	struct buf want = BUF_MAX(1u << 20);
	struct reflist list;

	refset_list(mirror, &list);
	for (size_t i = 0; i < list.n; i++)
		buf_addf(&want, "%s%s %s", i > 0 ? "\n" : "", list.items[i]->name,
			 oid_text(&list.items[i]->oid));
	assert_string_equal(
		sh("cd %s/repos/%s.git && git for-each-ref --format='%%(refname) %%(objectname)'",
		   w->dir, path),
		buf_str(&want));
	sh("cd %s/repos/%s.git && git fsck --strict 2>&1", w->dir, path);
	assert_string_equal(sh("cd %s/repos/%s.git && git symbolic-ref HEAD", w->dir, path),
			    refset_head(mirror));
	buf_release(&want);
}

static UNUSED struct world *
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

static UNUSED struct refset *
loaded(struct world *w, struct repo *repo)
{
	unsigned n = w->loads;

	apply_load(w->apply, repo, on_loaded, w);
	WAIT_FOR(w, w->loads > n);
	assert_int_equal(w->load_rc, 0);
	assert_non_null(repo->shared.refs);
	return repo->shared.refs;
}

static UNUSED void
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

#endif
