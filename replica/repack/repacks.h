/* replica/repack/repacks.h - keeps the packs of all repositories of a node few (design section 8):
 * which repository is next, one at a time, and only when it is this node's turn in its shard.
 * Thread: loop.
 *
 * A repository is looked at when enough has come into it (repacks_packed), and in a slow round over
 * all of them after the start and every hour.  After a repack its repository rests twice as long as
 * that took, unless packs come faster than that. */
#ifndef REPLICA_REPACK_REPACKS_H
#define REPLICA_REPACK_REPACKS_H

#include "replica/serve/serve.h"

struct repacks;

struct repacks *repacks_new(struct serve *, size_t min_packs);
/* No new one begins, the one under way ends soon. */
void repacks_stop(struct repacks *);
/* After the worker and apply threads have ended. */
void repacks_free(struct repacks **);

/* A pack has come into the repository. */
void repacks_packed(struct repacks *, const uint8_t repo_id[16], uint64_t bytes);

struct repacks_state {
	const char *step;        /* of the one under way; NULL: none.  Borrowed */
	const char *repo;        /* its path; borrowed until the loop goes on */
	uint64_t msec;           /* it runs for so long */
	size_t waiting;          /* repositories that are due */
	uint64_t done, failed;   /* since start */
	size_t most;             /* packs of the repository that had most after its last look */
	const char *failed_repo; /* of the last failure; "" none.  Borrowed */
	const char *why;         /* of it */
	uint64_t failed_msec;    /* ago */
};
void repacks_get_state(const struct repacks *, struct repacks_state *out);

#endif
