/* shard-map/quota.h - how many shards each node should hold.  Thread: any.  Pure, integers only.
 *
 * Zones first: a shard has lo or hi members in each zone, as evenly spread as nodes allow.  What a
 * zone gets follows the weights within these bounds, and within a zone each node gets its weight's
 * share, but never more than one member of each shard (water-filling: what a full node cannot take
 * goes to the others in proportion). */
#ifndef SHARD_MAP_QUOTA_H
#define SHARD_MAP_QUOTA_H

#include "gitproto/base/defs.h"

struct quota_node {
	uint32_t zone;   /* in: 0 .. nzones-1 */
	uint32_t weight; /* in: >= 1 */
	uint32_t has;    /* in: shards it holds now, to decide who gets the odd one */
	uint64_t tie;    /* in: higher first, where nothing else decides */
	uint32_t quota;  /* out: floor or ceiling of its share; the sum is shards * replicas */
};
struct quota_zone {
	uint32_t nodes;  /* out: in this zone */
	uint32_t lo, hi; /* out: members of one shard in this zone; hi <= lo + 1 */
	uint32_t total;  /* out: sum of its nodes' quotas */
};
/* replicas <= n.  zones: nzones places; zones without nodes get nothing. */
void quota_fill(struct quota_node *, uint32_t n, struct quota_zone *zones, uint32_t nzones,
		uint32_t shards, uint32_t replicas);

#endif
