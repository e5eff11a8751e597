#include "replica/serve/repo_life.h"

#include <inttypes.h>
#include <string.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/fault.h"
#include "gitproto/base/log.h"
#include "gitproto/base/mem.h"
#include "gitproto/base/rnd.h"
#include "gitproto/refname.h"
#include "replica/repo/child.h"
#include "replica/repo/repo_lock.h"
#include "replica/serve/names.h"
#include "replica/serve/push.h"
#include "replica/serve/serve.h"
#include "shard-map/commitlog/directory_judge.h"

#define ENDING_NS (5 * CLOCK_SEC)
#define ENDING_LOOK_MSEC 20

/* One create, rename or delete under way. */
struct life {
	unsigned magic;
#define LIFE_MAGIC 0x11fe11feu
	struct serve *serve; /* borrowed */
	struct shard *shard; /* borrowed */
	struct smart_path_repo repo, to;
	uint8_t id[16];
	char head[REFNAME_MAX];
	enum oid_format format;
	uint32_t flags;
	char request[40];
	struct name *name;      /* owned */
	struct repo_lock *lock; /* owned */
	struct timer *look;     /* owned: for gits that are ending */
	uint64_t look_until;    /* clock_boot_ns */
	struct repo *moving;    /* referenced: what the next record of a rename moves */
	bool wiki;              /* that is the wiki */
	bool wiki_moved;
	struct err err;
	repo_life_fn *done;
	void *arg;
	LIST_ENTRY(life) next;
};

static void move_next(struct life *);

static struct life *
new_life(struct serve *s, struct shard *shard, const struct smart_path_repo *repo,
	 repo_life_fn *done, void *arg)
{
	struct life *l = MEM_NEW(struct life);

	l->magic = LIFE_MAGIC;
	l->serve = s;
	l->shard = shard;
	l->repo = *repo;
	l->done = done;
	l->arg = arg;
	LIST_INSERT_HEAD(&s->lives, l, next);
	return l;
}

static void
end(struct life *l)
{
	LIST_REMOVE(l, next);
	names_give(&l->name);
	if (l->lock != NULL)
		repo_lock_give(&l->lock);
	timer_free(&l->look);
	repo_unref(&l->moving);
	l->done(&l->err, l->id, l->arg);
	free(l);
}

static void
take_fate(struct err *err, enum shard_fate fate, const char *why)
{
	if (fate == SHARD_UNKNOWN)
		err_set(err, ERR_UNKNOWN,
			"outcome unknown; look with 'shardctl where' and try again");
	else if (fate == SHARD_DEAD)
		err_set(err, ERR_CONFLICT, "%s", why != NULL ? why : "not committed; try again");
}

static int
append(struct life *l, struct record *r, const char *path, shard_append_fn *done)
{
	struct shard_asker asker = { .done = done, .arg = l, .repo = path, .request = l->request };
	struct err err;
	int rc = shard_append(l->shard, r, &asker, &err);

	if (rc < 0)
		l->err = err;
	return rc;
}

/* --- create --------------------------------------------------------------------------------- */

static void
on_created(enum shard_fate fate, uint64_t offset UNUSED, const char *why, void *arg)
{
	struct life *l = OBJ_FROM(arg, struct life, LIFE_MAGIC);

	take_fate(&l->err, fate, why);
	end(l);
}

static void
on_create_name(struct name *n, const struct err *err, void *arg)
{
	struct life *l = OBJ_FROM(arg, struct life, LIFE_MAGIC);
	struct record r = { .type = RECORD_CREATE };

	l->name = n;
	l->err = *err;
	if (err->code != 0) {
		end(l);
		return;
	}
	FAULT("create.name");
	rnd_bytes(l->id, sizeof(l->id));
	memcpy(r.create.id, l->id, sizeof(r.create.id));
	r.create.oid_len = (uint8_t)oid_size(l->format);
	r.create.flags = l->flags;
	r.create.path = l->repo.path;
	r.create.head = l->head;
	if (append(l, &r, l->repo.path, on_created) < 0)
		end(l);
}

void
repo_life_create(struct serve *s, struct shard *shard, const struct repo_life_create *w,
		 repo_life_fn *done, void *arg)
{
	struct life *l = new_life(s, shard, &w->repo, done, arg);

	snprintf(l->head, sizeof(l->head), "%s", w->head);
	snprintf(l->request, sizeof(l->request), "%s", w->request != NULL ? w->request : "-");
	l->format = w->format;
	l->flags = w->flags;
	names_take(s->names, shard, &l->repo, w->here, "create", on_create_name, l);
}

/* --- delete --------------------------------------------------------------------------------- */

static void
on_deleted(enum shard_fate fate, uint64_t offset UNUSED, const char *why, void *arg)
{
	struct life *l = OBJ_FROM(arg, struct life, LIFE_MAGIC);

	take_fate(&l->err, fate, why);
	FAULT("life.committed");
	end(l);
}

void
repo_life_delete(struct serve *s, struct shard *shard, const struct smart_path_repo *path,
		 repo_life_fn *done, void *arg)
{
	struct life *l = new_life(s, shard, path, done, arg);
	struct repo *repo = serve_repo(s, shard, path->path);
	struct record r = { .type = RECORD_DELETE };

	snprintf(l->request, sizeof(l->request), "-");
	if (repo == NULL) {
		err_set(&l->err, ERR_NOT_FOUND, "repository '%s' does not exist", path->path);
		end(l);
	} else {
		memcpy(l->id, repo->id, sizeof(l->id));
		memcpy(r.del.id, repo->id, sizeof(r.del.id));
		if (append(l, &r, l->repo.path, on_deleted) < 0)
			end(l);
	}
	repo_unref(&repo);
}

/* --- rename --------------------------------------------------------------------------------- */

/* False: its name would be too long, so there is none. */
static bool
wiki_of(struct smart_path_repo *out, const struct smart_path_repo *repo)
{
	char name[SMART_PATH_REPO_SIZE + 8];

	snprintf(name, sizeof(name), "%s.wiki", repo->path);
	return smart_path_repo_parse(out, slice_str(name), NULL) == 0;
}

static struct repo *
find_wiki(struct life *l, const struct smart_path_repo *of)
{
	struct smart_path_repo wiki;

	return wiki_of(&wiki, of) ? serve_repo(l->serve, l->shard, wiki.path) : NULL;
}

static void
on_renamed(enum shard_fate fate, uint64_t offset UNUSED, const char *why, void *arg)
{
	struct life *l = OBJ_FROM(arg, struct life, LIFE_MAGIC);

	repo_lock_give(&l->lock);
	repo_unref(&l->moving);
	take_fate(&l->err, fate, why);
	if (fate != SHARD_COMMITTED) {
		end(l);
	} else if (l->wiki) {
		l->wiki_moved = true;
		FAULT("rename.wiki");
		move_next(l);
	} else {
		log_info("-", "renamed", "repo=%s to=%s shard=%" PRIu32, l->repo.path, l->to.path,
			 shard_index(l->shard));
		FAULT("life.committed");
		end(l);
	}
}

/* A git whose push is answered has hooks to end, and the write lock lets no other come so far.  The others
 * are killed by each node when the folder moves. */
static void
on_look(void *arg)
{
	struct life *l = OBJ_FROM(arg, struct life, LIFE_MAGIC);
	struct record r = { .type = RECORD_RENAME };
	struct smart_path_repo to = l->to;

	if (child_ends_in(l->serve->children, l->moving) && clock_boot_ns() < l->look_until) {
		timer_set(l->look, ENDING_LOOK_MSEC);
		return;
	}
	if (l->wiki && !wiki_of(&to, &l->to)) {
		err_set(&l->err, ERR_TOO_BIG, "'%s' has a wiki, for which '%s' is too long",
			l->repo.path, l->to.path);
		end(l);
		return;
	}
	memcpy(r.rename.id, l->moving->id, sizeof(r.rename.id));
	r.rename.path = to.path;
	if (append(l, &r, l->repo.path, on_renamed) < 0)
		end(l);
}

static void
on_lock(int rc, void *arg)
{
	struct life *l = OBJ_FROM(arg, struct life, LIFE_MAGIC);

	if (rc != 0) {
		l->lock = NULL; /* the place in the queue is gone */
		err_set(&l->err, ERR_UNAVAILABLE, "pushes to '%s' took too long; try again%s",
			l->repo.path, l->wiki_moved ? ": its wiki has the new name already" : "");
		end(l);
		return;
	}
	l->look_until = clock_boot_ns() + ENDING_NS;
	if (l->look == NULL)
		l->look = timer_new(l->serve->loop, on_look, l);
	on_look(l);
}

static void
move(struct life *l, struct repo *repo, bool wiki)
{
	uint64_t deadline = clock_boot_ns() + l->serve->push_msec * CLOCK_MSEC;

	l->moving = repo;
	l->wiki = wiki;
	l->lock = repo_lock_take(pushes_locks(l->serve->pushes), repo->id, deadline, on_lock, l);
}

/* The wiki first: the repository itself is what shows that all is done. */
static void
move_next(struct life *l)
{
	struct repo *repo = serve_repo(l->serve, l->shard, l->repo.path);
	struct repo *wiki = find_wiki(l, &l->repo), *there = find_wiki(l, &l->to);

	if (repo == NULL || memcmp(repo->id, l->id, sizeof(l->id)) != 0) {
		err_set(&l->err, ERR_NOT_FOUND, "repository '%s' was deleted or renamed meanwhile",
			l->repo.path);
		end(l);
	} else if (wiki != NULL && there != NULL) {
		err_set(&l->err, ERR_EXISTS,
			"'%s' has a wiki, and '%s.wiki' exists already: delete one of them",
			l->repo.path, l->to.path);
		end(l);
	} else if (wiki != NULL) {
		move(l, repo_ref(wiki), true);
	} else {
		move(l, repo_ref(repo), false);
	}
	repo_unref(&repo);
	repo_unref(&wiki);
	repo_unref(&there);
}

static void
on_rename_name(struct name *n, const struct err *err, void *arg)
{
	struct life *l = OBJ_FROM(arg, struct life, LIFE_MAGIC);

	l->name = n;
	l->err = *err;
	if (err->code != 0) {
		end(l);
		return;
	}
	FAULT("rename.name");
	move_next(l);
}

static int
check_rename(struct life *l, const struct repo *from, const struct repo *to, const uint8_t id[16])
{
	static const uint8_t none[16];
	bool any = memcmp(id, none, sizeof(none)) == 0;

	if (l->repo.wiki || l->to.wiki)
		return err_set(&l->err, ERR_REFUSED,
			       "a wiki goes with its repository: rename '%s', not its wiki",
			       l->repo.key);
	if (strcmp(l->repo.path, l->to.path) == 0)
		return err_set(&l->err, ERR_REFUSED,
			       "'%s' is its name already (letters are kept in lower case)",
			       l->to.path);
	if (from == NULL && to == NULL)
		return err_set(&l->err, ERR_NOT_FOUND, "repository '%s' does not exist",
			       l->repo.path);
	if (from == NULL)
		return err_set(&l->err, ERR_NOT_FOUND,
			       "repository '%s' does not exist, but '%s' does: if that is the one, "
			       "it was renamed before",
			       l->repo.path, l->to.path);
	if (!any && memcmp(from->id, id, sizeof(none)) != 0)
		return err_set(&l->err, ERR_CONFLICT,
			       "'%s' is another repository than it was; look with: shardctl where",
			       l->repo.path);
	return 0;
}

void
repo_life_rename(struct serve *s, struct shard *shard, const struct smart_path_repo *from,
		 const struct smart_path_repo *to, const uint8_t id[16], repo_life_fn *done,
		 void *arg)
{
	struct life *l = new_life(s, shard, from, done, arg);
	struct repo *old = serve_repo(s, shard, from->path);
	struct repo *new = serve_repo(s, shard, to->path);
	char reason[DIRECTORY_JUDGE_RENAME];

	l->to = *to;
	snprintf(l->request, sizeof(l->request), "-");
	/* Done before, its answer lost. */
	if (old == NULL && new != NULL && memcmp(new->id, id, sizeof(l->id)) == 0) {
		memcpy(l->id, new->id, sizeof(l->id));
		end(l);
	} else if (check_rename(l, old, new, id) < 0) {
		end(l);
	} else {
		memcpy(l->id, old->id, sizeof(l->id));
		directory_judge_rename(reason, sizeof(reason), from->path, l->id);
		names_take(s->names, shard, &l->to, true, reason, on_rename_name, l);
	}
	repo_unref(&old);
	repo_unref(&new);
}

void
repo_life_stop(struct serve *s)
{
	struct life *l;

	while ((l = LIST_FIRST(&s->lives)) != NULL) {
		l->lock = NULL; /* the locks forget who waits */
		err_set(&l->err, ERR_UNAVAILABLE, "the node stops");
		end(l);
	}
}
