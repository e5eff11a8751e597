#include "shard-map/commitlog/record.h"

#include <openssl/evp.h>

#include "gitproto/base/check.h"
#include "gitproto/base/mem.h"

static const char *const type_names[RECORD_NTYPES] = {
	[RECORD_GENESIS] = "genesis", [RECORD_CLAIM] = "claim",
	[RECORD_YIELD] = "yield",     [RECORD_CONFIG] = "config",
	[RECORD_CREATE] = "create",   [RECORD_DELETE] = "delete",
	[RECORD_RENAME] = "rename",   [RECORD_UPDATE] = "update",
	[RECORD_META] = "meta",       [RECORD_CHECKPOINT] = "checkpoint",
	[RECORD_BARRIER] = "barrier", [RECORD_START] = "start",
	[RECORD_MAP] = "map",         [RECORD_DIRECTORY] = "directory",
};

const char *
record_type_name(enum record_type t)
{
	return t > 0 && t < RECORD_NTYPES ? type_names[t] : "?";
}

bool
record_has_reign(const struct record *r)
{
	switch (r->type) {
	case RECORD_GENESIS:
	case RECORD_START:
	case RECORD_MAP:
	case RECORD_DIRECTORY:
		return false;
	case RECORD_BARRIER:
		return !r->free;
	default:
		return true;
	}
}

bool
record_reign_eq(const struct record_reign *a, const struct record_reign *b)
{
	return a->epoch == b->epoch && a->node == b->node && a->boot == b->boot;
}

bool
record_oid_is_zero(const struct record_oid *o)
{
	uint8_t any = 0;

	for (size_t i = 0; i < o->len && i < sizeof(o->b); i++)
		any |= o->b[i];
	return any == 0;
}

bool
record_oid_eq(const struct record_oid *a, const struct record_oid *b)
{
	return a->len == b->len && memcmp(a->b, b->b, MIN(a->len, sizeof(a->b))) == 0;
}

bool
record_names_pack(const struct record *r, const uint8_t sha256[RECORD_HASH])
{
	if (r->type != RECORD_UPDATE)
		return false;
	for (size_t i = 0; i < r->update.n_packs; i++)
		if (memcmp(r->update.packs[i].sha256, sha256, RECORD_HASH) == 0)
			return true;
	return false;
}

void
record_chain(uint8_t out[RECORD_HASH], const uint8_t before[RECORD_HASH], struct slice bytes)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	unsigned len = 0;

	CHECK(c != NULL && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1);
	CHECK(EVP_DigestUpdate(c, before, RECORD_HASH) == 1);
	CHECK(EVP_DigestUpdate(c, bytes.p, bytes.len) == 1);
	CHECK(EVP_DigestFinal_ex(c, out, &len) == 1 && len == RECORD_HASH);
	EVP_MD_CTX_free(c);
}

void
record_release(struct record *r)
{
	for (size_t i = 0; i < COUNT(r->owned); i++) {
		free(r->owned[i]);
		r->owned[i] = NULL;
	}
}

/* record_keep: first the bytes of all strings are counted, then they are moved into one block. */
struct mover {
	uint8_t *to; /* NULL while counting */
	size_t n;
};

static void
move_bytes(struct mover *m, struct slice *s)
{
	if (m->to != NULL && s->len > 0) {
		memcpy(m->to + m->n, s->p, s->len);
		s->p = m->to + m->n;
	}
	m->n += s->len;
}

static void
move_string(struct mover *m, const char **s)
{
	struct slice bytes;

	if (*s == NULL)
		return;
	bytes = slice_of(*s, strlen(*s) + 1);
	move_bytes(m, &bytes);
	*s = (const char *)bytes.p;
}

/* The arrays of a decoded record are its own (owned[]), so they may be written to. */
static void
move_update(struct mover *m, struct record_update *u)
{
	struct record_ref *refs = (struct record_ref *)u->refs;
	struct record_pack *packs = (struct record_pack *)u->packs;

	move_string(m, &u->head);
	for (size_t i = 0; i < u->n_refs; i++)
		move_string(m, &refs[i].name);
	for (size_t i = 0; i < u->n_packs; i++) {
		move_string(m, &packs[i].name);
		if (m->to != NULL)
			packs[i].pack = packs[i].idx = SLICE_NONE;
	}
}

static void
move_meta(struct mover *m, struct record_meta *meta)
{
	struct record_pair *pairs = (struct record_pair *)meta->pairs;

	move_string(m, &meta->description);
	for (size_t i = 0; i < meta->n_pairs; i++) {
		move_string(m, &pairs[i].key);
		move_string(m, &pairs[i].value);
	}
}

static void
move_all(struct mover *m, struct record *r)
{
	switch (r->type) {
	case RECORD_GENESIS:
		move_string(m, &r->genesis.cluster_name);
		break;
	case RECORD_CREATE:
		move_string(m, &r->create.path);
		move_string(m, &r->create.head);
		break;
	case RECORD_RENAME:
		move_string(m, &r->rename.path);
		break;
	case RECORD_UPDATE:
		move_update(m, &r->update);
		break;
	case RECORD_META:
		move_meta(m, &r->meta);
		break;
	case RECORD_MAP:
		move_bytes(m, &r->map.text);
		break;
	case RECORD_DIRECTORY:
		move_string(m, &r->directory.key);
		move_string(m, &r->directory.reason);
		break;
	default: /* carries no bytes of others */
		break;
	}
}

int
record_keep(struct record *r, struct err *err)
{
	struct mover m = { NULL, 0 };
	void *block;

	move_all(&m, r);
	block = mem_try_alloc(m.n + 1); /* also when there is nothing: NULL says "not counted" */
	if (block == NULL)
		return err_set(err, ERR_NOMEM, "no memory for a record of %zu bytes", m.n);
	m = (struct mover){ block, 0 };
	move_all(&m, r);
	free(r->owned[2]); /* an earlier record_keep's: everything was just moved out of it */
	r->owned[2] = block;
	return 0;
}

size_t
record_ref_size(const char *name, uint8_t oid_len)
{
	return 2 + strlen(name) + 1 + 2 * (size_t)oid_len;
}

size_t
record_pack_size(const struct record_pack *p)
{
	/* kind, two digests, two sizes, the name, and the bytes when inlined */
	return 1 + 2 * RECORD_HASH + 16 + 2 + strlen(p->name) + 1 +
	       (p->inlined ? p->size + p->idx_size : 0);
}
