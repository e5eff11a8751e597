/* shard-map/rank.h - rendezvous rank: how much a node is wanted by a shard.  Thread: any.  Pure. */
#ifndef SHARD_MAP_RANK_H
#define SHARD_MAP_RANK_H

#include "gitproto/base/defs.h"

/* Evenly spread over 64 bits; the highest rank is the first choice.  The same for ever: XXH3 of the
 * two numbers in big endian (node, shard), 8 bytes, under seed. */
uint64_t rank_of(uint32_t node, uint32_t shard, uint64_t seed);
/* Order of preference, ties by lower id: does (rank a, id a) come before (rank b, id b)? */
static inline bool
rank_before(uint64_t rank_a, uint32_t a, uint64_t rank_b, uint32_t b)
{
	return rank_a != rank_b ? rank_a > rank_b : a < b;
}

#endif
