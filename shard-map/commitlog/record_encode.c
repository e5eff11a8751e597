/* The writing half of record.h; the reading half is record_decode.c, the table of both
 * docs/commit-log.md.  A change of one is a change of all three, and of RECORD_VERSION. */
#include "shard-map/commitlog/record.h"

#include "shard-map/commitlog/record_wire.h"

static int
put_string(struct buf *b, const char *s, size_t max, struct err *err)
{
	size_t n;

	if (s == NULL) {
		buf_add_u16(b, RECORD_WIRE_NO_STRING);
		return 0;
	}
	n = strlen(s);
	if (n > max)
		return err_set(err, ERR_TOO_BIG, "a name of %zu bytes is over the limit of %zu", n,
			       max);
	buf_add_u16(b, (uint16_t)n);
	buf_add(b, s, n + 1);
	return 0;
}

/* One that must be there. */
static int
put_name(struct buf *b, const char *s, struct err *err)
{
	if (s == NULL)
		return err_set(err, ERR_BAD, "a record lacks a name");
	return put_string(b, s, RECORD_NAME_MAX, err);
}

static void
put_member(struct buf *b, const struct record_member *m)
{
	buf_add_u32(b, m->node);
	buf_add(b, m->incarnation, RECORD_ID);
}

static int
put_members(struct buf *b, const struct record_members *m, struct err *err)
{
	if (m->n_voters + m->n_learners > RECORD_MEMBERS_MAX)
		return err_set(err, ERR_TOO_BIG, "%zu members are over the limit of %d",
			       m->n_voters + m->n_learners, RECORD_MEMBERS_MAX);
	buf_add_byte(b, m->single);
	buf_add_u16(b, (uint16_t)m->n_voters);
	buf_add_u16(b, (uint16_t)m->n_learners);
	for (size_t i = 0; i < m->n_voters; i++)
		put_member(b, &m->voters[i]);
	for (size_t i = 0; i < m->n_learners; i++)
		put_member(b, &m->learners[i]);
	return 0;
}

static int
put_genesis(struct buf *b, const struct record *r, struct err *err)
{
	const struct record_genesis *g = &r->genesis;
	int rc;

	buf_add_u32(b, g->format);
	buf_add_u32(b, g->shards);
	buf_add_u64(b, g->key_seed);
	buf_add(b, g->uuid, RECORD_ID);
	rc = put_name(b, g->cluster_name, err);
	return rc < 0 ? rc : put_members(b, &g->members, err);
}

static int
put_claim(struct buf *b, const struct record *r, struct err *err)
{
	if (r->seq != 0)
		return err_set(err, ERR_BAD, "a claim is number 0 of its reign");
	buf_add(b, r->claim.incarnation, RECORD_ID);
	buf_add_u64(b, r->claim.base);
	return 0;
}

static int
put_yield(struct buf *b, const struct record *r, struct err *err UNUSED)
{
	buf_add_u32(b, r->yield.wish);
	return 0;
}

static int
put_config(struct buf *b, const struct record *r, struct err *err)
{
	buf_add_u64(b, r->config.base);
	return put_members(b, &r->config.members, err);
}

static int
put_create(struct buf *b, const struct record *r, struct err *err)
{
	const struct record_create *c = &r->create;
	int rc;

	if (c->oid_len != 20 && c->oid_len != 32)
		return err_set(err, ERR_BAD, "no object format has ids of %u bytes", c->oid_len);
	buf_add(b, c->id, RECORD_ID);
	buf_add_byte(b, c->oid_len);
	buf_add_u32(b, c->flags);
	rc = put_name(b, c->path, err);
	return rc < 0 ? rc : put_name(b, c->head, err);
}

static int
put_delete(struct buf *b, const struct record *r, struct err *err UNUSED)
{
	buf_add(b, r->del.id, RECORD_ID);
	return 0;
}

static int
put_rename(struct buf *b, const struct record *r, struct err *err)
{
	buf_add(b, r->rename.id, RECORD_ID);
	return put_name(b, r->rename.path, err);
}

static int
put_ref(struct buf *b, const struct record_ref *f, uint8_t oid_len, struct err *err)
{
	static const uint8_t zero[32];

	if ((f->old.len != 0 && f->old.len != oid_len) ||
	    (f->new.len != 0 && f->new.len != oid_len))
		return err_set(err, ERR_BAD,
			       "an object id has the wrong length for its repository");
	/* length 0 says "none", as all zero does */
	buf_add(b, f->old.len == 0 ? zero : f->old.b, oid_len);
	buf_add(b, f->new.len == 0 ? zero : f->new.b, oid_len);
	return put_name(b, f->name, err);
}

static int
put_pack(struct buf *b, const struct record_pack *p, struct err *err)
{
	int rc;

	if (p->inlined && (p->pack.len != p->size || p->idx.len != p->idx_size))
		return err_set(err, ERR_BAD, "the bytes of an inline pack are not there");
	if (p->inlined && p->size + p->idx_size > RECORD_INLINE_MAX)
		return err_set(err, ERR_TOO_BIG, "an inline pack is over %u bytes",
			       RECORD_INLINE_MAX);
	buf_add_byte(b, p->inlined);
	buf_add(b, p->sha256, RECORD_HASH);
	buf_add(b, p->idx_sha256, RECORD_HASH);
	buf_add_u64(b, p->size);
	buf_add_u64(b, p->idx_size);
	if (p->name == NULL || !record_wire_is_hex(p->name))
		return err_set(err, ERR_BAD, "a pack's name is 40 or 64 hex digits");
	rc = put_name(b, p->name, err);
	if (rc < 0 || !p->inlined)
		return rc;
	buf_add_slice(b, p->pack);
	buf_add_slice(b, p->idx);
	return 0;
}

static int
put_update(struct buf *b, const struct record *r, struct err *err)
{
	const struct record_update *u = &r->update;
	int rc;

	if (u->oid_len != 20 && u->oid_len != 32)
		return err_set(err, ERR_BAD, "no object format has ids of %u bytes", u->oid_len);
	if (u->n_packs > RECORD_PACKS_MAX)
		return err_set(err, ERR_TOO_BIG, "%zu packs in one update, the limit is %d",
			       u->n_packs, RECORD_PACKS_MAX);
	buf_add(b, u->id, RECORD_ID);
	buf_add(b, u->push, RECORD_ID);
	buf_add_u64(b, u->config);
	buf_add(b, u->digest, RECORD_HASH);
	buf_add_byte(b, u->oid_len);
	rc = put_string(b, u->head, RECORD_NAME_MAX, err);
	buf_add_u32(b, (uint32_t)u->n_refs);
	for (size_t i = 0; i < u->n_refs && rc == 0 && buf_ok(b); i++)
		rc = put_ref(b, &u->refs[i], u->oid_len, err);
	buf_add_u16(b, (uint16_t)u->n_packs);
	for (size_t i = 0; i < u->n_packs && rc == 0; i++)
		rc = put_pack(b, &u->packs[i], err);
	return rc;
}

static int
put_meta(struct buf *b, const struct record *r, struct err *err)
{
	const struct record_meta *m = &r->meta;
	int rc;

	buf_add(b, m->id, RECORD_ID);
	rc = put_string(b, m->description, RECORD_WIRE_TEXT_MAX, err);
	buf_add_u32(b, (uint32_t)m->n_pairs);
	for (size_t i = 0; i < m->n_pairs && rc == 0; i++) {
		rc = put_name(b, m->pairs[i].key, err);
		if (rc == 0)
			rc = put_string(b, m->pairs[i].value, RECORD_WIRE_TEXT_MAX, err);
	}
	return rc;
}

static int
put_checkpoint(struct buf *b, const struct record *r, struct err *err)
{
	const struct record_checkpoint *c = &r->checkpoint;

	if (c->n_members > RECORD_MEMBERS_MAX)
		return err_set(err, ERR_TOO_BIG, "%zu members are over the limit of %d",
			       c->n_members, RECORD_MEMBERS_MAX);
	buf_add_u64(b, c->head);
	buf_add_u16(b, (uint16_t)c->n_members);
	for (size_t i = 0; i < c->n_members; i++)
		put_member(b, &c->members[i]);
	return 0;
}

static int
put_barrier(struct buf *b UNUSED, const struct record *r UNUSED, struct err *err UNUSED)
{
	return 0;
}

static int
put_start(struct buf *b, const struct record *r, struct err *err UNUSED)
{
	buf_add_u32(b, r->start.node);
	buf_add(b, r->start.incarnation, RECORD_ID);
	buf_add_u64(b, r->start.number);
	return 0;
}

static int
put_map(struct buf *b, const struct record *r, struct err *err UNUSED)
{
	buf_add_u64(b, r->map.version);
	buf_add_u64(b, r->map.base);
	buf_add_u32(b, (uint32_t)r->map.text.len);
	buf_add_slice(b, r->map.text);
	return 0;
}

static int
put_directory(struct buf *b, const struct record *r, struct err *err)
{
	int rc = put_name(b, r->directory.key, err);

	buf_add_u32(b, r->directory.shard);
	return rc < 0 ? rc : put_string(b, r->directory.reason, RECORD_NAME_MAX, err);
}

static int (*const put_body[RECORD_NTYPES])(struct buf *, const struct record *, struct err *) = {
	[RECORD_GENESIS] = put_genesis, [RECORD_CLAIM] = put_claim,
	[RECORD_YIELD] = put_yield,     [RECORD_CONFIG] = put_config,
	[RECORD_CREATE] = put_create,   [RECORD_DELETE] = put_delete,
	[RECORD_RENAME] = put_rename,   [RECORD_UPDATE] = put_update,
	[RECORD_META] = put_meta,       [RECORD_CHECKPOINT] = put_checkpoint,
	[RECORD_BARRIER] = put_barrier, [RECORD_START] = put_start,
	[RECORD_MAP] = put_map,         [RECORD_DIRECTORY] = put_directory,
};

static void
put_head(struct buf *b, const struct record *r)
{
	buf_add(b, RECORD_WIRE_MAGIC, RECORD_WIRE_MAGIC_LEN);
	buf_add_byte(b, RECORD_VERSION);
	buf_add_byte(b, RECORD_READER);
	buf_add_byte(b, (uint8_t)r->type);
	buf_add_byte(b, r->type == RECORD_BARRIER && r->free ? RECORD_WIRE_FREE : 0);
	buf_add(b, r->cluster, RECORD_ID);
	buf_add_u32(b, r->shard);
	buf_add(b, r->txn, RECORD_ID);
	buf_add_u64(b, r->seen);
	buf_add(b, r->seen_hash, RECORD_HASH);
	buf_add_u64(b, r->wall_ms);
	if (!record_has_reign(r))
		return;
	buf_add_u64(b, r->reign.epoch);
	buf_add_u32(b, r->reign.node);
	buf_add_u64(b, r->reign.boot);
	buf_add_u64(b, r->seq);
}

int
record_encode(struct buf *b, const struct record *r, struct err *err)
{
	size_t before = b->len;
	int rc;

	if (r->type <= 0 || r->type >= RECORD_NTYPES)
		return err_set(err, ERR_UNSUPPORTED, "no record has type %d", (int)r->type);
	put_head(b, r);
	rc = put_body[r->type](b, r, err);
	if (rc < 0)
		return rc;
	if (!buf_ok(b) || b->len - before > RECORD_MAX)
		return err_set(err, ERR_TOO_BIG,
			       "one %s record holds at most %u bytes (about %u refs); "
			       "push fewer refs at once, or without --atomic",
			       record_type_name(r->type), RECORD_MAX, RECORD_REFS_MAX);
	return 0;
}
