/* shard-map/commitlog/map_judge.h - which record of the stream of maps is the next map.
 * Thread: any; pure.  The answer is a function of the stream alone, so everyone has the same map:
 * the first record with version v+1 that is based on v and holds a map which may follow counts, all
 * others mean nothing. */
#ifndef SHARD_MAP_COMMITLOG_MAP_JUDGE_H
#define SHARD_MAP_COMMITLOG_MAP_JUDGE_H

#include "gitproto/base/err.h"
#include "shard-map/commitlog/record.h"
#include "shard-map/map.h"

/* now: the map before this record, NULL when there was none.  1: *next is the map after it (yours,
 * map_unref); 0: the record means nothing, err says why.  Negative: it cannot be judged here, and
 * nothing after it: ERR_VERSION, ERR_UNSUPPORTED (written by a newer gitshard), ERR_NOMEM. */
MUST_CHECK int map_judge(const struct map **next, const struct map *now, struct slice record,
			 struct err *err);
/* The record that makes m the map after version m->version - 1, appended to out.  txn: random. */
MUST_CHECK int map_judge_record(struct buf *out, const struct map *m, const uint8_t txn[RECORD_ID],
				struct err *err);

#endif
