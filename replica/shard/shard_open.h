/* replica/shard/shard_open.h - what this node asked of a shard's log and cannot tell the outcome of
 * yet, for `status` and people.  Thread: loop.
 *
 * An append is on its way for some milliseconds; one that is open for longer than SHARD_OPEN_NS is
 * one whose outcome is unknown (R5), and what is done about it is said.  Barriers are not listed:
 * they are what is done. */
#ifndef REPLICA_SHARD_SHARD_OPEN_H
#define REPLICA_SHARD_SHARD_OPEN_H

#include "gitproto/base/clock.h"
#include "replica/shard/shard.h"

#define SHARD_OPEN_NS (1 * CLOCK_SEC)

struct shard_open {
	const char *type; /* of the record: "update" */
	const char *repo; /* path; NULL: it is about none.  Borrowed for the call, as all below */
	const char *request; /* id; "-": none */
	const uint8_t *txn;  /* RECORD_ID bytes */
	uint64_t for_ns;     /* since it was asked for */
	bool decided;        /* it is in the log and effective; only the answer is still open */
	const char *doing;   /* "waiting for ..." */
};
typedef void shard_open_fn(const struct shard_open *, void *arg);

/* Calls fn (NULL: nobody) for each, the oldest first; returns how many of them are not decided. */
unsigned shard_open_each(const struct shard *, shard_open_fn *fn, void *arg);

#endif
