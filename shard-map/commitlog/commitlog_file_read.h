/* shard-map/commitlog/commitlog_file_read.h - the reading side of the file log: one thread that
 * follows the whole database by record id and hands every subscription what is its own.
 * Thread: any; callbacks come on the reader's thread.
 *
 * A subscription is behind (it reads its stream by offset, in batches, in turn with the others) or
 * in step (it is served from the common tail), or over (after a trouble that ends it).  The thread
 * wakes by a commit of this handle, by the byte in PATH-wake, and every second. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_FILE_READ_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_FILE_READ_H

#include "shard-map/commitlog/commitlog.h"

struct commitlog_file_db;
struct commitlog_file_read;

struct commitlog_file_read_opts {
	const char *wake_path;        /* watched */
	struct commitlog_file_db *db; /* its content is taken over when the call succeeds */
	const char *path;             /* copied */
	unsigned tick_msec;           /* between two calls of on_tick, at most 1000 */
	void (*on_tick)(void *arg);   /* on the reader's thread */
	void *arg;
};
MUST_CHECK int commitlog_file_read_new(struct commitlog_file_read **out,
				       const struct commitlog_file_read_opts *, struct err *);
/* The thread begins here: on_tick may come from now on. */
MUST_CHECK int commitlog_file_read_start(struct commitlog_file_read *, struct err *);
/* Ends the thread; the other functions stay allowed, without effect. */
void commitlog_file_read_stop(struct commitlog_file_read *);
void commitlog_file_read_free(struct commitlog_file_read **); /* stopped, or never started */

/* Writing to it makes the thread look; valid until free. */
int commitlog_file_read_notify_fd(const struct commitlog_file_read *);

/* As commitlog_read and commitlog_unread.  One subscription a stream (CHECK). */
void commitlog_file_read_add(struct commitlog_file_read *, uint32_t stream, uint64_t from,
			     commitlog_read_fn *, commitlog_trouble_fn *, void *arg);
void commitlog_file_read_remove(struct commitlog_file_read *, uint32_t stream);

#endif
