#include "shard-map/commitlog/commitlog_file_op.h"

#include <stdlib.h>
#include <string.h>

#include "gitproto/base/mem.h"

struct commitlog_file_op *
commitlog_file_op_new(enum commitlog_file_op_kind kind, uint32_t stream, struct slice bytes,
		      commitlog_append_fn *fn, void *arg)
{
	struct commitlog_file_op *op;

	op = bytes.len > 0 ? mem_try_alloc(sizeof(*op) + bytes.len) : mem_alloc(sizeof(*op));
	if (op == NULL)
		return NULL;
	op->kind = kind;
	op->stream = stream;
	op->fn = fn;
	op->arg = arg;
	op->len = bytes.len;
	if (bytes.len > 0)
		memcpy(op->bytes, bytes.p, bytes.len);
	return op;
}

void
commitlog_file_op_answer(struct commitlog_file_op_list *list, enum commitlog_outcome outcome,
			 const struct err *err)
{
	struct commitlog_file_op *op;

	while ((op = TAILQ_FIRST(list)) != NULL) {
		TAILQ_REMOVE(list, op, link);
		if (!op->answered)
			op->fn(outcome, outcome == COMMITLOG_AT ? op->offset : 0, err, op->arg);
		free(op);
	}
}
