/* replica/repack/repack.h - one repository's packs, made few: the small ones are merged until each
 * that is left weighs twice the one before (git's geometric repack), and a multi-pack index with
 * bitmap and the commit-graph are written when the old ones do not fit any more.  Thread: loop; disk
 * work on workers, the exchange itself on the apply thread, git in a child.
 *
 * Nothing is ever dropped: the new pack has all objects of those it replaces, reachable or not, and
 * is durable before one of them goes.  Packs that no effective record named are left alone: they
 * belong to a push that is not decided.  Readers find an object in the old or in the new pack: git
 * looks again when a pack is gone. */
#ifndef REPLICA_REPACK_REPACK_H
#define REPLICA_REPACK_REPACK_H

#include "replica/serve/serve.h"

struct repack;

struct repack_opts {
	size_t min_packs; /* merge when so many are out of order */
	int nice;         /* of the git children */
};
struct repack_result {
	struct err err;       /* code 0: done, perhaps nothing to do */
	size_t before, after; /* packs of the repository */
	size_t left;          /* too few to be merged yet */
	size_t merged;        /* packs that went; 0: none */
	bool indexed;         /* multi-pack index and commit-graph were written */
};
/* Comes once, from the loop; the repack may be freed inside. */
typedef void repack_fn(const struct repack_result *, void *arg);

struct repack *repack_new(struct serve *, struct repo *, const struct repack_opts *, repack_fn *,
			  void *arg);
const char *repack_step(const struct repack *); /* word for status */
/* Its child is told to end; done comes soon, with an error.  What was exchanged stays valid. */
void repack_stop(struct repack *);
/* In done or after it, or when the worker and apply threads have ended. */
void repack_free(struct repack **);

#endif
