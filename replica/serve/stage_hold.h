/* replica/serve/stage_hold.h - a member's side of staging (R8): packs of pushes that are not decided
 * yet, confirmed (stage_come.h), and kept until the log says what became of them.
 * Thread: loop.  No time-out frees a pack that was confirmed.  One that an effective record has brought
 * into its repository leaves staging within seconds, also when the hold came after the record. */
#ifndef REPLICA_SERVE_STAGE_HOLD_H
#define REPLICA_SERVE_STAGE_HOLD_H

#include "gitproto/net/http_server.h"
#include "replica/shard/shard.h"

struct serve;
struct stage_holds;

/* Reads what lies in DATA/staging; leftovers without a hold are removed. */
MUST_CHECK int stage_holds_new(struct stage_holds **out, struct serve *, struct err *);
void stage_holds_free(struct stage_holds **);
void stage_hold_release(struct stage_holds *, struct http_xchg *,
			struct shard *); /* POST release */
/* A record of the shard was judged; then, that all below next is durable here. */
void stage_hold_on_note(struct stage_holds *, uint32_t shard, uint64_t offset,
			const struct record *, enum verdict);
void stage_hold_on_applied(struct stage_holds *, uint32_t shard, uint64_t next);
/* At start, once the shard's state is known: holds of reigns that are over end. */
void stage_hold_on_state(struct stage_holds *, uint32_t shard, const struct verdict_state *);
/* Does that pack lie here whole, with a confirmed hold? */
bool stage_hold_has(const struct stage_holds *, const uint8_t sha256[32]);
/* A pack that was fetched for a record is in its repository: its copy in staging may go. */
void stage_hold_fetched(struct stage_holds *, const uint8_t sha256[32]);
size_t stage_holds_count(const struct stage_holds *);
/* DATA/staging */
const char *stage_holds_dir(const struct stage_holds *);

#endif
