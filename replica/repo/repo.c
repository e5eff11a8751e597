#include "replica/repo/repo.h"

#include <uthash.h>

#include "gitproto/base/check.h"
#include "gitproto/base/clock.h"
#include "gitproto/base/cond.h"
#include "gitproto/base/mem.h"

/* One repository in the table.  A key of its own for the path: shared.path is under another lock,
 * and a hash key must not change while it is hashed. */
struct entry {
	UT_hash_handle by_id, by_path;
	struct repo *repo; /* owned reference */
	char *path;        /* owned */
};

struct repo_table {
	char *root; /* owned */
	pthread_rwlock_t lock;
	struct entry *ids, *paths; /* heads; guarded by lock */
	pthread_mutex_t children_lock;
	pthread_cond_t child_ended;
};

struct repo_table *
repo_table_new(const char *root)
{
	struct repo_table *t = MEM_NEW(struct repo_table);

	t->root = mem_strdup(root);
	CHECK(pthread_rwlock_init(&t->lock, NULL) == 0);
	CHECK(pthread_mutex_init(&t->children_lock, NULL) == 0);
	cond_init(&t->child_ended);
	return t;
}

static void
free_entry(struct repo_table *t, struct entry *e)
{
	HASH_DELETE(by_id, t->ids, e);
	HASH_DELETE(by_path, t->paths, e);
	repo_unref(&e->repo);
	free(e->path);
	free(e);
}

void
repo_table_free(struct repo_table **tp)
{
	struct repo_table *t = *tp;
	struct entry *e, *next;

	if (t == NULL)
		return;
	*tp = NULL;
	HASH_ITER (by_id, t->ids, e, next)
		free_entry(t, e);
	pthread_rwlock_destroy(&t->lock);
	pthread_cond_destroy(&t->child_ended);
	pthread_mutex_destroy(&t->children_lock);
	free(t->root);
	free(t);
}

const char *
repo_table_root(const struct repo_table *t)
{
	return t->root;
}

struct repo *
repo_ref(struct repo *r)
{
	CHECK(r->magic == REPO_MAGIC);
	__atomic_add_fetch(&r->refs_count, 1, __ATOMIC_RELAXED);
	return r;
}

void
repo_unref(struct repo **rp)
{
	struct repo *r = *rp;

	if (r == NULL)
		return;
	CHECK(r->magic == REPO_MAGIC);
	*rp = NULL;
	if (__atomic_sub_fetch(&r->refs_count, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	pthread_mutex_destroy(&r->shared.lock);
	refset_free(&r->shared.refs);
	free(r->shared.path);
	r->magic = 0;
	free(r);
}

struct repo *
repo_find(struct repo_table *t, const char *path)
{
	struct entry *e;
	struct repo *r = NULL;

	pthread_rwlock_rdlock(&t->lock);
	HASH_FIND(by_path, t->paths, path, strlen(path), e);
	if (e != NULL)
		r = repo_ref(e->repo);
	pthread_rwlock_unlock(&t->lock);
	return r;
}

struct repo *
repo_find_id(struct repo_table *t, const uint8_t id[16])
{
	struct entry *e;
	struct repo *r = NULL;

	pthread_rwlock_rdlock(&t->lock);
	HASH_FIND(by_id, t->ids, id, 16, e);
	if (e != NULL)
		r = repo_ref(e->repo);
	pthread_rwlock_unlock(&t->lock);
	return r;
}

struct repo **
repo_table_all(struct repo_table *t, size_t *n)
{
	struct repo **all;
	struct entry *e, *next;

	*n = 0;
	pthread_rwlock_rdlock(&t->lock);
	all = mem_array(HASH_CNT(by_id, t->ids), sizeof(struct repo *));
	HASH_ITER (by_id, t->ids, e, next)
		all[(*n)++] = repo_ref(e->repo);
	pthread_rwlock_unlock(&t->lock);
	return all;
}

struct repo *
repo_table_add(struct repo_table *t, const uint8_t id[16], uint32_t shard, const char *path,
	       enum oid_format format)
{
	struct repo *r = MEM_NEW(struct repo);
	struct entry *e = MEM_NEW(struct entry), *there;

	r->magic = REPO_MAGIC;
	r->table = t;
	memcpy(r->id, id, sizeof(r->id));
	r->shard = shard;
	r->format = format;
	r->refs_count = 1; /* the table's */
	CHECK(pthread_mutex_init(&r->shared.lock, NULL) == 0);
	r->shared.path = mem_strdup(path);
	r->shared.used = clock_boot_ns();
	e->repo = r;
	e->path = mem_strdup(path);
	pthread_rwlock_wrlock(&t->lock);
	HASH_FIND(by_id, t->ids, id, 16, there);
	CHECK(there == NULL);
	HASH_FIND(by_path, t->paths, path, strlen(path), there);
	CHECK(there == NULL);
	HASH_ADD_KEYPTR(by_id, t->ids, r->id, 16, e);
	HASH_ADD_KEYPTR(by_path, t->paths, e->path, strlen(e->path), e);
	pthread_rwlock_unlock(&t->lock);
	return r;
}

void
repo_table_move(struct repo_table *t, struct repo *r, const char *path)
{
	struct entry *e, *there;

	pthread_rwlock_wrlock(&t->lock);
	HASH_FIND(by_id, t->ids, r->id, 16, e);
	CHECK(e != NULL && e->repo == r);
	HASH_FIND(by_path, t->paths, path, strlen(path), there);
	CHECK(there == NULL || there == e);
	HASH_DELETE(by_path, t->paths, e);
	free(e->path);
	e->path = mem_strdup(path);
	HASH_ADD_KEYPTR(by_path, t->paths, e->path, strlen(e->path), e);
	pthread_mutex_lock(&r->shared.lock);
	free(r->shared.path);
	r->shared.path = mem_strdup(path);
	r->shared.version++;
	r->shared.moves++;
	pthread_mutex_unlock(&r->shared.lock);
	pthread_rwlock_unlock(&t->lock);
}

void
repo_table_drop(struct repo_table *t, struct repo *r)
{
	struct entry *e;

	pthread_mutex_lock(&r->shared.lock);
	r->shared.deleted = true;
	r->shared.version++;
	pthread_mutex_unlock(&r->shared.lock);
	pthread_rwlock_wrlock(&t->lock);
	HASH_FIND(by_id, t->ids, r->id, 16, e);
	CHECK(e != NULL && e->repo == r);
	free_entry(t, e);
	pthread_rwlock_unlock(&t->lock);
}

bool
repo_dir(char *out, size_t size, const struct repo_table *t, const char *path)
{
	int n = snprintf(out, size, "%s/%s.git", t->root, path);

	return n > 0 && (size_t)n < size;
}

bool
repo_dir_of(char *out, size_t size, const struct repo_table *t, struct repo *r)
{
	bool ok;

	pthread_mutex_lock(&r->shared.lock);
	ok = repo_dir(out, size, t, r->shared.path);
	pthread_mutex_unlock(&r->shared.lock);
	return ok;
}

uint64_t
repo_moves(struct repo *r)
{
	uint64_t moves;

	pthread_mutex_lock(&r->shared.lock);
	moves = r->shared.moves;
	pthread_mutex_unlock(&r->shared.lock);
	return moves;
}

/* Under the lock of children. */
static bool
is_in_place(struct repo *r, uint64_t moves)
{
	return !r->moving && repo_moves(r) == moves;
}

bool
repo_child_begin(struct repo *r, uint64_t moves)
{
	bool ok;

	pthread_mutex_lock(&r->table->children_lock);
	ok = is_in_place(r, moves);
	if (ok)
		r->children++;
	pthread_mutex_unlock(&r->table->children_lock);
	return ok;
}

bool
repo_is_moving(struct repo *r, uint64_t moves)
{
	bool in_place;

	pthread_mutex_lock(&r->table->children_lock);
	in_place = is_in_place(r, moves);
	pthread_mutex_unlock(&r->table->children_lock);
	return !in_place;
}

void
repo_child_end(struct repo *r)
{
	pthread_mutex_lock(&r->table->children_lock);
	CHECK(r->children > 0);
	r->children--;
	pthread_cond_broadcast(&r->table->child_ended);
	pthread_mutex_unlock(&r->table->children_lock);
}

bool
repo_move_begin(struct repo *r)
{
	bool still;

	pthread_mutex_lock(&r->table->children_lock);
	r->moving = true;
	still = r->children == 0;
	pthread_mutex_unlock(&r->table->children_lock);
	return still;
}

bool
repo_move_wait(struct repo *r, unsigned msec)
{
	struct repo_table *t = r->table;
	struct timespec until = cond_moment(msec * CLOCK_MSEC);
	bool still;

	pthread_mutex_lock(&t->children_lock);
	while (r->children > 0 && cond_wait_until(&t->child_ended, &t->children_lock, &until))
		;
	still = r->children == 0;
	pthread_mutex_unlock(&t->children_lock);
	return still;
}

void
repo_move_end(struct repo *r)
{
	pthread_mutex_lock(&r->table->children_lock);
	r->moving = false;
	pthread_mutex_unlock(&r->table->children_lock);
}
