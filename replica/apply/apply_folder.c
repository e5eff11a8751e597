/* A repository's folder: moved, written, compared and mended. */
#include <limits.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "replica/apply/apply_impl.h"
#include "replica/repo/disk.h"

#define VACATE_LOOKS 20u /* other repositories of the node wait too */
#define VACATE_LOOK_MSEC 100u

bool
apply_folder_is_there(struct apply *a, struct apply_repo *r, char dir[DISK_PATH])
{
	bool there = repo_dir(dir, DISK_PATH, a->table, r->path) && layout_is(dir, r->repo->id);

	if (!there && !r->lost) {
		r->lost = true;
		apply_repo_show_quarantine(a, r, "its folder is gone");
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
apply_folder_fits(const char *path)
{
	const char *slash = strchr(path, '/');

	if (slash != NULL && slash - path <= NAME_MAX && strlen(slash + 1) + 4 <= NAME_MAX)
		return true;
	log_error("-", "apply.path", "repo=%s why=too_long_for_a_folder", path);
	return false;
}

/* No child goes on in the folder that moves.  One that does not end when it is killed, its disk being
 * stuck, is not waited for without end: what it makes where the folder was is a stranger's. */
static int
vacate(struct apply *a, struct apply_repo *r, struct err *err)
{
	bool still = repo_move_begin(r->repo);

	if (still)
		return 0;
	r->killed = true;
	a->opts.events.vacate(r->repo->id, a->opts.events.arg);
	for (unsigned i = 0; i < VACATE_LOOKS && !still && !apply_stopping(a); i++)
		still = repo_move_wait(r->repo, VACATE_LOOK_MSEC);
	if (!still && apply_stopping(a))
		return err_set(err, ERR_UNAVAILABLE, "the node stops");
	if (!still)
		log_warn("-", "apply.vacate", "repo=%s why=killed_children_do_not_end", r->path);
	return 0;
}

/* What killed children left goes too: of a push that is in the log nothing is needed there. */
static int
move_folder(struct apply *a, struct apply_repo *r, const char *from, const char *to,
	    struct err *err)
{
	int rc = vacate(a, r, err);

	if (rc == 0)
		rc = layout_move(a->layout, from, to, r->repo->id, err);
	if (rc == 0 && r->killed) {
		layout_mend_pushes(to, UINT64_MAX);
		layout_mend_repack(to);
		r->killed = false;
	}
	return rc;
}

int
apply_folder_move(struct apply *a, struct apply_repo *r, struct err *err)
{
	char from[DISK_PATH], to[DISK_PATH];
	char *was = r->was_path;
	int rc = 0;

	if (was == NULL)
		return 0;
	if (!repo_dir(from, sizeof(from), a->table, was) ||
	    !repo_dir(to, sizeof(to), a->table, r->path))
		return err_set(err, ERR_TOO_BIG, "the path of %s is too long", r->path);
	if (apply_folder_fits(r->path) &&
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
apply_folder_project(struct apply *a, struct apply_repo *r)
{
	struct project p = { .born_ms = a->born_ms };
	struct refset_change *changes;
	char dir[DISK_PATH];
	struct err err;
	size_t n = 0;
	int rc;

	if (r->lost || !LIST_EMPTY(&r->needs) || !apply_folder_is_there(a, r, dir))
		return; /* wholly, by apply_folder_check, when it is back or whole */
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
apply_folder_check(struct apply *a, struct apply_repo *r)
{
	struct project p = { .born_ms = a->born_ms };
	struct refset *own = NULL, *refs = r->repo->shared.refs;
	char dir[DISK_PATH];
	struct err err = { 0 };
	unsigned mended = 0;
	int rc = 0;

	CHECK(!r->in_batch);
	r->again = 0;
	if (!apply_folder_is_there(a, r, dir)) {
		r->checked = true;
		return;
	}
	p.dir = dir;
	if (refs == NULL)
		rc = apply_repo_refs(a, r, &own, &err);
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
		apply_folder_check(a, r);
}

bool
apply_folder_idle(struct apply *a, uint64_t *wait_ns)
{
	uint64_t now = clock_boot_ns(), due = now + 3600 * CLOCK_SEC;

	/* The first round has no pauses. */
	if (a->unchecked > 0) {
		struct apply_repo *r = next_of(a);

		a->unchecked = r != NULL ? a->unchecked - 1 : 0;
		if (r != NULL && !r->checked)
			apply_folder_check(a, r);
		return true;
	}
	if (a->next_again <= now) {
		apply_folder_look_again(a, now);
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
apply_folder_look_again(struct apply *a, uint64_t now)
{
	struct apply_repo *r, *next;

	a->next_again = now + CLOCK_SEC;
	apply_pack_again(a, now);
	apply_repo_unload_some(a);
	HASH_ITER (hh, a->repos, r, next) {
		if (r->again != 0 && r->again <= now)
			apply_folder_check(a, r);
	}
}
