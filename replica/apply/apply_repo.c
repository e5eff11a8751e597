#include <limits.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/apply/apply_impl.h"
#include "replica/repo/disk.h"

#define VACATE_LOOKS 40u /* other repositories of the node wait too */
#define VACATE_LOOK_MSEC 100u

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

/* The refs as the catalog has them; the caller's. */
static int
read_refs(struct apply *a, struct apply_repo *r, struct refset **out, struct err *err)
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
	rc = read_refs(a, r, &set, err);
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

static void
show_quarantine(struct apply *a, struct apply_repo *r, const char *why)
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
	show_quarantine(a, r, why);
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
		show_quarantine(a, r, r->next_why);
	take_over(&r->why, &r->next_why);
	take_over(&r->head, &r->next_head);
	take_over(&r->description, &r->next_description);
	memcpy(r->digest, r->next_digest, sizeof(r->digest));
	r->applied = r->next_applied;
	apply_repo_measure(a, r);
}

/* The folder is there and is this repository's.  When not, it serves nothing until it comes back:
 * nothing is made anew where a disk may just not be mounted. */
static bool
has_folder(struct apply *a, struct apply_repo *r, char dir[DISK_PATH])
{
	bool there = repo_dir(dir, DISK_PATH, a->table, r->path) && layout_is(dir, r->repo->id);

	if (!there && !r->lost) {
		r->lost = true;
		show_quarantine(a, r, "its folder is gone");
	} else if (there && r->lost) {
		r->lost = false;
		pthread_mutex_lock(&r->repo->shared.lock);
		r->repo->shared.quarantined = r->why != NULL;
		r->repo->shared.version++;
		pthread_mutex_unlock(&r->repo->shared.lock);
		log_info("-", "apply.folder_back", "repo=%s", r->path);
	}
	return there;
}

bool
apply_repo_fits(const char *path)
{
	const char *slash = strchr(path, '/');

	if (slash != NULL && slash - path <= NAME_MAX && strlen(slash + 1) + 4 <= NAME_MAX)
		return true;
	log_error("-", "apply.path", "repo=%s why=too_long_for_a_folder", path);
	return false;
}

/* No child goes on in the folder that moves.  One that does not end when it is killed, its disk being
 * stuck, is not waited for without end: what it makes where the folder was is a stranger's.
 * 1: there were some. */
static int
vacate(struct apply *a, struct apply_repo *r, struct err *err)
{
	bool still = repo_move_begin(r->repo);

	if (still)
		return 0;
	for (unsigned i = 0; i < VACATE_LOOKS && !still && !apply_stopping(a); i++) {
		if (i == 0 || i == VACATE_LOOKS / 2)
			a->opts.events.vacate(r->repo->id, i > 0, a->opts.events.arg);
		still = repo_move_wait(r->repo, VACATE_LOOK_MSEC);
	}
	if (!still && apply_stopping(a))
		return err_set(err, ERR_UNAVAILABLE, "the node stops");
	if (!still)
		log_warn("-", "apply.vacate", "repo=%s why=killed_children_do_not_end", r->path);
	return 1;
}

/* What killed children left goes with them: of a push that is in the log nothing is needed there. */
static int
move_folder(struct apply *a, struct apply_repo *r, const char *from, const char *to,
	    struct err *err)
{
	int killed = vacate(a, r, err), rc = killed;

	if (rc >= 0)
		rc = layout_move(a->layout, from, to, r->repo->id, err);
	if (rc >= 0 && killed > 0) {
		layout_mend_pushes(to, UINT64_MAX);
		layout_mend_repack(to);
	}
	return rc;
}

int
apply_repo_move(struct apply *a, struct apply_repo *r, struct err *err)
{
	char from[DISK_PATH], to[DISK_PATH];
	char *was = r->was_path;
	int rc = 0;

	if (was == NULL)
		return 0;
	if (!repo_dir(from, sizeof(from), a->table, was) ||
	    !repo_dir(to, sizeof(to), a->table, r->path))
		return err_set(err, ERR_TOO_BIG, "the path of %s is too long", r->path);
	if (apply_repo_fits(r->path) &&
	    (layout_is(from, r->repo->id) || layout_is(to, r->repo->id)))
		rc = move_folder(a, r, from, to, err);
	if (rc == 0) {
		peel_forget(a->peel, r->repo->id);
		repo_table_move(a->table, r->repo, r->path);
	}
	repo_move_end(r->repo);
	if (rc < 0)
		return rc;
	r->was_path = NULL;
	rc = apply_repo_store(a, r, err);
	if (rc < 0)
		r->was_path = was;
	else
		free(was);
	return rc;
}

/* Looks at it again after some time, when nothing else is to be done. */
static void
look_again(struct apply *a, struct apply_repo *r, int rc, const struct err *err)
{
	r->again = clock_boot_ns() + (rc == ERR_UNAVAILABLE ? 1 : 30) * CLOCK_SEC;
	a->next_again = MIN(a->next_again, r->again);
	log_warn("-", "apply.files", "repo=%s not_up_to_date=%s", r->path, err->text);
}

void
apply_repo_project(struct apply *a, struct apply_repo *r)
{
	struct project p = { .born_ms = a->born_ms };
	struct refset_change *changes;
	char dir[DISK_PATH];
	struct err err;
	size_t n = 0;
	int rc;

	if (r->lost || !LIST_EMPTY(&r->needs) || !has_folder(a, r, dir))
		return; /* wholly, by apply_repo_check, when it is back or whole */
	p.dir = dir;
	changes = mem_array(r->over_names, sizeof(*changes));
	for (size_t i = 0; i < a->n; i++) {
		const struct record *rec = a->batch[i].note->record;

		if (a->batch[i].r != r || rec->type != RECORD_UPDATE)
			continue;
		for (size_t k = 0; k < rec->update.n_refs; k++) {
			struct refset_ref now;

			refset_get(r->repo->shared.refs, rec->update.refs[k].name, &now);
			changes[n++] = (struct refset_change){ rec->update.refs[k].name, now.oid };
		}
	}
	rc = project_write(&p, r->repo->shared.refs, changes, n, r->head_changed, &err);
	free(changes);
	if (rc < 0)
		look_again(a, r, rc, &err);
}

void
apply_repo_check(struct apply *a, struct apply_repo *r)
{
	struct project p = { .born_ms = a->born_ms };
	struct refset *own = NULL, *refs = r->repo->shared.refs;
	char dir[DISK_PATH];
	struct err err = { 0 };
	unsigned mended = 0;
	int rc = 0;

	CHECK(!r->in_batch);
	r->again = 0;
	if (!has_folder(a, r, dir)) {
		r->checked = true;
		return;
	}
	p.dir = dir;
	if (refs == NULL)
		rc = read_refs(a, r, &own, &err);
	if (rc == 0)
		rc = layout_mend(a->layout, dir, a->born_ms, &err);
	if (rc == 0)
		layout_mend_pushes(dir, a->pushes_ms);
	if (rc == 0 && LIST_EMPTY(&r->needs))
		rc = project_check(&p, refs != NULL ? refs : own, &mended, &err);
	refset_free(&own);
	apply_count(a, &a->counts.mended, mended);
	if (mended > 0)
		log_warn("-", "apply.mended", "repo=%s refs=%u", r->path, mended);
	if (rc < 0)
		look_again(a, r, rc, &err);
	r->checked = true;
}

/* The next one in the order of the table, after the last. */
static struct apply_repo *
next_of(struct apply *a)
{
	struct apply_repo *last = apply_repo_find(a, a->cursor);
	struct apply_repo *r = last != NULL ? last->hh.next : NULL;

	if (r == NULL)
		r = a->repos;
	if (r != NULL)
		memcpy(a->cursor, r->repo->id, sizeof(a->cursor));
	return r;
}

static void
empty_trash(struct apply *a, uint64_t now)
{
	struct err err;
	int rc = layout_empty_trash(a->layout, (int64_t)a->opts.trash_sec, &err);

	if (rc < 0)
		log_warn("-", "apply.trash", "why=%s", err.text);
	a->next_trash = now + (rc == 1 ? CLOCK_SEC / 10 : 600 * CLOCK_SEC);
}

/* One repository in each period/n, so that all are seen once a period. */
static void
check_next(struct apply *a, uint64_t now)
{
	unsigned n = HASH_COUNT(a->repos);
	struct apply_repo *r = next_of(a);

	a->next_check = now + a->opts.projection_check_msec * CLOCK_MSEC / MAX(n, 1);
	if (r != NULL)
		apply_repo_check(a, r);
}

bool
apply_repo_idle(struct apply *a, uint64_t *wait_ns)
{
	uint64_t now = clock_boot_ns(), due = now + 3600 * CLOCK_SEC;

	/* The first round has no pauses. */
	if (a->unchecked > 0) {
		struct apply_repo *r = next_of(a);

		a->unchecked = r != NULL ? a->unchecked - 1 : 0;
		if (r != NULL && !r->checked)
			apply_repo_check(a, r);
		return true;
	}
	if (a->next_again <= now) {
		apply_repo_look_again(a, now);
		return true;
	}
	if (a->next_trash <= now) {
		empty_trash(a, now);
		return true;
	}
	if (a->opts.projection_check_msec > 0 && a->next_check <= now) {
		check_next(a, now);
		return true;
	}
	due = MIN(a->next_again, a->next_trash);
	if (a->opts.projection_check_msec > 0)
		due = MIN(due, a->next_check);
	*wait_ns = due - now;
	return false;
}

void
apply_repo_look_again(struct apply *a, uint64_t now)
{
	struct apply_repo *r, *next;

	a->next_again = now + CLOCK_SEC;
	apply_pack_again(a, now);
	apply_repo_unload_some(a);
	HASH_ITER (hh, a->repos, r, next) {
		if (r->again != 0 && r->again <= now)
			apply_repo_check(a, r);
	}
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

	if (rc < 0 || !has_folder(a, r, dir))
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
