/* One repository in the memory of the engine and in the catalog. */
#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/apply/apply_impl.h"

struct apply_repo *
apply_repo_find(struct apply *a, const uint8_t id[16])
{
	struct apply_repo *r;

	HASH_FIND(hh, a->repos, id, 16, r);
	return r;
}

static char *
dup_or_null(const char *s)
{
	return s != NULL ? mem_strdup(s) : NULL;
}

struct apply_repo *
apply_repo_add(struct apply *a, const struct catalog_repo *row)
{
	struct apply_repo *r = MEM_NEW(struct apply_repo);

	r->repo = repo_ref(repo_table_add(a->table, row->id, row->shard, row->path, row->format));
	r->path = mem_strdup(row->path);
	r->was_path = dup_or_null(row->was_path);
	r->head = mem_strdup(row->head);
	r->why = dup_or_null(row->why);
	r->description = dup_or_null(row->description);
	memcpy(r->digest, row->digest, sizeof(r->digest));
	r->applied = row->applied;
	r->created = row->created;
	LIST_INIT(&r->needs);
	pthread_mutex_lock(&r->repo->shared.lock);
	r->repo->shared.applied = row->applied;
	r->repo->shared.quarantined = r->why != NULL;
	snprintf(r->repo->shared.why, sizeof(r->repo->shared.why), "%s",
		 r->why != NULL ? r->why : "");
	pthread_mutex_unlock(&r->repo->shared.lock);
	HASH_ADD_KEYPTR(hh, a->repos, r->repo->id, 16, r);
	return r;
}

static void
set_missing(struct apply *a, struct apply_repo *r, int by)
{
	struct apply_shard *s = apply_find_shard(a, r->repo->shard);

	pthread_mutex_lock(&r->repo->shared.lock);
	r->repo->shared.missing = (unsigned)((int)r->repo->shared.missing + by);
	pthread_mutex_unlock(&r->repo->shared.lock);
	pthread_mutex_lock(&a->lock);
	if (s != NULL)
		s->missing = (unsigned)((int)s->missing + by);
	pthread_mutex_unlock(&a->lock);
}

void
apply_repo_forget(struct apply *a, struct apply_repo *r)
{
	struct apply_need_list *n;

	while ((n = LIST_FIRST(&r->needs)) != NULL)
		apply_repo_needless(a, r, n);
	HASH_DELETE(hh, a->repos, r);
	a->refs_bytes -= r->bytes;
	repo_unref(&r->repo);
	free(r->path);
	free(r->was_path);
	free(r->head);
	free(r->why);
	free(r->description);
	free(r);
}

bool
apply_repo_need(struct apply *a, struct apply_repo *r, const struct catalog_need *need)
{
	struct apply_need_list *n;

	LIST_FOREACH (n, &r->needs, next) {
		if (memcmp(n->need.pack.sha256, need->pack.sha256, 32) == 0)
			return false;
	}
	n = MEM_NEW(struct apply_need_list);
	n->need = *need;
	LIST_INSERT_HEAD(&r->needs, n, next);
	set_missing(a, r, 1);
	return true;
}

void
apply_repo_needless(struct apply *a, struct apply_repo *r, struct apply_need_list *n)
{
	LIST_REMOVE(n, next);
	free(n);
	set_missing(a, r, -1);
}

static int
on_ref(const char *name, const struct refset_ref *ref, const struct oid *peeled, void *arg,
       struct err *err UNUSED)
{
	refset_load(arg, name, ref, peeled);
	return 0;
}

int
apply_repo_refs(struct apply *a, struct apply_repo *r, struct refset **out, struct err *err)
{
	struct refset *set = refset_new(r->repo->format);
	int rc = catalog_refs(a->catalog, r->repo->id, on_ref, set, err);

	if (rc < 0) {
		refset_free(&set);
		return rc;
	}
	refset_set_head(set, r->head);
	*out = set;
	return 0;
}

void
apply_repo_measure(struct apply *a, struct apply_repo *r)
{
	size_t now = r->repo->shared.refs != NULL ? refset_bytes(r->repo->shared.refs) : 0;

	a->refs_bytes += now - r->bytes;
	r->bytes = now;
	__atomic_store_n(&a->counts.refs_bytes, a->refs_bytes, __ATOMIC_RELAXED);
}

int
apply_repo_load(struct apply *a, struct apply_repo *r, struct err *err)
{
	struct repo *repo = r->repo;
	struct refset *set;
	uint8_t digest[REFSET_DIGEST];
	int rc;

	/* Only this thread writes shared.refs, so it may look without the lock. */
	if (repo->shared.refs != NULL)
		return 0;
	rc = apply_repo_refs(a, r, &set, err);
	if (rc < 0)
		return rc;
	refset_digest(set, digest);
	pthread_mutex_lock(&repo->shared.lock);
	repo->shared.refs = set;
	repo->shared.used = clock_boot_ns();
	pthread_mutex_unlock(&repo->shared.lock);
	apply_repo_measure(a, r);
	if (memcmp(digest, r->digest, sizeof(digest)) != 0 && r->why == NULL)
		apply_repo_quarantine(a, r, "its refs in the catalog differ from their digest");
	return 0;
}

static int
by_use(const void *p, const void *q)
{
	const struct apply_repo *const *x = p, *const *y = q;
	uint64_t a = (*x)->used, b = (*y)->used;

	return (a > b) - (a < b);
}

static void
unload(struct apply *a, struct apply_repo *r)
{
	struct refset *set;

	pthread_mutex_lock(&r->repo->shared.lock);
	set = r->repo->shared.refs;
	r->repo->shared.refs = NULL;
	pthread_mutex_unlock(&r->repo->shared.lock);
	refset_free(&set);
	apply_repo_measure(a, r);
}

/* Down to nine tenths of the bound, so that it is not done at every step.  What was used in the last
 * second stays: whoever asked for it has yet to see it. */
void
apply_repo_unload_some(struct apply *a)
{
	struct apply_repo *r, *next, **all;
	uint64_t max = a->opts.refs_max_bytes, now = clock_boot_ns();
	size_t n = 0;

	if (max == 0 || a->refs_bytes <= max)
		return;
	all = mem_array(HASH_COUNT(a->repos), sizeof(*all));
	HASH_ITER (hh, a->repos, r, next) {
		if (r->bytes == 0 || r->in_batch)
			continue;
		pthread_mutex_lock(&r->repo->shared.lock);
		r->used = r->repo->shared.used;
		pthread_mutex_unlock(&r->repo->shared.lock);
		if (r->used + CLOCK_SEC <= now)
			all[n++] = r;
	}
	qsort(all, n, sizeof(*all), by_use);
	for (size_t i = 0; i < n && a->refs_bytes > max - max / 10; i++)
		unload(a, all[i]);
	free(all);
	if (a->refs_bytes > max)
		a->next_again = MIN(a->next_again, now + CLOCK_SEC);
}

int
apply_repo_store(struct apply *a, struct apply_repo *r, struct err *err)
{
	struct catalog_repo row = {
		.shard = r->repo->shard,
		.format = r->repo->format,
		.path = r->next_path != NULL ? r->next_path : r->path,
		.was_path = r->next_path != NULL ? r->path : r->was_path,
		.head = r->next_head != NULL ? r->next_head : r->head,
		.why = r->next_why != NULL ? r->next_why : r->why,
		.description = r->next_description != NULL ? r->next_description : r->description,
		.applied = r->in_batch ? r->next_applied : r->applied,
		.created = r->created,
	};

	memcpy(row.id, r->repo->id, sizeof(row.id));
	memcpy(row.digest, r->in_batch ? r->next_digest : r->digest, sizeof(row.digest));
	return catalog_put_repo(a->catalog, &row, err);
}

void
apply_repo_show_quarantine(struct apply *a, struct apply_repo *r, const char *why)
{
	pthread_mutex_lock(&r->repo->shared.lock);
	r->repo->shared.quarantined = true;
	r->repo->shared.version++;
	snprintf(r->repo->shared.why, sizeof(r->repo->shared.why), "%s", why);
	pthread_mutex_unlock(&r->repo->shared.lock);
	apply_count(a, &a->counts.quarantined, 1);
	log_error("-", "apply.quarantine", "repo=%s why=%s", r->path, log_value(why, strlen(why)));
}

void
apply_repo_quarantine(struct apply *a, struct apply_repo *r, const char *why)
{
	struct err err;

	free(r->why);
	r->why = mem_strdup(why);
	apply_repo_show_quarantine(a, r, why);
	/* Inside a batch the row is stored with it anyway. */
	if (!r->in_batch && apply_repo_store(a, r, &err) < 0)
		log_error("-", "apply.quarantine", "repo=%s not_stored=%s", r->path, err.text);
}

static void
take_over(char **now, char **next)
{
	if (*next == NULL)
		return;
	free(*now);
	*now = *next;
	*next = NULL;
}

void
apply_repo_settle(struct apply *a, struct apply_repo *r)
{
	if (r->next_why != NULL)
		apply_repo_show_quarantine(a, r, r->next_why);
	take_over(&r->why, &r->next_why);
	take_over(&r->head, &r->next_head);
	take_over(&r->description, &r->next_description);
	memcpy(r->digest, r->next_digest, sizeof(r->digest));
	r->applied = r->next_applied;
	apply_repo_measure(a, r);
}

static int
store_peeled(struct apply *a, struct apply_repo *r, const struct peel_item *items,
	     const char *const *names, size_t n, struct err *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < n; i++) {
		struct refset_ref ref;

		refset_get(r->repo->shared.refs, names[i], &ref);
		rc = catalog_put_ref(a->catalog, r->repo->id, names[i], &ref, &items[i].peeled,
				     err);
	}
	return rc;
}

int
apply_repo_repeel(struct apply *a, struct apply_repo *r, uint64_t offset, struct err *err)
{
	struct reflist list;
	struct peel_item *items;
	const char **names;
	char dir[DISK_PATH];
	size_t n = 0;
	int rc = apply_repo_load(a, r, err);

	if (rc < 0 || !apply_folder_is_there(a, r, dir))
		return rc;
	refset_list(r->repo->shared.refs, &list);
	items = mem_array(list.n, sizeof(*items));
	names = mem_array(list.n, sizeof(*names));
	for (size_t i = 0; i < list.n; i++) {
		struct refset_ref ref;

		if (!refset_get(r->repo->shared.refs, list.items[i]->name, &ref) ||
		    ref.changed < offset)
			continue;
		items[n].oid = ref.oid;
		names[n++] = list.items[i]->name;
	}
	rc = peel_run(a->peel, r->repo->id, dir, r->repo->format, items, n, err);
	if (rc == 0)
		rc = store_peeled(a, r, items, names, n, err);
	pthread_mutex_lock(&r->repo->shared.lock);
	for (size_t i = 0; rc == 0 && i < n; i++)
		refset_set_peeled(r->repo->shared.refs, names[i], &items[i].peeled);
	r->repo->shared.version++;
	pthread_mutex_unlock(&r->repo->shared.lock);
	free(items);
	free(names);
	return rc;
}
