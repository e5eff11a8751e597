/* shard-map/commitlog/commitlog_file.h - the log in one SQLite database, for all processes of one
 * machine ("file:PATH").  Thread: as commitlog.h.
 *
 * PATH (with -wal and -shm beside it) holds the records, PATH-lock is locked around every write,
 * PATH-wake gets a byte after every commit; the others watch it.  Every handle has a thread that
 * writes (appends in groups, one fsync a group) and one that reads.
 *
 * It is one machine and one disk: refused without allow_weak.  A process that is stopped in the
 * middle of a write holds up the writers of all others (their appends end as COMMITLOG_NOT), never
 * the readers.  Not for network file systems: WAL needs shared memory.
 * Never open PATH itself in a process that has a handle on it: closing that descriptor would drop
 * SQLite's locks (fcntl). */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_FILE_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_FILE_H

struct commitlog_backend;
extern const struct commitlog_backend commitlog_file_backend;

#endif
