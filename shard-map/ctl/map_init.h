/* shard-map/ctl/map_init.h - begins a cluster: the genesis of each shard, then map version 1.
 * Thread: main; blocks.
 *
 * Whoever is interrupted runs it again: what the log has already (cluster uuid, key seed, genesis
 * records) is taken over when it is what this run would have written, and refused in words when not.
 * Two that run at the same time notice each other by reading back, before the map is written. */
#ifndef SHARD_MAP_CTL_MAP_INIT_H
#define SHARD_MAP_CTL_MAP_INIT_H

#include "gitproto/base/err.h"
#include "shard-map/commitlog/commitlog.h"
#include "shard-map/map.h"

struct map_init {
	const char *cluster;
	const struct map_node *nodes; /* ascending by id */
	const uint8_t (*incarnations)[16];
	uint32_t nnodes;
	uint32_t shards;   /* a power of two */
	uint32_t replicas; /* or MAP_ALL */
};
/* *out: map version 1 as the log has it, yours.  ERR_EXISTS: there is a map; ERR_CONFLICT: the log
 * holds something else, or another run was quicker; ERR_UNKNOWN: run it again. */
MUST_CHECK int map_init_run(const struct map **out, struct commitlog *, const struct map_init *,
			    struct err *);

#endif
