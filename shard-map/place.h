/* shard-map/place.h - shard to members: a pure function of the old map and the wished nodes.
 * Thread: any.  Integers only, no clock, no chance: the same answer everywhere, for ever.
 *
 * Quotas by weight (quota.h).  Nothing moves but from a node above its quota, or one that leaves, to
 * one below it, and the rank says which; only where no such move exists, a third node passes one
 * shard on and gets another.  Every node ends within one shard of its quota; so do the preferred
 * primaries (prefer.h).  The old map's placement already right: the answer is the old placement. */
#ifndef SHARD_MAP_PLACE_H
#define SHARD_MAP_PLACE_H

#include "gitproto/base/err.h"
#include "shard-map/map.h"

struct place_wish {
	const struct map_node
		*nodes; /* all that the new map shall know, ascending by id; those that
				       * are new have ids from old->next_node on */
	uint32_t nnodes;
	uint32_t
		replicas; /* members of a shard, or MAP_ALL; fewer nodes up than that: all of them */
};
/* *out: sealed, version old->version + 1, yours (map_unref).  old: sealed, for a new cluster
 * map_new_empty.  ERR_BAD in words (no node is up, ids), ERR_NOMEM. */
MUST_CHECK int place_make(const struct map **out, const struct map *old, const struct place_wish *,
			  struct err *);

#endif
