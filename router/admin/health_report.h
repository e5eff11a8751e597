/* router/admin/health_report.h - what the loops of a router know, put together for people and metrics.
 * Thread: one at a time; health_report_add on the loop of its route. */
#ifndef ROUTER_ADMIN_HEALTH_REPORT_H
#define ROUTER_ADMIN_HEALTH_REPORT_H

#include "gitproto/base/buf.h"
#include "router/route/route.h"

struct report_node {
	uint32_t number;
	char name[MAP_NAME], addr[MAP_ADDR];
	unsigned well;     /* loops that hear its status */
	uint64_t rtt_usec; /* the best of all loops; 0: not known */
};

struct report_shard {
	uint32_t primary; /* 0: unknown */
	uint64_t epoch;
};

/* All zero to begin with. */
struct health_report {
	unsigned loops;
	unsigned lonely;           /* loops that hear no node at all */
	uint64_t map_version;      /* the oldest of all loops; 0: one has none */
	struct report_node *nodes; /* owned */
	size_t nnodes;
	struct report_shard *shards; /* owned */
	size_t nshards;
};

void health_report_add(struct health_report *, struct route *);
void health_report_release(struct health_report *);
/* Per node, in Prometheus' text format. */
void health_report_metrics(struct buf *out, const struct health_report *);
/* Why the router cannot serve, a line each; nothing when it can. */
void health_report_trouble(struct buf *out, const struct health_report *);

#endif
