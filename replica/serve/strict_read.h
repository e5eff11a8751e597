/* replica/serve/strict_read.h - how a read proves that it is fresh (protocol R7).  Thread: loop.
 *
 *	lease	 at the primary, under its lease: free
 *	ask	 at a follower: the primary says what it has read up to
 *	barrier	 at any member, without a primary: a free record of its own, read back
 *
 * A read that arrives while an ask or barrier is under way waits for the next one: it may only join
 * what has not been sent. */
#ifndef REPLICA_SERVE_STRICT_READ_H
#define REPLICA_SERVE_STRICT_READ_H

#include "gitproto/net/http_server.h"
#include "replica/shard/shard.h"

struct serve;
struct strict_reads;

struct strict_reads *strict_reads_new(struct serve *);
void strict_reads_free(struct strict_reads **);

/* done once: 0 and the offset that the read must see applied (shard_wait), or ERR_UNAVAILABLE. */
void strict_read(struct strict_reads *, struct shard *, shard_read_fn *done, void *arg);
/* The answer to GET /gs/position. */
void strict_read_answer(struct serve *, struct http_xchg *, struct shard *);

#endif
