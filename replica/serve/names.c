#include "replica/serve/names.h"

#include <inttypes.h>
#include <string.h>
#include <sys/queue.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/mem.h"
#include "replica/repo/repo_lock.h"
#include "replica/serve/names_ask.h"
#include "replica/serve/serve.h"
#include "shard-map/commitlog/directory_log.h"
#include "shard-map/key.h"

#define PUTS 40u      /* until it is given up, others being quicker or the log losing them */
#define PUT_MSEC 1000 /* then it is put again: whichever is read first decides */
#define LOOK_MSEC 5000

enum name_work { TAKE, TAKE_HERE, RELEASE, ANSWER };

struct name {
	unsigned magic;
#define NAME_MAGIC 0x4a3e4a3eu
	struct names *all;   /* borrowed */
	struct shard *shard; /* borrowed */
	enum name_work work;
	struct smart_path_repo repo;
	char reason[SMART_PATH_REPO_SIZE + 80];
	uint64_t epoch; /* of the reign in which it is taken */
	uint64_t deadline_ns;
	struct repo_lock *lock; /* owned */
	unsigned puts;
	uint64_t read;  /* of the directory, before the proof (directory_log_read) */
	struct err why; /* it is being undone for this; code 0: it is not */
	uint32_t lives; /* the shard that is asked */

	struct names_ask *ask; /* owned */
	struct err err;
	bool told; /* it is taken: the caller's */
	names_fn *done;
	void *arg;
	LIST_ENTRY(name) next;
};

struct names {
	struct serve *serve; /* borrowed */
	struct repo_locks *locks;
	LIST_HEAD(, name) list;
};

static void prove(struct name *);

/* ---- the end ------------------------------------------------------------------------------- */

static void
free_name(struct name *n)
{
	LIST_REMOVE(n, next);
	if (n->lock != NULL)
		repo_lock_give(&n->lock);
	names_ask_free(&n->ask);
	free(n);
}

static void
end(struct name *n)
{
	names_fn *done = n->done;
	void *arg = n->arg;
	struct err err = n->why.code != 0 ? n->why : n->err;
	bool taken = err.code == 0 && (n->work == TAKE || n->work == TAKE_HERE);

	n->told = taken;
	if (!taken)
		free_name(n);
	done(taken ? n : NULL, &err, arg);
}

static void
end_unavailable(struct name *n, const char *why)
{
	err_set(&n->err, ERR_UNAVAILABLE, "'%s': %s; try again", n->repo.path, why);
	end(n);
}

void
names_give(struct name **np)
{
	struct name *n = *np;

	*np = NULL;
	if (n != NULL)
		free_name(n);
}

/* ---- what is there ------------------------------------------------------------------------- */

static bool
is_here(const struct name *n, const char *path)
{
	struct repo *repo = serve_repo(n->all->serve, n->shard, path);
	bool here = repo != NULL;

	repo_unref(&repo);
	return here;
}

/* The repository of the key, or its wiki. */
static bool
is_inhabited(const struct name *n)
{
	char wiki[SMART_PATH_REPO_SIZE + 8];

	snprintf(wiki, sizeof(wiki), "%s.wiki", n->repo.key);
	return is_here(n, n->repo.key) || is_here(n, wiki);
}

static uint32_t
where(const struct name *n)
{
	const struct serve *s = n->all->serve;

	return directory_shard(s->directory, s->map, slice_str(n->repo.key));
}

static bool
where_is_exception(const struct name *n)
{
	uint32_t shard;

	return directory_find(n->all->serve->directory, slice_str(n->repo.key), &shard);
}

static uint32_t
by_hash(const struct name *n)
{
	return map_shard_of(n->all->serve->map, slice_str(n->repo.key));
}

/* ---- put ----------------------------------------------------------------------------------- */

static void
put(struct name *n, uint32_t shard, const char *reason, directory_log_fn *done)
{
	struct serve *s = n->all->serve;

	if (s->directory_log == NULL || ++n->puts > PUTS || clock_boot_ns() >= n->deadline_ns)
		end_unavailable(n, "the directory cannot be written");
	else
		directory_log_put(s->directory_log, n->read, slice_str(n->repo.key), shard, reason,
				  PUT_MSEC, done, n);
}

/* The name is not to be had: an exception that leads here, to nothing, does not stay; nobody would find
 * what is where the hash says. */
static void
undo(struct name *n)
{
	n->why = n->err;
	n->err = (struct err){ 0 };
	n->work = RELEASE;
	prove(n);
}

static void
err_exists(struct name *n)
{
	err_set(&n->err, ERR_EXISTS,
		"'%s' or its wiki exists already, in shard %" PRIu32
		"; what exists is not moved to another shard",
		n->repo.path, n->lives);
}

/* Nothing hinders; is it still so that we may append? */
static void
finish(struct name *n)
{
	struct repo *there = repo_find(n->all->serve->repos, n->repo.path);
	bool behind = there != NULL;

	repo_unref(&there);
	if (behind) {
		/* Its former holder, in a shard that is behind on this node. */
		end_unavailable(n, "the node is still catching up with another shard");
	} else if (!shard_is_primary(n->shard) || shard_epoch(n->shard) != n->epoch) {
		err_set(&n->err, ERR_WRONG_NODE, "this node is not the primary of shard %" PRIu32,
			shard_index(n->shard));
		end(n);
	} else {
		end(n);
	}
}

static void
on_asked_after(int rc, void *arg)
{
	struct name *n = OBJ_FROM(arg, struct name, NAME_MAGIC);

	names_ask_free(&n->ask);
	if (rc == 0) {
		finish(n);
	} else if (rc == ERR_EXISTS) {
		err_exists(n);
		undo(n);
	} else {
		err_set(&n->err, ERR_UNAVAILABLE,
			"shard %" PRIu32
			", where '%s' lives by its hash, gives no answer; try again",
			n->lives, n->repo.path);
		undo(n);
	}
}

static void
ask(struct name *n, uint32_t shard, bool queue, names_ask_fn *done)
{
	n->lives = shard;
	n->ask = names_ask_new(n->all->serve, shard, &n->repo, queue, n->deadline_ns, done, n);
}

static void
on_put(int rc, void *arg)
{
	struct name *n = OBJ_FROM(arg, struct name, NAME_MAGIC);

	if (rc == ERR_CONFLICT || rc == ERR_UNAVAILABLE) {
		prove(n); /* others were quicker, or the log has lost it */
	} else if (rc != 0) {
		end_unavailable(n, "the directory cannot be written");
	} else if (n->work == RELEASE) {
		end(n);
	} else if (where(n) != shard_index(n->shard)) {
		prove(n); /* somebody was quick to take it */
	} else if (by_hash(n) == shard_index(n->shard) || is_inhabited(n)) {
		finish(n);
	} else {
		ask(n, by_hash(n), true, on_asked_after);
	}
}

/* ---- take ---------------------------------------------------------------------------------- */

static void
on_asked_before(int rc, void *arg)
{
	struct name *n = OBJ_FROM(arg, struct name, NAME_MAGIC);
	uint32_t lives = where(n);

	names_ask_free(&n->ask);
	if (rc == ERR_EXISTS) {
		err_exists(n);
		end(n);
	} else if (rc == 0 && lives != n->lives) {
		prove(n);
	} else if (rc != 0) {
		err_set(&n->err, ERR_UNAVAILABLE,
			"shard %" PRIu32
			", where '%s' lives, gives no answer, or works on it too; try again",
			n->lives, n->repo.path);
		end(n);
	} else if (directory_knows(n->all->serve->directory, slice_str(n->repo.key))) {
		err_set(&n->err, ERR_CONFLICT,
			"'%s' is a name of shard %" PRIu32
			", where it was used before, and stays one: "
			"take another name, or one that is new",
			n->repo.path, n->lives);
		end(n);
	} else {
		put(n, shard_index(n->shard), n->reason, on_put);
	}
}

static void
decide_take(struct name *n)
{
	uint32_t lives = where(n);

	if (is_here(n, n->repo.path)) {
		err_set(&n->err, ERR_EXISTS, "repository '%s' exists already", n->repo.path);
		end(n);
	} else if (lives == shard_index(n->shard)) {
		put(n, DIRECTORY_SAME, n->reason, on_put);
	} else if (n->work == TAKE) {
		err_set(&n->err, ERR_WRONG_NODE, "'%s' lives in shard %" PRIu32, n->repo.path,
			lives);
		end(n);
	} else {
		/* Who holds it there may want it from here: neither waits for the other. */
		ask(n, lives, false, on_asked_before);
	}
}

static void
decide_answer(struct name *n)
{
	if (is_inhabited(n))
		err_set(&n->err, ERR_EXISTS, "'%s' is in shard %" PRIu32, n->repo.key,
			shard_index(n->shard));
	end(n);
}

static void
decide(struct name *n)
{
	struct serve *s = n->all->serve;

	if (s->map == NULL || s->directory == NULL) {
		end_unavailable(n, "the node does not know the directory");
	} else if (n->work == ANSWER) {
		decide_answer(n);
	} else if (n->work == RELEASE) {
		if (where(n) != shard_index(n->shard) || !where_is_exception(n) || is_inhabited(n))
			end(n);
		else
			put(n, DIRECTORY_NONE, n->reason, on_put);
	} else {
		decide_take(n);
	}
}

/* ---- lock and proof ------------------------------------------------------------------------ */

static void
on_applied(int rc, void *arg)
{
	struct name *n = OBJ_FROM(arg, struct name, NAME_MAGIC);

	if (rc != 0)
		end_unavailable(n, "the primary is still catching up");
	else
		decide(n);
}

static void
on_proof(int rc, uint64_t position, void *arg)
{
	struct name *n = OBJ_FROM(arg, struct name, NAME_MAGIC);

	if (rc == 0) {
		n->epoch = shard_epoch(n->shard);
		shard_wait(n->shard, NULL, position, n->deadline_ns, on_applied, n);
		return;
	}
	if (rc == ERR_WRONG_NODE)
		err_set(&n->err, ERR_WRONG_NODE, "this node is not the primary of shard %" PRIu32,
			shard_index(n->shard));
	else
		err_set(&n->err, ERR_UNAVAILABLE, "the commit log does not answer; try again");
	end(n);
}

/* What is put is put by what of the directory was read before: whoever reigns later puts something
 * before he uses the name, so that what one who is deposed puts late means nothing. */
static void
prove(struct name *n)
{
	struct serve *s = n->all->serve;

	if (s->directory_log == NULL || clock_boot_ns() >= n->deadline_ns) {
		end_unavailable(n, "the directory cannot be written");
		return;
	}
	n->read = directory_log_read(s->directory_log);
	shard_read_primary(n->shard, on_proof, n);
}

static void
on_lock(int rc, void *arg)
{
	struct name *n = OBJ_FROM(arg, struct name, NAME_MAGIC);

	if (rc != 0) {
		n->lock = NULL; /* the place in the queue is gone */
		err_set(&n->err, n->work == ANSWER ? ERR_CONFLICT : ERR_UNAVAILABLE,
			"'%s': others work on this name; try again", n->repo.path);
		end(n);
		return;
	}
	prove(n);
}

/* patience: for the lock; 0: it must be free. */
static void
begin(struct names *all, struct shard *shard, const struct smart_path_repo *repo,
      enum name_work work, const char *reason, uint64_t patience, names_fn *done, void *arg)
{
	struct name *n = MEM_NEW(struct name);
	uint64_t hash = key_hash(slice_str(repo->key), 0), now = clock_boot_ns();
	uint32_t index = shard_index(shard);
	uint8_t id[16] = { 0 };

	n->magic = NAME_MAGIC;
	n->all = all;
	n->shard = shard;
	n->work = work;
	n->repo = *repo;
	snprintf(n->reason, sizeof(n->reason), "%s", reason);
	n->done = done;
	n->arg = arg;
	n->deadline_ns = now + all->serve->push_msec * CLOCK_MSEC;
	LIST_INSERT_HEAD(&all->list, n, next);
	memcpy(id, &hash, sizeof(hash));
	memcpy(id + sizeof(hash), &index, sizeof(index));
	n->lock = repo_lock_take(all->locks, id, now + patience, on_lock, n);
}

void
names_take(struct names *all, struct shard *shard, const struct smart_path_repo *repo, bool here,
	   const char *reason, names_fn *done, void *arg)
{
	begin(all, shard, repo, here ? TAKE_HERE : TAKE, reason, all->serve->push_msec * CLOCK_MSEC,
	      done, arg);
}

void
names_is_free(struct names *all, struct shard *shard, const struct smart_path_repo *repo,
	      bool queue, names_fn *done, void *arg)
{
	begin(all, shard, repo, ANSWER, "", queue ? all->serve->push_msec * CLOCK_MSEC : 0, done,
	      arg);
}

void
names_look(struct serve *s, void (*done)(int rc, void *arg), void *arg)
{
	CHECK(s->directory_log != NULL);
	directory_log_look(s->directory_log, LOOK_MSEC, done, arg);
}

struct names *
names_new(struct serve *s)
{
	struct names *all = MEM_NEW(struct names);

	all->serve = s;
	all->locks = repo_locks_new(s->loop);
	LIST_INIT(&all->list);
	return all;
}

void
names_stop(struct names *all)
{
	struct name *n;

	do {
		LIST_FOREACH (n, &all->list, next)
			if (!n->told)
				break;
		if (n != NULL)
			end_unavailable(n, "the node stops");
	} while (n != NULL);
}

void
names_free(struct names **allp)
{
	struct names *all = *allp;

	if (all == NULL)
		return;
	*allp = NULL;
	CHECK(LIST_EMPTY(&all->list));
	repo_locks_free(&all->locks);
	free(all);
}
