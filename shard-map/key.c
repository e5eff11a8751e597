#include "shard-map/key.h"

#include <xxhash.h>

#include "gitproto/base/check.h"

struct slice
key_of(struct slice repo)
{
	static const char wiki[] = ".wiki";
	struct slice suffix = slice_of(wiki, sizeof(wiki) - 1);

	/* A repository that is called ".wiki" is no wiki: nothing would be left of its name. */
	if (!slice_ends(repo, suffix) || repo.len == suffix.len ||
	    repo.p[repo.len - suffix.len - 1] == '/')
		return repo;
	return slice_head(repo, repo.len - suffix.len);
}

uint64_t
key_hash(struct slice repo, uint64_t seed)
{
	struct slice key = key_of(repo);

	return XXH3_64bits_withSeed(key.p, key.len, seed);
}

uint32_t
key_shard(struct slice repo, uint64_t seed, uint32_t shards)
{
	CHECK(shards > 0 && (shards & (shards - 1)) == 0);
	return (uint32_t)key_hash(repo, seed) & (shards - 1);
}
