#include "shard-map/rank.h"

#include <xxhash.h>

static void
put_u32(uint8_t *p, uint32_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

uint64_t
rank_of(uint32_t node, uint32_t shard, uint64_t seed)
{
	uint8_t both[8];

	put_u32(both, node);
	put_u32(both + 4, shard);
	return XXH3_64bits_withSeed(both, sizeof(both), seed);
}
