/* replica/serve/peers.h - back-plane sessions to the other nodes, by number.  Thread: loop.
 * Packs go over a connection of their own: on a slow line small questions do not wait behind them, and
 * a peer counts as gone only when it is silent for longer than a line's buffers take to empty. */
#ifndef REPLICA_SERVE_PEERS_H
#define REPLICA_SERVE_PEERS_H

#include "gitproto/net/http_client.h"

struct peers;

struct peers *peers_new(struct loop *);
void peers_free(struct peers **);
/* A node of the map; a changed address makes a new session (calls on the old one fail). */
void peers_put(struct peers *, uint32_t node, const char *addr);
void peers_drop(struct peers *, uint32_t node);
/* NULL for a node that the map does not name; borrowed. */
struct http_session *peers_get(struct peers *, uint32_t node);
struct http_session *peers_get_bulk(struct peers *, uint32_t node); /* the same, for packs */

#endif
