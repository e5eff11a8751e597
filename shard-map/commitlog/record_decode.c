/* The reading half of record.h; see record_encode.c.  The bytes may come from anywhere. */
#include "shard-map/commitlog/record.h"

#include "gitproto/base/mem.h"
#include "shard-map/commitlog/record_wire.h"

/* What is left to read.  Failure is sticky: after it every take_* gives zeros. */
struct cursor {
	struct slice left;
	int rc;            /* 0 or ERR_* */
	const char *wrong; /* words for rc */
};

static void
fail(struct cursor *c, int code, const char *wrong)
{
	if (c->rc != 0)
		return;
	c->rc = code;
	c->wrong = wrong;
	c->left = SLICE_NONE;
}

static const uint8_t *
take(struct cursor *c, size_t n)
{
	const uint8_t *p = c->left.p;

	if (c->rc != 0)
		return NULL;
	if (c->left.len < n) {
		fail(c, ERR_BAD, "cut short");
		return NULL;
	}
	c->left = slice_of(p + n, c->left.len - n);
	return p;
}

static uint64_t
take_int(struct cursor *c, size_t bytes)
{
	const uint8_t *p = take(c, bytes);

	return p != NULL ? record_wire_int(p, bytes) : 0;
}

static void
take_bytes(struct cursor *c, void *to, size_t n)
{
	const uint8_t *p = take(c, n);

	if (p != NULL)
		memcpy(to, p, n);
}

static bool
take_bool(struct cursor *c)
{
	uint64_t v = take_int(c, 1);

	if (v > 1)
		fail(c, ERR_BAD, "a flag is neither 0 nor 1");
	return v == 1;
}

/* NULL: not there, or failed. */
static const char *
take_string(struct cursor *c, size_t max)
{
	size_t n = take_int(c, 2);
	const uint8_t *p;

	if (c->rc != 0 || n == RECORD_WIRE_NO_STRING)
		return NULL;
	if (n > max)
		fail(c, ERR_BAD, "a name is too long");
	p = take(c, n + 1);
	if (p == NULL)
		return NULL;
	if (p[n] != '\0' || memchr(p, '\0', n) != NULL) {
		fail(c, ERR_BAD, "a name with a NUL inside or none behind it");
		return NULL;
	}
	return (const char *)p;
}

static const char *
take_name(struct cursor *c)
{
	const char *s = take_string(c, RECORD_NAME_MAX);

	if (s == NULL)
		fail(c, ERR_BAD, "a name is missing");
	return s;
}

/* An array of n items that take at least `least` bytes each; NULL for none, or failed. */
static void *
take_array(struct cursor *c, void **owned, size_t n, size_t size, size_t least)
{
	if (c->rc != 0 || n == 0)
		return NULL;
	if (n > c->left.len / least) {
		fail(c, ERR_BAD, "a count is larger than what follows");
		return NULL;
	}
	*owned = mem_try_alloc(n * size);
	if (*owned == NULL)
		fail(c, ERR_NOMEM, "no memory for it");
	return *owned;
}

static struct record_member *
take_member_array(struct cursor *c, void **owned, size_t n)
{
	struct record_member *m = take_array(c, owned, n, sizeof(*m), RECORD_WIRE_MEMBER);

	for (size_t i = 0; m != NULL && i < n; i++) {
		m[i].node = (uint32_t)take_int(c, 4);
		take_bytes(c, m[i].incarnation, RECORD_ID);
	}
	return m;
}

static void
take_members(struct cursor *c, struct record *r, struct record_members *m)
{
	m->single = take_bool(c);
	m->n_voters = take_int(c, 2);
	m->n_learners = take_int(c, 2);
	if (m->n_voters + m->n_learners > RECORD_MEMBERS_MAX)
		fail(c, ERR_BAD, "too many members");
	m->voters = take_member_array(c, &r->owned[0], m->n_voters);
	m->learners = take_member_array(c, &r->owned[1], m->n_learners);
}

static void
take_genesis(struct cursor *c, struct record *r)
{
	struct record_genesis *g = &r->genesis;

	g->format = (uint32_t)take_int(c, 4);
	g->shards = (uint32_t)take_int(c, 4);
	g->key_seed = take_int(c, 8);
	take_bytes(c, g->uuid, RECORD_ID);
	g->cluster_name = take_name(c);
	take_members(c, r, &g->members);
}

static void
take_claim(struct cursor *c, struct record *r)
{
	if (r->seq != 0)
		fail(c, ERR_BAD, "a claim that is not number 0 of its reign");
	take_bytes(c, r->claim.incarnation, RECORD_ID);
	r->claim.base = take_int(c, 8);
}

static void
take_yield(struct cursor *c, struct record *r)
{
	r->yield.wish = (uint32_t)take_int(c, 4);
}

static void
take_config(struct cursor *c, struct record *r)
{
	r->config.base = take_int(c, 8);
	take_members(c, r, &r->config.members);
}

static uint8_t
take_oid_len(struct cursor *c)
{
	uint64_t n = take_int(c, 1);

	if (n != 20 && n != 32)
		fail(c, ERR_BAD, "object ids of a length that none has");
	return (uint8_t)n;
}

static void
take_create(struct cursor *c, struct record *r)
{
	take_bytes(c, r->create.id, RECORD_ID);
	r->create.oid_len = take_oid_len(c);
	r->create.flags = (uint32_t)take_int(c, 4);
	r->create.path = take_name(c);
	r->create.head = take_name(c);
}

static void
take_delete(struct cursor *c, struct record *r)
{
	take_bytes(c, r->del.id, RECORD_ID);
}

static void
take_rename(struct cursor *c, struct record *r)
{
	take_bytes(c, r->rename.id, RECORD_ID);
	r->rename.path = take_name(c);
}

static void
take_ref(struct cursor *c, struct record_ref *f, uint8_t oid_len)
{
	f->old.len = f->new.len = oid_len;
	take_bytes(c, f->old.b, oid_len);
	take_bytes(c, f->new.b, oid_len);
	f->name = take_name(c);
}

static void
take_pack(struct cursor *c, struct record_pack *p)
{
	p->inlined = take_bool(c);
	take_bytes(c, p->sha256, RECORD_HASH);
	take_bytes(c, p->idx_sha256, RECORD_HASH);
	p->size = take_int(c, 8);
	p->idx_size = take_int(c, 8);
	p->name = take_name(c);
	if (p->name != NULL && !record_wire_is_hex(p->name))
		fail(c, ERR_BAD, "a pack's name is not 40 or 64 hex digits");
	if (!p->inlined)
		return;
	if (p->size > RECORD_INLINE_MAX || p->idx_size > RECORD_INLINE_MAX - p->size)
		fail(c, ERR_BAD, "an inline pack is too large");
	p->pack = slice_of(take(c, p->size), p->size);
	p->idx = slice_of(take(c, p->idx_size), p->idx_size);
}

static void
take_update(struct cursor *c, struct record *r)
{
	struct record_update *u = &r->update;
	struct record_ref *refs;
	struct record_pack *packs;

	take_bytes(c, u->id, RECORD_ID);
	take_bytes(c, u->push, RECORD_ID);
	u->config = take_int(c, 8);
	take_bytes(c, u->digest, RECORD_HASH);
	u->oid_len = take_oid_len(c);
	u->head = take_string(c, RECORD_NAME_MAX);
	u->n_refs = take_int(c, 4);
	refs = take_array(c, &r->owned[0], u->n_refs, sizeof(*refs), 3 + 2 * (size_t)u->oid_len);
	for (size_t i = 0; refs != NULL && i < u->n_refs && c->rc == 0; i++)
		take_ref(c, &refs[i], u->oid_len);
	u->refs = refs;
	u->n_packs = take_int(c, 2);
	if (u->n_packs > RECORD_PACKS_MAX)
		fail(c, ERR_BAD, "too many packs");
	packs = take_array(c, &r->owned[1], u->n_packs, sizeof(*packs), 1 + 2 * RECORD_HASH);
	for (size_t i = 0; packs != NULL && i < u->n_packs; i++)
		take_pack(c, &packs[i]);
	u->packs = packs;
}

static void
take_meta(struct cursor *c, struct record *r)
{
	struct record_meta *m = &r->meta;
	struct record_pair *pairs;

	take_bytes(c, m->id, RECORD_ID);
	m->description = take_string(c, RECORD_WIRE_TEXT_MAX);
	m->n_pairs = take_int(c, 4);
	pairs = take_array(c, &r->owned[0], m->n_pairs, sizeof(*pairs), 5);
	for (size_t i = 0; pairs != NULL && i < m->n_pairs && c->rc == 0; i++) {
		pairs[i].key = take_name(c);
		pairs[i].value = take_string(c, RECORD_WIRE_TEXT_MAX);
	}
	m->pairs = pairs;
}

static void
take_checkpoint(struct cursor *c, struct record *r)
{
	r->checkpoint.head = take_int(c, 8);
	r->checkpoint.n_members = take_int(c, 2);
	if (r->checkpoint.n_members > RECORD_MEMBERS_MAX)
		fail(c, ERR_BAD, "too many members");
	r->checkpoint.members = take_member_array(c, &r->owned[0], r->checkpoint.n_members);
}

static void
take_barrier(struct cursor *c UNUSED, struct record *r UNUSED)
{
}

static void
take_start(struct cursor *c, struct record *r)
{
	r->start.node = (uint32_t)take_int(c, 4);
	take_bytes(c, r->start.incarnation, RECORD_ID);
	r->start.number = take_int(c, 8);
}

static void
take_map(struct cursor *c, struct record *r)
{
	size_t n;

	r->map.version = take_int(c, 8);
	r->map.base = take_int(c, 8);
	n = take_int(c, 4);
	r->map.text = slice_of(take(c, n), n);
}

static void
take_directory(struct cursor *c, struct record *r)
{
	r->directory.key = take_name(c);
	r->directory.shard = (uint32_t)take_int(c, 4);
	r->directory.reason = take_string(c, RECORD_NAME_MAX);
}

static void (*const take_body[RECORD_NTYPES])(struct cursor *, struct record *) = {
	[RECORD_GENESIS] = take_genesis, [RECORD_CLAIM] = take_claim,
	[RECORD_YIELD] = take_yield,     [RECORD_CONFIG] = take_config,
	[RECORD_CREATE] = take_create,   [RECORD_DELETE] = take_delete,
	[RECORD_RENAME] = take_rename,   [RECORD_UPDATE] = take_update,
	[RECORD_META] = take_meta,       [RECORD_CHECKPOINT] = take_checkpoint,
	[RECORD_BARRIER] = take_barrier, [RECORD_START] = take_start,
	[RECORD_MAP] = take_map,         [RECORD_DIRECTORY] = take_directory,
};

static void
take_head(struct cursor *c, struct record *r, unsigned *version)
{
	const uint8_t *magic = take(c, RECORD_WIRE_MAGIC_LEN);
	uint64_t flags;

	if (magic != NULL && memcmp(magic, RECORD_WIRE_MAGIC, RECORD_WIRE_MAGIC_LEN) != 0)
		fail(c, ERR_BAD, "it is no record");
	*version = (unsigned)take_int(c, 1);
	if (take_int(c, 1) > RECORD_VERSION)
		fail(c, ERR_VERSION, "written by a newer gitshard, and this one is too old for it");
	r->type = (enum record_type)take_int(c, 1);
	if (c->rc == 0 && (r->type <= 0 || r->type >= RECORD_NTYPES))
		fail(c, ERR_UNSUPPORTED, "its type is not known here: a newer gitshard is needed");
	flags = take_int(c, 1);
	r->free = (flags & RECORD_WIRE_FREE) != 0;
	if (flags > RECORD_WIRE_FREE || (r->free && r->type != RECORD_BARRIER))
		fail(c, ERR_UNSUPPORTED, "its flags are not known here");
	take_bytes(c, r->cluster, RECORD_ID);
	r->shard = (uint32_t)take_int(c, 4);
	take_bytes(c, r->txn, RECORD_ID);
	r->seen = take_int(c, 8);
	take_bytes(c, r->seen_hash, RECORD_HASH);
	r->wall_ms = take_int(c, 8);
	if (c->rc != 0 || !record_has_reign(r))
		return;
	r->reign.epoch = take_int(c, 8);
	r->reign.node = (uint32_t)take_int(c, 4);
	r->reign.boot = take_int(c, 8);
	r->seq = take_int(c, 8);
}

int
record_decode(struct record *out, struct slice bytes, struct err *err)
{
	struct cursor c = { bytes, 0, NULL };
	struct record r;
	unsigned version = 0;

	memset(&r, 0, sizeof(r));
	if (bytes.len > RECORD_MAX)
		fail(&c, ERR_BAD, "longer than a record may be");
	take_head(&c, &r, &version);
	if (c.rc == 0)
		take_body[r.type](&c, &r);
	/* a newer writer may have put fields behind that older readers need not know */
	if (c.rc == 0 && c.left.len > 0 && version <= RECORD_VERSION)
		fail(&c, ERR_BAD, "bytes behind its end");
	if (c.rc != 0) {
		record_release(&r);
		return err_set(err, c.rc, "a record cannot be read: %s", c.wrong);
	}
	*out = r;
	return 0;
}
