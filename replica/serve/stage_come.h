/* replica/serve/stage_come.h - packs of pushes on their way to this member: received, made durable, with
 * a hold (stage_hold.h), confirmed.  Thread: loop.
 *
 * Bounds: at once no more from one node than its share of node.stage_budget has slots
 * (stage_slot.h), and nothing that would leave less than node.min_free on the disk, what is still to
 * come of others counted in.  What is over either is refused in words (503, 507); its primary asks
 * again, counts other voters, or this node fetches the pack once a record names it. */
#ifndef REPLICA_SERVE_STAGE_COME_H
#define REPLICA_SERVE_STAGE_COME_H

#include "gitproto/net/http_server.h"
#include "replica/shard/shard.h"

struct serve;
struct stage_comes;

struct stage_comes *stage_comes_new(struct serve *);
/* Nothing comes any more: the listener is gone, and what it brought. */
void stage_comes_free(struct stage_comes **);
void stage_come_receive(struct stage_comes *, struct http_xchg *, struct shard *); /* POST stage */
/* Is that pack on its way, and how much of it is here? */
bool stage_come_find(const struct stage_comes *, const uint8_t sha256[32], uint64_t *got);
unsigned stage_comes_count(const struct stage_comes *);
uint64_t stage_comes_left(const struct stage_comes *); /* bytes still to come */

#endif
