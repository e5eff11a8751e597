/* shard-map/commitlog/fate.h - what became of this boot's own appends (R5).
 * Thread: one at a time; pure.
 *
 * Only reading decides: call fate_asked for every reign record and claim before the append call,
 * fate_on_read for every record of the stream that is read, in order.  A delivery report, a
 * time-out and a free barrier prove nothing and have no function here. */
#ifndef SHARD_MAP_COMMITLOG_FATE_H
#define SHARD_MAP_COMMITLOG_FATE_H

#include "gitproto/base/err.h"
#include "shard-map/commitlog/record.h"
#include "shard-map/commitlog/verdict.h"

#define FATE_MAX 65536u /* open appends of one stream */

enum fate {
	FATE_OPEN,      /* nothing is known: locks stay held */
	FATE_COMMITTED, /* read, effective */
	FATE_DEAD,      /* without effect, now and for ever */
	FATE_UNKNOWN,   /* a snapshot was installed over it */
};

struct fate_entry {
	uint64_t epoch, seq; /* of the record; a claim: the epoch it asks for, 0 */
	uint64_t asked_ns;
	void *tag; /* the asker's */
	uint8_t txn[RECORD_ID];
};
struct fate_list {
	struct fate_entry *e; /* owned; open ones, e[at] .. e[at + n - 1], in the order of asking */
	size_t at, n, cap;
};

/* Called once for each append whose fate is known now, in the order of asking, after the list has
 * forgotten it; it may ask for new appends.  offset and why: of its own record when that was read,
 * else 0 and NULL. */
typedef void fate_fn(const struct fate_entry *, enum fate, uint64_t offset, void *arg);

void fate_init(struct fate_list *);
void fate_release(struct fate_list *);
/* Before the append call.  seq rises within an epoch.  ERR_UNAVAILABLE: FATE_MAX are open. */
MUST_CHECK int fate_asked(struct fate_list *, const struct record *, uint64_t now_ns, void *tag,
			  struct err *);
/* The append was certainly never sent (COMMITLOG_NOT): forgets it; false when it is not open. */
bool fate_not_sent(struct fate_list *, const uint8_t txn[RECORD_ID], void **tag);
/* A record was read; self is this boot: (node, boot), its epoch is not looked at. */
void fate_on_read(struct fate_list *, const struct record_reign *self, uint64_t offset,
		  const struct record *, enum verdict, fate_fn *, void *arg);
/* A snapshot was installed: all open ones are FATE_UNKNOWN. */
void fate_on_snapshot(struct fate_list *, fate_fn *, void *arg);
size_t fate_open(const struct fate_list *);
/* The ith open one, i < fate_open, in the order of asking; valid until the list changes. */
const struct fate_entry *fate_at(const struct fate_list *, size_t i);
uint64_t fate_oldest_ns(const struct fate_list *); /* when the oldest open one was asked; 0: none */

#endif
