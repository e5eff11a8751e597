/* replica/repo/packs.h - what lies in objects/pack of a repository.  Thread: any; it blocks. */
#ifndef REPLICA_REPO_PACKS_H
#define REPLICA_REPO_PACKS_H

#include "gitproto/base/err.h"
#include "gitproto/base/slice.h"

struct packs_item {
	char name[65];   /* hex in pack-<name>.pack */
	uint64_t weight; /* bytes of pack and index */
	bool keep;       /* a .keep, .promisor or .mtimes lies beside it: not ours to merge */
	bool in_midx;    /* the multi-pack index covers it */
};
struct packs {
	struct packs_item *v; /* owned; lightest first */
	size_t n;
	bool midx; /* there is a multi-pack index that can be read */
};

/* Of the file name "pack-HEX" END, with hex of a hash: the hex; SLICE_NONE otherwise. */
struct slice packs_hex_of(struct slice file, const char *end);

/* Packs with their index, of the repository at dir ("ROOT/owner/name.git").  Free with
 * packs_release, also after an error.  ERR_IO. */
MUST_CHECK int packs_read(struct packs *out, const char *dir, struct err *);
void packs_release(struct packs *);

/* Calls fn with each pack's hex name in a multi-pack index, in its order; false when it is none that
 * this program can read.  Source: gitformat-pack(5), "multi-pack-index (MIDX) files". */
typedef void packs_name_fn(struct slice name, void *arg);
bool packs_midx_names(struct slice midx, packs_name_fn *, void *arg);

/* How many of n packs, lightest first, are to be merged so that each that is left weighs at least
 * twice the one before it, the merged one included: 0 or 2 and more. */
size_t packs_geometry(const uint64_t *weights, size_t n);

#endif
