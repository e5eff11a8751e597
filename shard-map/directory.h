/* shard-map/directory.h - the exceptions: keys that do not live where their hash says.
 * Thread: directory_find and directory_shard any, at any time, lock-free and without allocation;
 * everything else by one writer.
 *
 * Entries are never moved or freed before directory_free, so that readers need no protection: a
 * dropped key keeps its few bytes.  Below 128 bytes an entry for keys of up to 64 bytes. */
#ifndef SHARD_MAP_DIRECTORY_H
#define SHARD_MAP_DIRECTORY_H

#include "gitproto/base/err.h"
#include "shard-map/map.h"

#define DIRECTORY_KEY_MAX 512u /* bytes of a key */
#define DIRECTORY_NONE \
	UINT32_MAX /* as shard of a record: the exception ends, the hash counts again */
#define DIRECTORY_SAME \
	(UINT32_MAX - 1) /* as shard of a record: nothing changes (directory_judge.h) */

struct directory;
struct directory *directory_new(void);
void directory_free(struct directory **); /* no reader may be inside */

/* repo is reduced to its key (key_of).  ERR_BAD (length), ERR_NOMEM. */
MUST_CHECK int directory_set(struct directory *, struct slice repo, uint32_t shard);
void directory_drop(struct directory *, struct slice repo);

/* The key was heard of, though it has no exception; and: was it ever, by this or by an exception? */
MUST_CHECK int directory_note(struct directory *, struct slice repo);
bool directory_knows(const struct directory *, struct slice repo); /* thread: as directory_find */

bool directory_find(const struct directory *, struct slice repo, uint32_t *shard);
/* Where repo lives: its exception (d may be NULL: none known), else by the hash. */
uint32_t directory_shard(const struct directory *d, const struct map *, struct slice repo);

size_t directory_count(const struct directory *); /* exceptions now */
size_t directory_bytes(const struct directory *); /* memory in use */
/* Writer only: calls fn for each, in no order. */
typedef void directory_fn(struct slice key, uint32_t shard, void *arg);
void directory_each(const struct directory *, directory_fn *, void *arg);

#endif
