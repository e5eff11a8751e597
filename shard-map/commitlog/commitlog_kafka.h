/* shard-map/commitlog/commitlog_kafka.h - the log in Apache Kafka, across machines
 * ("kafka:HOST:PORT,HOST:PORT").  Thread: as commitlog.h.
 *
 * One producer, one consumer and one control handle of librdkafka for all streams, and a thread for
 * each: "log-write", "log-read", "log-watch".  No consumer groups, no transactions, no settings of
 * brokers changed.  Topics and what is wanted of them: commitlog_kafka_topics.h; outcomes of appends:
 * commitlog_kafka_write.h; when the log counts as away: commitlog_kafka_watch.h. */
#ifndef SHARD_MAP_COMMITLOG_COMMITLOG_KAFKA_H
#define SHARD_MAP_COMMITLOG_COMMITLOG_KAFKA_H

struct commitlog_backend;
extern const struct commitlog_backend commitlog_kafka_backend;

#endif
