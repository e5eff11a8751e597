/* shard-map/commitlog/commitlog_file_batch.h - a bounded number of records, copied out of the
 * database, so that no transaction is open while callbacks run (an open one would keep the WAL
 * from being used again from its start).  Thread: any, one at a time.
 * Order: commitlog_file_batch_init, any number of fills, commitlog_file_batch_release. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_FILE_BATCH_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_FILE_BATCH_H

#include "gitproto/base/buf.h"
#include "shard-map/commitlog/commitlog.h"

struct commitlog_file_db;

#define COMMITLOG_FILE_BATCH_RECORDS 256
#define COMMITLOG_FILE_BATCH_BYTES (4u * 1024 * 1024)

struct commitlog_file_batch {
	struct commitlog_record record[COMMITLOG_FILE_BATCH_RECORDS]; /* into bytes */
	uint32_t stream[COMMITLOG_FILE_BATCH_RECORDS];                /* of each */
	size_t n;
	bool more;         /* there may be more where these came from */
	struct buf bytes;  /* owned: the records' contents */
	uint64_t position; /* range: the offset behind the last one; tail: the last id looked at */
};

typedef bool commitlog_file_batch_want_fn(uint32_t stream, void *arg);

void commitlog_file_batch_init(struct commitlog_file_batch *);
void commitlog_file_batch_release(struct commitlog_file_batch *);

/* At most max records of a stream from an offset on.  ERR_NOT_FOUND: trimmed past it; ERR_CORRUPT:
 * the stream ends before it, or has a hole; others: the database could not be read. */
MUST_CHECK int commitlog_file_batch_range(struct commitlog_file_batch *, struct commitlog_file_db *,
					  uint32_t stream, uint64_t from, uint64_t max,
					  struct err *);
/* Records of wanted streams with an id above the given one. */
MUST_CHECK int commitlog_file_batch_tail(struct commitlog_file_batch *, struct commitlog_file_db *,
					 uint64_t id, commitlog_file_batch_want_fn *, void *arg,
					 struct err *);
/* How many records from i on are of one stream, without a gap; 0 at the end. */
size_t commitlog_file_batch_run(const struct commitlog_file_batch *, size_t i);

#endif
