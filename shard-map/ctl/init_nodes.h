/* shard-map/ctl/init_nodes.h - the nodes of a new cluster: what the command line says about them and
 * what they say themselves.  Thread: main; blocks. */
#ifndef SHARD_MAP_CTL_INIT_NODES_H
#define SHARD_MAP_CTL_INIT_NODES_H

#include "gitproto/base/err.h"
#include "gitproto/base/opt.h"
#include "shard-map/map.h"

struct init_nodes {
	struct map_node *nodes; /* owned; by name, ids from 1: the same whatever the order given */
	uint8_t (*incarnations)[16]; /* owned; of each */
	uint32_t n;
};

/* Reads "NAME=BACKPLANE,ADMIN[,zone=Z][,weight=W]" or "ADMIN[,zone=Z][,weight=W]", where the node
 * itself tells its name and its back-plane address.  ERR_BAD. */
MUST_CHECK int init_nodes_parse(struct init_nodes *, const struct opt_list *specs, struct err *);
/* Asks each who it is, and sorts them.  Errors name the node, and what to do. */
MUST_CHECK int init_nodes_ask(struct init_nodes *, const char *cluster, uint64_t timeout_ms,
			      struct err *);
/* One of them; n->name is empty when the node itself shall tell it. */
MUST_CHECK int init_nodes_parse_one(struct map_node *n, const char *spec, struct err *);
void init_nodes_release(struct init_nodes *);

#endif
