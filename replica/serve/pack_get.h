/* replica/serve/pack_get.h - fetches packs that effective records name and this node lacks, from
 * whoever has them, for as long as it takes.  Thread: loop. */
#ifndef REPLICA_SERVE_PACK_GET_H
#define REPLICA_SERVE_PACK_GET_H

#include "replica/apply/apply.h"

struct serve;
struct pack_gets;

struct pack_gets *pack_gets_new(struct serve *);
void pack_gets_free(struct pack_gets **);
void pack_get(struct pack_gets *, const struct apply_need *);
/* No pack of the repository is missing any more. */
void pack_get_on_whole(struct pack_gets *, const uint8_t repo_id[16]);
unsigned pack_gets_open(const struct pack_gets *, uint32_t shard);

#endif
