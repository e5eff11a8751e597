/* replica/replica.h - one storage node: all its parts put together, started, drained, stopped.
 * Thread: main, which becomes the loop. */
#ifndef REPLICA_REPLICA_H
#define REPLICA_REPLICA_H

#include "gitproto/base/err.h"
#include "replica/replica_conf.h"

struct replica;

/* conf is borrowed until replica_free.  Errors are start-up faults: one line, exit. */
MUST_CHECK int replica_new(struct replica **out, const struct replica_conf *, struct err *);
/* Until SIGTERM (drains) or SIGINT; returns the exit status. */
int replica_run(struct replica *);
void replica_free(struct replica **);

#endif
