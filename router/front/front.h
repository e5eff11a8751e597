/* router/front/front.h - where clients come in: the HTTP listener of one loop, and the requests under
 * way on it.  Thread: loop.
 * Order: front_new, front_drain if there is time, front_free. */
#ifndef ROUTER_FRONT_FRONT_H
#define ROUTER_FRONT_FRONT_H

#include "gitproto/net/http_server.h"
#include "router/front/admit.h"
#include "router/front/front_stats.h"
#include "router/route/route.h"

struct front;

struct front_opts {
	struct loop *loop;
	const char *listen; /* numeric address */
	bool reuse_port;    /* other loops listen there too */
	bool insecure;
	uint64_t retry_msec; /* how long other nodes are tried before a client hears of it */
	uint64_t stall_msec; /* a body without any progress */
	struct route *route; /* borrowed until front_free */
	struct admit *admit; /* borrowed; shared by all loops */
	struct stats *stats; /* borrowed; shared by all loops; rows of front_stats.h */
};
MUST_CHECK int front_new(struct front **out, const struct front_opts *, struct err *);
void front_free(struct front **); /* requests under way are cut off */
const char *front_addr(const struct front *);
void front_drain(struct front *);            /* takes no new requests */
unsigned front_active(const struct front *); /* requests under way */

#endif
