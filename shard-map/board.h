/* shard-map/board.h - a placement while it is being changed: which node holds which shard, the rules
 * of zones, quotas, and exchanges along chains.  Thread: one.  Pure.
 *
 * Nodes are indices here.  Rules: a shard has at most `replicas` members, lo..hi of each zone; of the
 * places above lo it has replicas - (sum of lo) to give. */
#ifndef SHARD_MAP_BOARD_H
#define SHARD_MAP_BOARD_H

#include "gitproto/base/defs.h"
#include "shard-map/quota.h"

#define BOARD_NONE UINT32_MAX

struct board {
	uint32_t nshards, nnodes, nzones, replicas;
	uint32_t words;      /* of 64 nodes, for one shard */
	uint64_t *has, *was; /* owned: bit sets, by shard: members now, members of the old map */
	uint16_t *in_zone;   /* owned: [shard][zone] members */
	uint16_t *extra;     /* owned: [shard] members above lo of their zone */
	uint16_t *held;      /* owned: [shard] members */
	uint32_t extra_max;  /* replicas - sum of lo */
	struct quota_node *node;     /* owned: zone, weight, quota */
	struct quota_zone *zone;     /* owned */
	uint32_t *count;             /* owned: [node] shards held */
	bool *receives;              /* owned: [node] it was below its quota when moving began */
	struct board_search *search; /* owned */
};

/* NULL when memory is gone. */
struct board *board_new(uint32_t nshards, uint32_t nnodes, uint32_t nzones, uint32_t replicas);
void board_free(struct board **);
void board_set_quotas(struct board *); /* node and zone are filled: take lo and hi from there */

bool board_has(const struct board *, uint32_t shard, uint32_t node);
bool board_was(const struct board *, uint32_t shard, uint32_t node);
/* Without regard to the rules. */
void board_add(struct board *, uint32_t shard, uint32_t node);
void board_drop(struct board *, uint32_t shard, uint32_t node);

bool board_may_add(const struct board *, uint32_t shard, uint32_t node);
bool board_may_swap(const struct board *, uint32_t shard, uint32_t out, uint32_t in);

/* One member more for `shard` (or, shard BOARD_NONE, one shard less for node `from`), by the shortest
 * chain of exchanges that ends at a node below its quota.  direct: the chain may only give shards to
 * nodes of `receives`, or back to who had them, and takes none that another node than `from` had.
 * false: there is no such chain, nothing changed. */
bool board_exchange(struct board *, uint32_t shard, uint32_t from, bool direct);

#endif
