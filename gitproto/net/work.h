/* gitproto/net/work.h - a few threads for what may block: disk, hashing.  Thread: loop.
 * A job runs on one of the threads, then its done function on the loop.  Jobs start in order. */
#ifndef GITPROTO_NET_WORK_H
#define GITPROTO_NET_WORK_H

#include "gitproto/net/loop.h"

struct work;

struct work *work_new(struct loop *, unsigned threads);
/* Jobs not begun are dropped without their done; those under way are waited for. */
void work_free(struct work **);
/* run(arg) on a worker, then done(arg) on the loop. */
void work_do(struct work *, void (*run)(void *arg), loop_fn *done, void *arg);

#endif
