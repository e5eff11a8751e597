/* router/front/forward.h - heads written anew between client and node: nothing passes that is not
 * named here.  Thread: any.  Pure.  Fields: docs/node-api.md. */
#ifndef ROUTER_FRONT_FORWARD_H
#define ROUTER_FRONT_FORWARD_H

#include "gitproto/net/http.h"
#include "gitproto/smart_path.h"

struct forward {
	const struct smart_path *path;
	const struct http_head *from; /* the client's request */
	const char *peer;             /* "127.0.0.1:5555" */
	const char *id;               /* of the request, 16 hex digits */
	uint64_t map;
	uint32_t shard;
	uint64_t epoch;
};
/* The request to a node; *out is owned by the caller.  ERR_TOO_BIG. */
MUST_CHECK int forward_request(struct http_head **out, const struct forward *, struct err *);
/* The answer to a client; owned by the caller.  ERR_TOO_BIG. */
MUST_CHECK int forward_response(struct http_head **out, const struct http_head *from,
				const char *id, struct err *);
/* The address alone of "127.0.0.1:5555" or "[::1]:5555", brackets dropped. */
struct slice forward_peer_host(const char *peer);

#endif
