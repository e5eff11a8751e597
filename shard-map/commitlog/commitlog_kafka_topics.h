/* shard-map/commitlog/commitlog_kafka_topics.h - the topics of a cluster: making them, and whether
 * their settings keep the log's promises.  Thread: any that may block; asks by the handle given.
 *
 * Wanted: replication factor 3, min.insync.replicas 2, unclean.leader.election.enable=false,
 * retention.ms=-1, retention.bytes=-1, message.timestamp.type=LogAppendTime.  What is weaker is
 * refused, or with allow_weak told in the log.  cleanup.policy other than delete and a
 * max.message.bytes below COMMITLOG_KAFKA_MESSAGE are refused always: offsets would have gaps, or
 * records no place.  Nothing here changes the settings of a topic that is there. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_KAFKA_TOPICS_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_KAFKA_TOPICS_H

#include "shard-map/commitlog/commitlog_kafka_conf.h"

#define COMMITLOG_KAFKA_MESSAGE 1000000 /* bytes: librdkafka's own largest batch */

/* Makes those that are missing, with three replicas or as many as there are brokers (fewer than
 * three: ERR_REFUSED without allow_weak), and waits until they can be used.  ERR_CONFLICT: there are
 * commits for another number of shards. */
MUST_CHECK int commitlog_kafka_topics_create(const struct commitlog_kafka_client *,
					     const struct commitlog_kafka_conf *, uint32_t shards,
					     struct err *);
/* Are they there, and good enough?  ERR_NOT_FOUND, ERR_REFUSED, ERR_UNAVAILABLE. */
MUST_CHECK int commitlog_kafka_topics_check(const struct commitlog_kafka_client *,
					    const struct commitlog_kafka_conf *, unsigned msec,
					    struct err *);

#endif
