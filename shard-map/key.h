/* shard-map/key.h - repository name to key to shard.  Thread: any.  Pure.
 * HOT: no allocation, no log line, no lock.
 *
 * A name here is "owner/name", already normalised: ASCII lower case, no ".git".  The key of a wiki
 * ("owner/name.wiki") is that of its repository, so that both live in one shard. */
#ifndef SHARD_MAP_KEY_H
#define SHARD_MAP_KEY_H

#include "gitproto/base/slice.h"

/* The part of repo that is hashed and looked up; borrowed from repo. */
struct slice key_of(struct slice repo);
/* XXH3 (64 bits) of the key under the cluster's seed, so that nobody who picks names can aim. */
uint64_t key_hash(struct slice repo, uint64_t seed);
/* Low bits of the hash: doubling the number of shards (a power of two) splits s into s and s+N. */
uint32_t key_shard(struct slice repo, uint64_t seed, uint32_t shards);

#endif
