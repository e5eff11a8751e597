/* shard-map/commitlog/commitlog_subs.h - the subscriptions of one handle on a log: where each
 * stands, and the calls to their owners.  Thread: any for add and remove, the reader's for all
 * else.  Has a lock of its own, which is free while callbacks run.
 *
 * States:  BEHIND -> IN_STEP   it was given all that was there
 *          IN_STEP -> BEHIND   the tail skipped something, or the log could not be read
 *          any -> OVER         trimmed, cut or damaged: its owner was told, it is read no more */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_SUBS_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_SUBS_H

#include "shard-map/commitlog/commitlog.h"

struct commitlog_subs;

struct commitlog_subs *commitlog_subs_new(void);
void commitlog_subs_free(struct commitlog_subs **); /* no callback runs */
/* The calling thread is the one that makes the calls. */
void commitlog_subs_own(struct commitlog_subs *);

void commitlog_subs_add(struct commitlog_subs *, uint32_t stream, uint64_t from,
			commitlog_read_fn *, commitlog_trouble_fn *, void *arg);
/* Waits for a running callback of the stream, unless called on the thread that makes the calls. */
void commitlog_subs_remove(struct commitlog_subs *, uint32_t stream);

/* The subscription that is behind and whose turn it is. */
struct commitlog_subs_turn {
	uint64_t serial; /* names it: a new one of the same stream has another */
	uint32_t stream;
	uint64_t from; /* the offset it wants next */
};
MUST_CHECK bool commitlog_subs_behind(struct commitlog_subs *, struct commitlog_subs_turn *out);
/* It was read: tells that the log is back if it was away, hands over the records (n may be 0, the
 * first is the one wanted), and puts it in step when there is no more. */
void commitlog_subs_catch_up(struct commitlog_subs *, const struct commitlog_subs_turn *,
			     const struct commitlog_record *, size_t n, bool more);
/* It could not be read. */
void commitlog_subs_fail(struct commitlog_subs *, const struct commitlog_subs_turn *,
			 const struct err *);
/* Nothing could be read. */
void commitlog_subs_fail_all(struct commitlog_subs *, const struct err *);

bool commitlog_subs_in_step(struct commitlog_subs *, uint32_t stream);
/* A run of records of one stream from the tail; what its subscription had already is left out. */
void commitlog_subs_tail(struct commitlog_subs *, uint32_t stream, const struct commitlog_record *,
			 size_t n);
/* The stream's next offset, as the database has it: finds what the tail did not show (a trim). */
void commitlog_subs_compare(struct commitlog_subs *, uint32_t stream, uint64_t next);

#endif
