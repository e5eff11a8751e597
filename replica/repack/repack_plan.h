/* replica/repack/repack_plan.h - which packs of a repository are merged, and whether the multi-pack index
 * has to be written anew.  Pure.  Thread: any. */
#ifndef REPLICA_REPACK_REPACK_PLAN_H
#define REPLICA_REPACK_REPACK_PLAN_H

#include "replica/repo/packs.h"
#include "replica/shard/catalog.h"

struct repack_plan {
	bool *merge;     /* owned, of packs->v */
	uint64_t weight; /* of those; 0: none */
	size_t left;     /* out of order, and too few to be merged yet */
	bool index;      /* a new multi-pack index is due */
	bool *cover;     /* owned, of packs->v: it is to be in that */
	bool cover_made; /* so is the merged one */
};

/* Only packs that are known and not kept are merged, when min_packs of them are out of order.  The index
 * covers what is heavy, a sixteenth of all and more: the light ones are merged again soon, and an index
 * of the whole repository is too dear to be written each time.  It is due when one of its packs goes, or
 * when as much that is heavy lies outside it as inside, a few MB at least; or with the first merge.  Free
 * with repack_plan_release. */
void repack_plan_make(struct repack_plan *out, const struct packs *,
		      const enum catalog_pack_kind *kinds, size_t min_packs);
void repack_plan_release(struct repack_plan *);

#endif
