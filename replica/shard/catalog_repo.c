/* The catalog's repositories: their ids, refs, packs. */
#include "gitproto/base/check.h"
#include "replica/shard/catalog_impl.h"

/* An oid column: NULL for zero and none. */
static void
bind_oid(sqlite3_stmt *st, int at, const struct oid *oid)
{
	if (oid == NULL || oid_is_zero(oid))
		sqlite3_bind_null(st, at);
	else
		catalog_bind_bytes(st, at, oid->b, oid->len);
}

static bool
column_oid(sqlite3_stmt *st, int at, struct oid *out)
{
	int n = sqlite3_column_bytes(st, at);

	*out = OID_NONE;
	if (sqlite3_column_type(st, at) == SQLITE_NULL)
		return true;
	if (n != 20 && n != 32)
		return false;
	*out = oid_of(sqlite3_column_blob(st, at), (size_t)n);
	return true;
}

static bool
read_repo(sqlite3_stmt *st, struct catalog_repo *r)
{
	r->shard = (uint32_t)sqlite3_column_int64(st, 1);
	r->format = sqlite3_column_int(st, 2) == 0 ? OID_SHA1 : OID_SHA256;
	r->path = catalog_column_str(st, 3);
	r->was_path = catalog_column_str(st, 4);
	r->head = catalog_column_str(st, 5);
	r->why = catalog_column_str(st, 6);
	r->description = catalog_column_str(st, 7);
	r->applied = (uint64_t)sqlite3_column_int64(st, 9);
	r->created = (uint64_t)sqlite3_column_int64(st, 10);
	return catalog_column(st, 0, r->id, sizeof(r->id)) && r->path != NULL && r->head != NULL &&
	       catalog_column(st, 8, r->digest, sizeof(r->digest));
}

int
catalog_repos(struct catalog *c, catalog_repo_fn *fn, void *arg, struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_REPOS, err);
	struct catalog_repo r;
	int rc, stop = 0;

	if (st == NULL)
		return ERR_IO;
	while (stop == 0 && (rc = catalog_row(c, st, err)) == 1)
		stop = read_repo(st, &r) ? fn(&r, arg, err) : catalog_damaged("repo", err);
	sqlite3_reset(st);
	return stop != 0 ? stop : rc;
}

static int
use_id(struct catalog *c, uint32_t shard, const uint8_t id[16], struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_ID_PUT, err);

	if (st == NULL)
		return ERR_IO;
	catalog_bind_u64(st, 1, shard);
	catalog_bind_bytes(st, 2, id, 16);
	return catalog_run(c, st, err);
}

int
catalog_put_repo(struct catalog *c, const struct catalog_repo *r, struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_REPO_PUT, err);
	int rc;

	if (st == NULL)
		return ERR_IO;
	catalog_bind_bytes(st, 1, r->id, sizeof(r->id));
	catalog_bind_u64(st, 2, r->shard);
	catalog_bind_u64(st, 3, r->format == OID_SHA1 ? 0 : 1);
	catalog_bind_str(st, 4, r->path);
	catalog_bind_str(st, 5, r->was_path);
	catalog_bind_str(st, 6, r->head);
	catalog_bind_str(st, 7, r->why);
	catalog_bind_str(st, 8, r->description);
	catalog_bind_bytes(st, 9, r->digest, sizeof(r->digest));
	catalog_bind_u64(st, 10, r->applied);
	catalog_bind_u64(st, 11, r->created);
	rc = catalog_run(c, st, err);
	return rc < 0 ? rc : use_id(c, r->shard, r->id, err);
}

/* A statement whose only parameter is the id of a repository. */
static int
run_for(struct catalog *c, enum catalog_st which, const uint8_t id[16], struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, which, err);

	if (st == NULL)
		return ERR_IO;
	catalog_bind_bytes(st, 1, id, 16);
	return catalog_run(c, st, err);
}

static int
retire_id(struct catalog *c, const uint8_t id[16], uint64_t offset, struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_ID_RETIRE, err);

	if (st == NULL)
		return ERR_IO;
	catalog_bind_bytes(st, 1, id, 16);
	catalog_bind_u64(st, 2, offset);
	return catalog_run(c, st, err);
}

int
catalog_drop_repo(struct catalog *c, const uint8_t id[16], uint64_t offset, struct err *err)
{
	static const enum catalog_st steps[] = { CATALOG_REFS_DROP, CATALOG_PACKS_DROP,
						 CATALOG_MADES_DROP, CATALOG_NEEDS_DROP,
						 CATALOG_REPO_DROP };
	int rc = retire_id(c, id, offset, err);

	for (size_t i = 0; rc == 0 && i < COUNT(steps); i++)
		rc = run_for(c, steps[i], id, err);
	return rc;
}

int
catalog_id_used(struct catalog *c, uint32_t shard, const uint8_t id[16], struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_ID_USED, err);
	int rc;

	if (st == NULL)
		return ERR_IO;
	catalog_bind_u64(st, 1, shard);
	catalog_bind_bytes(st, 2, id, 16);
	rc = catalog_row(c, st, err);
	sqlite3_reset(st);
	return rc;
}

int
catalog_trash(struct catalog *c, catalog_trash_fn *fn, void *arg, struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_TRASH, err);
	uint8_t id[16];
	int rc, stop = 0;

	if (st == NULL)
		return ERR_IO;
	while (stop == 0 && (rc = catalog_row(c, st, err)) == 1) {
		if (!catalog_column(st, 0, id, sizeof(id)))
			stop = catalog_damaged("used_id", err);
		else
			stop = fn(id, catalog_column_str(st, 1), arg, err);
	}
	sqlite3_reset(st);
	return stop != 0 ? stop : rc;
}

int
catalog_trashed(struct catalog *c, const uint8_t id[16], struct err *err)
{
	return run_for(c, CATALOG_TRASHED, id, err);
}

static int
read_ref(sqlite3_stmt *st, catalog_ref_fn *fn, void *arg, struct err *err)
{
	const char *name = catalog_column_str(st, 0);
	struct refset_ref ref;
	struct oid peeled;

	ref.changed = (uint64_t)sqlite3_column_int64(st, 3);
	if (name == NULL || !column_oid(st, 1, &ref.oid) || !column_oid(st, 2, &ref.before) ||
	    !column_oid(st, 4, &peeled))
		return catalog_damaged("ref", err);
	return fn(name, &ref, &peeled, arg, err);
}

static int
run_refs(struct catalog *c, enum catalog_st which, const uint8_t id[16], catalog_ref_fn *fn,
	 void *arg, struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, which, err);
	int rc, stop = 0;

	if (st == NULL)
		return ERR_IO;
	catalog_bind_bytes(st, 1, id, 16);
	while (stop == 0 && (rc = catalog_row(c, st, err)) == 1)
		stop = read_ref(st, fn, arg, err);
	sqlite3_reset(st);
	return stop != 0 ? stop : rc;
}

int
catalog_refs(struct catalog *c, const uint8_t id[16], catalog_ref_fn *fn, void *arg,
	     struct err *err)
{
	int rc = run_refs(c, CATALOG_REFS_LIVING, id, fn, arg, err);

	return rc != 0 ? rc : run_refs(c, CATALOG_REFS_DEAD, id, fn, arg, err);
}

int
catalog_put_ref(struct catalog *c, const uint8_t id[16], const char *name,
		const struct refset_ref *ref, const struct oid *peeled, struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_REF_PUT, err);

	if (st == NULL)
		return ERR_IO;
	catalog_bind_bytes(st, 1, id, 16);
	catalog_bind_bytes(st, 2, name, strlen(name));
	bind_oid(st, 3, &ref->oid);
	bind_oid(st, 4, &ref->before);
	catalog_bind_u64(st, 5, ref->changed);
	bind_oid(st, 6, peeled);
	return catalog_run(c, st, err);
}

int
catalog_trim_refs(struct catalog *c, const uint8_t id[16], struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_REFS_TRIM, err);

	if (st == NULL)
		return ERR_IO;
	catalog_bind_bytes(st, 1, id, 16);
	catalog_bind_u64(st, 2, REFSET_TOMBSTONES - 1);
	return catalog_run(c, st, err);
}

static void
bind_pack(sqlite3_stmt *st, const struct catalog_pack *p)
{
	catalog_bind_bytes(st, 1, p->id, sizeof(p->id));
	catalog_bind_bytes(st, 2, p->sha256, sizeof(p->sha256));
	catalog_bind_bytes(st, 3, p->idx_sha256, sizeof(p->idx_sha256));
	catalog_bind_u64(st, 4, p->size);
	catalog_bind_u64(st, 5, p->idx_size);
	catalog_bind_str(st, 6, p->name);
	catalog_bind_u64(st, 7, p->offset);
}

/* idx_sha256, size, idx_size, name, offset from column `at` on. */
static bool
read_pack(sqlite3_stmt *st, int at, struct catalog_pack *p)
{
	const char *name = catalog_column_str(st, at + 3);

	p->size = (uint64_t)sqlite3_column_int64(st, at + 1);
	p->idx_size = (uint64_t)sqlite3_column_int64(st, at + 2);
	p->offset = (uint64_t)sqlite3_column_int64(st, at + 4);
	if (name == NULL || strlen(name) >= sizeof(p->name))
		return false;
	snprintf(p->name, sizeof(p->name), "%s", name);
	return catalog_column(st, at, p->idx_sha256, sizeof(p->idx_sha256));
}

int
catalog_put_pack(struct catalog *c, const struct catalog_pack *p, struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_PACK_PUT, err);

	if (st == NULL)
		return ERR_IO;
	bind_pack(st, p);
	catalog_bind_u64(st, 8, p->inlined);
	return catalog_run(c, st, err);
}

int
catalog_find_pack(struct catalog *c, const uint8_t id[16], const uint8_t sha256[32],
		  struct catalog_pack *out, struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_PACK_FIND, err);
	int rc;

	if (st == NULL)
		return ERR_IO;
	memset(out, 0, sizeof(*out));
	memcpy(out->id, id, sizeof(out->id));
	memcpy(out->sha256, sha256, sizeof(out->sha256));
	catalog_bind_bytes(st, 1, id, 16);
	catalog_bind_bytes(st, 2, sha256, 32);
	rc = catalog_row(c, st, err);
	if (rc == 0)
		rc = err_set(err, ERR_NOT_FOUND, "no record named such a pack");
	else if (rc == 1)
		rc = read_pack(st, 0, out) ? 0 : catalog_damaged("pack", err);
	out->inlined = rc == 0 && sqlite3_column_int(st, 5) != 0;
	sqlite3_reset(st);
	return rc;
}

int
catalog_needs(struct catalog *c, catalog_need_fn *fn, void *arg, struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_NEEDS, err);
	struct catalog_need n;
	int rc, stop = 0;

	if (st == NULL)
		return ERR_IO;
	while (stop == 0 && (rc = catalog_row(c, st, err)) == 1) {
		memset(&n, 0, sizeof(n));
		n.shard = (uint32_t)sqlite3_column_int64(st, 7);
		n.from_node = (uint32_t)sqlite3_column_int64(st, 8);
		if (catalog_column(st, 0, n.pack.id, sizeof(n.pack.id)) &&
		    catalog_column(st, 1, n.pack.sha256, sizeof(n.pack.sha256)) &&
		    read_pack(st, 2, &n.pack))
			stop = fn(&n, arg, err);
		else
			stop = catalog_damaged("need", err);
	}
	sqlite3_reset(st);
	return stop != 0 ? stop : rc;
}

int
catalog_put_need(struct catalog *c, const struct catalog_need *n, struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_NEED_PUT, err);

	if (st == NULL)
		return ERR_IO;
	bind_pack(st, &n->pack);
	catalog_bind_u64(st, 8, n->shard);
	catalog_bind_u64(st, 9, n->from_node);
	return catalog_run(c, st, err);
}

int
catalog_drop_need(struct catalog *c, const uint8_t id[16], const uint8_t sha256[32],
		  struct err *err)
{
	sqlite3_stmt *st = catalog_use(c, CATALOG_NEED_DROP, err);

	if (st == NULL)
		return ERR_IO;
	catalog_bind_bytes(st, 1, id, 16);
	catalog_bind_bytes(st, 2, sha256, 32);
	return catalog_run(c, st, err);
}
