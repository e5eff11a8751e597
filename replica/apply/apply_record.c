#include "gitproto/base/check.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/apply/apply_impl.h"
#include "replica/repo/disk.h"
#include "replica/repo/git_env.h"
#include "replica/repo/run.h"

static struct oid
oid_from(const struct record_oid *r)
{
	struct oid o = OID_NONE;

	o.len = r->len;
	memcpy(o.b, r->b, sizeof(o.b));
	return o;
}

static int
dir_of(struct apply *a, const char *path, char out[DISK_PATH], struct err *err)
{
	if (!repo_dir(out, DISK_PATH, a->table, path))
		return err_set(err, ERR_TOO_BIG, "the path of %s is too long", path);
	return 0;
}

/* update */

static void
decide_update(struct apply *a UNUSED, struct apply_entry *e)
{
	const struct record_update *u = &e->note->record->update;
	struct apply_repo *r = e->r;
	char why[160];

	if (r->over == NULL)
		r->over = refset_new(r->repo->format);
	if (u->head != NULL) {
		refset_digest_head(r->over, r->next_digest, apply_content_head(r), u->head);
		free(r->next_head);
		r->next_head = mem_strdup(u->head);
		r->head_changed = true;
	}
	for (size_t i = 0; i < u->n_refs; i++) {
		struct oid old, new = oid_from(&u->refs[i].new);

		apply_content_ref(r, u->refs[i].name, &old);
		refset_digest_step(r->over, r->next_digest, u->refs[i].name, &old, &new);
		/* Known to the overlay first, so that a delete leaves a tombstone there. */
		if (oid_is_zero(&new) && !oid_is_zero(&old))
			refset_set(r->over, u->refs[i].name, &old, NULL, 0);
		refset_set(r->over, u->refs[i].name, &new, NULL, e->note->offset);
	}
	r->over_names += u->n_refs;
	r->next_applied = e->note->offset;
	if (memcmp(r->next_digest, u->digest, sizeof(u->digest)) == 0 || r->why != NULL ||
	    r->next_why != NULL)
		return;
	snprintf(why, sizeof(why), "its refs differ from record %llu of shard %u",
		 (unsigned long long)e->note->offset, e->s->shard);
	r->next_why = mem_strdup(why);
}

static int
place_packs(struct apply *a, struct apply_entry *e, struct err *err)
{
	const struct record_update *u = &e->note->record->update;

	for (size_t i = 0; i < u->n_packs; i++) {
		int rc;

		if (e->placed[i] != APPLY_PACK_OPEN)
			continue;
		rc = apply_pack_place(a, e->r, &u->packs[i], e->pack[i], e->idx[i], err);
		if (rc < 0)
			return rc;
		e->placed[i] = rc;
		e->missing |= rc == APPLY_PACK_MISSING;
	}
	return 0;
}

/* Peeled values are a convenience of advertisements; an object that cannot be read is the business
 * of verify, and must not stop the shard. */
static void
peel_refs(struct apply *a, struct apply_entry *e)
{
	const struct record_update *u = &e->note->record->update;
	struct peel_item *items = mem_array(u->n_refs, sizeof(*items));
	char dir[DISK_PATH];
	struct err err = { 0 };
	size_t n = 0, k = 0;
	int rc = dir_of(a, e->r->path, dir, &err);

	for (size_t i = 0; i < u->n_refs; i++) {
		if (!record_oid_is_zero(&u->refs[i].new))
			items[n++].oid = oid_from(&u->refs[i].new);
	}
	if (rc == 0)
		rc = peel_run(a->peel, e->r->repo->id, dir, e->r->repo->format, items, n, &err);
	if (rc < 0)
		log_warn("-", "apply.peel", "repo=%s offset=%llu why=%s", e->r->path,
			 (unsigned long long)e->note->offset, err.text);
	e->peeled = mem_array(u->n_refs, sizeof(*e->peeled));
	for (size_t i = 0; rc == 0 && i < u->n_refs; i++) {
		if (record_oid_is_zero(&u->refs[i].new))
			continue;
		if (items[k].missing)
			log_warn("-", "apply.object_missing", "repo=%s ref=%s oid=%s", e->r->path,
				 log_value(u->refs[i].name, strlen(u->refs[i].name)),
				 oid_text(&items[k].oid));
		e->peeled[i] = items[k++].peeled;
	}
	free(items);
}

static int
disk_update(struct apply *a, struct apply_entry *e, struct err *err)
{
	int rc = place_packs(a, e, err);

	if (rc < 0)
		return rc;
	if (e->missing)
		e->r->lacks = true;
	if (e->peeled == NULL && !e->r->lacks && LIST_EMPTY(&e->r->needs))
		peel_refs(a, e);
	return 0;
}

static void
fill_pack(struct catalog_pack *p, const struct apply_entry *e, const struct record_pack *from)
{
	memset(p, 0, sizeof(*p));
	memcpy(p->id, e->r->repo->id, sizeof(p->id));
	memcpy(p->sha256, from->sha256, sizeof(p->sha256));
	memcpy(p->idx_sha256, from->idx_sha256, sizeof(p->idx_sha256));
	p->size = from->size;
	p->idx_size = from->idx_size;
	snprintf(p->name, sizeof(p->name), "%s", from->name);
	p->offset = e->note->offset;
	p->inlined = from->inlined;
}

static void
fill_need(struct catalog_need *n, const struct apply_entry *e, const struct record_pack *from)
{
	fill_pack(&n->pack, e, from);
	n->shard = e->s->shard;
	n->from_node = e->note->record->reign.node;
}

static int
store_packs(struct apply *a, const struct apply_entry *e, struct err *err)
{
	const struct record_update *u = &e->note->record->update;
	struct catalog_need n;
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < u->n_packs; i++) {
		if (e->placed[i] == APPLY_PACK_KNOWN)
			continue;
		fill_need(&n, e, &u->packs[i]);
		rc = e->placed[i] == APPLY_PACK_HERE ? catalog_put_pack(a->catalog, &n.pack, err)
						     : catalog_put_need(a->catalog, &n, err);
	}
	return rc;
}

static int
store_update(struct apply *a, struct apply_entry *e, struct err *err)
{
	const struct record_update *u = &e->note->record->update;
	bool deletes = false;
	int rc = store_packs(a, e, err);

	for (size_t i = 0; rc == 0 && i < u->n_refs; i++) {
		const struct refset_ref ref = { oid_from(&u->refs[i].new),
						oid_from(&u->refs[i].old), e->note->offset };

		rc = catalog_put_ref(a->catalog, u->id, u->refs[i].name, &ref,
				     e->peeled != NULL ? &e->peeled[i] : NULL, err);
		deletes |= oid_is_zero(&ref.oid);
	}
	return rc == 0 && deletes ? catalog_trim_refs(a->catalog, u->id, err) : rc;
}

static void
show_update(struct apply *a, struct apply_entry *e)
{
	const struct record_update *u = &e->note->record->update;
	struct apply_repo *r = e->r;
	struct repo *repo = r->repo;
	struct catalog_need n;

	for (size_t i = 0; i < u->n_packs; i++) {
		if (e->placed[i] != APPLY_PACK_MISSING)
			continue;
		fill_need(&n, e, &u->packs[i]);
		apply_pack_need(a, r, &n);
	}
	pthread_mutex_lock(&repo->shared.lock);
	for (size_t i = 0; i < u->n_refs; i++) {
		const struct oid value = oid_from(&u->refs[i].new);

		refset_set(repo->shared.refs, u->refs[i].name, &value,
			   e->peeled != NULL ? &e->peeled[i] : NULL, e->note->offset);
	}
	if (u->head != NULL)
		refset_set_head(repo->shared.refs, u->head);
	repo->shared.applied = e->note->offset;
	repo->shared.version++;
	pthread_mutex_unlock(&repo->shared.lock);
	apply_count(a, &a->counts.updates, 1);
}

/* create */

static int
disk_create(struct apply *a, struct apply_entry *e, struct err *err)
{
	const struct record_create *c = &e->note->record->create;
	char dir[DISK_PATH];
	int rc = dir_of(a, c->path, dir, err);

	/* Without a folder it is quarantined, and the shard goes on. */
	if (rc == 0 && !apply_folder_fits(c->path))
		return 0;
	return rc < 0 ? rc
		      : layout_create(a->layout, dir, c->id,
				      c->oid_len == 20 ? OID_SHA1 : OID_SHA256, c->head, err);
}

static void
fill_created(struct catalog_repo *row, const struct apply_entry *e)
{
	const struct record_create *c = &e->note->record->create;
	struct refset *empty = refset_new(OID_SHA1);

	memset(row, 0, sizeof(*row));
	memcpy(row->id, c->id, sizeof(row->id));
	row->shard = e->s->shard;
	row->format = c->oid_len == 20 ? OID_SHA1 : OID_SHA256;
	row->path = c->path;
	row->head = c->head;
	row->applied = row->created = e->note->offset;
	refset_set_head(empty, c->head);
	refset_digest(empty, row->digest);
	refset_free(&empty);
}

static int
store_create(struct apply *a, struct apply_entry *e, struct err *err)
{
	struct catalog_repo row;

	fill_created(&row, e);
	return catalog_put_repo(a->catalog, &row, err);
}

static void
show_create(struct apply *a, struct apply_entry *e)
{
	struct catalog_repo row;
	struct apply_repo *r;

	fill_created(&row, e);
	r = apply_repo_add(a, &row);
	r->checked = apply_folder_fits(row.path);
	pthread_mutex_lock(&r->repo->shared.lock);
	r->repo->shared.refs = refset_new(row.format);
	refset_set_head(r->repo->shared.refs, row.head);
	pthread_mutex_unlock(&r->repo->shared.lock);
	apply_repo_measure(a, r);
}

/* delete */

static int
store_delete(struct apply *a, struct apply_entry *e, struct err *err)
{
	return catalog_drop_repo(a->catalog, e->r->repo->id, e->note->offset, err);
}

static void
show_delete(struct apply *a, struct apply_entry *e)
{
	repo_table_drop(a->table, e->r->repo);
	e->r->gone = true;
}

static int
after_delete(struct apply *a, struct apply_entry *e, struct err *err)
{
	char dir[DISK_PATH];
	int rc = dir_of(a, e->r->path, dir, err);

	peel_forget(a->peel, e->r->repo->id);
	apply_roll_forget(a, e->r->repo->id);
	if (rc == 0)
		rc = layout_trash(a->layout, dir, e->r->repo->id, err);
	return rc < 0 ? rc : catalog_trashed(a->catalog, e->r->repo->id, err);
}

/* rename: stored with the place that the folder comes from, so that a crash in between is mended at
 * start */

static void
decide_rename(struct apply *a UNUSED, struct apply_entry *e)
{
	e->r->next_path = mem_strdup(e->note->record->rename.path);
	e->r->next_applied = e->note->offset;
}

static int
after_rename(struct apply *a, struct apply_entry *e, struct err *err)
{
	return apply_folder_move(a, e->r, err);
}

/* The row was stored with the new path and, as was_path, the old one. */
static void
show_rename(struct apply *a UNUSED, struct apply_entry *e)
{
	struct apply_repo *r = e->r;

	r->was_path = r->path;
	r->path = r->next_path;
	r->next_path = NULL;
	pthread_mutex_lock(&r->repo->shared.lock);
	r->repo->shared.applied = e->note->offset;
	pthread_mutex_unlock(&r->repo->shared.lock);
}

/* meta */

/* Keys that change nothing but what git tells or refuses; others could run programs. */
static bool
is_harmless(const char *key)
{
	static const char *const exact[] = { "receive.denynonfastforwards", "receive.denydeletes",
					     "uploadpack.allowfilter", "http.receivepack" };

	for (size_t i = 0; i < COUNT(exact); i++) {
		if (strcasecmp(key, exact[i]) == 0)
			return true;
	}
	return strncasecmp(key, "gitweb.", 7) == 0 || strncasecmp(key, "gitshard.", 9) == 0;
}

static int
set_config(struct apply *a, const char *dir, const struct record_pair *p, struct err *err)
{
	char file[DISK_PATH];
	const char *set[] = { "git", "config", "--file", file, p->key, p->value, NULL };
	const char *unset[] = { "git", "config", "--file", file, "--unset-all", p->key, NULL };
	struct git_env *env;
	struct err why = { 0 };
	int rc = disk_path(file, err, "%s/config", dir);

	if (rc < 0)
		return rc;
	env = git_env_new(GIT_ENV_PLAIN, a->home, a->hooks);
	rc = run_git(p->value != NULL ? set : unset, git_env_list(env), SLICE_NONE, NULL, &why);
	git_env_free(&env);
	/* git refuses what is no key, and says so when there is nothing to unset. */
	if (rc < 0)
		log_warn("-", "apply.meta", "key=%s why=%s", log_value(p->key, strlen(p->key)),
			 why.text);
	return 0;
}

static int
disk_meta(struct apply *a, struct apply_entry *e, struct err *err)
{
	const struct record_meta *m = &e->note->record->meta;
	char dir[DISK_PATH], path[DISK_PATH];
	int rc = dir_of(a, e->r->path, dir, err);

	for (size_t i = 0; rc == 0 && i < m->n_pairs; i++) {
		if (is_harmless(m->pairs[i].key))
			rc = set_config(a, dir, &m->pairs[i], err);
		else
			log_warn("-", "apply.meta", "key=%s why=not_allowed",
				 log_value(m->pairs[i].key, strlen(m->pairs[i].key)));
	}
	if (rc == 0 && m->description != NULL) {
		rc = disk_path(path, err, "%s/description", dir);
		if (rc == 0 && !e->r->lost)
			rc = disk_replace(path, slice_str(m->description), err);
	}
	return rc;
}

static void
decide_meta(struct apply *a UNUSED, struct apply_entry *e)
{
	const char *d = e->note->record->meta.description;

	if (d != NULL)
		e->r->next_description = mem_strdup(d);
	e->r->next_applied = e->note->offset;
}

static void
show_meta(struct apply *a UNUSED, struct apply_entry *e)
{
	pthread_mutex_lock(&e->r->repo->shared.lock);
	e->r->repo->shared.applied = e->note->offset;
	pthread_mutex_unlock(&e->r->repo->shared.lock);
}

/* Records of other types are in the state of the stream (verdict_advance) and nowhere else. */
static const struct steps {
	void (*decide)(struct apply *, struct apply_entry *);
	int (*disk)(struct apply *, struct apply_entry *, struct err *);
	int (*store)(struct apply *, struct apply_entry *, struct err *);
	void (*show)(struct apply *, struct apply_entry *);
	int (*after)(struct apply *, struct apply_entry *, struct err *);
} steps[RECORD_NTYPES] = {
	[RECORD_CREATE] = { NULL, disk_create, store_create, show_create, NULL },
	[RECORD_DELETE] = { NULL, NULL, store_delete, show_delete, after_delete },
	[RECORD_RENAME] = { decide_rename, NULL, NULL, show_rename, after_rename },
	[RECORD_UPDATE] = { decide_update, disk_update, store_update, show_update, NULL },
	[RECORD_META] = { decide_meta, disk_meta, NULL, show_meta, NULL },
};

static const struct steps *
steps_of(const struct apply_entry *e)
{
	return &steps[e->note->record->type];
}

void
apply_record_decide(struct apply *a, struct apply_entry *e)
{
	if (steps_of(e)->decide != NULL)
		steps_of(e)->decide(a, e);
}

int
apply_record_disk(struct apply *a, struct apply_entry *e, struct err *err)
{
	return steps_of(e)->disk != NULL ? steps_of(e)->disk(a, e, err) : 0;
}

int
apply_record_store(struct apply *a, struct apply_entry *e, struct err *err)
{
	return steps_of(e)->store != NULL ? steps_of(e)->store(a, e, err) : 0;
}

void
apply_record_show(struct apply *a, struct apply_entry *e)
{
	if (steps_of(e)->show != NULL)
		steps_of(e)->show(a, e);
}

int
apply_record_after(struct apply *a, struct apply_entry *e, struct err *err)
{
	return steps_of(e)->after != NULL ? steps_of(e)->after(a, e, err) : 0;
}
