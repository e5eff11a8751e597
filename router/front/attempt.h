/* router/front/attempt.h - one attempt of a request at one node: the call and the load that it is.
 * Thread: loop.
 * Order: attempt_begin, events, attempt_end; then it may begin again, at another node. */
#ifndef ROUTER_FRONT_ATTEMPT_H
#define ROUTER_FRONT_ATTEMPT_H

#include "router/back/node_sess.h"

enum attempt_event {
	ATTEMPT_CONTINUE, /* the node says 100: it admits the push, send the body */
	ATTEMPT_HEAD,     /* the final head is there */
	ATTEMPT_LOST,     /* no head will come; attempt_why tells */
	ATTEMPT_SILENT    /* the node's beats stopped; the call itself lives */
};
typedef void attempt_fn(enum attempt_event, void *arg);

/* Embedded by the request; all zero while none is under way. */
struct attempt {
	struct node_sess_use use;
	struct http_call *call; /* owned; NULL: none is under way */
	attempt_fn *fn;
	void *arg;
};

void attempt_begin(struct attempt *, struct node_sess *, const struct http_head *, bool with_body,
		   attempt_fn *, void *arg);
void attempt_end(struct attempt *); /* at any time; resets what still runs */
bool attempt_runs(const struct attempt *);
uint32_t attempt_node(const struct attempt *); /* 0: none is under way */
struct stream *attempt_stream(struct attempt *);
const struct http_head *attempt_answer(const struct attempt *); /* after ATTEMPT_HEAD */
/* A refusal in words, with the node's own as far as they are here already: ERR_UNAVAILABLE. */
void attempt_refusal(struct attempt *, struct err *out);
/* After ATTEMPT_HEAD: does a refusal speak of this shard?  A node that has read more of the directory
 * speaks of the one where the repository is now. */
bool attempt_is_of(const struct attempt *, uint32_t shard);
/* After ATTEMPT_HEAD: the node refuses because it has no commit log. */
bool attempt_log_away(const struct attempt *);
bool attempt_sent(const struct attempt *); /* may anything of it have reached the node? */
const char *attempt_why(const struct attempt *);

#endif
