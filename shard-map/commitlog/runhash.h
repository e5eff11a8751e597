/* shard-map/commitlog/runhash.h - running hashes after the last W offsets of a stream (R12).
 * Thread: one at a time; pure.  Finds a log that was cut or replaced: other writers' records name
 * an offset and the hash there, and a re-read of the log's own bytes is compared too. */
#ifndef SHARD_MAP_COMMITLOG_RUNHASH_H
#define SHARD_MAP_COMMITLOG_RUNHASH_H

#include "gitproto/base/buf.h"
#include "gitproto/base/err.h"
#include "shard-map/commitlog/record.h"

#define RUNHASH_WINDOW 4096u /* W */

enum runhash_answer {
	RUNHASH_SAME,
	RUNHASH_DIFFERS,
	RUNHASH_OLD,   /* before the window: not checked any more */
	RUNHASH_AHEAD, /* not read yet: ask again then */
};

struct runhash {
	uint64_t next;                /* offset of the next record */
	uint8_t now[RECORD_HASH];     /* running hash before it; zero at offset 0 */
	uint32_t n;                   /* offsets kept, <= RUNHASH_WINDOW: next-n .. next-1 */
	uint8_t (*ring)[RECORD_HASH]; /* owned; hash after offset o at o % RUNHASH_WINDOW */
};

void runhash_init(struct runhash *); /* a stream of which nothing was read */
void runhash_release(struct runhash *);
/* The record at r->next was read. */
void runhash_add(struct runhash *, struct slice bytes);
/* Puts back what was stored: the hash after offset (== next, or any when none is kept). */
void runhash_load(struct runhash *, uint64_t offset, const uint8_t hash[RECORD_HASH]);
/* The hash after offset is claimed to be `hash`. */
enum runhash_answer runhash_check(const struct runhash *, uint64_t offset,
				  const uint8_t hash[RECORD_HASH]);
/* What the record says its writer had seen (RECORD_SEEN_NONE: same). */
enum runhash_answer runhash_check_record(const struct runhash *, const struct record *);
/* Borrowed, until the next add; NULL when not kept. */
const uint8_t *runhash_at(const struct runhash *, uint64_t offset);

/* As bytes, for a snapshot. */
void runhash_encode(struct buf *, const struct runhash *);
MUST_CHECK int runhash_decode(struct runhash *out, struct slice, struct err *);

#endif
