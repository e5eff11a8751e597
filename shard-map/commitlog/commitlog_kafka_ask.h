/* shard-map/commitlog/commitlog_kafka_ask.h - the control handle: questions that block.
 * Thread: any that may block, several at a time; the handle is lent by whoever opened it.
 *
 * A broker that was stopped and goes on may for a moment answer as the leader it was, with an end
 * that is too low.  So "shorter than wanted" is believed only when it was heard several times over
 * a time in which such a broker has learned better. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_KAFKA_ASK_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_KAFKA_ASK_H

#include "shard-map/commitlog/commitlog_kafka_conf.h"

struct commitlog_kafka_ask;

struct commitlog_kafka_ask *commitlog_kafka_ask_new(const struct commitlog_kafka_client *);
void commitlog_kafka_ask_free(struct commitlog_kafka_ask **); /* nobody asks any more */
/* Questions that wait for brokers give up (ERR_UNAVAILABLE): the log is away, or closes. */
void commitlog_kafka_ask_hurry(struct commitlog_kafka_ask *, bool);

/* As commitlog_ends, commitlog_scan, commitlog_trim. */
MUST_CHECK int commitlog_kafka_ask_ends(struct commitlog_kafka_ask *, uint32_t stream,
					uint64_t *first, uint64_t *next, struct err *);
MUST_CHECK int commitlog_kafka_ask_scan(struct commitlog_kafka_ask *, uint32_t stream,
					uint64_t from, uint64_t max, commitlog_read_fn *, void *arg,
					struct err *);
MUST_CHECK int commitlog_kafka_ask_trim(struct commitlog_kafka_ask *, uint32_t stream,
					uint64_t head, struct err *);
/* Can the stream be read from that offset?  0, ERR_NOT_FOUND (trimmed), ERR_CORRUPT (shorter),
 * ERR_UNAVAILABLE.  Takes some seconds to say ERR_CORRUPT. */
MUST_CHECK int commitlog_kafka_ask_judge(struct commitlog_kafka_ask *, uint32_t stream,
					 uint64_t from, struct err *);

#endif
