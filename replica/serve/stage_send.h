/* replica/serve/stage_send.h - a primary's side of staging (R8): streams a pushed pack to the other
 * voters while hooks run, and counts who has it durably.  Thread: loop.
 *
 * Memory: per voter and pack one file_send, and no more of them to one voter at a time than it has
 * slots (stage_slot.h); the others wait for one without a call.  So a slow voter holds up only
 * what is sent to it, and a push needs a majority, not all.  Once that is decided, R8 asks nothing of
 * a copy that was not confirmed: one that waits for a slot is not sent, one on its way lingers. */
#ifndef REPLICA_SERVE_STAGE_SEND_H
#define REPLICA_SERVE_STAGE_SEND_H

#include "replica/serve/pushed_pack.h"
#include "replica/shard/shard.h"

struct serve;
struct stage_send;

/* err->code 0: with this node's own copy a majority has it; otherwise it cannot be had, in words. */
typedef void stage_send_fn(const struct err *, void *arg);

/* pack is borrowed until stage_send_free; its files are duplicated. done comes once, from the loop
 * or, when this node alone is enough, before this returns. */
struct stage_send *stage_send_new(struct serve *, struct shard *, const uint8_t push[16],
				  const uint8_t repo_id[16], const struct pushed_pack *,
				  uint64_t deadline_ns, stage_send_fn *, void *arg);
/* Our own copy is fsynced, file and folder. */
void stage_send_self(struct stage_send *);
/* May an update with the present config's number be appended now? */
bool stage_send_enough(const struct stage_send *);
/* committed: the copies belong to the repository; those still on their way linger.  Otherwise (dead by
 * R5, or never to be appended) the voters are told to release them. */
void stage_send_free(struct stage_send **, bool committed);

#endif
