/* shard-map/commitlog/commitlog_room.h - is there room where the log is kept?  Thread: any; one
 * system call.  A log that fills up takes barriers no more, and without them no read can be proved:
 * whoever brings large records asks before. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_ROOM_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_ROOM_H

#include "gitproto/base/defs.h"

/* Bytes that are free where the log of this URL lies; UINT64_MAX when this machine cannot tell, or
 * when it is not this machine's disk. */
uint64_t commitlog_room(const char *url);

#endif
