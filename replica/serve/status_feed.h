/* replica/serve/status_feed.h - GET /gs/status: how routers and other nodes know how fresh this one
 * is (docs/node-api.md).  Thread: loop. */
#ifndef REPLICA_SERVE_STATUS_FEED_H
#define REPLICA_SERVE_STATUS_FEED_H

#include "gitproto/net/http_server.h"
#include "replica/shard/shard.h"

struct serve;
struct status_feed;

struct status_feed *status_feed_new(struct serve *);
void status_feed_free(struct status_feed **);
void status_feed_open(struct status_feed *, struct http_xchg *);
void status_feed_changed(struct status_feed *, struct shard *);
void status_feed_map_changed(struct status_feed *);
const char *status_feed_role(const struct shard *); /* "primary" */

#endif
