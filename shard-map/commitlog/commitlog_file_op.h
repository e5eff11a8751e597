/* shard-map/commitlog/commitlog_file_op.h - one append or trim on its way through the writer of the
 * file log.  Thread: any; what guards a list guards what is in it. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_FILE_OP_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_FILE_OP_H

#include <sys/queue.h>

#include "shard-map/commitlog/commitlog.h"

enum commitlog_file_op_kind {
	COMMITLOG_FILE_OP_APPEND,
	COMMITLOG_FILE_OP_TRIM,   /* forget what lies before `offset` */
	COMMITLOG_FILE_OP_SHRINK, /* trimmed: give pages back to the file system */
};

struct commitlog_file_op {
	TAILQ_ENTRY(commitlog_file_op) link;
	enum commitlog_file_op_kind kind;
	uint32_t stream;
	uint64_t offset;   /* append: where it went; trim: the new head */
	uint64_t deadline; /* clock_boot_ns */
	int refused;       /* ERR_*: never to be sent */
	bool answered;     /* fn was called or is about to be */
	commitlog_append_fn *fn;
	void *arg;
	size_t len;
	uint8_t bytes[];
};
TAILQ_HEAD(commitlog_file_op_list, commitlog_file_op);

/* Copies bytes; NULL when there is no memory for them (never for none). */
MUST_CHECK struct commitlog_file_op *commitlog_file_op_new(enum commitlog_file_op_kind,
							   uint32_t stream, struct slice bytes,
							   commitlog_append_fn *, void *arg);
/* Tells every one of the list, unless it was told, and frees it. */
void commitlog_file_op_answer(struct commitlog_file_op_list *, enum commitlog_outcome,
			      const struct err *);

#endif
