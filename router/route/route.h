/* router/route/route.h - all that one loop of the router knows about where things are: the map, the
 * nodes and their sessions, what they said of their shards.  Thread: loop. */
#ifndef ROUTER_ROUTE_ROUTE_H
#define ROUTER_ROUTE_ROUTE_H

#include "router/back/pool.h"
#include "router/route/shards.h"
#include "router/route/table.h"

struct route;

struct route *route_new(struct loop *, const char *zone); /* zone: copied; "" or NULL: none */
void route_free(struct route **);                         /* no request may be under way */
/* Takes a reference of the map.  directory: borrowed until route_free. */
void route_set_map(struct route *, const struct map *, const struct directory *);
uint64_t route_map_version(const struct route *); /* 0: none yet, nothing can be routed */

uint32_t route_shard(const struct route *, struct slice repo); /* there is a map (CHECK) */

/* Nodes that a request has asked in its present round. */
#define ROUTE_TRIED_MAX 16u
struct route_tried {
	uint32_t node[ROUTE_TRIED_MAX];
	unsigned n;
};
void route_tried_add(struct route_tried *, uint32_t node);

/* The node to ask, NULL: nobody now. */
struct node_sess *route_read(struct route *, uint32_t shard, uint64_t sticky, uint64_t random,
			     const struct route_tried *);
struct node_sess *route_write(struct route *, uint32_t shard, const struct route_tried *);

struct shards *route_shards(struct route *);
struct pool *route_pool(struct route *);

#endif
