/* shard-map/commitlog/commitlog_file_trim.h - forgetting the beginning of a stream, in steps that
 * leave the log free for appends between them.  Thread: the writer's, in its transaction. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_FILE_TRIM_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_FILE_TRIM_H

#include "gitproto/base/err.h"

struct commitlog_file_db;
struct commitlog_file_op;

/* One step of a trim or shrink op, with its commit; *more: the op has to come again.  ERR_BAD: the
 * stream ends before the wanted head.  After an error the transaction is the caller's to undo. */
MUST_CHECK int commitlog_file_trim_step(struct commitlog_file_db *, struct commitlog_file_op *,
					bool *more, struct err *);

#endif
