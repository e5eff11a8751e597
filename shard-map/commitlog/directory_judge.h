/* shard-map/commitlog/directory_judge.h - which record of the stream of exceptions counts.
 * Thread: one; pure.  The answer is a function of the stream alone, so everyone has the same directory.
 *
 * A record says by `seen` what its writer had read.  It counts when since then no other record of its
 * key came, counted or not, and since then is no longer ago than DIRECTORY_JUDGE_WINDOW records.  So of
 * two who want one name only the first gets it; and who has read back a record of his own knows that
 * whatever was asked for before it, and is late, means nothing.  That alone is what a record of shard
 * DIRECTORY_SAME is for. */
#ifndef SHARD_MAP_COMMITLOG_DIRECTORY_JUDGE_H
#define SHARD_MAP_COMMITLOG_DIRECTORY_JUDGE_H

#include "shard-map/commitlog/record.h"
#include "shard-map/directory.h"

#define DIRECTORY_JUDGE_WINDOW 4096u

struct directory_judge {
	uint64_t first, next;                  /* offsets that were seen: first .. next - 1 */
	uint64_t keys[DIRECTORY_JUDGE_WINDOW]; /* hash of the key at that offset; 0: none */
};

/* All zero is the state before the first record.  Takes them in order, each once; d may be changed.
 * txn (may be NULL) gets the record's.  1: it counts; 0: it means nothing, to everyone.  Negative: it
 * cannot be judged here: ERR_VERSION, ERR_UNSUPPORTED, ERR_NOMEM. */
MUST_CHECK int directory_judge(struct directory_judge *, struct directory *d,
			       const uint8_t uuid[16], uint64_t offset, struct slice bytes,
			       uint8_t txn[RECORD_ID], struct err *err);

/* The record that makes key live in shard, appended to out.  read: its writer has read all below. */
MUST_CHECK int directory_judge_record(struct buf *out, const uint8_t uuid[16], uint64_t read,
				      struct slice key, uint32_t shard, const char *reason,
				      const uint8_t txn[RECORD_ID], struct err *err);

/* The reason of a record that takes a name for a repository that had another: by it a rename is known
 * later to have been done. */
#define DIRECTORY_JUDGE_RENAME (DIRECTORY_KEY_MAX + 64u)
void directory_judge_rename(char *out, size_t size, const char *old_name,
			    const uint8_t id[RECORD_ID]);

#endif
