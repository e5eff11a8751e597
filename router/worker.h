/* router/worker.h - one loop thread of the router: its listener, its sessions, what it knows.
 * Thread: main, but where said.
 * Order: worker_new, worker_start, anything, worker_stop. */
#ifndef ROUTER_WORKER_H
#define ROUTER_WORKER_H

#include "gitproto/net/loop.h"
#include "router/front/front.h"

struct worker;

struct worker_opts {
	unsigned number; /* 0 .. ROUTER_CONF_MAX_THREADS - 1 */
	const char *zone;
	struct front_opts front; /* loop and route are set here */
};
MUST_CHECK int worker_new(struct worker **out, const struct worker_opts *, struct err *);
void worker_start(struct worker *);
/* Ends the thread, cuts off what runs, frees.  Also of one that was never started. */
void worker_stop(struct worker **);

const char *worker_addr(const struct worker *);
struct loop *worker_loop(struct worker *);
struct route *worker_route(struct worker *); /* its use: on the worker's loop */
/* The worker takes a reference of the map.  directory: borrowed until worker_stop; may be NULL. */
void worker_set_map(struct worker *, const struct map *, const struct directory *);
/* Takes no new requests; when the last one is over, done(arg) runs on `home`. */
void worker_drain(struct worker *, struct loop *home, loop_fn *done, void *arg);

#endif
