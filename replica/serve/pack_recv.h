/* replica/serve/pack_recv.h - a pack and its index from a stream into DATA/staging, checked against
 * their hashes and durable.  Thread: loop; writing and hashing on worker threads.
 * The names appear only when everything is on disk: STAGING/<sha256 of the pack>.pack and .idx. */
#ifndef REPLICA_SERVE_PACK_RECV_H
#define REPLICA_SERVE_PACK_RECV_H

#include "gitproto/base/err.h"
#include "gitproto/net/stream.h"
#include "gitproto/net/work.h"

struct pack_name {
	uint8_t sha256[32], idx_sha256[32];
	uint64_t size, idx_size;
};
struct pack_recv;
/* err->code 0: both files are in place.  The recv may be freed inside. */
typedef void pack_recv_fn(const struct err *, void *arg);

struct pack_recv *pack_recv_new(struct work *, const char *staging, struct stream *,
				const struct pack_name *, pack_recv_fn *, void *arg);
/* The stream's READABLE and DEAD are the recv's until here. */
void pack_recv_free(struct pack_recv **);
/* The same; gone(arg) comes once no file of it can appear any more, perhaps before it returns: a
 * worker may be giving the files their names at this moment. */
void pack_recv_drop(struct pack_recv **, loop_fn *gone, void *arg);

uint64_t pack_recv_left(const struct pack_recv *); /* bytes of both files that did not come yet */

/* "HEX:SIZE" */
MUST_CHECK bool pack_name_parse(uint8_t sha256[32], uint64_t *size, const char *text);
#define PACK_NAME_TEXT 96
void pack_name_format(char out[PACK_NAME_TEXT], const uint8_t sha256[32], uint64_t size);

#endif
