/* replica/serve/file_send.h - files into a stream, read by worker threads, with the stream's
 * back-pressure.  Thread: loop.
 * Memory: one piece of 256K, and the stream's queue of less than STREAM_HIGH and a piece. */
#ifndef REPLICA_SERVE_FILE_SEND_H
#define REPLICA_SERVE_FILE_SEND_H

#include "gitproto/base/err.h"
#include "gitproto/net/stream.h"
#include "gitproto/net/work.h"
#include "replica/repo/replica_stats.h"

struct file_send;

/* rc 0: all is in the stream's queue (not ended); otherwise a file could not be read.  The stream's
 * own death is the caller's to notice. */
typedef void file_send_fn(int rc, void *arg);

/* fds are duplicated; n <= 2; `to` is what the bytes are counted as.  The caller hands the stream's
 * WRITABLE to file_send_go_on. */
struct file_send *file_send_new(struct work *, struct stream *, const int *fds,
				const uint64_t *sizes, unsigned n, enum pack_to to, file_send_fn *,
				void *arg);
void file_send_go_on(struct file_send *);
uint64_t file_send_left(const struct file_send *); /* bytes not in the stream's queue yet */
void file_send_free(struct file_send **);          /* at any time */

#endif
