/* replica/serve/stage_hold_impl.h - what the files of a member's side of staging share; for them alone:
 * stage_hold.c keeps the holds, stage_come.c takes packs in. */
#ifndef REPLICA_SERVE_STAGE_HOLD_IMPL_H
#define REPLICA_SERVE_STAGE_HOLD_IMPL_H

#include <sys/queue.h>

#include "gitproto/base/buf.h"
#include "replica/serve/stage_hold.h"
#include "shard-map/commitlog/staging.h"

#define STAGE_HOLD_FILE_MAX 65536
/* An unknown offset: the log has not decided about this hold. */
#define STAGE_HOLD_OPEN UINT64_MAX

struct hold {
	uint32_t shard;
	uint8_t repo[16];
	struct staging_hold h;
	bool confirmed;      /* false: the pack is still coming */
	bool released;       /* meanwhile: it will not be confirmed */
	uint64_t decided_at; /* offset of the record that ended it; STAGE_HOLD_OPEN */
	LIST_ENTRY(hold) next;
};

/* The hold is the list's. */
struct hold *stage_hold_add(struct stage_holds *, uint32_t shard, const uint8_t repo[16],
			    const struct staging_hold *);
/* Frees it; the files go with the last hold of the pack, unless a need waits for them. */
void stage_hold_end(struct stage_holds *, struct hold *);
/* The holds of one pack, as its .hold file has them. */
void stage_hold_encode(struct buf *out, const struct stage_holds *, const uint8_t sha256[32]);
/* Reign, push and pack of a request's head. */
MUST_CHECK int stage_hold_parse(struct staging_hold *, uint64_t *size, const struct http_head *,
				struct err *);

#endif
