/* replica/serve/fetch.h - THE LIFE OF A FETCH on a node: info/refs of both services, v2 ls-refs and
 * upload-pack.  Thread: loop.  Steps stand in file order in fetch.c. */
#ifndef REPLICA_SERVE_FETCH_H
#define REPLICA_SERVE_FETCH_H

#include "gitproto/net/http_server.h"
#include "gitproto/smart_path.h"

struct serve;

/* GET info/refs (both services) and POST git-upload-pack.  The exchange is answered, always. */
void fetch_start(struct serve *, struct http_xchg *, const struct smart_path *);

#endif
