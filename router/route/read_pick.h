/* router/route/read_pick.h - which member serves a read.  Thread: any.  Pure.
 * HOT: no allocation, no log line, no lock.
 *
 * Members fall into classes, the best class that has anybody serves:
 *	1  well, not lagging, in the router's zone (or the router has none)
 *	2  well, not lagging
 *	3  well: it lags, or is a learner; the node itself makes the read wait until it is fresh
 *	4  connected, and its status is silent or it has stopped the shard
 * Within a class the client's own choice by rendezvous hash serves, so that the same client and
 * repository meet the same caches, unless it is notably more loaded than another one drawn at
 * random. */
#ifndef ROUTER_ROUTE_READ_PICK_H
#define ROUTER_ROUTE_READ_PICK_H

#include "gitproto/base/slice.h"

#define READ_PICK_MAX 64u  /* members looked at; of more, the first ones */
#define READ_PICK_LAG 256u /* records behind the furthest member: "lagging" */

struct read_pick_member {
	uint32_t node;
	bool connected;
	bool well;
	bool full;    /* primary or follower: not a learner */
	bool near;    /* in the router's zone */
	uint64_t lag; /* records not yet applied, seen from the furthest member */
	unsigned load;
};

/* What stays the same for a client and a repository, on every router. */
uint64_t read_pick_sticky(struct slice client, struct slice repo);

/* The node, or 0 when no member can serve. */
uint32_t read_pick(const struct read_pick_member *, size_t n, uint64_t sticky, uint64_t random);

#endif
