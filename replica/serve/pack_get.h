/* replica/serve/pack_get.h - fetches packs that effective records name and this node lacks, from
 * whoever has them, for as long as it takes.  Thread: loop.
 * A pack that is still on its way as it was pushed (stage_come.h) is waited for as long as it comes
 * on: it is not sent twice over what may be a slow line.  At most four are fetched at a time, and none
 * while the disk would have less than node.min_free left. */
#ifndef REPLICA_SERVE_PACK_GET_H
#define REPLICA_SERVE_PACK_GET_H

#include "replica/apply/apply.h"

struct serve;
struct pack_gets;

struct pack_gets *pack_gets_new(struct serve *);
void pack_gets_free(struct pack_gets **);
void pack_get(struct pack_gets *, const struct apply_need *);
/* A staged pack came, or will not. */
void pack_get_look(struct pack_gets *);
/* Wanted, or fetched and not in its repository yet: its files in staging are needed. */
bool pack_get_wants(const struct pack_gets *, const uint8_t sha256[32]);
/* A record has named it, and it is being fetched for this repository. */
bool pack_get_is_fetching(const struct pack_gets *, const uint8_t repo_id[16],
			  const uint8_t sha256[32]);
uint64_t pack_gets_left(const struct pack_gets *); /* bytes still to come of those being fetched */
/* No pack of the repository is missing any more. */
void pack_get_on_whole(struct pack_gets *, const uint8_t repo_id[16]);
unsigned pack_gets_open(const struct pack_gets *, uint32_t shard);

#endif
