/* router/back/pool.h - the nodes of the map, one node_sess each.  Thread: loop.
 * A node that leaves the map, or changes its address, is retired: what runs on it goes on. */
#ifndef ROUTER_BACK_POOL_H
#define ROUTER_BACK_POOL_H

#include "router/back/node_sess.h"
#include "shard-map/map.h"

struct pool;

struct pool_opts {
	struct loop *loop;
	void (*on_shard)(uint32_t node, const struct status_line_shard *, void *arg);
	void (*on_state)(uint32_t node, enum health_state, void *arg);
	void *arg;
};
struct pool *pool_new(const struct pool_opts *);
void pool_free(struct pool **); /* no use of a node may be left */
void pool_set_map(struct pool *, const struct map *);
struct node_sess *pool_node(const struct pool *, uint32_t number); /* NULL: not in the map */
unsigned pool_well(const struct pool *);                           /* nodes in HEALTH_WELL */
void pool_each(struct pool *, void (*fn)(struct node_sess *, void *arg), void *arg);

#endif
