/* replica/serve/pack_remake.h - a pack made anew of the objects that one had which was rolled up: so
 * that any member can still serve any pack that a record named (R8), without keeping it twice.
 * Thread: a worker; it blocks as long as git takes.
 * Which objects they are says the index that repacking kept (APPLY_ROLLED), checked against the
 * record's own sum of it. */
#ifndef REPLICA_SERVE_PACK_REMAKE_H
#define REPLICA_SERVE_PACK_REMAKE_H

#include "gitproto/base/err.h"
#include "gitproto/oid.h"

struct pack_remake {
	const char *data, *home, *hooks; /* of the node */
	const char *dir;                 /* of the repository */
	const uint8_t *id;               /* its id, 16 bytes */
	enum oid_format format;
	const uint8_t *sha256, *idx_sha256; /* of the pack that is asked for, and of its index */
};
/* Opens the new pack and its index, files without a name.  ERR_NOT_FOUND: no index was kept. */
MUST_CHECK int pack_remake(int fd[2], const struct pack_remake *, struct err *);

#endif
