/* replica/serve/pushed_pack.h - what a push brought: the pack in its quarantine, measured, hashed,
 * made durable, and its files held open (they survive the migration, which only links).
 * Thread: loop; the work is done on worker threads. */
#ifndef REPLICA_SERVE_PUSHED_PACK_H
#define REPLICA_SERVE_PUSHED_PACK_H

#include "gitproto/base/buf.h"
#include "gitproto/base/err.h"
#include "gitproto/net/work.h"

struct pushed_file {
	int fd; /* -1: none */
	uint64_t size;
	uint8_t sha256[32];
	struct buf bytes; /* the content, when both files are small enough to travel inline */
};

struct pushed_pack {
	bool present;  /* false: the push brought no objects */
	bool inlined;  /* bytes are filled */
	char name[65]; /* pack hash in hex, as in pack-NAME.pack */
	struct pushed_file pack, idx;
};

/* rc, err as of the examination; the pack is the caller's (pushed_pack_free). */
typedef void pushed_pack_fn(struct pushed_pack *, const struct err *, void *arg);
/* quarantine: the directory that git named.  done comes once, on the loop. */
void pushed_pack_examine(struct work *, const char *quarantine, uint64_t inline_max,
			 pushed_pack_fn *done, void *arg);
void pushed_pack_free(struct pushed_pack **);
/* Blocking: hashes a whole file. */
MUST_CHECK int pushed_file_hash(int fd, uint8_t sha256[32], uint64_t *size, struct err *);

#endif
