/* shard-map/commitlog/directory_log.h - the directory through the log: followed, looked at afresh,
 * written.  Thread: the given loop, but for directory_log_begin (any).
 *
 * Who follows knows it as of some moment ago.  A look proves what it says: its done comes when all is
 * read that was in the stream when the look was asked for.  Which records count: directory_judge.h. */
#ifndef SHARD_MAP_COMMITLOG_DIRECTORY_LOG_H
#define SHARD_MAP_COMMITLOG_DIRECTORY_LOG_H

#include "gitproto/base/err.h"
#include "gitproto/net/loop.h"
#include "shard-map/commitlog/commitlog.h"
#include "shard-map/directory.h"

struct directory_log;

/* trouble: on a log thread, as of commitlog_read; records that cannot be judged here are told so too.
 * The log is borrowed and closed after directory_log_free. */
struct directory_log *directory_log_new(struct commitlog *, struct loop *,
					commitlog_trouble_fn *trouble, void *arg);
/* Who waits is told ERR_UNAVAILABLE. */
void directory_log_free(struct directory_log **);
/* Once: of the cluster with this uuid. */
void directory_log_begin(struct directory_log *, const uint8_t uuid[16]);
const struct directory *directory_log_directory(
	const struct directory_log *); /* any thread reads */

typedef void directory_log_fn(int rc, void *arg);
/* done comes once, from the loop, after this returned: 0, or ERR_UNAVAILABLE when the log does not
 * answer within msec. */
void directory_log_look(struct directory_log *, uint64_t msec, directory_log_fn *done, void *arg);
/* How much of the stream the directory holds at least: taken before it is looked at, it is what a record
 * that is decided by that look has to name. */
uint64_t directory_log_read(struct directory_log *);
/* Lets repo's key live in shard (or DIRECTORY_NONE, DIRECTORY_SAME).  0: read back, it counts;
 * ERR_CONFLICT: another record of the key was quicker, look at the directory again; ERR_UNAVAILABLE:
 * not read back within msec, it may still come and count, unless a later record of the key is read
 * before.  done as above.  reason: for people, copied. */
void directory_log_put(struct directory_log *, uint64_t read, struct slice repo, uint32_t shard,
		       const char *reason, uint64_t msec, directory_log_fn *done, void *arg);

#endif
