/* replica/repo/repo_lock.h - the write lock of a repository: first come, first served, with a
 * deadline.  Thread: loop.  Held from validation to apply of one push, never while a client uploads
 * or a foreign hook runs; while the fate of an append is open it stays held (protocol R5). */
#ifndef REPLICA_REPO_REPO_LOCK_H
#define REPLICA_REPO_REPO_LOCK_H

#include "gitproto/base/err.h"
#include "gitproto/net/loop.h"

struct repo_locks;
struct repo_lock; /* a place in the queue, or the lock itself */

/* rc 0: yours until repo_lock_give; ERR_TIMEOUT: the deadline passed, the place is gone. */
typedef void repo_lock_fn(int rc, void *arg);

struct repo_locks *repo_locks_new(struct loop *);
void repo_locks_free(struct repo_locks **); /* who holds or waits is forgotten without a word */
/* done comes once, from the loop, after this returned. */
struct repo_lock *repo_lock_take(struct repo_locks *, const uint8_t repo_id[16],
				 uint64_t deadline_ns, repo_lock_fn *done, void *arg);
/* Gives the lock back, or leaves the queue; never for one whose done said ERR_TIMEOUT. */
void repo_lock_give(struct repo_lock **);
unsigned repo_locks_held(const struct repo_locks *);

#endif
