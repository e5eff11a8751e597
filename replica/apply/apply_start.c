/* The engine's beginning: what the catalog has, and what a crash left half done. */
#include "gitproto/base/check.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/apply/apply_impl.h"
#include "replica/repo/disk.h"

static int
on_hash(uint64_t offset, const uint8_t hash[32], void *arg, struct err *err)
{
	struct apply_shard *s = arg;

	/* Slots are overwritten in turn: what is there is one unbroken window. */
	if (s->hash.n > 0 && offset != s->hash.next)
		return err_set(err, ERR_CORRUPT, "catalog: shard %u: running hashes have a gap",
			       s->shard);
	runhash_load(&s->hash, offset, hash);
	return 0;
}

static int
on_shard(const struct catalog_shard *row, void *arg, struct err *err)
{
	struct apply *a = arg;
	struct apply_shard *s = apply_make_shard(a, row->shard);
	int rc = verdict_state_decode(&s->state, row->state, err);

	if (rc == 0)
		rc = catalog_hashes(a->catalog, row->shard, on_hash, s, err);
	if (rc < 0)
		return rc;
	if (s->state.next != row->next || s->hash.next != row->next || s->state.shard != row->shard)
		return err_set(err, ERR_CORRUPT,
			       "catalog: shard %u: position, state and hashes do not agree",
			       row->shard);
	s->stored = s->state;
	memcpy(s->stored_hash, s->hash.now, sizeof(s->stored_hash));
	return 0;
}

static int
on_repo(const struct catalog_repo *row, void *arg, struct err *err)
{
	struct apply *a = arg;
	struct repo *there = repo_find(a->table, row->path);

	if (there != NULL) {
		repo_unref(&there);
		return err_set(err, ERR_CORRUPT, "catalog: two repositories have the path '%s'",
			       row->path);
	}
	apply_repo_add(a, row);
	return 0;
}

static int
on_need(const struct catalog_need *n, void *arg, struct err *err)
{
	struct apply *a = arg;
	struct apply_repo *r = apply_repo_find(a, n->pack.id);

	if (r == NULL)
		return err_set(err, ERR_CORRUPT, "catalog: a pack is missing for no repository");
	apply_repo_need(a, r, n);
	return 0;
}

struct trash {
	uint8_t id[16];
	char path[2 * RECORD_NAME_MAX];
};
struct trash_list {
	struct trash *t; /* owned */
	size_t n;
};

static int
on_trash(const uint8_t id[16], const char *path, void *arg, struct err *err UNUSED)
{
	struct trash_list *l = arg;
	struct trash *t;

	l->t = mem_resize(l->t, (l->n + 1) * sizeof(*l->t));
	t = &l->t[l->n++];
	memcpy(t->id, id, sizeof(t->id));
	snprintf(t->path, sizeof(t->path), "%s", path);
	return 0;
}

/* Folders of repositories whose deletion was stored. */
static int
finish_deletes(struct apply *a, struct err *err)
{
	struct trash_list l = { NULL, 0 };
	char dir[DISK_PATH];
	int rc = catalog_trash(a->catalog, on_trash, &l, err);

	for (size_t i = 0; rc == 0 && i < l.n; i++) {
		if (!repo_dir(dir, sizeof(dir), a->table, l.t[i].path))
			continue;
		rc = layout_trash(a->layout, dir, l.t[i].id, err);
		if (rc == 0)
			rc = catalog_trashed(a->catalog, l.t[i].id, err);
	}
	free(l.t);
	return rc;
}

static int
finish_moves(struct apply *a, struct err *err)
{
	struct apply_repo *r, *next;
	int rc = 0;

	HASH_ITER (hh, a->repos, r, next) {
		if (rc == 0)
			rc = apply_folder_move(a, r, err);
	}
	return rc;
}

int
apply_start(struct apply *a, struct err *err)
{
	int rc = catalog_shards(a->catalog, on_shard, a, err);

	if (rc == 0)
		rc = catalog_repos(a->catalog, on_repo, a, err);
	if (rc == 0)
		rc = catalog_needs(a->catalog, on_need, a, err);
	if (rc == 0)
		rc = finish_deletes(a, err);
	if (rc == 0)
		rc = finish_moves(a, err);
	a->unchecked = HASH_COUNT(a->repos);
	return rc;
}
