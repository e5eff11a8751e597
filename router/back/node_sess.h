/* router/back/node_sess.h - one storage node as one loop of the router sees it: an HTTP/2 session,
 * the status stream on it, what follows from both, and who uses it now.  Thread: loop.
 *
 * The status stream (`GET /gs/status`) is kept open for ever and opened anew after a loss, so the
 * session connects by itself. */
#ifndef ROUTER_BACK_NODE_SESS_H
#define ROUTER_BACK_NODE_SESS_H

#include <sys/queue.h>

#include "gitproto/net/http_client.h"
#include "router/back/health.h"
#include "router/back/status_line.h"

struct node_sess;

struct node_sess_opts {
	struct loop *loop;
	uint32_t number;
	const char *name, *addr, *zone; /* copied */
	void (*on_shard)(struct node_sess *, const struct status_line_shard *, void *arg);
	void (*on_state)(struct node_sess *, enum health_state, void *arg);
	/* Told once, after node_sess_retire, from the loop, when nobody uses it any more. */
	void (*on_idle)(struct node_sess *, void *arg);
	void *arg;
};
struct node_sess *node_sess_new(const struct node_sess_opts *);
void node_sess_free(struct node_sess **); /* calls on it fail; no use may be left */
/* The map has it no more: the status stream ends, what runs goes on. */
void node_sess_retire(struct node_sess *);
void node_sess_map(struct node_sess *, uint64_t version); /* what the router has; told to nodes */

uint32_t node_sess_number(const struct node_sess *);
const char *node_sess_name(const struct node_sess *);
const char *node_sess_addr(const struct node_sess *);
const char *node_sess_zone(const struct node_sess *);
enum health_state node_sess_state(const struct node_sess *);
/* From the asking for the status stream to its head, the last time; 0: not yet known. */
uint64_t node_sess_rtt_usec(const struct node_sess *);
unsigned node_sess_load(const struct node_sess *); /* uses now */
struct http_session *node_sess_session(struct node_sess *);

/* One request's use of a node: counts as load, and is told when the node stops being well.  The call
 * that it made is freed before node_sess_give. */
struct node_sess_use {
	LIST_ENTRY(node_sess_use) link;
	struct node_sess *node; /* borrowed until node_sess_give; NULL: not in use */
	void (*lost)(void *arg);
	void *arg;
};
void node_sess_take(struct node_sess *, struct node_sess_use *, void (*lost)(void *arg), void *arg);
void node_sess_give(struct node_sess_use *); /* also when it is not in use */

#endif
