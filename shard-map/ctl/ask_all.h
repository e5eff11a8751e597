/* shard-map/ctl/ask_all.h - many HTTP calls to admin listeners at once.  Thread: main; blocks.
 * One answer in time is not held up by another that is late. */
#ifndef SHARD_MAP_CTL_ASK_ALL_H
#define SHARD_MAP_CTL_ASK_ALL_H

#include <jansson.h>

#include "gitproto/base/buf.h"
#include "gitproto/base/err.h"

#define ASK_ALL_MAX (256u * 1024 * 1024) /* bytes of one answer */

struct ask {
	const char *addr;   /* "host:port"; borrowed */
	const char *method; /* "GET", "POST", "DELETE" */
	const char *target; /* "/status"; borrowed */
	const char *body;   /* JSON; NULL: none; borrowed */
	/* Filled: */
	int status;   /* of HTTP; 0: no answer, err says why */
	json_t *json; /* owned: the answer, NULL when it was no JSON */
	/* Code 0 for an answer 2xx with JSON.  ERR_UNAVAILABLE: nobody listens there, nothing was
	 * asked; ERR_TIMEOUT, ERR_CLOSED: asked, no whole answer; else what the node says, by its
	 * own code and words. */
	struct err err;
	struct buf answer; /* owned; used inside */
};

void ask_all(struct ask *, size_t n, uint64_t timeout_ms);
void ask_release(struct ask *, size_t n);

#endif
