/* router/back/retry.h - what may be sent twice, when, and how long to wait before.  Thread: any.
 * Pure.
 *
 * A read may be made again as long as nothing of an answer went to the client and its body is still
 * here.  A push may be made again as long as nothing of its body was sent: before its 100 a node has
 * changed nothing, after it the outcome is unknown and only the client may ask again. */
#ifndef ROUTER_BACK_RETRY_H
#define ROUTER_BACK_RETRY_H

#include "gitproto/base/defs.h"

enum retry_reason {
	RETRY_WRONG_NODE, /* 421 */
	RETRY_BUSY,       /* 503 */
	RETRY_LOST,       /* the connection broke before an answer */
	RETRY_SILENT,     /* the node's beats stopped before an answer */
	RETRY_SLOW,       /* a read waited there long enough, and another node was free */
	RETRY_NO_NODE,    /* nobody was there to be asked */
	RETRY_LOG_AWAY,   /* the node has no commit log: for a read, another one may have */
	RETRY_NREASONS
};
const char *retry_word(enum retry_reason); /* "wrong_node" */

/* Does this status say "not here, not now", with nothing changed? */
bool retry_status(int status, enum retry_reason *);

/* Milliseconds to wait before round n (1 is the first repetition) when there is nobody untried left;
 * random is any number, so that clients do not come back in step. */
unsigned retry_wait_msec(unsigned round, uint64_t random);
#define RETRY_WAIT_MAX 400u

#endif
