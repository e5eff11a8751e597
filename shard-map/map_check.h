/* shard-map/map_check.h - invariants of a map, in words.  Thread: any.  Pure. */
#ifndef SHARD_MAP_MAP_CHECK_H
#define SHARD_MAP_MAP_CHECK_H

#include "gitproto/base/err.h"
#include "shard-map/map.h"

/* Names, addresses, ids, counts; every shard has min(replicas, nodes that are up) different members
 * that are nodes of the map and up.  Works on a map that is not sealed.  ERR_BAD names the place. */
MUST_CHECK int map_check(const struct map *, struct err *);
/* May next follow now?  Same cluster, seed and number of shards, version one higher, no node id
 * given twice.  ERR_CONFLICT. */
MUST_CHECK int map_check_next(const struct map *now, const struct map *next, struct err *);
/* "host:port" with a port of 1..65535; a v6 host stands in brackets. */
bool map_check_addr(const char *);

#endif
