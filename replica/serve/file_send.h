/* replica/serve/file_send.h - files into a stream, read by worker threads, with the stream's
 * back-pressure.  Thread: loop. */
#ifndef REPLICA_SERVE_FILE_SEND_H
#define REPLICA_SERVE_FILE_SEND_H

#include "gitproto/base/err.h"
#include "gitproto/net/stream.h"
#include "gitproto/net/work.h"

struct file_send;

/* rc 0: all is in the stream's queue (not ended); otherwise a file could not be read.  The stream's
 * own death is the caller's to notice. */
typedef void file_send_fn(int rc, void *arg);

/* fds are duplicated; n <= 2.  The caller hands the stream's WRITABLE to file_send_go_on. */
struct file_send *file_send_new(struct work *, struct stream *, const int *fds,
				const uint64_t *sizes, unsigned n, file_send_fn *, void *arg);
void file_send_go_on(struct file_send *);
void file_send_free(struct file_send **); /* at any time */

#endif
