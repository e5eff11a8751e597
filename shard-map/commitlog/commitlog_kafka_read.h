/* shard-map/commitlog/commitlog_kafka_read.h - the consumer: one handle and one queue for all streams
 * of a log.  Thread: any; callbacks come on the reader's own thread.
 *
 * A stream is consumed from the offset that its subscription wants next.  What cannot go on (the
 * offset is out of range, a gap, a topic that is gone) is stopped and put in doubt: whoever may
 * block judges it and hands the verdict back. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_KAFKA_READ_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_KAFKA_READ_H

#include "shard-map/commitlog/commitlog_kafka_conf.h"
#include "shard-map/commitlog/commitlog_subs.h"

struct commitlog_kafka_read;

struct commitlog_kafka_read_opts {
	const struct commitlog_kafka_conf *conf; /* lent until free */
	void (*hint)(void *arg);                 /* all brokers seem to be gone */
	/* The stream stands still until commitlog_kafka_read_verdict; must not block. */
	void (*doubt)(void *arg, const struct commitlog_subs_turn *);
	void *arg;
};
/* Away at first. */
MUST_CHECK int commitlog_kafka_read_new(struct commitlog_kafka_read **out,
					const struct commitlog_kafka_read_opts *, struct err *);
void commitlog_kafka_read_free(struct commitlog_kafka_read **); /* ends the thread */

/* why: the subscriptions hear of it, once; NULL: the log is back, they go on. */
void commitlog_kafka_read_away(struct commitlog_kafka_read *, const struct err *why);
/* Code ERR_OK: go on reading; ERR_NOT_FOUND and ERR_CORRUPT end it; others: tell, and go on. */
void commitlog_kafka_read_verdict(struct commitlog_kafka_read *, const struct commitlog_subs_turn *,
				  const struct err *);

void commitlog_kafka_read_add(struct commitlog_kafka_read *, uint32_t stream, uint64_t from,
			      commitlog_read_fn *, commitlog_trouble_fn *, void *arg);
void commitlog_kafka_read_remove(struct commitlog_kafka_read *, uint32_t stream);

#endif
