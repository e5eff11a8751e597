/* shard-map/ctl/node_call.h - calls to the nodes of the map.  Thread: main; blocks. */
#ifndef SHARD_MAP_CTL_NODE_CALL_H
#define SHARD_MAP_CTL_NODE_CALL_H

#include "shard-map/ctl/ask_all.h"
#include "shard-map/map.h"

/* Asks one node after the other, the members of the shard first in their order, until one answers;
 * any of them hands on to the primary.  Waits out "not now" until the deadline.  A call that may have
 * been carried out is never sent a second time: ERR_UNKNOWN.
 * *out is yours (json_decref). */
MUST_CHECK int node_call(json_t **out, const struct map *, uint32_t shard, const char *method,
			 const char *target, const char *body, uint64_t timeout_ms, struct err *);

/* The same GET to all nodes of the map, in its order; results to be released by the caller. */
struct ask *node_call_all(const struct map *, const char *target, uint64_t timeout_ms);
/* Tells on stderr who did not answer, and returns how many. */
unsigned node_call_silent(const struct map *, const struct ask *);

#endif
