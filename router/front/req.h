/* router/front/req.h - THE LIFE OF A REQUEST.  Thread: loop.
 *
 * A client's request is parsed, admitted and routed; a node is picked and asked; when it says "not
 * here, not now" or is lost, another one is asked, silently, as long as that is safe and there is
 * time; the first other answer goes to the client as it comes.  Bodies stream both ways.
 *
 * What may be sent twice (router/back/retry.h): a push until the node's 100, which is when the
 * router begins to take its body from the client; a fetch while its whole body is still held here,
 * at most REQ_REPLAY bytes of it. */
#ifndef ROUTER_FRONT_REQ_H
#define ROUTER_FRONT_REQ_H

#include "gitproto/net/http_server.h"
#include "router/front/admit.h"
#include "router/front/front_stats.h"
#include "router/route/route.h"

#define REQ_REPLAY (64u * 1024)
/* A push whose body is out may wait for long hooks: so many times stall_msec. */
#define REQ_PUSH_PATIENCE 10u

/* Borrowed from the front, longer than any request. */
struct req_env {
	struct loop *loop;
	struct route *route;
	struct admit *admit;
	struct stats *stats;
	uint64_t retry_msec; /* how long other nodes are tried */
	uint64_t stall_msec; /* without any progress at a node, a request is given up */
};

/* The handler of an exchange: answers it, now or later, and ends with it. */
void req_new(struct req_env *, struct http_xchg *);

#endif
