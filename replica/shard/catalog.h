/* replica/shard/catalog.h - the truth on a node: one SQLite database (WAL, synchronous=FULL).
 * Thread: apply thread (catalog_open by main before it starts); not thread-safe.
 * Everything between catalog_begin and catalog_commit becomes durable together, or not at all.
 * `PRAGMA user_version` holds the format; a newer one is refused (ERR_VERSION). */
#ifndef REPLICA_SHARD_CATALOG_H
#define REPLICA_SHARD_CATALOG_H

#include "gitproto/base/err.h"
#include "gitproto/base/slice.h"
#include "gitproto/oid.h"

struct catalog;

/* Who this disk is (protocol section 1). */
struct catalog_identity {
	char cluster[64];
	char node[64];
	uint8_t incarnation[16]; /* made when the disk is first used */
	uint64_t start;          /* number of this start, counted and durable on open */
};
/* Opens or creates DATA/catalog.db and takes the exclusive lock on DATA/lock (flock, O_CLOEXEC):
 * ERR_REFUSED when another process holds it or when the disk belongs to another cluster or node. */
MUST_CHECK int catalog_open(struct catalog **out, const char *data, const char *cluster,
			    const char *node, struct catalog_identity *, struct err *);
void catalog_close(struct catalog **);

#endif
