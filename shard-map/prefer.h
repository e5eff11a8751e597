/* shard-map/prefer.h - which member of each shard is its preferred primary.  Thread: any.  Pure.
 * Spread in proportion to the shards each node holds, every node within one of its share; what is
 * right already stays. */
#ifndef SHARD_MAP_PREFER_H
#define SHARD_MAP_PREFER_H

#include "shard-map/map.h"

/* m: filled but for the order of members, whose index is not needed.  old: who was first before,
 * per shard (0: nobody).  Puts each shard's members in order: the preferred one, then by rank. */
void prefer_order(struct map *m, const uint32_t *old);

#endif
