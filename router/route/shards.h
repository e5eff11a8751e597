/* router/route/shards.h - who leads what and who is how far, as far as this loop of the router has
 * heard.  Thread: loop, one struct a loop; touches nothing outside itself.
 *
 * Heard from two sides: the status streams of the nodes, which are repeated and complete, and 421
 * answers, which are quicker.  Both are hints; the node that is asked decides.
 *
 * Of two nodes that name different primaries the one counts that has read further in the shard's
 * log, (epoch, position).  A 421 that names a later epoch counts until a status says as much.  One
 * from the very node that was thought to lead makes the primary unknown until a status line brings
 * news. */
#ifndef ROUTER_ROUTE_SHARDS_H
#define ROUTER_ROUTE_SHARDS_H

#include <sys/queue.h>

#include "router/back/status_line.h"

struct shards;

struct shards *shards_new(void);
void shards_free(struct shards **); /* nobody may wait */
/* Room for shards 0 .. n-1; what was heard of those that stay is kept. */
void shards_resize(struct shards *, uint32_t n);
uint32_t shards_count(const struct shards *);

/* A status line.  One of a shard that is not there is passed over. */
void shards_heard(struct shards *, uint32_t node, const struct status_line_shard *);
/* The node's connection is lost: where it was is no news any more, who leads may still be true. */
void shards_forget(struct shards *, uint32_t node);
/* A 421 of `from`; primary 0: it knows none. */
void shards_told(struct shards *, uint32_t shard, uint32_t from, uint64_t epoch, uint32_t primary);

/* The primary as far as known, 0: unknown.  *epoch (may be NULL): of the latest reign heard of. */
uint32_t shards_primary(const struct shards *, uint32_t shard, uint64_t *epoch);
/* What that node said of the shard, NULL: nothing, or its connection was lost since. */
const struct status_line_shard *shards_member(const struct shards *, uint32_t shard, uint32_t node);
/* The furthest position that anybody said. */
uint64_t shards_position(const struct shards *, uint32_t shard);

/* Told once, when a shard's primary becomes another one (not when it becomes unknown). */
struct shards_waiter {
	LIST_ENTRY(shards_waiter) link;
	void (*fn)(void *arg);
	void *arg;
	bool waits;
};
void shards_wait(struct shards *, uint32_t shard, struct shards_waiter *);
void shards_unwait(struct shards_waiter *); /* also when it does not wait */

#endif
