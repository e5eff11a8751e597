/* replica/serve/room.h - may something be written that takes space?  Thread: loop; two or three
 * system calls.  Asked before anything is begun: a disk that is full in the middle costs more. */
#ifndef REPLICA_SERVE_ROOM_H
#define REPLICA_SERVE_ROOM_H

#include "gitproto/base/err.h"

struct serve;

/* Is node.min_free free where repositories, our own data and the log lie, the log as far as that is
 * a disk of this machine?  ERR_FULL in words for whoever pushes. */
MUST_CHECK int room_for_change(const struct serve *, struct err *);
/* Are node.min_free, so many bytes, and what is still to come of packs on their way here, free where
 * staged packs lie? */
MUST_CHECK int room_for_pack(const struct serve *, uint64_t bytes, struct err *);

#endif
