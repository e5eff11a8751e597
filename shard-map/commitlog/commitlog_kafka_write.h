/* shard-map/commitlog/commitlog_kafka_write.h - the producer: appends and what becomes of them.
 * Thread: any; answers come on the writer's own thread.
 *
 * An append goes to librdkafka in the call itself, or waits here while there is no handle (at the
 * beginning, after a fatal error).  Its outcome:
 *	delivered with an offset                        AT
 *	never given to librdkafka, or purged from its
 *	queue without ever having been sent             NOT
 *	everything else, time-outs above all            UNKNOWN
 * A fatal error is routine (the broker forgot our sequence numbers): the handle is purged, closed and
 * made anew.  So it is when the log is away: what was not sent is refused at once, not after the
 * deadline. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_KAFKA_WRITE_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_KAFKA_WRITE_H

#include "shard-map/commitlog/commitlog_kafka_conf.h"

struct commitlog_kafka_write;

/* Away at first.  hint: called when all brokers seem to be gone. */
MUST_CHECK int commitlog_kafka_write_new(struct commitlog_kafka_write **out,
					 const struct commitlog_kafka_conf *, void (*hint)(void *),
					 void *arg, struct err *);
/* Answers what is under way, at most a few seconds, then ends the thread. */
void commitlog_kafka_write_free(struct commitlog_kafka_write **);
/* why: refuse with these words from now on; NULL: the log is back. */
void commitlog_kafka_write_away(struct commitlog_kafka_write *, const struct err *why);
void commitlog_kafka_write_append(struct commitlog_kafka_write *, uint32_t stream, struct slice,
				  commitlog_append_fn *, void *arg);

#endif
