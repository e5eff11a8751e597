/* shard-map/commitlog/commitlog_file_write.h - the writing side of the file log: one thread that
 * puts what is queued into the database, as one transaction and one fsync for all that waits.
 * Thread: any; callbacks come on the writer's thread, those of appends whose time is over also on
 * threads that call commitlog_file_write_expire.
 *
 * Around each transaction it holds the flock of PATH-lock, so that writers of several processes
 * take turns at once instead of in SQLite's growing pauses.  What is queued has not been sent: it
 * leaves the queue only when the transaction has begun. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_FILE_WRITE_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_FILE_WRITE_H

#include "shard-map/commitlog/commitlog.h"

struct commitlog_file_db;
struct commitlog_file_write;

#define COMMITLOG_FILE_WRITE_QUEUE (64u * 1024 * 1024) /* bytes that may wait; then NOT */

struct commitlog_file_write_opts {
	const char *path;             /* copied */
	struct commitlog_file_db *db; /* its content is taken over when the call succeeds */
	int lock_fd, wake_fd;         /* taken over when the call succeeds */
	int notify_fd;                /* copied: an eventfd, written after each commit */
	uint64_t append_msec;
};
MUST_CHECK int commitlog_file_write_new(struct commitlog_file_write **out,
					const struct commitlog_file_write_opts *, struct err *);
/* Finishes what is queued, as far as it can until its time is over.  Somebody else has to call
 * commitlog_file_write_expire meanwhile.  A thread that hangs in the kernel is left behind. */
void commitlog_file_write_free(struct commitlog_file_write **);

void commitlog_file_write_append(struct commitlog_file_write *, uint32_t stream, struct slice,
				 commitlog_append_fn *, void *arg);
MUST_CHECK int commitlog_file_write_trim(struct commitlog_file_write *, uint32_t stream,
					 uint64_t head, struct err *);
/* Answers what has waited too long: queued ones NOT, those in a transaction UNKNOWN. */
void commitlog_file_write_expire(struct commitlog_file_write *);

/* Waits for the lock of writers, at most msec. */
MUST_CHECK int commitlog_file_write_lock(int lock_fd, uint64_t msec, struct err *);

#endif
