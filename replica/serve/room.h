/* replica/serve/room.h - may something be written that takes space?  Thread: loop; two or three
 * system calls.  Asked before anything is begun: a disk that is full in the middle costs more. */
#ifndef REPLICA_SERVE_ROOM_H
#define REPLICA_SERVE_ROOM_H

#include "gitproto/base/err.h"

struct serve;

/* Are node.min_free and `bytes` more free where repositories and our own data lie?  ERR_FULL in words
 * for whoever pushes. */
MUST_CHECK int room_on_node(const struct serve *, uint64_t bytes, struct err *);
/* The same, and node.min_free where the log lies, as far as that is a disk of this machine. */
MUST_CHECK int room_for_change(const struct serve *, struct err *);

#endif
