#include "shard-map/directory.h"

#include <stdatomic.h>
#include <xxhash.h>

#include "gitproto/base/check.h"
#include "gitproto/base/hmap.h"
#include "gitproto/base/mem.h"
#include "shard-map/key.h"

#define ALIGN 8u
#define BLOCK (1024u * 1024)
#define MAX_BLOCKS 16384u /* 16 GiB of keys */
#define DROPPED DIRECTORY_NONE
#define SMALLEST 64u /* cells */

/* A key in a block.  Only `shard` changes after the entry was published. */
struct entry {
	_Atomic uint32_t shard; /* DROPPED: no exception now */
	uint16_t len;
	uint8_t key[];
};

/* Open addressing.  A cell is 0, or the upper half of the key's hash and the entry's place + 1, in
 * units of ALIGN.  Cells are only ever filled, so a reader that meets an empty one has looked at all
 * entries of its key.  When a table is full a larger one takes its place; the old ones, together
 * smaller than it, are kept until the end for readers that are still inside. */
struct table {
	struct table *older; /* owned */
	size_t mask;
	_Atomic uint64_t cells[];
};

struct directory {
	uint64_t seed;
	struct table *_Atomic table;         /* owned */
	uint8_t *_Atomic blocks[MAX_BLOCKS]; /* owned */
	/* The writer's own: */
	size_t nblocks, used; /* of the last block */
	size_t entries;       /* in the table, dropped ones included */
	size_t bytes;
	_Atomic size_t count;
};

static struct table *
new_table(size_t cells)
{
	struct table *t = mem_try_alloc(sizeof(*t) + cells * sizeof(t->cells[0]));

	if (t != NULL)
		t->mask = cells - 1;
	return t;
}

struct directory *
directory_new(void)
{
	struct directory *d = MEM_NEW(struct directory);
	struct table *t = new_table(SMALLEST);

	CHECK(t != NULL);
	d->seed = hmap_seed();
	atomic_init(&d->table, t);
	d->bytes = sizeof(*d) + sizeof(*t) + SMALLEST * sizeof(t->cells[0]);
	return d;
}

void
directory_free(struct directory **dir)
{
	struct directory *d = *dir;

	*dir = NULL;
	if (d == NULL)
		return;
	for (struct table *t = atomic_load(&d->table), *older; t != NULL; t = older) {
		older = t->older;
		free(t);
	}
	for (size_t i = 0; i < d->nblocks; i++)
		free(atomic_load(&d->blocks[i]));
	free(d);
}

static struct entry *
entry_at(const struct directory *d, uint32_t place)
{
	size_t at = (size_t)place * ALIGN;
	uint8_t *block = atomic_load_explicit(&d->blocks[at / BLOCK], memory_order_acquire);

	return (struct entry *)(void *)(block + at % BLOCK);
}

static struct entry *
find(const struct directory *d, const struct table *t, struct slice key, uint64_t hash)
{
	for (size_t i = hash & t->mask;; i = (i + 1) & t->mask) {
		uint64_t cell = atomic_load_explicit(&t->cells[i], memory_order_acquire);
		struct entry *e;

		if (cell == 0)
			return NULL;
		if (cell >> 32 != hash >> 32)
			continue;
		e = entry_at(d, (uint32_t)cell - 1);
		if (slice_eq(slice_of(e->key, e->len), key))
			return e;
	}
}

static uint64_t
hash_of(const struct directory *d, struct slice key)
{
	return XXH3_64bits_withSeed(key.p, key.len, d->seed);
}

bool
directory_find(const struct directory *d, struct slice repo, uint32_t *shard)
{
	struct slice key = key_of(repo);
	const struct table *t = atomic_load_explicit(&d->table, memory_order_acquire);
	struct entry *e = find(d, t, key, hash_of(d, key));
	uint32_t s = e == NULL ? DROPPED : atomic_load_explicit(&e->shard, memory_order_relaxed);

	if (s == DROPPED)
		return false;
	*shard = s;
	return true;
}

bool
directory_knows(const struct directory *d, struct slice repo)
{
	struct slice key = key_of(repo);
	const struct table *t = atomic_load_explicit(&d->table, memory_order_acquire);

	return find(d, t, key, hash_of(d, key)) != NULL;
}

uint32_t
directory_shard(const struct directory *d, const struct map *m, struct slice repo)
{
	uint32_t shard;

	/* An exception from before the number of shards shrank would lead out of the map. */
	if (d != NULL && directory_find(d, repo, &shard) && shard < m->nshards)
		return shard;
	return map_shard_of(m, repo);
}

/* ---- the writer ------------------------------------------------------------------------------ */

static void
put_cell(struct table *t, uint64_t hash, uint64_t place)
{
	size_t i = hash & t->mask;

	while (atomic_load_explicit(&t->cells[i], memory_order_relaxed) != 0)
		i = (i + 1) & t->mask;
	atomic_store_explicit(&t->cells[i], hash >> 32 << 32 | (place + 1), memory_order_release);
}

static int
grow(struct directory *d)
{
	struct table *old = atomic_load_explicit(&d->table, memory_order_relaxed);
	size_t cells = (old->mask + 1) * 2;
	struct table *t = new_table(cells);

	if (t == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i <= old->mask; i++) {
		uint64_t cell = atomic_load_explicit(&old->cells[i], memory_order_relaxed);
		struct entry *e;

		if (cell == 0)
			continue;
		e = entry_at(d, (uint32_t)cell - 1);
		put_cell(t, hash_of(d, slice_of(e->key, e->len)), (uint32_t)cell - 1);
	}
	t->older = old;
	d->bytes += sizeof(*t) + cells * sizeof(t->cells[0]);
	atomic_store_explicit(&d->table, t, memory_order_release);
	return 0;
}

/* A place for n bytes; ERR_NOMEM as a negative number. */
static int64_t
take_room(struct directory *d, size_t n)
{
	size_t at;

	n = (n + ALIGN - 1) / ALIGN * ALIGN;
	if (d->nblocks == 0 || d->used + n > BLOCK) {
		uint8_t *block = d->nblocks < MAX_BLOCKS ? mem_try_alloc(BLOCK) : NULL;

		if (block == NULL)
			return ERR_NOMEM;
		atomic_store_explicit(&d->blocks[d->nblocks++], block, memory_order_release);
		d->used = 0;
		d->bytes += BLOCK;
	}
	at = (d->nblocks - 1) * BLOCK + d->used;
	d->used += n;
	return (int64_t)(at / ALIGN);
}

/* shard: DROPPED for a key that is only noted. */
static int
put_entry(struct directory *d, struct slice repo, uint32_t shard)
{
	struct table *t = atomic_load_explicit(&d->table, memory_order_relaxed);
	struct slice key = key_of(repo);
	uint64_t hash = hash_of(d, key);
	struct entry *e;
	int64_t place;

	if (key.len == 0 || key.len > DIRECTORY_KEY_MAX)
		return ERR_BAD;
	e = find(d, t, key, hash);
	if (e != NULL && shard == DROPPED)
		return 0;
	if (e != NULL) {
		if (atomic_exchange_explicit(&e->shard, shard, memory_order_relaxed) == DROPPED)
			atomic_fetch_add_explicit(&d->count, 1, memory_order_relaxed);
		return 0;
	}
	if ((d->entries + 1) * 4 > (t->mask + 1) * 3) {
		if (grow(d) < 0)
			return ERR_NOMEM;
		t = atomic_load_explicit(&d->table, memory_order_relaxed);
	}
	place = take_room(d, offsetof(struct entry, key) + key.len);
	if (place < 0)
		return ERR_NOMEM;
	e = entry_at(d, (uint32_t)place);
	atomic_init(&e->shard, shard);
	e->len = (uint16_t)key.len;
	memcpy(e->key, key.p, key.len);
	put_cell(t, hash, (uint64_t)place);
	d->entries++;
	if (shard != DROPPED)
		atomic_fetch_add_explicit(&d->count, 1, memory_order_relaxed);
	return 0;
}

int
directory_set(struct directory *d, struct slice repo, uint32_t shard)
{
	return shard == DROPPED ? ERR_BAD : put_entry(d, repo, shard);
}

int
directory_note(struct directory *d, struct slice repo)
{
	return put_entry(d, repo, DROPPED);
}

void
directory_drop(struct directory *d, struct slice repo)
{
	struct table *t = atomic_load_explicit(&d->table, memory_order_relaxed);
	struct slice key = key_of(repo);
	struct entry *e = find(d, t, key, hash_of(d, key));

	if (e != NULL &&
	    atomic_exchange_explicit(&e->shard, DROPPED, memory_order_relaxed) != DROPPED)
		atomic_fetch_sub_explicit(&d->count, 1, memory_order_relaxed);
}

size_t
directory_count(const struct directory *d)
{
	return atomic_load_explicit(&d->count, memory_order_relaxed);
}

size_t
directory_bytes(const struct directory *d)
{
	return d->bytes;
}

void
directory_each(const struct directory *d, directory_fn *fn, void *arg)
{
	struct table *t = atomic_load_explicit(&d->table, memory_order_relaxed);

	for (size_t i = 0; i <= t->mask; i++) {
		uint64_t cell = atomic_load_explicit(&t->cells[i], memory_order_relaxed);
		struct entry *e = cell != 0 ? entry_at(d, (uint32_t)cell - 1) : NULL;
		uint32_t shard = e != NULL ? atomic_load(&e->shard) : DROPPED;

		if (shard != DROPPED)
			fn(slice_of(e->key, e->len), shard, arg);
	}
}
