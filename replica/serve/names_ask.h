/* replica/serve/names_ask.h - asks a shard's primary, on this node or another, whether it has something
 * of a name.  Thread: loop. */
#ifndef REPLICA_SERVE_NAMES_ASK_H
#define REPLICA_SERVE_NAMES_ASK_H

#include "replica/serve/names.h"

struct names_ask;

/* 0: nothing; ERR_EXISTS; ERR_CONFLICT: somebody holds the name there (not with queue);
 * ERR_UNAVAILABLE: no answer by the deadline.  In it the ask may be freed. */
typedef void names_ask_fn(int rc, void *arg);
/* done comes once, from the loop, after this returned.  queue: waits there for who holds the name. */
struct names_ask *names_ask_new(struct serve *, uint32_t shard, const struct smart_path_repo *,
				bool queue, uint64_t deadline_ns, names_ask_fn *done, void *arg);
void names_ask_free(struct names_ask **); /* before its done too */

/* names.c: the same of this node's own shard: ERR_EXISTS when something has it, ERR_CONFLICT,
 * ERR_WRONG_NODE, ERR_UNAVAILABLE. */
void names_is_free(struct names *, struct shard *, const struct smart_path_repo *, bool queue,
		   names_fn *done, void *arg);

#endif
