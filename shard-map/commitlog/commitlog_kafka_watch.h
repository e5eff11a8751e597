/* shard-map/commitlog/commitlog_kafka_watch.h - whether the log is there: one thread that may block.
 * Thread: any.
 *
 * States:  UNSETTLED -> THERE   the topics exist and were checked
 *          THERE -> AWAY        all brokers refuse, or none has answered for WATCH_AWAY_MSEC: longer
 *                               than Kafka takes to go on without one of three
 *          AWAY -> THERE        one answers
 * It also judges streams in doubt, whatever the state. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_KAFKA_WATCH_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_KAFKA_WATCH_H

#include "shard-map/commitlog/commitlog_kafka_ask.h"
#include "shard-map/commitlog/commitlog_kafka_conf.h"
#include "shard-map/commitlog/commitlog_subs.h"

#define COMMITLOG_KAFKA_WATCH_AWAY_MSEC 8000

struct commitlog_kafka_watch;

struct commitlog_kafka_watch_opts {
	const struct commitlog_kafka_conf *conf;     /* lent until free, as what follows */
	const struct commitlog_kafka_client *client; /* the control handle */
	struct commitlog_kafka_ask *ask;
	bool there; /* the topics were checked already */
	/* On the watch's thread; why NULL: the log is there. */
	void (*away)(void *arg, const struct err *why);
	void (*verdict)(void *arg, const struct commitlog_subs_turn *, const struct err *);
	void *arg;
};
struct commitlog_kafka_watch *commitlog_kafka_watch_new(const struct commitlog_kafka_watch_opts *);
MUST_CHECK int commitlog_kafka_watch_start(struct commitlog_kafka_watch *, struct err *);
/* Ends the thread; hints and doubts are ignored from now on. */
void commitlog_kafka_watch_stop(struct commitlog_kafka_watch *);
void commitlog_kafka_watch_free(struct commitlog_kafka_watch **);

void commitlog_kafka_watch_hint(struct commitlog_kafka_watch *); /* all brokers seem to be gone */
/* Judges and gives a verdict, once. */
void commitlog_kafka_watch_doubt(struct commitlog_kafka_watch *,
				 const struct commitlog_subs_turn *);

#endif
