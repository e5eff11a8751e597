/* shard-map/ctl/log_call.h - the commit log for programs that wait.  Thread: any. */
#ifndef SHARD_MAP_CTL_LOG_CALL_H
#define SHARD_MAP_CTL_LOG_CALL_H

#include "gitproto/base/buf.h"
#include "shard-map/commitlog/commitlog.h"
#include "shard-map/commitlog/record.h"

/* Appends and waits for the answer.  0: it is in the log; ERR_UNKNOWN: perhaps now, perhaps later;
 * what the log said otherwise: certainly not. */
MUST_CHECK int log_call_append(struct commitlog *, uint32_t stream, struct slice bytes,
			       struct err *);
/* Reads one record; *out is yours, free of the log (record_keep).  ERR_NOT_FOUND: the stream does
 * not reach there. */
MUST_CHECK int log_call_read(struct record *out, struct commitlog *, uint32_t stream,
			     uint64_t offset, struct err *);

#endif
