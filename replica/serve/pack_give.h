/* replica/serve/pack_give.h - packs between members: given to one that misses it, and fetched when
 * this node misses one (R8: any member serves any pack by its SHA-256).  Thread: loop. */
#ifndef REPLICA_SERVE_PACK_GIVE_H
#define REPLICA_SERVE_PACK_GIVE_H

#include "gitproto/net/http_server.h"

struct serve;

/* GET /gs/pack: looked for in staging, then among the packs of the repository by size and hash.  One
 * that was rolled up is made anew of its objects (pack_remake.h), and the answer says so. */
void pack_give(struct serve *, struct http_xchg *);

#endif
